/** Figures from the books, and the check that they agree with themselves. Reads only. */
import type { ClientBase } from "pg";
import type { Database } from "./database.js";
import {
  ACCOUNT_WEIGHTS,
  CHECKED_SEGMENTS,
  COUNTS,
  HOLD_SHARES,
  POSITION_DIFFERENCES,
  SUM_DIFFERENCES,
  VOID_DIFFERENCES,
} from "./queries/books.js";
import { TENTATIVE_ROUNDS } from "./queries/shares.js";

export interface BookCounts {
  /** Credited shares, without voided ones. */
  readonly shares: bigint;
  readonly weight: bigint;
  readonly voids: bigint;
  readonly accounts: bigint;
  readonly workers: bigint;
  readonly rounds: bigint;
  readonly segments: bigint;
  readonly splits: bigint;
  readonly sessions: bigint;
  readonly blocks: bigint;
  readonly blocksAccepted: bigint;
  /** Last committed position of the log. */
  readonly position: bigint;
}

/** What one account has in the whole log. */
export interface AccountTotals {
  readonly account: number;
  readonly script: Uint8Array;
  readonly address: string;
  readonly operator: boolean;
  readonly shares: bigint;
  readonly weight: bigint;
  /** Sum of weight × fee rate in parts per million. */
  readonly feeWeight: bigint;
}

/** One place where the books disagree with themselves. */
export interface BookDifference {
  readonly kind: "sums" | "void" | "position";
  /** Where, what was expected, what is there. */
  readonly message: string;
}

export async function bookCounts(database: Database): Promise<BookCounts> {
  const { rows } = await database.pool.query<Record<string, string>>(COUNTS);
  const row = rows[0] ?? {};
  const figure = (name: string) => BigInt(row[name] ?? 0);
  return {
    shares: figure("shares"),
    weight: figure("weight"),
    voids: figure("voids"),
    accounts: figure("accounts"),
    workers: figure("workers"),
    rounds: figure("rounds"),
    segments: figure("segments"),
    splits: figure("splits"),
    sessions: figure("sessions"),
    blocks: figure("blocks"),
    blocksAccepted: figure("blocks_accepted"),
    position: figure("position"),
  };
}

/** Accounts by their weight in the whole log, heaviest first. */
export async function accountWeights(database: Database, limit = 100): Promise<AccountTotals[]> {
  const { rows } = await database.pool.query<{
    id: number;
    script: Buffer;
    address: string;
    kind: string;
    shares: string;
    weight: string;
    fee_weight: string;
  }>(ACCOUNT_WEIGHTS, [limit]);
  return rows.map((row) => ({
    account: row.id,
    script: Uint8Array.from(row.script),
    address: row.address,
    operator: row.kind === "operator",
    shares: BigInt(row.shares),
    weight: BigInt(row.weight),
    feeWeight: BigInt(row.fee_weight),
  }));
}

/** More parents than the chain room holds as unknown at one time. */
const NEWEST_ROUNDS = 128;

/** Rounds whose shares were taken on trust and neither confirmed nor taken back, when the pool stopped. `height` is that of their blocks. */
export async function tentativeRounds(database: Database): Promise<{ prevhash: Uint8Array; height: number }[]> {
  const { rows } = await database.pool.query<{ prevhash: Buffer; height: number }>(TENTATIVE_ROUNDS, [NEWEST_ROUNDS]);
  return rows.map(({ prevhash, height }) => ({ prevhash: Uint8Array.from(prevhash), height }));
}

/** What a check of the sums looks at. */
interface Checked {
  /** Segments before it are compared without shares: all of theirs were compacted. */
  readonly whole: number;
  /** Segments from it on are compared with their shares. */
  readonly open: number;
  /** Position that `open` follows. */
  readonly after: string;
}

const EVERYTHING: Checked = { whole: 1, open: 1, after: "0" };

/**
 * Compares, in one snapshot of the database: the sums of segments, accounts and workers with their shares (or what compaction made of these) minus their
 * voids; every void with its share; and that no position is used twice or lies after the head. Empty when all is well.
 *
 * Shares of segments whose log file is written are read only where `full` says so: that takes a second for some hundred thousand, and there is a day of
 * them. Without it those segments are passed over until all their shares are compacted; the rest, and so what is cheap to read, is always compared.
 */
export async function checkBooks(database: Database, options: { readonly full?: boolean } = {}): Promise<BookDifference[]> {
  const client = await database.pool.connect();
  let failed = true;
  try {
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    await client.query(HOLD_SHARES);
    const checked = options.full === true ? EVERYTHING : ((await client.query<Checked>(CHECKED_SEGMENTS)).rows[0] ?? EVERYTHING);
    const differences = [
      ...(await sumDifferences(client, checked)),
      ...(await voidDifferences(client)),
      ...(await positionDifferences(client, checked)),
    ];
    await client.query("COMMIT");
    failed = false;
    return differences;
  } finally {
    // A connection that is still in the transaction must not be given out again.
    client.release(failed);
  }
}

async function sumDifferences(client: ClientBase, { whole, open, after }: Checked): Promise<BookDifference[]> {
  const { rows } = await client.query<Record<string, string>>(SUM_DIFFERENCES, [whole, open, after]);
  return rows.map((row) => ({
    kind: "sums",
    message:
      `segment ${row.segment}, account ${row.account}, worker ${row.worker}: the shares add up to ${row.expected_shares} of weight ${row.expected_weight} ` +
      `(with fee ${row.expected_fee_weight}), the sums say ${row.shares} of ${row.weight} (${row.fee_weight})`,
  }));
}

async function voidDifferences(client: ClientBase): Promise<BookDifference[]> {
  const { rows } = await client.query<{ position: string; round: number; hash: Buffer }>(VOID_DIFFERENCES);
  return rows.map(({ position, round, hash }) => ({
    kind: "void",
    message: `void ${position}: round ${round} has no share ${hash.toString("hex")} before it with the same account, weight and fee`,
  }));
}

async function positionDifferences(client: ClientBase, { after }: Checked): Promise<BookDifference[]> {
  const { rows } = await client.query<{ position: string; entries: string }>(POSITION_DIFFERENCES, [after]);
  return rows.map(({ position, entries }) => ({
    kind: "position",
    message: `position ${position} has ${entries} entries, or lies after the head`,
  }));
}
