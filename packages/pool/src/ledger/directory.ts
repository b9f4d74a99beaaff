/**
 * Database ids of accounts, workers and rounds, looked up once and kept in memory. Only the log's writer makes new ones.
 * Accounts are scripts: two spellings of one address are one account.
 */
import type { ClientBase } from "pg";
import type { Database } from "./database.js";
import {
  FIND_ACCOUNTS,
  FIND_WORKERS,
  INSERT_ACCOUNTS,
  INSERT_WORKERS,
  POOL_SCRIPTS,
  READ_ACCOUNTS,
  SET_OPERATOR,
  SET_POOL_SCRIPT,
} from "./queries/directory.js";
import { OPEN_ROUND } from "./queries/shares.js";
import type { LoggedShare } from "./types.js";

/** An account of the pool. */
export interface Account {
  readonly id: number;
  readonly script: Uint8Array;
  /** True for a script that is or was the pool's own. */
  readonly operator: boolean;
  /** Ids of the workers seen, by name. */
  readonly workers: Map<string, number>;
}

/** A script that is or was the pool's own. */
export interface PoolScript {
  readonly script: Uint8Array;
  /** The operator's account of that script. */
  readonly account: number;
  readonly since: Date;
  /** Undefined for the present one. */
  readonly retiredAt: Date | undefined;
}

/** All of them, oldest first. */
export async function poolScripts(database: Database): Promise<PoolScript[]> {
  const { rows } = await database.pool.query<{ script: Buffer; account: number; since: Date; retired_at: Date | null }>(POOL_SCRIPTS);
  return rows.map(({ script, account, since, retired_at }) => ({
    script: Uint8Array.from(script),
    account,
    since,
    retiredAt: retired_at ?? undefined,
  }));
}

interface AccountRow {
  id: number;
  script: Buffer;
  kind: "miner" | "operator";
}

/** Rounds whose id is kept; older ones are asked again. */
const ROUNDS_KEPT = 1000;

const keyOf = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");

export class Directory {
  readonly #byScript = new Map<string, Account>();
  readonly #byId = new Map<number, Account>();
  /** The judge hands out the same array for the same account, so most look-ups need no string. */
  readonly #byObject = new WeakMap<Uint8Array, Account>();
  readonly #rounds = new Map<string, number>();
  #lastPrevhash: Uint8Array | undefined;
  #lastRound = 0;

  /** An account that has shares, or is the operator's. */
  account(id: number): Account | undefined {
    return this.#byId.get(id);
  }

  /** The account of a share, if known by now. */
  accountOf(script: Uint8Array): Account | undefined {
    let account = this.#byObject.get(script);
    if (account === undefined) {
      account = this.#byScript.get(keyOf(script));
      if (account !== undefined) this.#byObject.set(script, account);
    }
    return account;
  }

  /** The round of a prevhash, if known by now. */
  round(prevhash: Uint8Array): number | undefined {
    if (prevhash === this.#lastPrevhash) return this.#lastRound;
    const round = this.#rounds.get(keyOf(prevhash));
    if (round !== undefined) {
      this.#lastPrevhash = prevhash;
      this.#lastRound = round;
    }
    return round;
  }

  /** Makes the pool's present script the operator's account. One that it had before is retired: it stays the operator's, and its coins the pool's. */
  async setOperator(client: ClientBase, script: Uint8Array): Promise<void> {
    const { rows } = await client.query<{ id: number }>(SET_OPERATOR, [Buffer.from(script), ""]);
    await client.query(SET_POOL_SCRIPT, [Buffer.from(script), rows[0]?.id]);
    for (const { id } of rows) this.#remember({ id, script: Buffer.from(script), kind: "operator" });
  }

  /** Reads accounts that are in the books. */
  async load(client: ClientBase, ids: Iterable<number>): Promise<void> {
    const missing = [...new Set(ids)].filter((id) => !this.#byId.has(id));
    if (missing.length === 0) return;
    const { rows } = await client.query<AccountRow>(READ_ACCOUNTS, [missing]);
    for (const row of rows) this.#remember(row);
  }

  /** Finds or makes every account, worker and round that these shares name. */
  async resolve(client: ClientBase, shares: readonly LoggedShare[]): Promise<void> {
    await this.#resolveRounds(client, shares);
    await this.#resolveAccounts(client, shares);
    await this.#resolveWorkers(client, shares);
  }

  async #resolveRounds(client: ClientBase, shares: readonly LoggedShare[]): Promise<void> {
    for (const { prevhash, height } of shares) {
      if (this.round(prevhash) !== undefined) continue;
      const { rows } = await client.query<{ id: number }>(OPEN_ROUND, [Buffer.from(prevhash), height]);
      this.#rounds.set(keyOf(prevhash), rows[0]?.id as number);
      if (this.#rounds.size > ROUNDS_KEPT) this.#rounds.delete(this.#rounds.keys().next().value as string);
    }
  }

  async #resolveAccounts(client: ClientBase, shares: readonly LoggedShare[]): Promise<void> {
    const missing = new Map<string, LoggedShare>();
    for (const share of shares) if (this.accountOf(share.account) === undefined) missing.set(keyOf(share.account), share);
    if (missing.size === 0) return;
    const find = async () => {
      const { rows } = await client.query<AccountRow>(FIND_ACCOUNTS, [[...missing.values()].map(({ account }) => Buffer.from(account))]);
      for (const row of rows) {
        this.#remember(row);
        missing.delete(keyOf(row.script));
      }
    };
    await find();
    if (missing.size === 0) return;
    const added = [...missing.values()];
    await client.query(INSERT_ACCOUNTS, [added.map(({ account }) => Buffer.from(account)), added.map(({ address }) => address), "miner"]);
    await find();
  }

  async #resolveWorkers(client: ClientBase, shares: readonly LoggedShare[]): Promise<void> {
    const missing = new Map<Account, Set<string>>();
    for (const share of shares) {
      const account = this.accountOf(share.account);
      if (account === undefined || account.workers.has(share.worker)) continue;
      const names = missing.get(account);
      if (names === undefined) missing.set(account, new Set([share.worker]));
      else names.add(share.worker);
    }
    if (missing.size === 0) return;
    const pairs = [...missing].flatMap(([account, names]) => [...names].map((name) => [account.id, name] as const));
    const parameters = [pairs.map(([id]) => id), pairs.map(([, name]) => name)];
    // Looked for first: an insert that meets its conflict uses up an id.
    let { rows } = await client.query<{ id: number; account: number; name: string }>(FIND_WORKERS, parameters);
    if (rows.length < pairs.length) {
      await client.query(INSERT_WORKERS, parameters);
      ({ rows } = await client.query(FIND_WORKERS, parameters));
    }
    for (const { id, account, name } of rows) this.#byId.get(account)?.workers.set(name, id);
  }

  #remember({ id, script, kind }: AccountRow): void {
    if (this.#byId.has(id)) return;
    const account: Account = { id, script: Uint8Array.from(script), operator: kind === "operator", workers: new Map() };
    this.#byId.set(id, account);
    this.#byScript.set(keyOf(script), account);
  }
}
