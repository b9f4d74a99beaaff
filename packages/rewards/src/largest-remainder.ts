/**
 * Division of an amount in proportion to weights: everyone gets the floor, and the units left over go one each to the largest remainders,
 * ties to the first in the given order.
 *
 * The floors are estimated in floating point with a known bound on the error, and worked out in integers only where the estimate is too near to a
 * whole number, or a remainder too near to the last one that gets a unit, to be sure. The result is exactly the integer one (the tests compare
 * it with a plain version); the plain one costs seven times as much because of its divisions, and this runs for each split that is offered.
 */
import { RewardsError } from "./errors.js";

/** Relative error of `scale × weight` below: four roundings of 2^-53 each, doubled for safety. */
const RELATIVE_ERROR = 2 ** -50;

/** Divides `amount` (0 to 2^53 - 1) over weights >= 0 whose sum `total` is above 0. The results add up to `amount`. */
export function largestRemainder(amount: bigint, weights: readonly bigint[], total: bigint): bigint[] {
  return new Proportions(weights, total).divide(amount);
}

/** Weights made ready for several amounts to be divided over them. */
export class Proportions {
  readonly #weights: readonly bigint[];
  readonly #total: bigint;
  readonly #estimates: Float64Array;
  /** For the time of one division. */
  readonly #floors: Float64Array;
  readonly #fractions: Float64Array;

  /** @param weights 0 or more; must not change later. @param total their sum, above 0 and less than 2^1023 */
  constructor(weights: readonly bigint[], total: bigint) {
    if (total <= 0n || !Number.isFinite(Number(total))) {
      throw new RewardsError("rewards.invalidWeight", `expected weights that add up to more than 0 and less than 2^1023, got ${total}`);
    }
    this.#weights = weights;
    this.#total = total;
    this.#estimates = new Float64Array(weights.length);
    this.#floors = new Float64Array(weights.length);
    this.#fractions = new Float64Array(weights.length);
    for (let i = 0; i < weights.length; i++) this.#estimates[i] = Number(weights[i]);
  }

  /**
   * The parts of `amount` (0 to 2^53 - 1), in the order of the weights; they add up to it.
   *
   * @param only places of the parts that are wanted, where not all are: the division is of all, but ten thousand bigints cost more than it
   */
  divide(amount: bigint, only?: readonly number[]): bigint[] {
    if (amount < 0n || amount > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new RewardsError("rewards.invalidAmount", `expected an amount of 0 to 2^53 - 1 satoshis, got ${amount}`);
    }
    const weights = this.#weights;
    const total = this.#total;
    const estimates = this.#estimates;
    const scale = Number(amount) / Number(total);
    const floors = this.#floors;
    const fractions = this.#fractions;
    let given = 0;
    let error = 0;
    for (let i = 0; i < weights.length; i++) {
      const estimate = scale * (estimates[i] as number);
      const bound = estimate * RELATIVE_ERROR;
      let floor = Math.floor(estimate);
      let fraction = estimate - floor;
      if (fraction <= bound || fraction >= 1 - bound) {
        const product = amount * (weights[i] as bigint);
        const exact = product / total;
        floor = Number(exact);
        fraction = Number(product - exact * total) / Number(total);
      }
      if (bound > error) error = bound;
      floors[i] = floor;
      fractions[i] = fraction;
      given += floor;
    }
    const left = Number(amount) - given;
    if (left > 0) giveRemainders(left, { amount, weights, total, floors, fractions, error: error + RELATIVE_ERROR });
    const parts = new Array<bigint>(only?.length ?? weights.length);
    for (let i = 0; i < parts.length; i++) parts[i] = BigInt(floors[only === undefined ? i : (only[i] as number)] as number);
    return parts;
  }
}

interface Division {
  readonly amount: bigint;
  readonly weights: readonly bigint[];
  readonly total: bigint;
  readonly floors: Float64Array;
  readonly fractions: Float64Array;
  /** Bound on the error of each fraction. */
  readonly error: number;
}

/** Adds one unit to the `left` largest remainders. */
function giveRemainders(left: number, { amount, weights, total, floors, fractions, error }: Division): void {
  const last = largest(fractions, left);
  const unsure: number[] = [];
  let open = left;
  for (let i = 0; i < fractions.length; i++) {
    const fraction = fractions[i] as number;
    if (fraction > last + 2 * error) {
      floors[i] = (floors[i] as number) + 1;
      open--;
    } else if (fraction >= last - 2 * error) unsure.push(i);
  }
  const ordered =
    unsure.length > open
      ? byRemainder(
          unsure,
          (i) => weights[i] as bigint,
          (weight) => (amount * weight) % total,
        )
      : unsure;
  for (const i of ordered.slice(0, open)) floors[i] = (floors[i] as number) + 1;
}

/** Puts the largest remainder first, equal ones in the order given. Equal weights, of which there are many, cost one division together. */
function byRemainder(places: readonly number[], weightOf: (place: number) => bigint, remainderOf: (weight: bigint) => bigint): number[] {
  const byWeight = new Map<bigint, number[]>();
  for (const place of places) {
    const same = byWeight.get(weightOf(place));
    if (same === undefined) byWeight.set(weightOf(place), [place]);
    else same.push(place);
  }
  if (byWeight.size === 1) return [...places];
  const groups = new Map<bigint, number[]>();
  for (const [weight, same] of byWeight) {
    const remainder = remainderOf(weight);
    groups.set(remainder, [...(groups.get(remainder) ?? []), ...same]);
  }
  return [...groups].sort(([a], [b]) => (a > b ? -1 : 1)).flatMap(([, same]) => same.sort((a, b) => a - b));
}

/** A power of two: their edges are exact in floating point. */
const BUCKETS = 1024;

/** The k-th largest value (k from 1) of fractions, which are 0 to 1: counted in buckets first, so that few of them are ever sorted. */
function largest(fractions: Float64Array, k: number): number {
  const counts = new Uint32Array(BUCKETS + 1);
  for (let i = 0; i < fractions.length; i++) {
    const bucket = ((fractions[i] as number) * BUCKETS) >>> 0;
    counts[bucket] = (counts[bucket] as number) + 1;
  }
  let bucket = BUCKETS;
  let above = 0;
  while (above + (counts[bucket] as number) < k) above += counts[bucket--] as number;
  const within = new Float64Array(counts[bucket] as number);
  const [from, to] = [bucket / BUCKETS, (bucket + 1) / BUCKETS];
  let filled = 0;
  for (let i = 0; i < fractions.length; i++) {
    const fraction = fractions[i] as number;
    if (fraction >= from && fraction < to) within[filled++] = fraction;
  }
  within.sort();
  return within[within.length - (k - above)] as number;
}
