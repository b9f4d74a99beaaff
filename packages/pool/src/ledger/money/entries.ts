/** Entries of the ledger: postings that sum to zero, numbered without gaps, each under a key that makes it happen once. */
import type { ClientBase } from "pg";
import type { Steps } from "../../proofs/index.js";
import { booleans, int4s, int8s, nullableInt8s, words } from "../columns.js";
import {
  ADD_TO_BALANCES,
  INSERT_ENTRY,
  INSERT_POSTINGS,
  MARK_DUE,
  READ_POSTINGS,
  RESTORE_LAST_EARNED,
  STANDING_ENTRIES,
} from "../queries/money.js";
import { inSlices } from "../slices.js";
import type { Balance } from "./types.js";

export type EntryKind = "block" | "receipt" | "spend" | "credit" | "reversal";

/** Satoshis; above 0 raises what the book's holder may claim. 0n is left out. */
export type Posting =
  | {
      readonly book: "balance";
      readonly account: number;
      readonly reason: "earned" | "paid" | "fee" | "withdrawn" | "credited" | "funded";
      readonly amount: bigint;
    }
  | { readonly book: "coins"; readonly reason: "received" | "spent"; readonly amount: bigint }
  | { readonly book: "unattributed"; readonly reason: "received"; readonly amount: bigint };

export interface NewEntry {
  /** The same key is never posted twice. */
  readonly key: string;
  readonly kind: EntryKind;
  /** For a reversal: the entry that it takes back. */
  readonly reverses?: bigint;
  /** Block of the chain that it comes from, internal order, and its height. */
  readonly block?: Uint8Array;
  readonly height?: number;
  /** Transaction that it comes from; none for a coinbase. */
  readonly txid?: Uint8Array;
  /** Segment of the share log that it pays for. */
  readonly segment?: number;
  readonly postings: readonly Posting[];
}

export interface PostedEntry {
  readonly id: bigint;
  /** The balances that it changed, as they are now. */
  readonly changed: ReadonlyMap<number, Balance>;
}

export interface EntryOptions {
  /** The pool's payout threshold, satoshis. */
  readonly threshold: bigint;
  /** Milliseconds, pool clock. */
  readonly at: number;
}

/**
 * Posts an entry within a money transaction; undefined, and nothing changes, when its key is there already. Balances follow, with the time since when they
 * are due and the last block that earned them something.
 */
export async function postEntry(client: ClientBase, entry: NewEntry, { threshold, at }: EntryOptions): Promise<PostedEntry | undefined> {
  const { rows } = await client.query<{ id: string }>(INSERT_ENTRY, [
    entry.key,
    entry.kind,
    entry.reverses === undefined ? null : String(entry.reverses),
    bytes(entry.block),
    entry.height ?? null,
    bytes(entry.txid),
    entry.segment ?? null,
    new Date(at),
  ]);
  if (rows[0] === undefined) return undefined;
  const id = BigInt(rows[0].id);
  const postings = entry.postings.filter(({ amount }) => amount !== 0n);
  await client.query(INSERT_POSTINGS, [String(id), ...(await inSlices(columnsOf(postings)))]);
  return { id, changed: await changeBalances(client, id, entry, threshold) };
}

function* columnsOf(postings: readonly Posting[]): Steps<Buffer[]> {
  const books = words(postings, ({ book }) => book);
  yield;
  const accounts = nullableInt8s(postings, (posting) => (posting.book === "balance" ? BigInt(posting.account) : undefined));
  yield;
  const reasons = words(postings, ({ reason }) => reason);
  yield;
  const amounts = int8s(postings, ({ amount }) => amount);
  yield;
  return [books, accounts, reasons, amounts];
}

interface Change {
  readonly account: number;
  amount: bigint;
  earned: boolean;
}

async function changeBalances(client: ClientBase, id: bigint, entry: NewEntry, threshold: bigint): Promise<Map<number, Balance>> {
  const rows = await inSlices(changesOf(entry.postings));
  const changed = new Map<number, Balance>();
  if (rows.length === 0) return changed;
  const accounts = int4s(rows, ({ account }) => account);
  const add = [
    accounts,
    int8s(rows, ({ amount }) => amount),
    booleans(rows, ({ earned }) => earned && entry.kind === "block"),
    entry.height ?? null,
  ];
  await inSlices(remembering((await client.query<BalanceRow>(ADD_TO_BALANCES, add)).rows, changed));
  const lost = rows.filter(({ earned }) => earned && entry.kind === "reversal");
  if (lost.length > 0) {
    const { rows: restored } = await client.query<BalanceRow>(RESTORE_LAST_EARNED, [int4s(lost, ({ account }) => account)]);
    await inSlices(remembering(restored, changed));
  }
  const due = await markDue(
    client,
    threshold,
    id,
    rows.map(({ account }) => account),
  );
  for (const [account, balance] of due) changed.set(account, balance);
  return changed;
}

/** By account. */
function* changesOf(postings: readonly Posting[]): Steps<Change[]> {
  const changes = new Map<number, Change>();
  for (const posting of postings) {
    yield;
    if (posting.book !== "balance" || posting.amount === 0n) continue;
    const { account, reason, amount } = posting;
    const change = changes.get(account) ?? { account, amount: 0n, earned: false };
    change.amount += amount;
    change.earned ||= reason === "earned";
    changes.set(account, change);
  }
  return [...changes.values()];
}

/**
 * Notes since when balances are due, as their thresholds are now.
 *
 * @param threshold the pool's, satoshis
 * @param entry from which on a balance that has come to reach its threshold is due
 * @param accounts all by default
 * @returns the balances whose note has changed
 */
export async function markDue(
  client: ClientBase,
  threshold: bigint,
  entry: bigint,
  accounts?: readonly number[],
): Promise<Map<number, Balance>> {
  const { rows } = await client.query<BalanceRow>(MARK_DUE, [
    String(threshold),
    String(entry),
    accounts === undefined ? null : int4s(accounts, (account) => account),
  ]);
  const changed = new Map<number, Balance>();
  await inSlices(remembering(rows, changed));
  return changed;
}

/** An entry of a block that nothing has taken back. */
export interface StandingEntry {
  readonly id: string;
  readonly kind: EntryKind;
  readonly height: number;
  readonly txid: Buffer | null;
}

/** The entries of a block that stand, the last first. */
export async function standingEntries(client: ClientBase, block: Uint8Array): Promise<StandingEntry[]> {
  return (await client.query<StandingEntry>(STANDING_ENTRIES, [Buffer.from(block)])).rows;
}

/** What takes an entry of a block back. */
export async function reversalOf(client: ClientBase, { id, height, txid }: StandingEntry, block: Uint8Array): Promise<NewEntry> {
  const { rows } = await client.query<PostingRow>(READ_POSTINGS, [id]);
  const postings = await inSlices(negated(rows));
  return {
    key: `reversal:${id}`,
    kind: "reversal",
    reverses: BigInt(id),
    block,
    height,
    ...(txid !== null && { txid: Uint8Array.from(txid) }),
    postings,
  };
}

interface PostingRow {
  book: string;
  account: number | null;
  reason: string;
  amount: string;
}

function* negated(rows: readonly PostingRow[]): Steps<Posting[]> {
  const postings: Posting[] = [];
  for (const { book, account, reason, amount } of rows) {
    postings.push({ book, ...(account !== null && { account }), reason, amount: -BigInt(amount) } as Posting);
    yield;
  }
  return postings;
}

export interface BalanceRow {
  account: number;
  balance: string;
  due_since: string | null;
  last_earned: number | null;
}

/** Puts rows of the table into a map. */
export function* remembering(rows: readonly BalanceRow[], balances: Map<number, Balance>): Steps<void> {
  for (const { account, balance, due_since, last_earned } of rows) {
    const dueSince = due_since === null ? undefined : BigInt(due_since);
    balances.set(account, { balance: BigInt(balance), dueSince, lastEarned: last_earned ?? undefined });
    yield;
  }
}

function bytes(value: Uint8Array | undefined): Buffer | null {
  return value === undefined ? null : Buffer.from(value);
}
