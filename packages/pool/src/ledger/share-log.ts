/**
 * The share log: one writer, one order, group commit.
 *
 * Everything that changes the log goes through one queue: shares, splits, and operations that must not overlap with them. While one transaction
 * commits, the next batch gathers; a batch is one statement and one round trip. Whoever appended is answered after the commit.
 *
 * When the database goes away the queue is kept (up to its bound) and the batch in flight is settled as soon as the database is back: whether it
 * was committed is read from `log_state`, and rows with positions of this batch are ours, others are duplicates.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { SchemeOptions } from "@openprime/rewards";
import pg, { type Client } from "pg";
import type { Registry } from "prom-client";
import { byteas, int4s } from "./columns.js";
import { type Database, FIRST_BACKOFF_MS, LAST_BACKOFF_MS } from "./database.js";
import { type Account, Directory } from "./directory.js";
import { LedgerError } from "./errors.js";
import { type ShareRow, shareColumns, splitColumns } from "./log-rows.js";
import {
  ADVANCE_STATE,
  CONFIRM_ROUND,
  FIND_BATCH,
  FIND_ROUND,
  INSERT_SHARES,
  INSERT_SPLITS,
  LAST_SEGMENT,
  LAST_SPLIT,
  LOCK_STATE,
  OPEN_SEGMENT,
  READ_STATE,
  SUBTRACT_VOIDS,
  VOID_TEMPLATE,
  VOID_TENTATIVE,
  VOIDS_AFTER,
} from "./queries/shares.js";
import { passes } from "./retry.js";
import { ShareLogMetrics } from "./share-log-metrics.js";
import type { AppendOutcome, BlockWorth, LogFollower, LoggedShare, OfferedSplit } from "./types.js";

export interface ShareLogOptions {
  /** The pool's own payout script: its account is the operator's. */
  readonly operatorScript: Uint8Array;
  /** Entries that may wait; a full queue refuses. Default 50,000. */
  readonly maxQueue?: number;
  /** Under load, least milliseconds between the starts of two batches, so that each is worth its cost. Default 8. */
  readonly gatherMs?: number;
  /** Rows of one batch. Default 1000. */
  readonly maxBatch?: number;
  /** How long a batch may take before no split is taken any more, milliseconds: the database hangs. Default 10,000. */
  readonly splitPatienceMs?: number;
  readonly metrics?: Registry;
}

/** `running`; `waiting` for the database to come back; `failed` for good (another pool writes); `closed`. */
export type ShareLogState = "running" | "waiting" | "failed" | "closed";

/** A split to be stored. */
export interface StoredSplit extends OfferedSplit {
  readonly sessionId: bigint;
  /** Account that it was made for, where the scheme pays the finder. */
  readonly finder: number | undefined;
  /** The pool's fee when it was offered, parts per million. */
  readonly feePpm: number;
  /** The scheme when it was offered: a block that was made from it is divided by it. Undefined where the books don't say. */
  readonly scheme?: SchemeOptions | undefined;
  /** Milliseconds, pool clock. */
  readonly offeredAt: number;
}

interface Queued {
  /** Steady clock, milliseconds: about, and never too late. */
  readonly queuedAt: number;
}
interface ShareEntry extends ShareRow, Queued {
  readonly kind: "share";
  readonly done: (outcome: AppendOutcome) => void;
  round: number;
  account: Account | undefined;
  worker: number;
}
interface SplitEntry extends Queued {
  readonly kind: "split";
  readonly split: StoredSplit;
}
/** The tip that a segment is opened for, and what a block on it takes and is worth. */
interface SegmentTip {
  readonly prevhash: Uint8Array | undefined;
  readonly block: BlockWorth | Pick<BlockWorth, "bits"> | undefined;
}
interface SegmentRow {
  readonly id: number;
  readonly prevhash: Buffer | null;
  readonly bits: string | null;
  readonly subsidy: string | null;
  readonly average_fees: string | null;
}
interface VoidRow {
  readonly position: string;
  readonly segment: number;
  readonly account: number;
  readonly weight: string;
  readonly fee_ppm: number;
  readonly per_share: boolean;
}
interface OperationEntry extends Queued {
  readonly kind: "operation";
  readonly what: string;
  readonly run: (client: Client) => Promise<void>;
  readonly fail: (error: unknown) => void;
}
/** Places (from 1) of a batch's rows that were inserted. */
type Places = "all" | ReadonlySet<number>;
type Entry = ShareEntry | SplitEntry | OperationEntry;

const MAX_SPLITS_PER_BATCH = 256;
/** A share of an unsound template is late by milliseconds: it was judged before the verdict, and queued after it. */
const MAX_UNSOUND = 1024;
/** A server that answers nothing for so long is taken for gone. */
const STATEMENT_TIMEOUT_MS = 30_000;
const CLOSE_PATIENCE_MS = 10_000;

export class ShareLog {
  readonly directory = new Directory();
  readonly #database: Database;
  readonly #maxQueue: number;
  readonly #maxBatch: number;
  readonly #gatherMs: number;
  readonly #splitPatienceMs: number;
  readonly #followers: LogFollower[] = [];
  /** Waiting entries; those before `#first` are taken. */
  #queue: Entry[] = [];
  #first = 0;
  #wake: (() => void) | undefined;
  #closing = false;
  #state: ShareLogState = "running";
  #client: Client | undefined;
  #head = 0n;
  #segment = 0;
  #tip: SegmentTip = { prevhash: undefined, block: undefined };
  #lastSplitId = 0n;
  /** Templates whose shares were taken back, with their parents: newest last. */
  readonly #unsound = new Map<bigint, Uint8Array>();
  #lastStart = 0;
  /** The connection broke off, and there is no other yet. */
  #lost = false;
  /** Since when a batch is under way; far in the future while none is. */
  #busySince = Number.POSITIVE_INFINITY;
  /** When the oldest entry of the batch that is under way was queued. */
  #batchQueuedAt: number | undefined;
  #stamped = 0;
  readonly #metrics: ShareLogMetrics | undefined;
  #worker: Promise<void> | undefined;
  readonly #abort = new AbortController();

  private constructor(database: Database, options: ShareLogOptions) {
    this.#database = database;
    this.#maxQueue = options.maxQueue ?? 50_000;
    this.#maxBatch = options.maxBatch ?? 1000;
    this.#gatherMs = options.gatherMs ?? 8;
    this.#splitPatienceMs = options.splitPatienceMs ?? 10_000;
    this.#metrics = options.metrics && new ShareLogMetrics(options.metrics, this);
  }

  /** Reads where the log stands (a first segment is opened in an empty one) and begins to write. Close it before the database. */
  static async open(database: Database, options: ShareLogOptions): Promise<ShareLog> {
    const log = new ShareLog(database, options);
    const client = await database.connect();
    try {
      await log.directory.setOperator(client, options.operatorScript);
      const state = await client.query<{ position: string }>(READ_STATE);
      log.#head = BigInt(state.rows[0]?.position ?? 0);
      const segment = await client.query<SegmentRow>(LAST_SEGMENT);
      log.#segment = segment.rows[0]?.id ?? 1;
      if (segment.rows[0] !== undefined) log.#tip = tipOf(segment.rows[0]);
      else await client.query(OPEN_SEGMENT, [1, null, String(log.#head), null, null, null]);
      const split = await client.query<{ id: string }>(LAST_SPLIT);
      log.#lastSplitId = BigInt(split.rows[0]?.id ?? 0);
    } finally {
      await client.end();
    }
    database.once("fatal", log.#fail);
    log.#worker = log.#work();
    return log;
  }

  /** Last committed position. */
  head(): bigint {
    return this.#head;
  }

  /** The open segment. */
  get segment(): number {
    return this.#segment;
  }

  /** The tip that the open segment belongs to; undefined before the pool had seen one. */
  get prevhash(): Uint8Array | undefined {
    return this.#tip.prevhash;
  }

  get state(): ShareLogState {
    return this.#state;
  }

  /** Entries that wait for their commit. */
  get waiting(): number {
    return this.#queue.length - this.#first;
  }

  /** For how long the oldest entry has waited for its commit, milliseconds; 0 when none waits. */
  get lagMs(): number {
    const oldest = this.#batchQueuedAt ?? this.#queue[this.#first]?.queuedAt;
    return oldest === undefined ? 0 : performance.now() - oldest;
  }

  /** From now on `follower` hears of every change. Call it within an `exclusive` operation to miss nothing. */
  follow(follower: LogFollower): void {
    this.#followers.push(follower);
  }

  /**
   * Queues a share; `done` is called once, after the commit. False (and `done` is never called) when the queue is full or the log is not writing.
   * The share and its arrays must not change afterwards.
   */
  append(share: LoggedShare, done: (outcome: AppendOutcome) => void): boolean {
    return this.#enqueue({ kind: "share", queuedAt: this.#stamp(), share, done, round: 0, account: undefined, worker: 0 });
  }

  /** The id that the next split must have. */
  nextSplitId(): bigint {
    return this.#lastSplitId + 1n;
  }

  /**
   * Queues a split under `nextSplitId()`; it is committed no later than any share appended after it. False as for `append`, and while
   * the database is away or hangs.
   */
  appendSplit(split: StoredSplit): boolean {
    if (split.id !== this.#lastSplitId + 1n) throw new RangeError(`expected split ${this.#lastSplitId + 1n}, got ${split.id}`);
    // A split that is given away and then lost with the queue would make its block a stranger's: nobody gets one that can't be stored soon.
    if (this.#lost || this.#state === "waiting" || performance.now() - this.#busySince > this.#splitPatienceMs) return false;
    if (!this.#enqueue({ kind: "split", queuedAt: this.#stamp(), split })) return false;
    this.#lastSplitId = split.id;
    return true;
  }

  /**
   * Runs `work` on the writer's connection after everything queued before and before everything queued later. It is run again when the connection
   * breaks, so it must be safe to repeat. Rejects with `ledger.closed` when the log closes first.
   */
  exclusive<T>(what: string, work: (client: Client) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = async (client: Client) => resolve(await work(client));
      // Operations are few and must not be lost to a crowd of shares: the bound does not count for them.
      if (!this.#enqueue({ kind: "operation", queuedAt: this.#stamp(), what, run, fail: reject }, true))
        reject(new LedgerError("ledger.closed", `the share log is ${this.#state}: ${what}`));
    });
  }

  /**
   * Closes the segment and opens the next; to be called when the tip changes. Answers with its id. What a block on the tip takes, and what it is worth for a
   * scheme that pays per share, is kept with the segment: shares of one without a worth are not paid that way.
   */
  openSegment(prevhash: Uint8Array | undefined, block?: BlockWorth | Pick<BlockWorth, "bits">): Promise<number> {
    // Kept for the segments that are cut on this tip.
    const tip = { prevhash: prevhash === undefined ? undefined : Uint8Array.from(prevhash), block };
    return this.exclusive("opening a segment", (client) => this.#openNext(client, tip));
  }

  /**
   * Closes `segment` and opens the next on the same tip, as it has become long enough. Answers with the open segment's id, and changes nothing when
   * `segment` is not open any more by then.
   */
  cutSegment(segment: number): Promise<number> {
    return this.exclusive("cutting a segment", async (client) => {
      return segment === this.#segment ? this.#openNext(client, this.#tip) : this.#segment;
    });
  }

  /**
   * Takes back every tentative share of the round, by appended entries; answers how many. Pins before it keep the shares. Shares that come later for
   * that round are not touched: call it again. Nothing happens to a share twice.
   */
  voidTentative(prevhash: Uint8Array): Promise<number> {
    return this.exclusive("voiding tentative shares", (client) => this.#void(client, prevhash, VOID_TENTATIVE));
  }

  /**
   * As `voidTentative`, for the shares that carry a template, which was made on `prevhash`; those that come later are taken back as soon as they are
   * committed. Shares that the pool committed and could not take back before it ended are found again by `TemplateBook.open`.
   */
  voidTemplate(id: bigint, prevhash: Uint8Array): Promise<number> {
    return this.exclusive("voiding shares of a template", async (client) => {
      const voided = await this.#void(client, prevhash, VOID_TEMPLATE, [String(id)]);
      this.#unsound.set(id, prevhash);
      const [oldest] = this.#unsound.keys();
      if (this.#unsound.size > MAX_UNSOUND && oldest !== undefined) this.#unsound.delete(oldest);
      return voided;
    });
  }

  /**
   * The parent turned out to exist: its shares are tentative no more, if they were made for `height`, that of its child. Answers how many there
   * were. The others never were work on it; `voidTentative` takes them back.
   */
  confirmRound(prevhash: Uint8Array, height: number): Promise<number> {
    return this.exclusive("confirming a round", async (client) => {
      const { rows } = await client.query<{ id: number }>(FIND_ROUND, [Buffer.from(prevhash)]);
      if (rows[0] === undefined) return 0;
      const round = rows[0].id;
      return (await this.#transaction(client, () => client.query(CONFIRM_ROUND, [round, height]))).rowCount ?? 0;
    });
  }

  /** Commits what is queued and stops; what can't be committed within ten seconds is answered "failed". */
  async close(): Promise<void> {
    if (this.#closing) return this.#worker;
    this.#closing = true;
    this.#wake?.();
    const giveUp = setTimeout(() => this.#abort.abort(), CLOSE_PATIENCE_MS);
    await this.#worker;
    clearTimeout(giveUp);
  }

  /** Appends voids of shares of that parent's round, chosen by `insert`; answers how many. */
  async #void(client: Client, prevhash: Uint8Array, insert: string, values: readonly string[] = []): Promise<number> {
    const { rows: rounds } = await client.query<{ id: number }>(FIND_ROUND, [Buffer.from(prevhash)]);
    const round = rounds[0]?.id;
    if (round === undefined) return 0;
    const voids = await this.#transaction(client, async (position) => {
      const added = await client.query(insert, [position, round, ...values]);
      await client.query(SUBTRACT_VOIDS, [position]);
      await client.query(ADVANCE_STATE, [added.rowCount ?? 0]);
      // After our own head, not `position`: when this is run again because the answer to COMMIT was lost, they are there already.
      return client.query<VoidRow>(VOIDS_AFTER, [String(this.#head)]);
    });
    for (const { segment, account, weight, fee_ppm, per_share } of voids.rows) {
      this.#tell((follower) => follower.shareVoided(segment, account, BigInt(weight), fee_ppm, per_share));
    }
    this.#head = BigInt(voids.rows.at(-1)?.position ?? this.#head);
    return voids.rows.length;
  }

  async #openNext(client: Client, tip: SegmentTip): Promise<number> {
    const id = this.#segment + 1;
    const { prevhash, block } = tip;
    const worth = worthOf(tip);
    await this.#transaction(client, () =>
      client.query(OPEN_SEGMENT, [
        id,
        prevhash === undefined ? null : Buffer.from(prevhash),
        String(this.#head),
        block?.bits ?? null,
        worth === undefined ? null : String(worth.subsidy),
        worth === undefined ? null : String(worth.averageFees),
      ]),
    );
    this.#segment = id;
    this.#tip = tip;
    this.#tell((follower) => follower.segmentOpened(id, worth));
    return id;
  }

  /** When an entry is queued. The clock is read once for all that gather for a batch: as good for a lag, and nothing for a share. */
  #stamp(): number {
    if (this.waiting === 0) this.#stamped = performance.now();
    return this.#stamped;
  }

  #enqueue(entry: Entry, always = false): boolean {
    if (this.#closing || this.#state === "failed" || (!always && this.waiting >= this.#maxQueue)) return false;
    this.#queue.push(entry);
    if (this.#wake !== undefined) {
      this.#wake();
      this.#wake = undefined;
    }
    return true;
  }

  async #work(): Promise<void> {
    for (;;) {
      if (this.waiting === 0) {
        if (this.#closing || this.#state === "failed") break;
        await new Promise<void>((wake) => {
          this.#wake = wake;
        });
      }
      // Alone after a pause a share is committed at once; in a stream, batches keep their distance.
      const wait = this.#lastStart + this.#gatherMs - performance.now();
      if (wait > 0 && this.waiting < this.#maxBatch && !this.#closing) await sleep(wait);
      this.#lastStart = performance.now();
      this.#busySince = this.#lastStart;
      this.#stamped = this.#lastStart;
      const batch = this.#take();
      this.#batchQueuedAt = batch[0]?.queuedAt;
      await this.#settle(batch);
      this.#batchQueuedAt = undefined;
      this.#busySince = Number.POSITIVE_INFINITY;
    }
    this.#database.off("fatal", this.#fail);
    await this.#client?.end().catch(() => undefined);
    if (this.#state !== "failed") this.#state = "closed";
  }

  /** The next operation alone, or the next shares and splits. */
  #take(): Entry[] {
    const taken: Entry[] = [];
    let splits = 0;
    while (this.#first < this.#queue.length && taken.length - splits < this.#maxBatch && splits < MAX_SPLITS_PER_BATCH) {
      const entry = this.#queue[this.#first] as Entry;
      if (entry.kind === "operation" && taken.length > 0) break;
      this.#first++;
      taken.push(entry);
      if (entry.kind === "operation") break;
      if (entry.kind === "split") splits++;
    }
    if (this.#first === this.#queue.length) {
      this.#queue = [];
      this.#first = 0;
    } else if (this.#first > 4096 && this.#first * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#first);
      this.#first = 0;
    }
    return taken;
  }

  /** Brings a batch to its end, however often the database goes away meanwhile. */
  async #settle(batch: Entry[]): Promise<void> {
    const operation = batch[0]?.kind === "operation" ? batch[0] : undefined;
    const shares = batch.filter((entry) => entry.kind === "share");
    const splits = batch.filter((entry) => entry.kind === "split").map(({ split }) => split);
    let unsure = false;
    for (let wait = FIRST_BACKOFF_MS; ; wait = Math.min(wait * 2, LAST_BACKOFF_MS)) {
      try {
        this.#database.check();
        const client = await this.#connected();
        if (operation !== undefined) return await operation.run(client);
        if (splits.length > 0) await this.#insertSplits(client, splits);
        if (shares.length === 0) return;
        await this.#resolve(client, shares);
        // Unknown until the answer comes: a connection that breaks from here on leaves open whether the batch was committed.
        const wasUnsure = unsure;
        unsure = true;
        const places = (wasUnsure ? await this.#findBatch(client, shares) : undefined) ?? (await this.#insertShares(client, shares));
        if (places === undefined) continue;
        return this.#answer(shares, places);
      } catch (error) {
        const refused = !passes(error) && !(error instanceof LedgerError);
        // One row that the database can't take, or that we can't write down for it, must not take its neighbours along: halve the batch until
        // it is alone.
        if (refused && shares.length > 1) {
          // After an error that is not the server's word the connection's state is open.
          if (!(error instanceof pg.DatabaseError)) this.#dropClient();
          const middle = batch.indexOf(shares[shares.length >> 1] as ShareEntry);
          await this.#settle(batch.slice(0, middle));
          return this.#settle(batch.slice(middle));
        }
        this.#dropClient();
        if (refused || error instanceof LedgerError || this.#abort.signal.aborted) return this.#refuse(batch, error);
        if (this.#state === "running") {
          this.#state = "waiting";
          this.#metrics?.interrupted();
          this.#database.log.warn(
            { error: (error as Error).message, waiting: this.waiting + batch.length },
            "the share log waits for the database",
          );
        }
        await sleep(wait, undefined, { signal: this.#abort.signal }).catch(() => undefined);
      }
    }
  }

  async #connected(): Promise<Client> {
    if (this.#client === undefined) {
      const client = await this.#database.connect(STATEMENT_TIMEOUT_MS);
      client.once("end", () => {
        if (this.#client !== client) return;
        this.#client = undefined;
        if (!this.#closing) this.#reconnect();
      });
      this.#client = client;
      this.#lost = false;
    }
    if (this.#state === "waiting") {
      this.#state = "running";
      this.#database.log.info({ waiting: this.waiting }, "the share log writes again");
    }
    return this.#client;
  }

  /** Finds out at once, and not at the next share, when the database is back. */
  #reconnect(): void {
    this.#lost = true;
    this.exclusive("connecting again", () => Promise.resolve()).catch(() => undefined);
  }

  /** A connection that failed once is not trusted again; ending it also ends what it may still be doing. */
  #dropClient(): void {
    const client = this.#client;
    this.#client = undefined;
    client?.end().catch(() => undefined);
  }

  async #resolve(client: Client, shares: readonly ShareEntry[]): Promise<void> {
    let complete = true;
    for (const entry of shares) if (!this.#fill(entry)) complete = false;
    if (complete) return;
    await this.directory.resolve(
      client,
      shares.map(({ share }) => share),
    );
    for (const entry of shares) {
      if (!this.#fill(entry))
        throw new LedgerError("ledger.unreachable", `the database gave no id for the account or worker of ${entry.share.address}`);
    }
  }

  #fill(entry: ShareEntry): boolean {
    const { share } = entry;
    const round = this.directory.round(share.prevhash);
    const account = this.directory.accountOf(share.account);
    const worker = account?.workers.get(share.worker);
    if (round === undefined || account === undefined || worker === undefined) return false;
    entry.round = round;
    entry.account = account;
    entry.worker = worker;
    return true;
  }

  /** Which rows were inserted; undefined when this batch was committed before (by a statement whose answer was lost). */
  async #insertShares(client: Client, rows: readonly ShareEntry[]): Promise<Places | undefined> {
    const values = [String(this.#database.epoch), this.#segment, String(this.#head), rows.length, ...shareColumns(rows)];
    const { rows: answers } = await client.query<{ fence: number; count: number; places: number[] | null }>({ ...INSERT_SHARES, values });
    const answer = answers[0];
    if (answer === undefined || answer.fence !== 1) return undefined;
    return answer.count === rows.length ? "all" : new Set(answer.places ?? []);
  }

  /** What became of a batch whose answer was lost; undefined when it was not committed. */
  async #findBatch(client: Client, rows: readonly ShareEntry[]): Promise<Places | undefined> {
    // The row lock waits for a transaction that is still being committed on the old connection.
    const state = await client.query<{ position: string }>(LOCK_STATE, [String(this.#database.epoch)]);
    if (state.rows[0] === undefined) throw this.#fenced();
    if (BigInt(state.rows[0].position) === this.#head) return undefined;
    const found = await client.query<{ place: number }>(FIND_BATCH, [
      int4s(rows, ({ round }) => round),
      byteas(rows, ({ share }) => share.hash),
      String(this.#head),
      rows.length,
    ]);
    return new Set(found.rows.map(({ place }) => place));
  }

  async #insertSplits(client: Client, splits: readonly StoredSplit[]): Promise<void> {
    const values = [...splitColumns(splits), String(this.#database.epoch)];
    const { rows } = await client.query<{ fence: number }>({ ...INSERT_SPLITS, values });
    if (rows[0]?.fence !== 1) throw this.#fenced();
  }

  /** A transaction under the fence; `work` gets the position that the log stands at. */
  async #transaction<T>(client: Client, work: (position: string) => Promise<T>): Promise<T> {
    await client.query("BEGIN");
    const state = await client.query<{ position: string }>(LOCK_STATE, [String(this.#database.epoch)]);
    if (state.rows[0] === undefined) throw this.#fenced();
    const result = await work(state.rows[0].position);
    await client.query("COMMIT");
    return result;
  }

  #answer(shares: readonly ShareEntry[], places: Places): void {
    this.#head += BigInt(shares.length);
    const perShare = worthOf(this.#tip) !== undefined;
    const committed = (index: number) => places === "all" || places.has(index + 1);
    this.#metrics?.committed(shares.length, places === "all" ? shares.length : places.size, (performance.now() - this.#busySince) / 1000);
    for (const [index, { share, account }] of shares.entries()) {
      if (!committed(index)) continue;
      this.#tell((follower) => follower.shareCommitted(this.#segment, (account as Account).id, share.weight, share.feePpm, perShare));
    }
    for (const [index, { done }] of shares.entries()) this.#call(() => done(committed(index) ? "committed" : "duplicate"));
    if (this.#unsound.size > 0) this.#voidLate(shares);
  }

  /** Shares that came after those of their template were taken back. */
  #voidLate(shares: readonly ShareEntry[]): void {
    for (const id of new Set(shares.map(({ share }) => share.templateId))) {
      const prevhash = id === undefined ? undefined : this.#unsound.get(id);
      if (id === undefined || prevhash === undefined) continue;
      this.voidTemplate(id, prevhash).catch((error: Error) => {
        const fields = { template: String(id), error: error.message };
        this.#database.log.warn(fields, "late shares of an unsound template could not be taken back; the next start does it");
      });
    }
  }

  #tell(what: (follower: LogFollower) => void): void {
    for (const follower of this.#followers) this.#call(() => what(follower));
  }

  #refuse(batch: readonly Entry[], error: unknown): void {
    this.#database.log.error({ error: (error as Error).message, entries: batch.length }, "the database refused entries of the share log");
    this.#metrics?.failed(batch.filter(({ kind }) => kind === "share").length);
    for (const entry of batch) {
      if (entry.kind === "share") this.#call(() => entry.done("failed"));
      else if (entry.kind === "operation") entry.fail(error);
    }
  }

  /** What is committed is committed: a listener that throws must not keep the others of its batch from their answer. */
  #call(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#database.log.error({ error: (error as Error).stack }, "a listener of the share log threw");
    }
  }

  #fenced(): LedgerError {
    const error = new LedgerError("ledger.fenced", `another pool writes the share log now (our epoch ${this.#database.epoch} is over)`);
    this.#database.fail(error);
    return error;
  }

  readonly #fail = (error: LedgerError): void => {
    this.#state = "failed";
    this.#abort.abort(error);
    this.#wake?.();
  };
}

/** What a block on the tip is worth, where the shares of its segments are paid for by that. */
function worthOf({ block }: SegmentTip): BlockWorth | undefined {
  return block !== undefined && "subsidy" in block ? block : undefined;
}

function tipOf({ prevhash, bits, subsidy, average_fees }: SegmentRow): SegmentTip {
  const target = bits === null ? undefined : { bits: Number(bits) };
  const worth = subsidy === null || average_fees === null ? undefined : { subsidy: BigInt(subsidy), averageFees: BigInt(average_fees) };
  return { prevhash: prevhash ?? undefined, block: target === undefined ? undefined : { ...target, ...worth } };
}
