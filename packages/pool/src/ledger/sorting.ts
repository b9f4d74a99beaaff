/** Sorting in steps: tens of thousands of scripts take longer than shares should wait. */

/** Items that are sorted in one go, and merged between two pauses. */
const RUN = 256;

/** The items in ascending order, equal ones as they stood; pauses after each part of a millisecond. */
export function* sorting<T>(items: readonly T[], compare: (a: T, b: T) => number): Generator<undefined, T[]> {
  let runs: T[][] = [];
  for (let from = 0; from < items.length; from += RUN) {
    runs.push(items.slice(from, from + RUN).sort(compare));
    yield;
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let i = 0; i < runs.length; i += 2) merged.push(yield* merging(runs[i] as T[], runs[i + 1] ?? [], compare));
    runs = merged;
  }
  return runs[0] ?? [];
}

function* merging<T>(left: readonly T[], right: readonly T[], compare: (a: T, b: T) => number): Generator<undefined, T[]> {
  const merged: T[] = [];
  for (let l = 0, r = 0; l < left.length || r < right.length; ) {
    const takeLeft = r === right.length || (l < left.length && compare(left[l] as T, right[r] as T) <= 0);
    if (merged.push((takeLeft ? left[l++] : right[r++]) as T) % RUN === 0) yield;
  }
  return merged;
}
