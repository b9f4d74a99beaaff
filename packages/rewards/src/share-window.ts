/**
 * The window over the share log: sums per account and segment, from which the last `size` units of weight are weighed.
 *
 * A segment is a stretch of the log; the newest one, the head, is open and takes new shares. The window reaches back from the head
 * until `size` units of weight are inside. Its left edge nearly always falls inside a segment; of that segment every account counts
 * with the same fraction, (units still missing) / (units of the segment).
 *
 * The cut is exact, nothing is rounded: results are given in units of 1/denominator, the denominator being the weight of the segment
 * that was cut (1 when none was). So the weights of a cut window always add up to exactly size × denominator, and neither the order in which
 * shares came nor the order in which accounts were first seen can change a result.
 *
 * Cost: adding a share touches two sums. The sums of everything newer than the edge are kept, so weighing touches a whole segment only when
 * the edge has moved across it.
 */
import { RewardsError } from "./errors.js";

/** Database id of an account. */
export type AccountId = number;

/** Parts per million that make the whole. */
export const PPM = 1_000_000n;

/** What the window needs to know of one share. */
export interface ShareEntry {
  readonly account: AccountId;
  /** Share difficulty, a positive integer. */
  readonly weight: bigint;
  /** Fee rate at acceptance, 0 to 1,000,000 parts per million. */
  readonly feePpm: number;
}

/** Sums of one account in one segment. */
export interface AccountSum {
  readonly account: AccountId;
  readonly weight: bigint;
  /** Sum of weight × fee rate. */
  readonly feeWeight: bigint;
}

/** A segment as it was stored. */
export interface SegmentSums {
  /** Grows with time. */
  readonly id: number;
  readonly sums: readonly AccountSum[];
}

/** The window, weighed: parallel arrays, accounts ascending, none without weight. A copy; later shares don't change it. */
export interface WindowWeights {
  readonly accounts: readonly AccountId[];
  /** In units of 1/denominator of a share's difficulty. */
  readonly weights: readonly bigint[];
  /** Sum of weight × (10^6 - fee rate): what is left after the fee, in units of 1/(10^6 × denominator). */
  readonly netWeights: readonly bigint[];
  readonly totalWeight: bigint;
  readonly totalNetWeight: bigint;
  readonly denominator: bigint;
  /**
   * False when the window asked for reaches back past what is loaded although the log goes on there: then these are NOT the weights of that
   * window, and the caller must load older segments and weigh again. A log that is shorter than the window is complete.
   */
  readonly complete: boolean;
}

interface Sum {
  weight: bigint;
  netWeight: bigint;
}

interface Segment {
  readonly id: number;
  /** By slot. */
  readonly sums: Map<number, Sum>;
  weight: bigint;
  netWeight: bigint;
}

/** Sums per account and segment of the loaded part of the share log. See the top of this file for the rule of the left edge. */
export class ShareWindow {
  /** Oldest first; the last one is the head. */
  readonly #segments: Segment[] = [];
  /** Accounts get dense numbers, so that the running sums are plain arrays. */
  readonly #slotOf = new Map<AccountId, number>();
  readonly #accountOf: AccountId[] = [];
  /** Slots by ascending account; undefined when a new account came. */
  #order: number[] | undefined = [];
  /** Index of the segment that the edge cut last; everything after it is summed in `#newer…`. */
  #edge = -1;
  readonly #newerWeight: bigint[] = [];
  readonly #newerNetWeight: bigint[] = [];
  #newerTotal = 0n;
  #newerNetTotal = 0n;
  #weight = 0n;
  #olderRemain = false;

  /** Weight of all loaded segments. */
  get weight(): bigint {
    return this.#weight;
  }

  /** True when the log goes on before the oldest loaded segment. */
  get olderRemain(): boolean {
    return this.#olderRemain;
  }

  /** Id of the oldest loaded segment, undefined when none is. */
  get oldestSegment(): number | undefined {
    return this.#segments[0]?.id;
  }

  /** Id of the open segment, undefined when none is. */
  get headSegment(): number | undefined {
    return this.#segments.at(-1)?.id;
  }

  /** Closes the head and opens a new one, which must have a higher id. */
  openSegment(id: number): void {
    const head = this.headSegment;
    if (head !== undefined && id <= head) {
      throw new RewardsError("rewards.segmentOrder", `expected a segment id above ${head}, got ${id}`);
    }
    this.#segments.push({ id, sums: new Map(), weight: 0n, netWeight: 0n });
  }

  /** Counts one share in the head. */
  add(share: ShareEntry): void {
    checkShare(share);
    const head = this.#segments.at(-1);
    if (head === undefined)
      throw new RewardsError("rewards.segmentOrder", "expected an open segment, there is none: call openSegment first");
    this.#change(this.#segments.length - 1, this.#slot(share.account), share.weight, netOf(share));
  }

  /**
   * Takes one share of the given segment back. False when that segment is older than what is loaded (then nothing is to be done here:
   * it is loaded without the share, if ever).
   */
  void(segmentId: number, share: ShareEntry): boolean {
    checkShare(share);
    const index = this.#indexOf(segmentId);
    if (index === undefined) {
      if (this.#olderRemain && segmentId < (this.oldestSegment ?? 0)) return false;
      throw new RewardsError("rewards.unknownShare", `expected a segment of this log, got ${segmentId}`);
    }
    const slot = this.#slot(share.account);
    const sum = this.#segments[index]?.sums.get(slot);
    const netWeight = netOf(share);
    if (sum === undefined || sum.weight < share.weight || sum.netWeight < netWeight) {
      throw new RewardsError(
        "rewards.unknownShare",
        `expected at least weight ${share.weight} of account ${share.account} in segment ${segmentId}, found ${sum?.weight ?? 0n}`,
      );
    }
    this.#change(index, slot, -share.weight, -netWeight);
    return true;
  }

  /**
   * Puts stored segments before the loaded ones (or, when nothing is loaded yet, begins with them). Ascending ids; `olderRemain` says whether
   * the log goes on before the first of them.
   */
  load(segments: readonly SegmentSums[], olderRemain: boolean): void {
    const built: Segment[] = [];
    let before = this.oldestSegment ?? Number.POSITIVE_INFINITY;
    for (let i = segments.length - 1; i >= 0; i--) {
      const stored = segments[i] as SegmentSums;
      if (stored.id >= before) throw new RewardsError("rewards.segmentOrder", `expected a segment id under ${before}, got ${stored.id}`);
      before = stored.id;
      const segment: Segment = { id: stored.id, sums: new Map(), weight: 0n, netWeight: 0n };
      for (const { account, weight, feeWeight } of stored.sums) {
        if (weight < 0n || feeWeight < 0n || feeWeight > weight * PPM) {
          throw new RewardsError(
            "rewards.invalidWeight",
            `expected sums with 0 <= fee weight <= weight × 10^6, got ${weight}, ${feeWeight}`,
          );
        }
        const netWeight = weight * PPM - feeWeight;
        addTo(segment.sums, this.#slot(account), weight, netWeight);
        segment.weight += weight;
        segment.netWeight += netWeight;
      }
      built.push(segment);
      this.#weight += segment.weight;
    }
    const wasEmpty = this.#segments.length === 0;
    this.#segments.unshift(...built.reverse());
    // Loaded segments are older than the edge, unless nothing was loaded: then the newest of them is where the edge starts.
    this.#edge = wasEmpty ? this.#segments.length - 1 : this.#edge + built.length;
    this.#olderRemain = olderRemain;
  }

  /**
   * Forgets the oldest segments as long as the rest weighs at least `keep`, and returns how many were forgotten. A rise in difficulty brings older
   * shares back into the window, so `keep` should be a multiple of the window's size (difficulty can rise fourfold at a retarget). Nothing is lost
   * silently: weighing a window that reaches into what was forgotten says `complete: false`.
   */
  forget(keep: bigint): number {
    let count = 0;
    // Never past the edge: what is inside the present window stays.
    while (count < this.#edge) {
      const oldest = this.#segments[count] as Segment;
      if (this.#weight - oldest.weight < keep) break;
      this.#weight -= oldest.weight;
      count++;
    }
    if (count > 0) {
      this.#segments.splice(0, count);
      this.#edge -= count;
      this.#olderRemain = true;
    }
    return count;
  }

  /** Weighs the last `size` units of the log; a log shorter than that is the window. */
  weigh(size: bigint): WindowWeights {
    if (size <= 0n) throw new RewardsError("rewards.invalidWeight", `expected a window size above 0, got ${size}`);
    this.#moveEdge(size);
    const edge = this.#edge < 0 ? undefined : this.#segments[this.#edge];
    const cut = edge !== undefined && edge.weight > 0n;
    const denominator = cut ? edge.weight : 1n;
    const part = cut ? size - this.#newerTotal : 0n;

    const accounts: AccountId[] = [];
    const weights: bigint[] = [];
    const netWeights: bigint[] = [];
    for (const slot of this.#sortedSlots()) {
      let weight = this.#newerWeight[slot] as bigint;
      let netWeight = this.#newerNetWeight[slot] as bigint;
      if (cut) {
        weight *= denominator;
        netWeight *= denominator;
        const sum = edge.sums.get(slot);
        if (sum !== undefined) {
          weight += sum.weight * part;
          netWeight += sum.netWeight * part;
        }
      }
      if (weight === 0n) continue;
      accounts.push(this.#accountOf[slot] as AccountId);
      weights.push(weight);
      netWeights.push(netWeight);
    }
    return {
      accounts,
      weights,
      netWeights,
      totalWeight: cut ? size * denominator : this.#newerTotal,
      totalNetWeight: cut ? this.#newerNetTotal * denominator + edge.netWeight * part : this.#newerNetTotal,
      denominator,
      complete: cut || !this.#olderRemain,
    };
  }

  /** Afterwards the segments after the edge weigh less than `size`, and with the edge's at least `size` (or there is no edge: the log is shorter). */
  #moveEdge(size: bigint): void {
    while (this.#edge >= 0 && this.#newerTotal + (this.#segments[this.#edge] as Segment).weight < size) {
      this.#shiftNewer(this.#segments[this.#edge] as Segment, 1n);
      this.#edge--;
    }
    while (this.#newerTotal >= size) {
      this.#edge++;
      this.#shiftNewer(this.#segments[this.#edge] as Segment, -1n);
    }
  }

  #shiftNewer(segment: Segment, sign: 1n | -1n): void {
    for (const [slot, { weight, netWeight }] of segment.sums) {
      this.#newerWeight[slot] = (this.#newerWeight[slot] as bigint) + sign * weight;
      this.#newerNetWeight[slot] = (this.#newerNetWeight[slot] as bigint) + sign * netWeight;
    }
    this.#newerTotal += sign * segment.weight;
    this.#newerNetTotal += sign * segment.netWeight;
  }

  #change(index: number, slot: number, weight: bigint, netWeight: bigint): void {
    const segment = this.#segments[index] as Segment;
    addTo(segment.sums, slot, weight, netWeight);
    segment.weight += weight;
    segment.netWeight += netWeight;
    this.#weight += weight;
    if (index > this.#edge) {
      this.#newerWeight[slot] = (this.#newerWeight[slot] as bigint) + weight;
      this.#newerNetWeight[slot] = (this.#newerNetWeight[slot] as bigint) + netWeight;
      this.#newerTotal += weight;
      this.#newerNetTotal += netWeight;
    }
  }

  #slot(account: AccountId): number {
    let slot = this.#slotOf.get(account);
    if (slot === undefined) {
      slot = this.#accountOf.length;
      this.#slotOf.set(account, slot);
      this.#accountOf.push(account);
      this.#newerWeight.push(0n);
      this.#newerNetWeight.push(0n);
      this.#order = undefined;
    }
    return slot;
  }

  #sortedSlots(): readonly number[] {
    this.#order ??= this.#accountOf.map((_, slot) => slot).sort((a, b) => (this.#accountOf[a] as number) - (this.#accountOf[b] as number));
    return this.#order;
  }

  #indexOf(segmentId: number): number | undefined {
    let low = 0;
    let high = this.#segments.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const id = (this.#segments[middle] as Segment).id;
      if (id === segmentId) return middle;
      if (id < segmentId) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }
}

function addTo(sums: Map<number, Sum>, slot: number, weight: bigint, netWeight: bigint): void {
  const sum = sums.get(slot);
  if (sum === undefined) sums.set(slot, { weight, netWeight });
  else {
    sum.weight += weight;
    sum.netWeight += netWeight;
  }
}

function netOf({ weight, feePpm }: ShareEntry): bigint {
  return weight * BigInt(1_000_000 - feePpm);
}

function checkShare(share: ShareEntry): void {
  if (share.weight <= 0n) throw new RewardsError("rewards.invalidWeight", `expected a weight above 0, got ${share.weight}`);
  if (!Number.isInteger(share.feePpm) || share.feePpm < 0 || share.feePpm > 1_000_000) {
    throw new RewardsError("rewards.invalidFee", `expected a fee of 0 to 1000000 ppm, got ${share.feePpm}`);
  }
}
