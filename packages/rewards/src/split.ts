/**
 * From what accounts may claim to the outputs that a coinbase is asked to pay.
 *
 * A claim is whatever an account may be paid now: this block's earning, and its balance with it. What a split leaves out stays owed;
 * the coinbase's rest goes to the pool's script, so the pool's own account is never an output.
 *
 * The order. A miner shows only what its coinbase has room for, often ten outputs, and those are the first ones that fit. So claims take turns: the
 * largest, the one that has been due longest, the next largest, the next longest due, and so on. Among the first ten the value is given to those that are
 * due first; a large claim gets what they leave, and waits with the rest. (When a pool owes much, because work without a split went all to its own
 * script, its large claims would else use up each block's value, for thousands of blocks.)
 *
 * How long a claim waits. Let M be the number of claims that became due (`dueSince`) before it or with it, itself among them, and let coinbases have room
 * for k <= 10 outputs. Then by the ceil(M / floor(k / 2))-th block of the pool from then on it has been paid in full, or has been one of the largest: of
 * the blocks whose split named payees and whose value was enough for the turns of the due. For in such a block, as long as it has no turn itself,
 * the floor(k / 2) turns of the due are all of claims ahead of it, and pay them in full. A claim that is paid in full is not due any more and comes back
 * behind all that were due; new ones come in behind too, since ledger entries are numbered upwards. So nothing ever gets ahead of it. In a block
 * whose value was not enough, those turns count that were paid in full. Coinbases with more room are no slower.
 *
 * Claims that no coinbase pays (no payee, below dust, legacy scripts past the 90th) don't wait, they are passed over.
 */
import { RewardsError } from "./errors.js";
import type { AccountId } from "./share-window.js";

/** DATUM.md section 7: a gateway reads at most this many outputs. */
export const MAX_OUTPUTS = 512;
/** DATUM.md section 10: nodes keep 400 sigops free for the coinbase, an output with a legacy sigop costs 4. */
export const MAX_LEGACY_OUTPUTS = 90;
/** DATUM.md section 7: bytes of the blob that carries the outputs, the coinbaser id in front included. */
export const MAX_BLOB = 32_767;

/** Outputs that small coinbases have room for; among so many the due come first when the value is short. */
const SMALL_COINBASE = 10;

/** How to pay an account, as far as a split must know. */
export interface Payee {
  readonly script: Uint8Array;
  /** The least value that nodes relay for such a script, satoshis. */
  readonly dustLimit: bigint;
  /** True when the script counts as a signature operation in the coinbase (P2PKH and older). */
  readonly legacySigops: boolean;
}

/** What may be paid now: parallel arrays, each account once. `Earnings` is one; `addBalances` puts balances with it. */
export interface Claims {
  readonly accounts: readonly AccountId[];
  /** Satoshis. */
  readonly amounts: readonly bigint[];
  /**
   * Number of the ledger entry since which the balance has reached the account's threshold; undefined where it had not before this block. Without the
   * array no claim has been waiting.
   */
  readonly dueSince?: readonly (bigint | undefined)[];
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
}

/** One output of a split. */
export interface Output {
  readonly account: AccountId;
  readonly script: Uint8Array;
  readonly value: bigint;
}

/**
 * Chooses and orders the outputs, at most one per account, until a limit of the wire is reached or nothing is left: by turns the largest claim and the one
 * that has been due longest (see the top of this file). Ties go to the larger amount, then to the smaller account id; where no claim is due any more
 * it goes on by size. So the same claims give the same outputs, in whatever order they come.
 *
 * Claims under their floor, and legacy ones past the 90th, are skipped and take no turn. A claim larger than what is left is paid in part.
 *
 * @throws RewardsError `rewards.invalidPolicy` for a negative value or dust, `rewards.invalidAmount` for an amount past 2^53 - 1
 */
export function split(claims: Claims, policy: SplitPolicy): Output[] {
  const { value, dust } = policy;
  if (value < 0n || dust < 0n)
    throw new RewardsError("rewards.invalidPolicy", `expected value and dust of 0 or more, got ${value}, ${dust}`);
  let left = value;
  const pay = (turn: Turn): void => {
    const paid = turn.amount < left ? turn.amount : left;
    if (paid < dust || paid < turn.to.dustLimit) return;
    turn.paid = paid;
    left -= paid;
  };

  const turns = new Turns(claims, policy);
  while (turns.taken.length < SMALL_COINBASE && turns.next() !== undefined);
  for (const turn of turns.taken) if (turn.due) pay(turn);
  for (const turn of turns.taken) if (!turn.due) pay(turn);
  while (left > 0n) {
    const turn = turns.next();
    if (turn === undefined) break;
    pay(turn);
  }
  return turns.taken.filter(({ paid }) => paid > 0n).map(({ account, to, paid }) => ({ account, script: to.script, value: paid }));
}

/** A claim that has its place in the split. */
interface Turn {
  readonly account: AccountId;
  readonly amount: bigint;
  readonly to: Payee;
  /** True when its age brought it here, not its size. */
  readonly due: boolean;
  paid: bigint;
}

/** Gives claims their turns, within the limits of the wire, as if there were value for all. */
class Turns {
  readonly taken: Turn[] = [];
  readonly #claims: Claims;
  readonly #policy: SplitPolicy;
  readonly #bySize: Queue;
  readonly #byAge: Queue;
  /** By place: those that had a turn or were passed over. One queue's are in the other one still. */
  readonly #seen: Uint8Array;
  #bytes = 1;
  #legacy = 0;

  constructor(claims: Claims, policy: SplitPolicy) {
    this.#claims = claims;
    this.#policy = policy;
    this.#seen = new Uint8Array(claims.accounts.length);
    const { bySize, byAge } = queues(claims, policy.dust);
    this.#bySize = bySize;
    this.#byAge = byAge;
  }

  next(): Turn | undefined {
    const { accounts, amounts } = this.#claims;
    const { payee, threshold } = this.#policy;
    while (this.taken.length < MAX_OUTPUTS) {
      const waited = this.taken.length % 2 === 1 ? nextOf(this.#byAge, this.#seen) : undefined;
      const place = waited ?? nextOf(this.#bySize, this.#seen);
      if (place === undefined) return undefined;
      this.#seen[place] = 1;
      const account = accounts[place] as AccountId;
      const amount = amounts[place] as bigint;
      const to = payee(account);
      if (to === undefined || amount < to.dustLimit || (to.legacySigops && this.#legacy === MAX_LEGACY_OUTPUTS)) continue;
      if (threshold !== undefined && amount < threshold(account)) continue;
      const size = 9 + to.script.length;
      if (this.#bytes + size > MAX_BLOB) continue;
      this.#bytes += size;
      if (to.legacySigops) this.#legacy++;
      const turn: Turn = { account, amount, to, due: waited !== undefined, paid: 0n };
      this.taken.push(turn);
      return turn;
    }
    return undefined;
  }
}

/** True when the claim at place `a` comes before the one at place `b`. */
type Before = (a: number, b: number) => boolean;

/** A heap of places instead of a full sort: only the first few hundred of many thousand claims are ever needed in order. */
interface Queue {
  readonly heap: number[];
  readonly before: Before;
}

/** Amounts and ages are compared as numbers, in which both are exact: a thousand gateways ask for splits at once, and bigints are slow at this. */
function queues({ accounts, amounts, dueSince }: Claims, dust: bigint): { readonly bySize: Queue; readonly byAge: Queue } {
  const size = new Float64Array(accounts.length);
  const since = new Float64Array(accounts.length);
  const all: number[] = [];
  const due: number[] = [];
  const least = Math.max(1, Number(dust));
  for (let i = 0; i < accounts.length; i++) {
    size[i] = exact(amounts[i] as bigint);
    if ((size[i] as number) < least) continue;
    all.push(i);
    const entry = dueSince?.[i];
    if (entry === undefined) continue;
    since[i] = exact(entry);
    due.push(i);
  }
  const larger: Before = (a, b) => {
    const difference = (size[a] as number) - (size[b] as number);
    return difference > 0 || (difference === 0 && (accounts[a] as AccountId) < (accounts[b] as AccountId));
  };
  const longer: Before = (a, b) => {
    const difference = (since[a] as number) - (since[b] as number);
    return difference < 0 || (difference === 0 && larger(a, b));
  };
  return { bySize: queue(all, larger), byAge: queue(due, longer) };
}

function exact(value: bigint): number {
  const number = Number(value);
  if (Math.abs(number) > Number.MAX_SAFE_INTEGER) {
    throw new RewardsError("rewards.invalidAmount", `expected amounts and entry numbers of up to 2^53 - 1, got ${value}`);
  }
  return number;
}

function queue(heap: number[], before: Before): Queue {
  for (let i = (heap.length >> 1) - 1; i >= 0; i--) siftDown(heap, i, before);
  return { heap, before };
}

/** Takes the first place that was not seen yet from the queue. */
function nextOf({ heap, before }: Queue, seen: Uint8Array): number | undefined {
  while (heap.length > 0) {
    const first = heap[0] as number;
    const last = heap.pop() as number;
    if (heap.length > 0) {
      heap[0] = last;
      siftDown(heap, 0, before);
    }
    if (seen[first] === 0) return first;
  }
  return undefined;
}

function siftDown(heap: number[], start: number, before: Before): void {
  const item = heap[start] as number;
  let i = start;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1] as number, heap[child] as number)) child++;
    if (!before(heap[child] as number, item)) break;
    heap[i] = heap[child] as number;
    i = child;
  }
  heap[i] = item;
}
