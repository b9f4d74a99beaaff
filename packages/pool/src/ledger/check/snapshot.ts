/** What the check takes out of the database, all of it at one moment. */
import type { ClientBase } from "pg";
import type { ChainPosition, Outpoint } from "../money/types.js";
import {
  BALANCE_SUMS,
  BEGIN,
  BOOK_SUMS,
  CHAIN_ROWS,
  COINBASE_ENTRIES,
  CURSOR,
  MONEY_STATE,
  POOL_SCRIPTS,
  UNSPENT_COINS,
} from "./queries.js";
import type { MoneyFigures, UnspentOutput } from "./types.js";

/** From here on a coinbase's outputs can be spent (consensus). */
export const COINBASE_MATURITY = 100;

export interface PoolScript {
  readonly script: Uint8Array;
  readonly account: number;
  readonly since: Date;
}

/** An entry for what a coinbase paid, which nothing has taken back. */
export interface CoinbaseEntry extends ChainPosition {
  readonly id: bigint;
  readonly kind: "block" | "receipt";
  readonly at: Date;
}

export interface MoneySnapshot {
  /** How far the books have followed the chain, and the block that they began with; undefined before they began. */
  readonly cursor: ChainPosition | undefined;
  readonly begin: number | undefined;
  /** Oldest first; the first is the pool's script since the beginning. */
  readonly scripts: readonly PoolScript[];
  /** The newest blocks of the followed chain, and all with entries. */
  readonly rows: readonly ChainPosition[];
  readonly coinbaseEntries: readonly CoinbaseEntry[];
  readonly unspent: readonly (UnspentOutput & Outpoint)[];
  readonly lastEntry: bigint;
  readonly lastSettlement: number;
  readonly settlementHash: Uint8Array;
  /** Numbers of the last rows in the tables. */
  readonly entries: bigint;
  readonly settlements: number;
  /** Minus the book of coins. */
  readonly coinBook: bigint;
  readonly balances: bigint;
  readonly figures: MoneyFigures;
}

/**
 * Runs `read` in one snapshot of the database, beside whoever writes it.
 *
 * The client must be used by nobody else meanwhile.
 */
export async function inSnapshot<T>(client: ClientBase, read: () => Promise<T>): Promise<T> {
  await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  try {
    return await read();
  } finally {
    await client.query("ROLLBACK");
  }
}

/** @param newest how many blocks of the followed chain to read from its end */
export async function readSnapshot(client: ClientBase, newest: number): Promise<MoneySnapshot> {
  const scripts = (await client.query<{ script: Buffer; account: number; since: Date }>(POOL_SCRIPTS)).rows.map(
    ({ script, account, since }) => ({ script: Uint8Array.from(script), account, since }),
  );
  const cursor = (await positions(client, CURSOR))[0];
  const unspent = (await client.query<CoinRow>(UNSPENT_COINS)).rows;
  const sums = await bookSums(client);
  const totals = await balanceSums(
    client,
    scripts.map(({ account }) => account),
  );
  const state = (
    await client.query<{
      last_entry: string;
      last_settlement: number;
      settlement_hash: Buffer;
      entries: string;
      settlements: number;
    }>(MONEY_STATE)
  ).rows[0];
  const coins = unspent.map(({ txid, vout, script, value, height }) => ({
    txid: Uint8Array.from(txid),
    vout,
    script: Uint8Array.from(script),
    value: BigInt(value),
    height,
  }));
  const sumOf = (taken: (row: CoinRow) => boolean): bigint =>
    unspent.reduce((sum, row) => (taken(row) ? sum + BigInt(row.value) : sum), 0n);
  const isImmature = ({ coinbase, height }: CoinRow): boolean => coinbase && (cursor?.height ?? 0) + 1 - height < COINBASE_MATURITY;
  const holdings = sumOf(() => true);
  const immature = sumOf(isImmature);
  return {
    cursor,
    begin: (await client.query<{ height: number }>(BEGIN)).rows[0]?.height,
    scripts,
    rows: await positions(client, CHAIN_ROWS, [newest]),
    coinbaseEntries: await coinbaseEntries(client),
    unspent: coins,
    lastEntry: BigInt(state?.last_entry ?? 0),
    lastSettlement: state?.last_settlement ?? 0,
    settlementHash: Uint8Array.from(state?.settlement_hash ?? []),
    entries: BigInt(state?.entries ?? 0),
    settlements: state?.settlements ?? 0,
    coinBook: -(sums.get("coins") ?? 0n),
    balances: totals.total,
    figures: {
      height: cursor?.height,
      entries: BigInt(state?.entries ?? 0),
      owed: totals.owed,
      negativeBalances: totals.negative,
      operator: totals.operator,
      unattributed: sums.get("unattributed") ?? 0n,
      holdings,
      mature: holdings - immature,
      immature,
    },
  };
}

interface CoinRow {
  txid: Buffer;
  vout: number;
  script: Buffer;
  value: string;
  height: number;
  coinbase: boolean;
}

async function positions(client: ClientBase, sql: string, parameters: unknown[] = []): Promise<ChainPosition[]> {
  const { rows } = await client.query<{ height: number; hash: Buffer }>(sql, parameters);
  return rows.map(({ height, hash }) => ({ height, hash: Uint8Array.from(hash) }));
}

async function coinbaseEntries(client: ClientBase): Promise<CoinbaseEntry[]> {
  const { rows } = await client.query<{ id: string; kind: "block" | "receipt"; block: Buffer; height: number; at: Date }>(COINBASE_ENTRIES);
  return rows.map(({ id, kind, block, height, at }) => ({ id: BigInt(id), kind, hash: Uint8Array.from(block), height, at }));
}

async function bookSums(client: ClientBase): Promise<Map<string, bigint>> {
  const { rows } = await client.query<{ book: string; sum: string }>(BOOK_SUMS);
  return new Map(rows.map(({ book, sum }) => [book, BigInt(sum)]));
}

async function balanceSums(
  client: ClientBase,
  operators: readonly number[],
): Promise<{ total: bigint; operator: bigint; owed: bigint; negative: number }> {
  const { rows } = await client.query<{ total: string; operator: string; owed: string; negative: number }>(BALANCE_SUMS, [operators]);
  const row = rows[0];
  return {
    total: BigInt(row?.total ?? 0),
    operator: BigInt(row?.operator ?? 0),
    owed: BigInt(row?.owed ?? 0),
    negative: row?.negative ?? 0,
  };
}
