/**
 * From what accounts may claim to the outputs that a coinbase is asked to pay.
 *
 * A claim is whatever an account may be paid now: this block's earning, and later its balance with it. What a split leaves out stays owed;
 * the coinbase's rest goes to the pool's script, so the pool's own account is never an output.
 */
import { RewardsError } from "./errors.js";
import type { AccountId } from "./share-window.js";

/** DATUM.md section 7: a gateway reads at most this many outputs. */
export const MAX_OUTPUTS = 512;
/** DATUM.md section 10: nodes keep 400 sigops free for the coinbase, an output with a legacy sigop costs 4. */
export const MAX_LEGACY_OUTPUTS = 90;
/** DATUM.md section 7: bytes of the blob that carries the outputs, the coinbaser id in front included. */
export const MAX_BLOB = 32_767;

/** How to pay an account, as far as a split must know. */
export interface Payee {
  readonly script: Uint8Array;
  /** The least value that nodes relay for such a script, satoshis. */
  readonly dustLimit: bigint;
  /** True when the script counts as a signature operation in the coinbase (P2PKH and older). */
  readonly legacySigops: boolean;
}

/** What may be paid now: parallel arrays, each account once. `Earnings` is one; balances may be added to it. */
export interface Claims {
  readonly accounts: readonly AccountId[];
  /** Satoshis. */
  readonly amounts: readonly bigint[];
}

export interface SplitPolicy {
  /** Value of the coinbase, satoshis; the outputs never add up to more. */
  readonly value: bigint;
  /** No output is smaller than this, nor than its own script's dust limit. */
  readonly dust: bigint;
  /** Undefined for an account that is not paid by the coinbase: the pool's own one, or one held back. */
  readonly payee: (account: AccountId) => Payee | undefined;
  /** Least amount for which this account wants an output; the dust floor holds besides. Default: none. */
  readonly threshold?: (account: AccountId) => bigint;
  /** Which claim comes first: below 0 when `a` does. Ties go to the smaller account id. Default: the larger amount. */
  readonly order?: (a: Claim, b: Claim) => number;
}

export interface Claim {
  readonly account: AccountId;
  readonly amount: bigint;
}

/** One output of a split. */
export interface Output {
  readonly account: AccountId;
  readonly script: Uint8Array;
  readonly value: bigint;
}

/**
 * Chooses and orders the outputs: by `order`, each at most once per account, until a limit of the wire is reached or nothing is left.
 * Claims under their floor, and legacy ones past the 90th, are skipped, not the end. A claim larger than what is left is paid in part.
 */
export function split(claims: Claims, policy: SplitPolicy): Output[] {
  const { value, dust, payee, threshold, order = largestFirst } = policy;
  if (value < 0n || dust < 0n)
    throw new RewardsError("rewards.invalidPolicy", `expected value and dust of 0 or more, got ${value}, ${dust}`);
  const queue = candidates(claims, dust);
  const before = (a: Claim, b: Claim) => (order(a, b) || a.account - b.account) < 0;
  for (let i = (queue.length >> 1) - 1; i >= 0; i--) siftDown(queue, i, before);

  const outputs: Output[] = [];
  let left = value;
  let bytes = 1;
  let legacy = 0;
  while (queue.length > 0 && outputs.length < MAX_OUTPUTS && left > 0n) {
    const { account, amount } = takeFirst(queue, before);
    const to = payee(account);
    if (to === undefined || (to.legacySigops && legacy === MAX_LEGACY_OUTPUTS)) continue;
    if (threshold !== undefined && amount < threshold(account)) continue;
    const size = 9 + to.script.length;
    const paid = least(amount, left);
    if (paid < dust || paid < to.dustLimit || paid === 0n || bytes + size > MAX_BLOB) continue;
    outputs.push({ account, script: to.script, value: paid });
    left -= paid;
    bytes += size;
    if (to.legacySigops) legacy++;
  }
  return outputs;
}

function least(a: bigint, b: bigint): bigint {
  if (a < b) return a;
  return b;
}

/** The default order. */
export function largestFirst(a: Claim, b: Claim): number {
  return a.amount > b.amount ? -1 : a.amount < b.amount ? 1 : 0;
}

function candidates({ accounts, amounts }: Claims, dust: bigint): Claim[] {
  const list: Claim[] = [];
  for (let i = 0; i < accounts.length; i++) {
    const amount = amounts[i] as bigint;
    if (amount > 0n && amount >= dust) list.push({ account: accounts[i] as AccountId, amount });
  }
  return list;
}

/** A heap instead of a full sort: only the first few hundred of many thousand claims are ever needed in order. */
function takeFirst(heap: Claim[], before: (a: Claim, b: Claim) => boolean): Claim {
  const first = heap[0] as Claim;
  const last = heap.pop() as Claim;
  if (heap.length > 0) {
    heap[0] = last;
    siftDown(heap, 0, before);
  }
  return first;
}

function siftDown(heap: Claim[], start: number, before: (a: Claim, b: Claim) => boolean): void {
  const item = heap[start] as Claim;
  let i = start;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1] as Claim, heap[child] as Claim)) child++;
    if (!before(heap[child] as Claim, item)) break;
    heap[i] = heap[child] as Claim;
    i = child;
  }
  heap[i] = item;
}
