/**
 * Sums of a closed segment in few bytes, and totals over many of them.
 *
 * A pool of many accounts keeps millions of sums. As objects in a Map one takes some 130 bytes. Here it takes 6 (the slot, and the weight in one
 * 32-bit word) where all sums of the segment have one fee rate, none passes 2^32 and there are less than 65,537 slots. Nothing is rounded and nothing
 * is too large: a column has as many words as its largest number needs.
 */

/** Weight of an account in a segment, and what is left of it after the fee (see `netWeightOf`). */
export interface Sum {
  weight: bigint;
  netWeight: bigint;
}

const WORD_BITS = 32n;
const WORD = 2 ** 32;
/** Of so many words, each under 2^32, the sum is exact in floating point. */
const EXACT_ADDITIONS = 2 ** 21;

/** Integers from 0 on, each as 32-bit words, the least significant word first. As many words as the largest one needs. */
class Column {
  readonly words: readonly Uint32Array[];

  constructor(values: readonly bigint[]) {
    let largest = 0n;
    for (const value of values) if (value > largest) largest = value;
    const words: Uint32Array[] = [];
    for (let rest = largest; words.length === 0 || rest > 0n; rest >>= WORD_BITS) words.push(new Uint32Array(values.length));
    this.words = words;
    for (let i = 0; i < values.length; i++) this.set(i, values[i] as bigint);
  }

  get(index: number): bigint {
    const { words } = this;
    let k = words.length - 1;
    let value = BigInt((words[k] as Uint32Array)[index] as number);
    while (k-- > 0) value = (value << WORD_BITS) | BigInt((words[k] as Uint32Array)[index] as number);
    return value;
  }

  /** At most the largest value that the column was made for. */
  set(index: number, value: bigint): void {
    const last = this.words.length - 1;
    let rest = value;
    for (let k = 0; k < last; k++) {
      (this.words[k] as Uint32Array)[index] = Number(BigInt.asUintN(32, rest));
      rest >>= WORD_BITS;
    }
    (this.words[last] as Uint32Array)[index] = Number(rest);
  }
}

/** Sums by slot that only become less, by voids. */
export class PackedSums {
  /** Ascending. */
  readonly slots: Uint16Array | Uint32Array;
  readonly weights: Column;
  /** A number where every net weight is that many times the weight. */
  #netWeights: bigint | Column;

  constructor(sums: ReadonlyMap<number, Sum>) {
    const slots = new Uint32Array(sums.size);
    let count = 0;
    for (const slot of sums.keys()) slots[count++] = slot;
    slots.sort();
    const weights = new Array<bigint>(count);
    const netWeights = new Array<bigint>(count);
    for (let i = 0; i < count; i++) {
      const { weight, netWeight } = sums.get(slots[i] as number) as Sum;
      weights[i] = weight;
      netWeights[i] = netWeight;
    }
    this.slots = (slots.at(-1) ?? 0) < 2 ** 16 ? Uint16Array.from(slots) : slots;
    this.weights = new Column(weights);
    this.#netWeights = rateOf(weights, netWeights) ?? new Column(netWeights);
  }

  get netWeights(): bigint | Column {
    return this.#netWeights;
  }

  /** The sum of a slot, undefined when there is none. A copy. */
  get(slot: number): Sum | undefined {
    const index = this.#indexOf(slot);
    return index === undefined ? undefined : this.#at(index);
  }

  /** As that of a Map by slot, in ascending order; the sums are copies. */
  forEach(visit: (sum: Sum, slot: number) => void): void {
    for (let i = 0; i < this.slots.length; i++) visit(this.#at(i), this.slots[i] as number);
  }

  /** Makes the sum of a slot, which there must be, less: to no less than nothing. */
  lessen(slot: number, weight: bigint, netWeight: bigint): void {
    const index = this.#indexOf(slot) as number;
    const sum = this.#at(index);
    const left = { weight: sum.weight - weight, netWeight: sum.netWeight - netWeight };
    if (typeof this.#netWeights === "bigint" && left.netWeight !== left.weight * this.#netWeights) {
      this.#netWeights = new Column(Array.from(this.slots, (_, i) => this.#at(i).netWeight));
    }
    this.weights.set(index, left.weight);
    if (typeof this.#netWeights !== "bigint") this.#netWeights.set(index, left.netWeight);
  }

  #at(index: number): Sum {
    const weight = this.weights.get(index);
    return { weight, netWeight: typeof this.#netWeights === "bigint" ? weight * this.#netWeights : this.#netWeights.get(index) };
  }

  #indexOf(slot: number): number | undefined {
    let low = 0;
    let high = this.slots.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = this.slots[middle] as number;
      if (found === slot) return middle;
      if (found < slot) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }
}

/** How many times its weight each net weight is, when that is one whole number for all of them. */
function rateOf(weights: readonly bigint[], netWeights: readonly bigint[]): bigint | undefined {
  const first = weights.findIndex((weight) => weight > 0n);
  const rate = first < 0 ? 0n : (netWeights[first] as bigint) / (weights[first] as bigint);
  return weights.every((weight, i) => weight * rate === netWeights[i]) ? rate : undefined;
}

/** Totals by slot of one column over many segments: sums of each word by itself, so that floating point is exact. */
class Totals {
  readonly #slots: number;
  readonly #words: Float64Array[] = [];

  constructor(slots: number) {
    this.#slots = slots;
  }

  add(slots: Uint16Array | Uint32Array, column: Column, sign: 1 | -1): void {
    for (let k = 0; k < column.words.length; k++) {
      const word = column.words[k] as Uint32Array;
      this.#words[k] ??= new Float64Array(this.#slots);
      const totals = this.#words[k] as Float64Array;
      for (let i = 0; i < word.length; i++) {
        const slot = slots[i] as number;
        totals[slot] = (totals[slot] as number) + sign * (word[i] as number);
      }
    }
  }

  /** The total of a slot, which is 0 from now on. */
  take(slot: number): bigint {
    const words = this.#words;
    const low = words[0]?.[slot] ?? 0;
    const high = words[1]?.[slot] ?? 0;
    // One rounding at most: a result that is a safe integer is the exact one.
    const both = low + high * WORD;
    let total = Number.isSafeInteger(both) ? BigInt(both) : BigInt(low) + (BigInt(high) << WORD_BITS);
    for (let k = 2; k < words.length; k++) total += BigInt((words[k] as Float64Array)[slot] as number) << (WORD_BITS * BigInt(k));
    for (const word of words) word[slot] = 0;
    return total;
  }
}

/** Adds packed sums of many segments to running sums: several times faster than one by one, because there is one bigint for all of a slot. */
export class PackedTotals {
  readonly #weights: Totals;
  readonly #netWeights: Totals;
  readonly #slots: number;
  #rate: bigint | undefined;
  #additions = 0;
  readonly #to: { readonly weights: bigint[]; readonly netWeights: bigint[] };

  /** @param to the running sums by slot, which must have every slot that is added */
  constructor(to: { readonly weights: bigint[]; readonly netWeights: bigint[] }) {
    this.#to = to;
    this.#slots = to.weights.length;
    this.#weights = new Totals(this.#slots);
    this.#netWeights = new Totals(this.#slots);
  }

  /** Counts the sums of a segment, or with sign -1 takes them away. The running sums are behind until `flush`. */
  add({ slots, weights, netWeights }: PackedSums, sign: 1 | -1): void {
    const rate = typeof netWeights === "bigint" ? netWeights : undefined;
    if (rate !== this.#rate || this.#additions >= EXACT_ADDITIONS) this.flush();
    this.#rate = rate;
    this.#additions++;
    this.#weights.add(slots, weights, sign);
    if (typeof netWeights !== "bigint") this.#netWeights.add(slots, netWeights, sign);
  }

  flush(): void {
    const { weights, netWeights } = this.#to;
    if (this.#additions === 0) return;
    for (let slot = 0; slot < this.#slots; slot++) {
      const weight = this.#weights.take(slot);
      const netWeight = this.#rate === undefined ? this.#netWeights.take(slot) : weight * this.#rate;
      if (weight !== 0n) weights[slot] = (weights[slot] as bigint) + weight;
      if (netWeight !== 0n) netWeights[slot] = (netWeights[slot] as bigint) + netWeight;
    }
    this.#additions = 0;
  }
}
