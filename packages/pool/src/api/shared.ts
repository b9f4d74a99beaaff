/** Answers that cost something are made once for all who ask at the same time. */

/**
 * `make`, whose result is given to everybody who asks while it is made and for `ms` after it. A failure is told to those who waited, and not kept.
 *
 * @param monotonic a steady clock, milliseconds
 */
export function sharedFor<T>(ms: number, make: () => Promise<T>, monotonic: () => number): () => Promise<T> {
  let last: { readonly made: Promise<T>; until: number } | undefined;
  return () => {
    if (last !== undefined && monotonic() < last.until) return last.made;
    const entry = { made: make(), until: Number.POSITIVE_INFINITY };
    last = entry;
    entry.made.then(
      () => {
        entry.until = monotonic() + ms;
      },
      () => {
        if (last === entry) last = undefined;
      },
    );
    return entry.made;
  };
}
