/** What the books hold in memory, and the changes of one transaction, which join it only after their commit. */
import type { ClientBase } from "pg";
import { READ_BALANCES, READ_THRESHOLDS } from "../queries/money.js";
import { READ_CURSOR, READ_UNSPENT } from "../queries/money-chain.js";
import { BLOCK_WEIGHTS } from "../queries/money-settlements.js";
import { inSlices } from "../slices.js";
import { type BalanceRow, type PostedEntry, remembering } from "./entries.js";
import type { Balance, ChainPosition, Outpoint } from "./types.js";

/** An unspent output to one of the pool's scripts. */
export interface Coin {
  readonly script: Uint8Array;
  /** Satoshis. */
  readonly value: bigint;
}

export interface BookState {
  cursor: ChainPosition | undefined;
  lastEntry: bigint;
  /** As many as the scheme counts, oldest first. */
  blockWeights: readonly bigint[];
  thresholds: ReadonlyMap<number, bigint>;
  readonly balances: Map<number, Balance>;
  /** By `coinKey`. */
  readonly coins: Map<string, Coin>;
}

export function coinKey({ txid, vout }: Outpoint): string {
  return `${Buffer.from(txid.buffer, txid.byteOffset, txid.byteLength).toString("latin1")}:${vout}`;
}

/** Reads all of it, within a money transaction. @param counted blocks that the scheme counts */
export async function readState(client: ClientBase, lastEntry: bigint, counted: number): Promise<BookState> {
  const cursor = (await client.query<{ height: number; hash: Buffer }>(READ_CURSOR)).rows[0];
  const balances = new Map<number, Balance>();
  await inSlices(remembering((await client.query<BalanceRow>(READ_BALANCES)).rows, balances));
  const coins = new Map<string, Coin>();
  for (const row of (await client.query<CoinRow>(READ_UNSPENT)).rows) coins.set(coinKey(row), coinOf(row));
  return {
    cursor: cursor === undefined ? undefined : { height: cursor.height, hash: Uint8Array.from(cursor.hash) },
    lastEntry,
    blockWeights: await readBlockWeights(client, counted),
    thresholds: await readThresholds(client),
    balances,
    coins,
  };
}

/** @param below height of a block: only those under it on the chain */
export async function readBlockWeights(client: ClientBase, counted: number, below?: number): Promise<bigint[]> {
  if (counted === 0) return [];
  const { rows } = await client.query<{ log_weight: string }>(BLOCK_WEIGHTS, [counted, below ?? null]);
  return rows.reverse().map(({ log_weight }) => BigInt(log_weight));
}

export async function readThresholds(client: ClientBase): Promise<Map<number, bigint>> {
  const { rows } = await client.query<{ account: number; threshold: string }>(READ_THRESHOLDS);
  return new Map(rows.map(({ account, threshold }) => [account, BigInt(threshold)]));
}

export interface CoinRow extends Outpoint {
  readonly txid: Buffer;
  readonly vout: number;
  readonly script: Buffer;
  readonly value: string;
}

export function coinOf({ script, value }: CoinRow): Coin {
  return { script: Uint8Array.from(script), value: BigInt(value) };
}

/** The state as a transaction sees it while it changes it. */
export class Draft {
  cursor: ChainPosition | undefined;
  lastEntry: bigint;
  blockWeights: readonly bigint[];
  thresholds: ReadonlyMap<number, bigint>;
  readonly #base: BookState;
  readonly #balances = new Map<number, Balance>();
  readonly #coins = new Map<string, Coin | undefined>();

  constructor(base: BookState) {
    this.#base = base;
    this.cursor = base.cursor;
    this.lastEntry = base.lastEntry;
    this.blockWeights = base.blockWeights;
    this.thresholds = base.thresholds;
  }

  /** Satoshis that an account may claim. */
  balance(account: number): bigint {
    return (this.#balances.get(account) ?? this.#base.balances.get(account))?.balance ?? 0n;
  }

  /** Accounts with a balance other than 0. */
  *owing(): Generator<number> {
    for (const [account, { balance }] of this.#base.balances) if (balance !== 0n && !this.#balances.has(account)) yield account;
    for (const [account, { balance }] of this.#balances) if (balance !== 0n) yield account;
  }

  changeBalances(changed: ReadonlyMap<number, Balance>): void {
    for (const [account, balance] of changed) this.#balances.set(account, balance);
  }

  posted({ id, changed }: PostedEntry): void {
    this.lastEntry = id;
    this.changeBalances(changed);
  }

  coin(key: string): Coin | undefined {
    return this.#coins.has(key) ? this.#coins.get(key) : this.#base.coins.get(key);
  }

  /** @param coin undefined when it is gone */
  setCoin(key: string, coin: Coin | undefined): void {
    this.#coins.set(key, coin);
  }

  /** Puts the changes into the state; after the commit. */
  apply(): void {
    const { cursor, lastEntry, blockWeights, thresholds } = this;
    Object.assign(this.#base, { cursor, lastEntry, blockWeights, thresholds });
    for (const [account, balance] of this.#balances) this.#base.balances.set(account, balance);
    for (const [key, coin] of this.#coins) {
      if (coin === undefined) this.#base.coins.delete(key);
      else this.#base.coins.set(key, coin);
    }
  }
}
