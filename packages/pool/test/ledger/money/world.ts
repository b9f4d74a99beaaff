/** A pool's books over a database of their own, and a chain of plain blocks to follow. */
import { gunzipSync } from "node:zlib";
import { type Scheme, tides } from "@openprime/rewards";
import type { Client } from "pg";
import {
  Blocks,
  type ChainBlock,
  type ChainPosition,
  type ChainTransaction,
  type Connected,
  type Database,
  MoneyBook,
  openDatabase,
  Sessions,
  ShareLog,
  type SplitOutput,
  type StoredSplit,
} from "../../../src/ledger/index.js";
import { decodeSettlement, type Settlement } from "../../../src/proofs/index.js";
import { append, hash, MemoryLogger, OPERATOR, script, share, temporaryDatabase } from "../support.js";

export const NETWORK = "regtest";
export const THRESHOLD = 1000n;
/** Compact target of every block here; the window of the default scheme is 8 times this difficulty. */
export const BITS = 0x207fffff;
export const DIFFICULTY = 1000n;
export const BEGIN: ChainPosition = { height: 100, hash: hash("block 100") };
export const START = 1_790_000_000_000;

export interface Session {
  readonly id: bigint;
  readonly primeId: number;
}

export interface BlockParts {
  /** Outputs of the coinbase. */
  readonly outputs?: readonly SplitOutput[];
  readonly primeId?: number;
  readonly transactions?: readonly ChainTransaction[];
  /** Makes it another block at the same place. */
  readonly salt?: string;
}

/** A block after `parent`. */
export function blockAfter(parent: ChainPosition, { outputs = [], primeId, transactions = [], salt = "" }: BlockParts = {}): ChainBlock {
  const height = parent.height + 1;
  const name = `${Buffer.from(parent.hash).toString("hex")} ${salt} ${outputs.map(({ value }) => value).join()} ${transactions.length} ${primeId}`;
  const raw = Buffer.from(`coinbase of ${name}`);
  return {
    height,
    hash: hash(`block ${name}`),
    prevhash: parent.hash,
    time: 1_790_000_000 + height * 600,
    bits: BITS,
    coinbase: { txid: hash(`txid ${name}`), raw, outputs, primeId },
    transactions,
  };
}

export function output(to: Uint8Array, value: bigint): SplitOutput {
  return { script: to, value };
}

export const toPool = (value: bigint): SplitOutput => output(OPERATOR, value);

/** What the books look like to others: compared before and after a restart. */
export interface Shown {
  readonly cursor: ChainPosition | undefined;
  readonly height: number;
  readonly lastEntry: bigint;
  readonly balances: readonly (readonly [number, string])[];
  readonly blockWeights: readonly bigint[];
}

export class World {
  now = START;
  logHash: Uint8Array | undefined;
  #shares = 0;
  #cut: { left: number; done: boolean } | undefined;

  private constructor(
    readonly url: string,
    public scheme: Scheme,
    public database: Database,
    public log: ShareLog,
    public book: MoneyBook,
    readonly logger: MemoryLogger,
    private readonly remove: () => Promise<void>,
  ) {}

  static async make(server: string, scheme: Scheme = tides()): Promise<World> {
    const { url, remove } = await temporaryDatabase(server);
    const logger = new MemoryLogger();
    const database = await openDatabase({ url }, { log: logger });
    const log = await ShareLog.open(database, { operatorScript: OPERATOR });
    const world = new World(url, scheme, database, log, undefined as unknown as MoneyBook, logger, remove);
    world.book = await world.openBook();
    return world;
  }

  /** The database as the books see it: its connections can be cut. */
  #cuttable(): Database {
    return new Proxy(this.database, {
      get: (target, name) => {
        if (name === "connect") return async (timeoutMs?: number) => this.#watched(await target.connect(timeoutMs));
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  #watched(client: Client): Client {
    const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>;
    Object.assign(client, {
      query: async (...args: unknown[]) => {
        const answer = await query(...args);
        const cut = this.#cut;
        if (cut !== undefined && --cut.left === 0) {
          cut.done = true;
          await client.end();
          throw new Error("Connection terminated unexpectedly");
        }
        return answer;
      },
    });
    return client;
  }

  /** @param scheme the world's by default; another is a pool whose operator has changed it */
  openBook(scheme = this.scheme): Promise<MoneyBook> {
    return MoneyBook.open(
      { network: NETWORK, threshold: THRESHOLD, feePpm: 10_000 },
      {
        database: this.#cuttable(),
        log: this.log,
        scheme,
        targets: () => ({ difficultyOne: DIFFICULTY, target: 1n }),
        logHash: async () => this.logHash,
        now: () => this.now,
        logger: this.logger,
      },
    );
  }

  /** The pool is started again, with another payout script perhaps. */
  async restart(operatorScript = OPERATOR): Promise<void> {
    await this.book.close();
    await this.log.close();
    await this.database.close();
    this.database = await openDatabase({ url: this.url }, { log: this.logger });
    this.log = await ShareLog.open(this.database, { operatorScript });
    this.book = await this.openBook();
  }

  /** Only the books are opened anew, as after a crash between two calls. */
  async reopen(): Promise<void> {
    await this.book.close();
    this.book = await this.openBook();
  }

  async close(): Promise<void> {
    await this.book.close();
    await this.log.close();
    await this.database.close();
    await this.remove();
  }

  async session(seed: string): Promise<Session> {
    return new Sessions(this.database, () => this.now).open(hash(`gateway ${seed}`), "v1");
  }

  get blocks(): Blocks {
    return new Blocks(this.database, () => this.now, { scheme: this.scheme.options, feePpm: 10_000 });
  }

  /** One share of that account. */
  async mine(account: number, weight = 1000n, changes: Partial<Parameters<typeof share>[1]> = {}): Promise<void> {
    this.#shares++;
    const answer = await append(
      this.log,
      share(this.#shares, { account: script(account), address: `address ${account}`, weight, feePpm: 0, ...changes }),
    );
    if (answer !== "committed") throw new Error(`the share was ${answer}`);
  }

  /** A split offered at the present head. */
  async offer(session: Session, prevhash: Uint8Array, value: bigint, outputs: readonly SplitOutput[]): Promise<StoredSplit> {
    const split: StoredSplit = {
      id: this.log.nextSplitId(),
      sessionId: session.id,
      coinbaserId: 1,
      position: this.log.head(),
      prevhash,
      value,
      outputs,
      finder: undefined,
      feePpm: 10_000,
      scheme: this.scheme.options,
      offeredAt: this.now,
    };
    if (!this.log.appendSplit(split)) throw new Error("the log did not take the split");
    await this.log.exclusive("wait for the commit", async () => undefined);
    return split;
  }

  /** The session hands a block in. */
  async claim(block: ChainBlock, session: Session, split: StoredSplit | undefined, pin = this.log.head()): Promise<void> {
    await this.blocks.record({
      hash: block.hash,
      header: new Uint8Array(80),
      coinbase: block.coinbase.raw,
      parent: { hash: block.prevhash },
      height: block.height,
      coinbaseValue: block.coinbase.outputs.reduce((sum, { value }) => sum + value, 0n),
      transactionCount: 3,
      sessionId: session.id,
      splitId: split?.id,
      pin: split?.position ?? pin,
      username: Buffer.from("miner"),
      finder: { script: script(1), address: "address 1" },
    });
  }

  /**
   * Breaks the connection of the books when the answer to its n-th statement from now has come, unheard: as if the network broke. Undefined ends it; true
   * when it broke.
   */
  cutAfter(statements: number | undefined): boolean {
    const cut = this.#cut;
    this.#cut = statements === undefined ? undefined : { left: statements, done: false };
    return cut?.done ?? false;
  }

  get cursor(): ChainPosition {
    const cursor = this.book.cursor();
    if (cursor === undefined) throw new Error("the books have not begun");
    return cursor;
  }

  connect(parts: BlockParts): Promise<Connected> {
    return this.book.connect(blockAfter(this.cursor, parts));
  }

  /** The followed balance of an account of `mine`. */
  async balance(of: number | Uint8Array): Promise<bigint> {
    const account = await this.accountId(typeof of === "number" ? script(of) : of);
    return this.book.latest().balances.get(account)?.balance ?? 0n;
  }

  async accountId(of: Uint8Array): Promise<number> {
    const { rows } = await this.database.pool.query<{ id: number }>("SELECT id FROM accounts WHERE script = $1", [Buffer.from(of)]);
    return rows[0]?.id ?? 0;
  }

  async rows<T extends object>(sql: string, parameters: unknown[] = []): Promise<T[]> {
    return (await this.database.pool.query<T>(sql, parameters)).rows;
  }

  async settlements(): Promise<Settlement[]> {
    const rows = await this.rows<{ document: Buffer }>("SELECT document FROM settlements ORDER BY number");
    return rows.map(({ document }) => decodeSettlement(gunzipSync(document).toString("utf8")));
  }

  shown(): Shown {
    const { height, lastEntry, balances, blockWeights } = this.book.latest();
    return {
      cursor: this.book.cursor(),
      height,
      lastEntry,
      balances: [...balances]
        .map(([account, { balance, dueSince, lastEarned }]) => [account, `${balance} ${dueSince} ${lastEarned}`] as const)
        .sort(([a], [b]) => a - b),
      blockWeights,
    };
  }

  /** What must hold at every moment. */
  async check(): Promise<string[]> {
    const wrong: string[] = [];
    const one = async (what: string, sql: string): Promise<void> => {
      const rows = await this.rows(sql);
      if (rows.length > 0) wrong.push(`${what}: ${JSON.stringify(rows)}`);
    };
    await one("entries sum to zero", "SELECT entry, sum(amount) FROM postings GROUP BY entry HAVING sum(amount) <> 0");
    await one(
      "balances are their postings",
      `SELECT * FROM (SELECT account, sum(amount) AS sum FROM postings WHERE book = 'balance' GROUP BY account) p
       FULL JOIN balances b USING (account) WHERE coalesce(p.sum, 0) <> coalesce(b.balance, 0)`,
    );
    await one(
      "coins are what is owed and what is unattributed",
      `SELECT * FROM (SELECT
         -(SELECT coalesce(sum(amount), 0) FROM postings WHERE book = 'coins') AS book,
         (SELECT coalesce(sum(value), 0) FROM coins WHERE spent_by IS NULL) AS unspent,
         (SELECT coalesce(sum(balance), 0) FROM balances) AS balances,
         (SELECT coalesce(sum(amount), 0) FROM postings WHERE book = 'unattributed') AS unattributed) s
       WHERE book <> unspent OR book <> balances + unattributed`,
    );
    await one(
      "numbers have no gaps",
      `SELECT * FROM (SELECT (SELECT last_entry FROM money_state) AS said, (SELECT coalesce(max(id), 0) FROM entries) AS last,
         (SELECT count(*) FROM entries) AS entries) s WHERE said <> last OR last <> entries`,
    );
    await one(
      "due since the entry that reached the threshold",
      `SELECT * FROM balances LEFT JOIN thresholds USING (account)
       WHERE (balance > 0 AND balance >= coalesce(threshold, ${THRESHOLD})) <> (due_since IS NOT NULL)`,
    );
    await one(
      "the last block that earned something",
      `SELECT b.account, b.last_earned, e.height FROM balances b LEFT JOIN (
         SELECT p.account, max(e.height) AS height FROM entries e JOIN postings p ON p.entry = e.id
         WHERE e.kind = 'block' AND p.reason = 'earned' AND NOT EXISTS (SELECT FROM entries r WHERE r.reverses = e.id) GROUP BY p.account
       ) e USING (account) WHERE b.last_earned IS DISTINCT FROM e.height`,
    );
    return wrong;
  }
}
