/**
 * The transactions that the pool's node has or had, and what gateways showed: ids of all in flat memory, raw bytes of as many as fit.
 *
 * Of each transaction 88 bytes lie in flat arrays, and keys of 32 bytes in maps; raw bytes, and their objects, are by far the most.
 */
import { parseTransaction, TransactionError } from "@openprime/bitcoin";
import type { ShortIdMatcher } from "@openprime/datum";

export interface MempoolLimits {
  /** Most transactions whose ids are kept. */
  readonly transactions: number;
  /** Most raw bytes that are kept; those used last stay. */
  readonly rawBytes: number;
  /** How long a transaction stays known after the node has dropped it or mined it, milliseconds. */
  readonly keepGoneMs: number;
}

/** Figures of many transactions, side by side. `-1` in `positions` stands for a transaction that is not known. */
export interface FoundTransactions {
  /** For each id asked for its place in the arrays below, or -1. */
  readonly positions: Int32Array;
  /** 32 bytes each. */
  readonly txids: Uint8Array;
  readonly wtxids: Uint8Array;
  readonly sizes: Uint32Array;
  readonly weights: Uint32Array;
  /** Satoshis; -1 while the node has not told. */
  readonly fees: BigInt64Array;
}

/** Of what gateways showed, the part that may lie in memory: it pushes out only its like, or one gateway could push out the node's. */
const LEARNED_PART = 1 / 4;
const FIRST_CAPACITY = 4096;
/** The part that makes room when all places are taken. */
const ROOM = 1 / 64;
const UNKNOWN_FEE = -1n;

export class MempoolStore {
  #count = 0;
  #wtxids = new Uint8Array(32 * FIRST_CAPACITY);
  #txids = new Uint8Array(32 * FIRST_CAPACITY);
  #sizes = new Uint32Array(FIRST_CAPACITY);
  #weights = new Uint32Array(FIRST_CAPACITY);
  #fees = new BigInt64Array(FIRST_CAPACITY);
  /** Milliseconds at which the node was seen without it; NaN while it has it. */
  #goneAt = new Float64Array(FIRST_CAPACITY);
  /** wtxid → place. */
  readonly #places = new Map<string, number>();
  /** txid → wtxid, of those that the node has or had. */
  readonly #byTxid = new Map<string, string>();
  /** wtxid → raw, the one used last at the end. */
  readonly #raw = new Map<string, Uint8Array>();
  #rawBytes = 0;
  /** wtxid → size, of what only gateways have shown; the oldest first. */
  readonly #learned = new Map<string, number>();
  #learnedBytes = 0;
  #refused = 0;

  constructor(
    private readonly limits: MempoolLimits,
    private readonly matcher: ShortIdMatcher,
  ) {}

  get size(): number {
    return this.#count;
  }

  get rawBytes(): number {
    return this.#rawBytes;
  }

  /** Transactions that found no place because the node has more than are kept. */
  get refused(): number {
    return this.#refused;
  }

  /** Whether the node's transaction of that txid is known. */
  has(txid: string): boolean {
    return this.#byTxid.has(txid);
  }

  /** Whether the node has it now. @param txid key of `keyOf` */
  present(txid: string): boolean {
    const place = this.#placeOf(txid);
    return place !== undefined && Number.isNaN(this.#goneAt[place]);
  }

  /**
   * Takes a transaction that the node has.
   *
   * @param now milliseconds
   * @returns key of the txid; undefined when there is no room for it
   * @throws TransactionError for bytes that are none
   */
  add(raw: Uint8Array, now: number): string | undefined {
    const key = this.#enter(raw, now);
    if (key === undefined) return undefined;
    const place = this.#places.get(key)!;
    const txid = text(this.#txids, place);
    // One of the same txid with another witness has been replaced.
    if (this.#byTxid.get(txid) !== key) this.mark(txid, false, now);
    this.#goneAt[place] = Number.NaN;
    this.#byTxid.set(txid, key);
    this.#unlearn(key);
    return txid;
  }

  /** Takes transactions that a gateway showed; what is no transaction is passed over. @returns how many were none */
  learn(raws: readonly Uint8Array[], now: number): number {
    let bad = 0;
    for (const raw of raws) {
      try {
        this.#learn(raw, now);
      } catch (error) {
        if (!(error instanceof TransactionError)) throw error;
        bad++;
      }
    }
    return bad;
  }

  #learn(raw: Uint8Array, now: number): void {
    const before = this.#count;
    const key = this.#enter(raw, now);
    if (key === undefined) return;
    const place = this.#places.get(key)!;
    // Its time begins anew each time that it is shown.
    if (!Number.isNaN(this.#goneAt[place])) this.#goneAt[place] = now;
    if (this.#count === before) return;
    this.#learned.set(key, raw.length);
    this.#learnedBytes += raw.length;
    for (const oldest of this.#learned.keys()) {
      const most = LEARNED_PART * this.limits.transactions;
      if (this.#learned.size <= most && this.#learnedBytes <= LEARNED_PART * this.limits.rawBytes) break;
      this.#drop(oldest);
    }
  }

  /** The node has it (again), or not any more. @param txid key of `keyOf` */
  mark(txid: string, present: boolean, now: number): void {
    const place = this.#placeOf(txid);
    if (place === undefined) return;
    if (present) this.#goneAt[place] = Number.NaN;
    else if (Number.isNaN(this.#goneAt[place])) this.#goneAt[place] = now;
  }

  /** The node has exactly these. @param txids keys of `keyOf`; what is not known yet is passed over */
  markAll(txids: ReadonlySet<string>, now: number): void {
    for (const txid of this.#byTxid.keys()) this.mark(txid, txids.has(txid), now);
  }

  /** Drops what has been gone for long enough. */
  sweep(now: number): void {
    // From the end: dropping fills a place with the last one.
    for (let place = this.#count - 1; place >= 0; place--) {
      if (now - this.#goneAt[place]! >= this.limits.keepGoneMs) this.#drop(text(this.#wtxids, place));
    }
  }

  /** @param ids 6 bytes each @throws DatumError `badValue` */
  match(key: Uint8Array, ids: Uint8Array): FoundTransactions {
    return this.#gather(this.matcher.match(key, this.#wtxids.subarray(0, 32 * this.#count), ids));
  }

  /** Raw bytes of a known transaction, if memory has them. @param wtxid key of `keyOf` */
  raw(wtxid: string): Uint8Array | undefined {
    const raw = this.#raw.get(wtxid);
    if (raw === undefined) return undefined;
    this.#raw.delete(wtxid);
    this.#raw.set(wtxid, raw);
    return raw;
  }

  /** Satoshis, if the node has told. @param txid key of `keyOf` */
  fee(txid: string): bigint | undefined {
    const place = this.#placeOf(txid);
    const fee = place === undefined ? UNKNOWN_FEE : this.#fees[place]!;
    return fee === UNKNOWN_FEE ? undefined : fee;
  }

  /** What the node says of a transaction's fee, satoshis. @param txid key of `keyOf` */
  setFee(txid: string, fee: bigint): void {
    const place = this.#placeOf(txid);
    if (place !== undefined) this.#fees[place] = fee;
  }

  /** Place of the node's transaction of that txid. */
  #placeOf(txid: string): number | undefined {
    return this.#places.get(this.#byTxid.get(txid) ?? "");
  }

  /** @returns the wtxid's key; undefined when there is no room */
  #enter(raw: Uint8Array, now: number): string | undefined {
    const { txid, wtxid, size, weight } = parseTransaction(raw);
    const key = keyOf(wtxid);
    if (!this.#places.has(key)) {
      if (this.#count >= this.limits.transactions) this.#makeRoom();
      if (this.#count >= this.limits.transactions) {
        this.#refused++;
        return undefined;
      }
      const place = this.#count;
      this.#grow(place + 1);
      this.#wtxids.set(wtxid, 32 * place);
      this.#txids.set(txid, 32 * place);
      this.#sizes[place] = size;
      this.#weights[place] = weight;
      this.#fees[place] = UNKNOWN_FEE;
      this.#goneAt[place] = now;
      this.#places.set(key, place);
      this.#count++;
    }
    this.#keepRaw(key, raw);
    return key;
  }

  #keepRaw(key: string, raw: Uint8Array): void {
    if (this.raw(key) !== undefined) return;
    // A copy: a small view would keep the whole message that it came in.
    this.#raw.set(key, raw.slice());
    this.#rawBytes += raw.length;
    for (const [oldest, bytes] of this.#raw) {
      if (this.#rawBytes <= this.limits.rawBytes) break;
      this.#raw.delete(oldest);
      this.#rawBytes -= bytes.length;
    }
  }

  /** Drops a few of those that have been gone for longest. */
  #makeRoom(): void {
    const gone: number[] = [];
    for (let place = 0; place < this.#count; place++) if (!Number.isNaN(this.#goneAt[place])) gone.push(place);
    gone.sort((a, b) => this.#goneAt[a]! - this.#goneAt[b]!);
    const keys = gone.slice(0, Math.ceil(this.limits.transactions * ROOM)).map((place) => text(this.#wtxids, place));
    for (const key of keys) this.#drop(key);
  }

  #drop(key: string): void {
    const place = this.#places.get(key);
    if (place === undefined) return;
    const txid = text(this.#txids, place);
    if (this.#byTxid.get(txid) === key) this.#byTxid.delete(txid);
    this.#places.delete(key);
    this.#unlearn(key);
    const raw = this.#raw.get(key);
    if (raw !== undefined) {
      this.#raw.delete(key);
      this.#rawBytes -= raw.length;
    }
    this.#count--;
    this.#fill(place, this.#count);
  }

  #unlearn(key: string): void {
    this.#learnedBytes -= this.#learned.get(key) ?? 0;
    this.#learned.delete(key);
  }

  /** Moves the last transaction to a place that has become free: the wtxids stay in one piece. */
  #fill(place: number, last: number): void {
    if (place === last) return;
    this.#places.set(text(this.#wtxids, last), place);
    this.#wtxids.copyWithin(32 * place, 32 * last, 32 * (last + 1));
    this.#txids.copyWithin(32 * place, 32 * last, 32 * (last + 1));
    for (const column of [this.#sizes, this.#weights, this.#goneAt]) column[place] = column[last]!;
    this.#fees[place] = this.#fees[last]!;
  }

  #grow(count: number): void {
    const capacity = this.#sizes.length;
    if (count <= capacity) return;
    const next = 2 * capacity;
    this.#wtxids = copyInto(new Uint8Array(32 * next), this.#wtxids);
    this.#txids = copyInto(new Uint8Array(32 * next), this.#txids);
    this.#sizes = copyInto(new Uint32Array(next), this.#sizes);
    this.#weights = copyInto(new Uint32Array(next), this.#weights);
    this.#fees = copyInto(new BigInt64Array(next), this.#fees);
    this.#goneAt = copyInto(new Float64Array(next), this.#goneAt);
  }

  #gather(places: Int32Array): FoundTransactions {
    const known = places.filter((place) => place >= 0);
    const found: FoundTransactions = {
      positions: new Int32Array(places.length).fill(-1),
      txids: new Uint8Array(32 * known.length),
      wtxids: new Uint8Array(32 * known.length),
      sizes: Uint32Array.from(known, (place) => this.#sizes[place]!),
      weights: Uint32Array.from(known, (place) => this.#weights[place]!),
      fees: BigInt64Array.from(known, (place) => this.#fees[place]!),
    };
    let next = 0;
    for (const [i, place] of places.entries()) {
      if (place < 0) continue;
      found.positions[i] = next;
      found.txids.set(this.#txids.subarray(32 * place, 32 * (place + 1)), 32 * next);
      found.wtxids.set(this.#wtxids.subarray(32 * place, 32 * (place + 1)), 32 * next);
      next++;
    }
    return found;
  }
}

/** An id as a key of maps: 32 characters. @param id 32 bytes, internal order */
export function keyOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.length).toString("latin1");
}

function text(ids: Uint8Array, place: number): string {
  return keyOf(ids.subarray(32 * place, 32 * (place + 1)));
}

function copyInto<T extends Uint8Array | Uint32Array | Float64Array | BigInt64Array>(to: T, from: T): T {
  (to as Uint8Array).set(from as Uint8Array);
  return to;
}
