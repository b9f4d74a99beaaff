/**
 * The money of the pool, in step with the best chain: one block at a time, one transaction each, by a connection of its own, so that a settlement of
 * thousands of accounts does not hold up the share log.
 *
 * What is in memory follows the commits. After a failure nobody knows whether the last one happened: the next call reads everything anew first. So every
 * call is safe to repeat.
 */
import type { NetworkTargets, Scheme } from "@openprime/rewards";
import type { Client } from "pg";
import { inSnapshot } from "../check/snapshot.js";
import { hashText } from "../check/text.js";
import type { Database } from "../database.js";
import { poolScripts } from "../directory.js";
import { LedgerError } from "../errors.js";
import { COINBASE_SUMS, DROP_THRESHOLD, LAST_REVERSALS, SET_THRESHOLD } from "../queries/money.js";
import { CLAIMED_RECEIPTS, HASH_AT, INSERT_UNREAD } from "../queries/money-chain.js";
import type { ShareLog } from "../share-log.js";
import type { BalanceSource } from "../split-book.js";
import type { LedgerLogger } from "../types.js";
import { type BookContext, BookWriter, type MoneyBookOptions, PoolScripts } from "./book-context.js";
import { type BookState, coinKey, Draft, readState } from "./book-state.js";
import { markDue, type NewEntry } from "./entries.js";
import { attributeBlock, type JoiningBlock, joinBlock } from "./join-block.js";
import { leaveBlock } from "./leave-block.js";
import { prepareBlock } from "./prepare-block.js";
import { moneyTransaction } from "./transaction.js";
import type { BalanceView, ChainBlock, ChainBooks, ChainPosition, Connected, Disconnected, Outpoint } from "./types.js";

export interface MoneyBookModules {
  readonly database: Database;
  /** Its directory knows the accounts; open it first, so that the pool's scripts are in the books. */
  readonly log: ShareLog;
  readonly scheme: Scheme;
  /** Targets of a block with this compact target. */
  readonly targets: (bits: number) => NetworkTargets;
  /** sha256 of the published log file of a segment; undefined where none is written. */
  readonly logHash: (segment: number) => Promise<Uint8Array | undefined>;
  /** Milliseconds, pool clock. */
  readonly now: () => number;
  readonly logger: LedgerLogger;
}

/** A server that answers nothing for so long is taken for gone. Shorter than the server's patience with an idle transaction. */
const STATEMENT_TIMEOUT_MS = 55_000;

export class MoneyBook implements ChainBooks, BalanceSource {
  readonly #modules: MoneyBookModules;
  readonly #context: BookContext;
  readonly #counted: number;
  readonly #listeners = new Set<(number: number) => void>();
  #client: Client | undefined;
  #state: BookState;
  #view: BalanceView;
  /** True while memory and database may differ. */
  #stale = false;
  /** Calls run one after another. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(context: BookContext, modules: MoneyBookModules, counted: number) {
    this.#context = context;
    this.#modules = modules;
    this.#counted = counted;
    this.#state = { cursor: undefined, lastEntry: 0n, blockWeights: [], thresholds: new Map(), balances: new Map(), coins: new Map() };
    this.#view = this.#viewOf(this.#state);
  }

  /** Reads the books. Open the share log first; close it before the database. */
  static async open(options: MoneyBookOptions, modules: MoneyBookModules): Promise<MoneyBook> {
    const { database, log, scheme, targets, now, logger } = modules;
    const scripts = new PoolScripts(await poolScripts(database));
    const context = { options, scripts, directory: log.directory, scheme, targets, now, logger };
    const book = new MoneyBook(context, modules, scheme.window.kind === "blocks" ? scheme.window.count : 0);
    await book.reload();
    return book;
  }

  /** Reads everything anew; waits for a transaction whose end nobody heard. */
  reload(): Promise<void> {
    this.#stale = true;
    return this.#alone(async () => {
      await this.#ready();
    });
  }

  cursor(): ChainPosition | undefined {
    return this.#state.cursor;
  }

  begin(position: ChainPosition, before: readonly ChainPosition[] = []): Promise<void> {
    return this.#alone(async () => {
      await this.#ready();
      // Begun before: by a call whose answer was lost, perhaps.
      if (this.#state.cursor !== undefined) return;
      await this.#write(async ({ client, draft }) => {
        const known = [...before, position];
        await client.query(INSERT_UNREAD, [known.map(({ height }) => height), known.map(({ hash }) => Buffer.from(hash))]);
        draft.cursor = { height: position.height, hash: Uint8Array.from(position.hash) };
      });
    });
  }

  async hashAt(height: number): Promise<Uint8Array | undefined> {
    const { rows } = await this.#modules.database.pool.query<{ hash: Buffer }>(HASH_AT, [height]);
    return rows[0] === undefined ? undefined : Uint8Array.from(rows[0].hash);
  }

  isPoolScript(script: Uint8Array): boolean {
    return this.#context.scripts.has(script);
  }

  holds(outpoint: Outpoint): boolean {
    return this.#state.coins.has(coinKey(outpoint));
  }

  /**
   * Books the block after the cursor. The block that is the cursor already is no error: the answer is that of the first time.
   *
   * @throws LedgerError `ledger.chainOrder` for any other block
   */
  connect(block: ChainBlock): Promise<Connected> {
    return this.#alone(async () => {
      const client = await this.#ready();
      const { cursor } = this.#state;
      if (cursor !== undefined && same(cursor.hash, block.hash)) return this.#connectedBefore(client, cursor);
      if (cursor === undefined || cursor.height + 1 !== block.height || !same(cursor.hash, block.prevhash)) {
        const expected = cursor === undefined ? "begin first" : `the block after ${name(cursor)}`;
        throw new LedgerError("ledger.chainOrder", `expected ${expected}, got ${name(block)} on ${hashText(block.prevhash)}`);
      }
      const joining = await this.#prepare(client, block);
      return this.#write((writer) => joinBlock(joining, writer, this.#context));
    });
  }

  async claimedReceipts(): Promise<ChainPosition[]> {
    const { rows } = await this.#modules.database.pool.query<{ height: number; hash: Buffer }>(CLAIMED_RECEIPTS);
    return rows.map(({ height, hash }) => ({ height, hash: Uint8Array.from(hash) }));
  }

  attribute(block: ChainBlock): Promise<Connected | undefined> {
    return this.#alone(async () => {
      const joining = await this.#prepare(await this.#ready(), block);
      return this.#write((writer) => attributeBlock(joining, writer, this.#context));
    });
  }

  /**
   * Takes the cursor's block back. With `position` a call that is repeated after its answer was lost does nothing more.
   *
   * @param position the block meant, the cursor by default
   * @throws LedgerError `ledger.chainOrder` when it is not the last one, `ledger.chainBelowStart` when it is the one that the books began with
   */
  disconnect(position: ChainPosition | undefined = this.#state.cursor): Promise<Disconnected> {
    return this.#alone(async () => {
      const client = await this.#ready();
      const { cursor } = this.#state;
      if (position === undefined || cursor === undefined) {
        throw new LedgerError("ledger.chainOrder", "expected books that have begun, there is no block to take back");
      }
      if (!same(cursor.hash, position.hash)) {
        if (cursor.height < position.height) return this.#disconnectedBefore(client, position);
        throw new LedgerError(
          "ledger.chainOrder",
          `expected the books' last block ${name(cursor)} to be taken back, got ${name(position)}`,
        );
      }
      return this.#write((writer) => leaveBlock(cursor, writer, this.#context));
    });
  }

  /** The balances of the chain that ends at this block; undefined for every block but the followed tip. */
  view(prevhash: Uint8Array): BalanceView | undefined {
    const { cursor } = this.#state;
    return cursor !== undefined && same(cursor.hash, prevhash) ? this.#view : undefined;
  }

  latest(): BalanceView {
    return this.#view;
  }

  /** Posts an entry that comes from no block. False when its key was there. */
  post(entry: NewEntry): Promise<boolean> {
    return this.#alone(async () => {
      await this.#ready();
      return this.#write(async (writer) => (await writer.post(entry)) !== undefined);
    });
  }

  /** An account's own payout threshold, satoshis; undefined for the pool's. */
  setThreshold(account: number, threshold: bigint | undefined): Promise<void> {
    return this.#alone(async () => {
      await this.#ready();
      await this.#write(async ({ client, draft }) => {
        if (threshold === undefined) await client.query(DROP_THRESHOLD, [account]);
        else await client.query(SET_THRESHOLD, [account, String(threshold)]);
        const thresholds = new Map(draft.thresholds);
        if (threshold === undefined) thresholds.delete(account);
        else thresholds.set(account, threshold);
        draft.thresholds = thresholds;
        draft.changeBalances(await markDue(client, this.#context.options.threshold, draft.lastEntry, [account]));
      });
    });
  }

  /** Calls back with a settlement's number after its commit. @returns ends it */
  onSettled(listener: (number: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    await this.#last;
    await this.#client?.end().catch(() => undefined);
    this.#client = undefined;
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** The connection, with what is in memory as it is in the database. */
  async #ready(): Promise<Client> {
    const client = await this.#connected();
    if (!this.#stale) return client;
    await this.#trusted(async () => {
      this.#state = await moneyTransaction(this.#modules.database, client, async ({ lastEntry }) => {
        const state = await readState(client, lastEntry, this.#counted);
        const draft = new Draft(state);
        draft.changeBalances(await markDue(client, this.#context.options.threshold, lastEntry));
        draft.apply();
        return state;
      });
      this.#view = this.#viewOf(this.#state);
    });
    this.#stale = false;
    return client;
  }

  async #connected(): Promise<Client> {
    if (this.#client === undefined) {
      const client = await this.#modules.database.connect(STATEMENT_TIMEOUT_MS);
      client.once("end", () => {
        if (this.#client === client) this.#client = undefined;
      });
      this.#client = client;
    }
    return this.#client;
  }

  async #prepare(client: Client, block: ChainBlock): Promise<JoiningBlock> {
    const prepared = await this.#trusted(() => inSnapshot(client, () => prepareBlock(client, block, this.#context)));
    const logHash = "foreign" in prepared ? undefined : await this.#modules.logHash(prepared.window.lastSegment);
    return { block, prepared, logHash };
  }

  /** A transaction of the books, and memory after it. */
  async #write<T>(work: (writer: BookWriter) => Promise<T>): Promise<T> {
    const client = await this.#connected();
    const draft = new Draft(this.#state);
    const settled: number[] = [];
    const result = await this.#trusted(() =>
      moneyTransaction(this.#modules.database, client, async (state) => {
        const writer = new BookWriter(client, state, draft, this.#context);
        const answer = await work(writer);
        settled.push(...writer.settled);
        return answer;
      }),
    );
    draft.apply();
    this.#view = this.#viewOf(this.#state);
    for (const number of settled) this.#tell(number);
    return result;
  }

  /** A connection on which something failed is not trusted again, nor what is in memory: a commit may have been the last that was heard of it. */
  async #trusted<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#stale = true;
      const client = this.#client;
      this.#client = undefined;
      client?.end().catch(() => undefined);
      throw error;
    }
  }

  async #connectedBefore(client: Client, { hash }: ChainPosition): Promise<Connected> {
    const { rows } = await this.#trusted(() =>
      client.query<{ kind: string; received: string; paid: string; claimed: boolean }>(COINBASE_SUMS, [Buffer.from(hash)]),
    );
    const row = rows[0];
    if (row === undefined) return { outcome: "none", received: 0n, paid: 0n, claimed: false };
    const isBlock = row.kind === "block";
    return {
      outcome: isBlock ? "paid" : "receipt",
      received: BigInt(row.received),
      paid: BigInt(row.paid),
      claimed: isBlock && row.claimed,
    };
  }

  async #disconnectedBefore(client: Client, { hash }: ChainPosition): Promise<Disconnected> {
    const { rows } = await this.#trusted(() =>
      client.query<{ reversed: number; pool_block: boolean }>(LAST_REVERSALS, [Buffer.from(hash)]),
    );
    return { reversed: rows[0]?.reversed ?? 0, poolBlock: rows[0]?.pool_block ?? false };
  }

  #viewOf({ cursor, lastEntry, balances, thresholds, blockWeights }: BookState): BalanceView {
    return { height: cursor?.height ?? 0, lastEntry, balances, threshold: (account) => thresholds.get(account), blockWeights };
  }

  #tell(number: number): void {
    for (const listener of this.#listeners) {
      try {
        listener(number);
      } catch (error) {
        this.#modules.logger.error({ error: (error as Error).stack }, "a listener of the money books threw");
      }
    }
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function name({ height, hash }: ChainPosition): string {
  return `block ${height} ${hashText(hash)}`;
}
