/**
 * Division of an amount in proportion to weights: everyone gets the floor, and the units left over go one each to the largest remainders,
 * ties to the first in the given order.
 *
 * The floors are estimated in floating point with a known bound on the error, and worked out in integers only where the estimate is too near to a
 * whole number, or a remainder too near to the last one that gets a unit, to be sure. Equal weights, of which there are many, are one. The
 * result is exactly the integer one (the tests compare it with a plain version); the plain one costs ten times as much because of its
 * divisions, and this runs for each split that is offered.
 */
import { RewardsError } from "./errors.js";

/** Relative error of `scale × weight` below: four roundings of 2^-53 each, doubled for safety. */
const RELATIVE_ERROR = 2 ** -50;
/** Fractions are counted in so many buckets. A power of two: their edges are exact in floating point. */
const BUCKETS = 1024;

/** Divides `amount` (0 to 2^53 - 1) over weights >= 0 whose sum `total` is above 0. The results add up to `amount`. */
export function largestRemainder(amount: bigint, weights: readonly bigint[], total: bigint): bigint[] {
  return new Proportions(weights, total).divide(amount);
}

/** Who gets a unit more than the floor: groups with a fraction above some, whole groups besides, and the first places of others. */
interface Extra {
  readonly above: number;
  readonly groups: readonly number[];
  readonly partly: readonly number[];
  /** The last such place. */
  readonly upTo: number;
}

const NOBODY: Extra = { above: Number.POSITIVE_INFINITY, groups: [], partly: [], upTo: -1 };

/** Weights made ready for several amounts to be divided over them. */
export class Proportions {
  readonly #total: bigint;
  /** By place, its group: places of one weight. */
  readonly #groupOf: Uint32Array;
  /** The weights without repetition, by group, exact and rounded; and how many places have it. */
  readonly #weights: readonly bigint[];
  readonly #estimates: Float64Array;
  readonly #sizes: readonly number[];
  readonly #largestEstimate: number;
  /** By group, for the time of one division. */
  readonly #floors: Float64Array;
  readonly #fractions: Float64Array;
  /** Places, by the bucket of their fraction. */
  readonly #buckets = new Uint32Array(BUCKETS + 1);

  /** @param weights 0 or more. @param total their sum, above 0 and less than 2^1023 */
  constructor(weights: readonly bigint[], total: bigint) {
    if (total <= 0n || !Number.isFinite(Number(total))) {
      throw new RewardsError("rewards.invalidWeight", `expected weights that add up to more than 0 and less than 2^1023, got ${total}`);
    }
    const groups = new Map<bigint, number>();
    const sizes: number[] = [];
    this.#groupOf = new Uint32Array(weights.length);
    for (let place = 0; place < weights.length; place++) {
      const weight = weights[place] as bigint;
      let group = groups.get(weight);
      if (group === undefined) {
        group = groups.size;
        groups.set(weight, group);
        sizes.push(0);
      }
      sizes[group] = (sizes[group] as number) + 1;
      this.#groupOf[place] = group;
    }
    this.#total = total;
    this.#weights = [...groups.keys()];
    this.#sizes = sizes;
    this.#estimates = Float64Array.from(this.#weights, Number);
    this.#largestEstimate = this.#estimates.reduce((largest, estimate) => Math.max(largest, estimate), 0);
    this.#floors = new Float64Array(groups.size);
    this.#fractions = new Float64Array(groups.size);
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
    const scale = Number(amount) / Number(this.#total);
    const left = Number(amount) - this.#floor(amount, scale);
    const extra = left === 0 ? NOBODY : this.#largest(left, amount, (scale * this.#largestEstimate + 1) * RELATIVE_ERROR);
    const part = (place: number): bigint => {
      const group = this.#groupOf[place] as number;
      const more =
        (this.#fractions[group] as number) > extra.above ||
        extra.groups.includes(group) ||
        (place <= extra.upTo && extra.partly.includes(group));
      return BigInt((this.#floors[group] as number) + (more ? 1 : 0));
    };
    return only === undefined ? Array.from(this.#groupOf, (_, place) => part(place)) : only.map(part);
  }

  /** Floors and fractions of all groups, and how many places each bucket has. @returns the sum of all floors */
  #floor(amount: bigint, scale: number): number {
    const buckets = this.#buckets.fill(0);
    // That of the largest part, for all: one bound for each would cost more than the few integers it saves.
    const error = scale * this.#largestEstimate * RELATIVE_ERROR;
    let given = 0;
    for (let group = 0; group < this.#estimates.length; group++) {
      const estimate = scale * (this.#estimates[group] as number);
      let floor = Math.floor(estimate);
      let fraction = estimate - floor;
      if (fraction <= error || fraction >= 1 - error) {
        const product = amount * (this.#weights[group] as bigint);
        const exact = product / this.#total;
        floor = Number(exact);
        fraction = Number(product - exact * this.#total) / Number(this.#total);
      }
      this.#floors[group] = floor;
      this.#fractions[group] = fraction;
      const size = this.#sizeOf(group);
      given += floor * size;
      const bucket = (fraction * BUCKETS) >>> 0;
      buckets[bucket] = (buckets[bucket] as number) + size;
    }
    return given;
  }

  /** The places of the `count` largest remainders; no fraction is off by more than `error`. */
  #largest(count: number, amount: bigint, error: number): Extra {
    const fractions = this.#fractions;
    // By the buckets few are ever compared one by one.
    let bucket = BUCKETS;
    let within = this.#buckets[bucket] as number;
    while (within < count) within += this.#buckets[--bucket] as number;
    const [from, to] = [bucket / BUCKETS - 4 * error, (bucket + 1) / BUCKETS + 4 * error];
    const near: number[] = [];
    let open = count;
    for (let group = 0; group < fractions.length; group++) {
      const fraction = fractions[group] as number;
      if (fraction > to) open -= this.#sizeOf(group);
      else if (fraction >= from) near.push(group);
    }
    near.sort((a, b) => (fractions[b] as number) - (fractions[a] as number));
    let last = 0;
    for (let reached = 0; reached < open; last++) reached += this.#sizeOf(near[last] as number);
    const edge = fractions[near[last - 1] as number] as number;
    const unsure: number[] = [];
    for (const group of near) {
      const fraction = fractions[group] as number;
      if (fraction > edge + 2 * error) open -= this.#sizeOf(group);
      else if (fraction >= edge - 2 * error) unsure.push(group);
    }
    return { ...this.#largestExactly(open, unsure, amount), above: edge + 2 * error };
  }

  /** Of groups that floating point can't tell apart, those that have the `count` largest remainders. */
  #largestExactly(count: number, groups: readonly number[], amount: bigint): Omit<Extra, "above"> {
    const levels = new Map<bigint, number[]>();
    for (const group of groups) {
      const remainder = groups.length === 1 ? 0n : (amount * (this.#weights[group] as bigint)) % this.#total;
      const level = levels.get(remainder);
      if (level === undefined) levels.set(remainder, [group]);
      else level.push(group);
    }
    const whole: number[] = [];
    let open = count;
    for (const [, partly] of [...levels].sort(([a], [b]) => (a > b ? -1 : 1))) {
      const size = partly.reduce((sum, group) => sum + this.#sizeOf(group), 0);
      if (size > open) return { groups: whole, partly, upTo: this.#placeOf(partly, open) };
      whole.push(...partly);
      open -= size;
    }
    return { ...NOBODY, groups: whole };
  }

  /** The place of the `count`-th member of some groups together; -1 for none. */
  #placeOf(groups: readonly number[], count: number): number {
    let place = -1;
    for (let found = 0; found < count; ) if (groups.includes(this.#groupOf[++place] as number)) found++;
    return place;
  }

  #sizeOf(group: number): number {
    return this.#sizes[group] as number;
  }
}
