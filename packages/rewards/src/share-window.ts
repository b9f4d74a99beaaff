/**
 * The window over the share log: sums per account and segment, from which the last `size` units of weight are weighed.
 *
 * A segment is a stretch of the log (`segmentLimit` says how long); the newest one, the head, is open and takes new shares. The window reaches
 * back from the head until `size` units of weight are inside. Its left edge nearly always falls inside a segment; of that segment every account
 * counts with the same fraction, (units still missing) / (units of the segment).
 *
 * The cut is exact, nothing is rounded: results are given in units of 1/denominator, the denominator being the weight of the segment
 * that was cut (1 when none was). So the weights of a cut window always add up to exactly size × denominator, and neither the order in which
 * shares came nor the order in which accounts were first seen can change a result.
 *
 * Cost: adding a share touches two sums. The sums of everything newer than the edge are kept, so weighing touches a whole segment only when
 * the edge has moved across it. Closed segments are packed (see packed-sums.ts). Accounts that are in no loaded segment any more cost nothing.
 */
import { checkFeePpm } from "./checks.js";
import { RewardsError } from "./errors.js";
import { PackedSums, PackedTotals, type Sum } from "./packed-sums.js";

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
  /** Id of the oldest segment of which something counts; undefined when nothing does. */
  readonly firstSegment: number | undefined;
  /**
   * False when the window asked for reaches back past what is loaded although the log goes on there: then these are NOT the weights of that
   * window, and the caller must load older segments and weigh again. A log that is shorter than the window is complete.
   */
  readonly complete: boolean;
}

/** The window where there is none: of an empty log, and for schemes that do not look at the log. */
export const EMPTY_WINDOW: WindowWeights = {
  accounts: [],
  weights: [],
  netWeights: [],
  totalWeight: 0n,
  totalNetWeight: 0n,
  denominator: 1n,
  firstSegment: undefined,
  complete: true,
};

/** What is left of a sum's weight after the fee, in parts per million: weight × 10^6 - fee weight. Throws for sums that no shares add up to. */
export function netWeightOf({ weight, feeWeight }: AccountSum): bigint {
  const netWeight = weight * PPM - feeWeight;
  if (weight < 0n || feeWeight < 0n || netWeight < 0n) {
    throw new RewardsError("rewards.invalidWeight", `expected sums with 0 <= fee weight <= weight × 10^6, got ${weight}, ${feeWeight}`);
  }
  return netWeight;
}

interface Segment {
  readonly id: number;
  /** By slot; packed when the segment is not the head any more. */
  sums: Map<number, Sum> | PackedSums;
  weight: bigint;
  netWeight: bigint;
}

/** A segment's sums by slot; slots that are newer than this are not in it. Never changed once made. */
interface DenseSums {
  readonly weights: readonly bigint[];
  readonly netWeights: readonly bigint[];
}

/** Sums per account and segment of the loaded part of the share log. See the top of this file for the rule of the left edge. */
export class ShareWindow {
  /** Oldest first; the last one is the head. */
  readonly #segments: Segment[] = [];
  /** Accounts get dense numbers, so that the running sums are plain arrays. */
  readonly #slotOf = new Map<AccountId, number>();
  readonly #accountOf: AccountId[] = [];
  /** By slot: loaded segments that have a sum of it. */
  readonly #uses: number[] = [];
  /** Slots that no account has. */
  readonly #free: number[] = [];
  /** Slots by ascending account; undefined when it has to be made again. */
  #order: number[] | undefined = [];
  /** Index of the segment that the edge cut last; everything after it is summed in `#newer…`. */
  #edge = -1;
  /** Of the edge's segment; undefined when it has to be made again. */
  #edgeSums: DenseSums | undefined;
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

  /** Weight of the open segment, 0 when none is. */
  get headWeight(): bigint {
    return this.#segments.at(-1)?.weight ?? 0n;
  }

  /** Closes the head and opens a new one, which must have a higher id. */
  openSegment(id: number): void {
    const head = this.#segments.at(-1);
    if (head !== undefined && id <= head.id) {
      throw new RewardsError("rewards.segmentOrder", `expected a segment id above ${head.id}, got ${id}`);
    }
    if (head?.sums instanceof Map) head.sums = new PackedSums(head.sums);
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
    const slot = this.#slotOf.get(share.account);
    const sum = slot === undefined ? undefined : this.#segments[index]?.sums.get(slot);
    const netWeight = netOf(share);
    if (slot === undefined || sum === undefined || sum.weight < share.weight || sum.netWeight < netWeight) {
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
    const wasEmpty = this.#segments.length === 0;
    let before = this.oldestSegment ?? Number.POSITIVE_INFINITY;
    for (let i = segments.length - 1; i >= 0; i--) {
      const stored = segments[i] as SegmentSums;
      if (stored.id >= before) throw new RewardsError("rewards.segmentOrder", `expected a segment id under ${before}, got ${stored.id}`);
      before = stored.id;
      const sums = new Map<number, Sum>();
      let weight = 0n;
      let netWeight = 0n;
      for (const sum of stored.sums) {
        const net = netWeightOf(sum);
        this.#addTo(sums, this.#slot(sum.account), sum.weight, net);
        weight += sum.weight;
        netWeight += net;
      }
      const isHead = wasEmpty && built.length === 0;
      built.push({ id: stored.id, sums: isHead ? sums : new PackedSums(sums), weight, netWeight });
    }
    for (const { weight } of built) this.#weight += weight;
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
      for (const slot of oldest.sums instanceof Map ? oldest.sums.keys() : oldest.sums.slots) this.#release(slot);
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
    const edge = this.#segments[this.#edge];
    const edgeSums = edge === undefined ? undefined : this.#denseSums(edge);
    const denominator = edge?.weight ?? 1n;
    const part = edge === undefined ? 0n : size - this.#newerTotal;

    const newer = this.#newerWeight.slice();
    const slots: number[] = [];
    const accounts: AccountId[] = [];
    for (const slot of this.#sortedSlots()) {
      if (newer[slot] === 0n && (edgeSums?.weights[slot] ?? 0n) === 0n) continue;
      slots.push(slot);
      accounts.push(this.#accountOf[slot] as AccountId);
    }
    const scaled = (whole: readonly bigint[], cut: readonly bigint[] | undefined): bigint[] =>
      cut === undefined
        ? slots.map((slot) => whole[slot] as bigint)
        : slots.map((slot) => (whole[slot] as bigint) * denominator + (cut[slot] ?? 0n) * part);
    let weights: readonly bigint[] | undefined;
    return {
      accounts,
      // A split needs the net weights only, and there is one for every tick of the clock.
      get weights() {
        weights ??= scaled(newer, edgeSums?.weights);
        return weights;
      },
      netWeights: scaled(this.#newerNetWeight, edgeSums?.netWeights),
      totalWeight: edge === undefined ? this.#newerTotal : size * denominator,
      totalNetWeight: edge === undefined ? this.#newerNetTotal : this.#newerNetTotal * denominator + edge.netWeight * part,
      denominator,
      firstSegment: (edge ?? this.#segments.find(({ weight }) => weight > 0n))?.id,
      complete: edge !== undefined || !this.#olderRemain,
    };
  }

  /** Sums of the edge's segment as arrays. */
  #denseSums(edge: Segment): DenseSums {
    if (this.#edgeSums === undefined) {
      const weights = new Array<bigint>(this.#accountOf.length).fill(0n);
      const netWeights = weights.slice();
      edge.sums.forEach((sum, slot) => {
        weights[slot] = sum.weight;
        netWeights[slot] = sum.netWeight;
      });
      this.#edgeSums = { weights, netWeights };
    }
    return this.#edgeSums;
  }

  /** Afterwards the segments after the edge weigh less than `size`, and with the edge's at least `size` (or there is no edge: the log is shorter). */
  #moveEdge(size: bigint): void {
    const before = this.#edge;
    const packed = new PackedTotals({ weights: this.#newerWeight, netWeights: this.#newerNetWeight });
    while (this.#edge >= 0 && this.#newerTotal + (this.#segments[this.#edge] as Segment).weight < size) {
      this.#shiftNewer(this.#segments[this.#edge] as Segment, 1, packed);
      this.#edge--;
    }
    while (this.#newerTotal >= size) {
      this.#edge++;
      this.#shiftNewer(this.#segments[this.#edge] as Segment, -1, packed);
    }
    packed.flush();
    if (this.#edge !== before) this.#edgeSums = undefined;
  }

  #shiftNewer({ sums, weight, netWeight }: Segment, sign: 1 | -1, packed: PackedTotals): void {
    const factor = BigInt(sign);
    if (sums instanceof PackedSums) packed.add(sums, sign);
    else {
      for (const [slot, sum] of sums) {
        this.#newerWeight[slot] = (this.#newerWeight[slot] as bigint) + factor * sum.weight;
        this.#newerNetWeight[slot] = (this.#newerNetWeight[slot] as bigint) + factor * sum.netWeight;
      }
    }
    this.#newerTotal += factor * weight;
    this.#newerNetTotal += factor * netWeight;
  }

  #change(index: number, slot: number, weight: bigint, netWeight: bigint): void {
    const segment = this.#segments[index] as Segment;
    if (segment.sums instanceof Map) this.#addTo(segment.sums, slot, weight, netWeight);
    else segment.sums.lessen(slot, -weight, -netWeight);
    segment.weight += weight;
    segment.netWeight += netWeight;
    this.#weight += weight;
    if (index > this.#edge) {
      this.#newerWeight[slot] = (this.#newerWeight[slot] as bigint) + weight;
      this.#newerNetWeight[slot] = (this.#newerNetWeight[slot] as bigint) + netWeight;
      this.#newerTotal += weight;
      this.#newerNetTotal += netWeight;
    } else if (index === this.#edge) this.#edgeSums = undefined;
  }

  #addTo(sums: Map<number, Sum>, slot: number, weight: bigint, netWeight: bigint): void {
    const sum = sums.get(slot);
    if (sum === undefined) {
      sums.set(slot, { weight, netWeight });
      this.#uses[slot] = (this.#uses[slot] as number) + 1;
    } else {
      sum.weight += weight;
      sum.netWeight += netWeight;
    }
  }

  #slot(account: AccountId): number {
    let slot = this.#slotOf.get(account);
    if (slot === undefined) {
      slot = this.#free.pop() ?? this.#accountOf.length;
      this.#slotOf.set(account, slot);
      this.#accountOf[slot] = account;
      this.#uses[slot] = 0;
      this.#newerWeight[slot] = 0n;
      this.#newerNetWeight[slot] = 0n;
      // New accounts mostly have the highest id so far.
      const last = this.#order?.at(-1);
      if (last === undefined || account > (this.#accountOf[last] as AccountId)) this.#order?.push(slot);
      else this.#order = undefined;
    }
    return slot;
  }

  /** A segment that had a sum of this slot was forgotten. */
  #release(slot: number): void {
    const uses = (this.#uses[slot] as number) - 1;
    this.#uses[slot] = uses;
    if (uses > 0) return;
    this.#slotOf.delete(this.#accountOf[slot] as AccountId);
    this.#free.push(slot);
    this.#order = undefined;
  }

  #sortedSlots(): readonly number[] {
    this.#order ??= [...this.#slotOf].sort(([a], [b]) => a - b).map(([, slot]) => slot);
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

function netOf({ weight, feePpm }: ShareEntry): bigint {
  return weight * BigInt(1_000_000 - feePpm);
}

function checkShare(share: ShareEntry): void {
  if (share.weight <= 0n) throw new RewardsError("rewards.invalidWeight", `expected a weight above 0, got ${share.weight}`);
  checkFeePpm(share.feePpm);
}
