/** What the books say of money, for people: balances, entries, thresholds, and luck. */
import type { Database } from "../database.js";
import { DROP_THRESHOLD, SET_THRESHOLD } from "../queries/money.js";
import { COINBASE_MATURITY } from "./snapshot.js";

/** An account with what it is owed. */
export interface AccountBalance {
  readonly account: number;
  readonly script: Uint8Array;
  /** True for the accounts of the pool's own scripts, those retired too. */
  readonly operator: boolean;
  /** Satoshis. */
  readonly balance: bigint;
  /** The account's own, undefined for the pool's. */
  readonly threshold: bigint | undefined;
  /** Entry since which the balance has reached the threshold. */
  readonly dueSince: { readonly entry: bigint; readonly at: Date | undefined } | undefined;
  /** Height of the last block that earned it something. */
  readonly lastEarned: number | undefined;
}

export interface EntryAmount {
  readonly book: "balance" | "coins" | "unattributed";
  readonly reason: string;
  readonly amount: bigint;
}

export interface LedgerEntry {
  readonly id: bigint;
  readonly kind: "block" | "receipt" | "spend" | "credit" | "reversal";
  readonly at: Date;
  readonly block: Uint8Array | undefined;
  readonly height: number | undefined;
  readonly txid: Uint8Array | undefined;
  readonly segment: number | undefined;
  readonly reverses: bigint | undefined;
  /** Its postings by book and reason; with an account given, that account's alone. */
  readonly amounts: readonly EntryAmount[];
}

/** An account's work on blocks of one difficulty, and over all the blocks that it found. */
export interface AccountWork {
  readonly account: number;
  readonly script: Uint8Array;
  readonly work: readonly { readonly bits: number; readonly weight: bigint }[];
  /** Blocks that were handed in for it and were the pool's, whatever became of them on the chain. */
  readonly found: number;
}

const BALANCES = `
SELECT a.id, a.script, (a.kind = 'operator' OR s.account IS NOT NULL) AS operator, coalesce(b.balance, 0) AS balance, t.threshold,
  b.due_since, e.at AS due_at, b.last_earned
FROM accounts a LEFT JOIN balances b ON b.account = a.id LEFT JOIN thresholds t ON t.account = a.id
  LEFT JOIN pool_scripts s ON s.account = a.id LEFT JOIN entries e ON e.id = b.due_since
WHERE $1 OR b.balance <> 0 ORDER BY coalesce(b.balance, 0) DESC, a.id`;

/** $1 account or null, $2 how many. */
const ENTRIES = `
SELECT e.id, e.kind, e.at, e.block, e.height, e.txid, e.segment, e.reverses, a.amounts FROM (
  SELECT * FROM entries WHERE $1::int4 IS NULL OR id IN (SELECT entry FROM postings WHERE account = $1) ORDER BY id DESC LIMIT $2
) e, LATERAL (
  SELECT coalesce(jsonb_agg(jsonb_build_array(p.book, p.reason, p.amount::text) ORDER BY p.line), '[]') AS amounts FROM (
    SELECT book, reason, sum(amount) AS amount, min(line) AS line FROM postings
    WHERE entry = e.id AND ($1::int4 IS NULL OR account = $1) GROUP BY book, reason
  ) p
) a ORDER BY e.id DESC`;

const FIND_ACCOUNT = "SELECT id FROM accounts WHERE script = $1";
const WORK = `
SELECT a.id, a.script, s.bits, sum(w.weight) AS weight FROM segment_weights w JOIN segments s ON s.id = w.segment JOIN accounts a ON a.id = w.account
WHERE s.bits IS NOT NULL GROUP BY a.id, s.bits HAVING sum(w.weight) > 0 ORDER BY a.id, s.bits`;
const FOUND = `
SELECT c.finder, count(DISTINCT c.block)::int AS found FROM block_claims c JOIN blocks b ON b.hash = c.block
WHERE c.finder IS NOT NULL AND b.life <> 'foreign' GROUP BY c.finder`;
const WEIGHT_WITHOUT_BITS = `
SELECT coalesce(sum(w.weight), 0) AS weight FROM segment_weights w JOIN segments s ON s.id = w.segment WHERE s.bits IS NULL`;

/** $1 confirmations that a coinbase needs. */
const MATURE_HOLDINGS = `
SELECT coalesce(sum(value), 0) AS sum FROM coins
WHERE spent_by IS NULL AND (NOT coinbase OR height <= (SELECT max(height) FROM chain) + 1 - $1)`;

/** Accounts by balance, largest first; with `all` those without one too. */
export async function accountBalances(database: Database, all = false): Promise<AccountBalance[]> {
  const { rows } = await database.pool.query<{
    id: number;
    script: Buffer;
    operator: boolean;
    balance: string;
    threshold: string | null;
    due_since: string | null;
    due_at: Date | null;
    last_earned: number | null;
  }>(BALANCES, [all]);
  return rows.map((row) => ({
    account: row.id,
    script: Uint8Array.from(row.script),
    operator: row.operator,
    balance: BigInt(row.balance),
    threshold: row.threshold === null ? undefined : BigInt(row.threshold),
    dueSince: row.due_since === null ? undefined : { entry: BigInt(row.due_since), at: row.due_at ?? undefined },
    lastEarned: row.last_earned ?? undefined,
  }));
}

/** The newest entries first. @param account only those that post to it */
export async function ledgerEntries(database: Database, limit: number, account?: number): Promise<LedgerEntry[]> {
  const { rows } = await database.pool.query<{
    id: string;
    kind: LedgerEntry["kind"];
    at: Date;
    block: Buffer | null;
    height: number | null;
    txid: Buffer | null;
    segment: number | null;
    reverses: string | null;
    amounts: [EntryAmount["book"], string, string][];
  }>(ENTRIES, [account ?? null, limit]);
  return rows.map((row) => ({
    id: BigInt(row.id),
    kind: row.kind,
    at: row.at,
    block: row.block === null ? undefined : Uint8Array.from(row.block),
    height: row.height ?? undefined,
    txid: row.txid === null ? undefined : Uint8Array.from(row.txid),
    segment: row.segment ?? undefined,
    reverses: row.reverses === null ? undefined : BigInt(row.reverses),
    amounts: row.amounts.map(([book, reason, amount]) => ({ book, reason, amount: BigInt(amount) })),
  }));
}

/** The account of a script; undefined when the pool has none. */
export async function findAccount(database: Database, script: Uint8Array): Promise<number | undefined> {
  const { rows } = await database.pool.query<{ id: number }>(FIND_ACCOUNT, [Buffer.from(script)]);
  return rows[0]?.id;
}

/** An account's own payout threshold in satoshis; undefined for the pool's. */
export async function threshold(database: Database, account: number): Promise<bigint | undefined> {
  const { rows } = await database.pool.query<{ threshold: string }>("SELECT threshold FROM thresholds WHERE account = $1", [account]);
  return rows[0] === undefined ? undefined : BigInt(rows[0].threshold);
}

/** Gives an account a threshold of its own, or the pool's again. A running pool reads it at its next block. */
export async function setThreshold(database: Database, account: number, satoshis: bigint | undefined): Promise<void> {
  if (satoshis === undefined) await database.pool.query(DROP_THRESHOLD, [account]);
  else await database.pool.query(SET_THRESHOLD, [account, satoshis]);
}

/** What each account worked and found, by account; and the weight of segments whose target is not known, which is left out. */
export async function accountWork(database: Database): Promise<{ accounts: AccountWork[]; leftOut: bigint }> {
  const { pool } = database;
  const found = new Map((await pool.query<{ finder: number; found: number }>(FOUND)).rows.map((row) => [row.finder, row.found] as const));
  const accounts = new Map<number, { script: Uint8Array; work: { bits: number; weight: bigint }[] }>();
  for (const { id, script, bits, weight } of (await pool.query<{ id: number; script: Buffer; bits: string; weight: string }>(WORK)).rows) {
    const account = accounts.get(id) ?? { script: Uint8Array.from(script), work: [] };
    account.work.push({ bits: Number(bits), weight: BigInt(weight) });
    accounts.set(id, account);
  }
  const { rows } = await pool.query<{ weight: string }>(WEIGHT_WITHOUT_BITS);
  return {
    accounts: [...accounts].map(([account, { script, work }]) => ({ account, script, work, found: found.get(account) ?? 0 })),
    leftOut: BigInt(rows[0]?.weight ?? 0),
  };
}

/** Satoshis of the pool's scripts that can be spent in the next block. */
export async function matureHoldings(database: Database): Promise<bigint> {
  const { rows } = await database.pool.query<{ sum: string }>(MATURE_HOLDINGS, [COINBASE_MATURITY]);
  return BigInt(rows[0]?.sum ?? 0);
}
