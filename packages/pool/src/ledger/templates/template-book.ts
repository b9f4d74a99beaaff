/**
 * The books' side of templates: a row for each job that did work, with its verdict, and shares taken back where that is bad.
 *
 * Rows are written in the background and may be lost when there are too many: nothing that is paid for hangs on them. Unsound verdicts may not: they are
 * written before their shares are taken back, so the next start finds what an end of the pool has left undone.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Counter, type Registry } from "prom-client";
import { type Database, FIRST_BACKOFF_MS, LAST_BACKOFF_MS } from "../database.js";
import { LedgerError } from "../errors.js";
import { passes } from "../retry.js";
import type { ShareLog } from "../share-log.js";
import type { LedgerLogger } from "../types.js";
import { END_PENDING, PARENT_OF_TEMPLATE, UNVOIDED_TEMPLATES, WRITE_TEMPLATES } from "./queries.js";
import { rowToWrite } from "./template-row.js";
import type { TemplateRecord, TemplateVerdict } from "./types.js";

export interface TemplateBookOptions {
  /** Rows that may wait; one more is lost. Default 10,000. */
  readonly maxQueue?: number;
  /** How long rows gather before they are written, milliseconds: many a template is judged meanwhile. Default 500. */
  readonly gatherMs?: number;
}

export interface TemplateBookModules {
  readonly database: Database;
  readonly shareLog: ShareLog;
  readonly log: LedgerLogger;
  readonly metrics: Registry;
  /** Pool clock, milliseconds. */
  readonly now: () => number;
}

interface Row {
  readonly record: TemplateRecord;
  readonly verdict?: TemplateVerdict;
}

/** Each opening of the books has so many numbers of its own: none is given out again after a crash that lost rows. */
const NUMBERS_PER_EPOCH = 1n << 40n;
const ROWS_PER_WRITE = 500;
/** Templates without a verdict that are remembered; a session has eight jobs. */
const MAX_OPEN = 100_000;
const CLOSE_PATIENCE_MS = 5_000;

export class TemplateBook {
  readonly #options: Required<TemplateBookOptions>;
  readonly #modules: TemplateBookModules;
  readonly #lost: Counter;
  #lastId: bigint;
  /** Templates without a verdict, and unsound ones until their shares are taken back. */
  readonly #open = new Map<bigint, TemplateRecord>();
  /** Rows to be written, the newest of each template. */
  readonly #waiting = new Map<bigint, Row>();
  /** Too many rows waited, and none has been written since. */
  #overflowing = false;
  #timer: NodeJS.Timeout | undefined;
  /** One write at a time. */
  #turn: Promise<void> = Promise.resolve();
  #closed = false;
  readonly #abort = new AbortController();

  private constructor(modules: TemplateBookModules, options: TemplateBookOptions) {
    this.#modules = modules;
    this.#options = { maxQueue: 10_000, gatherMs: 500, ...options };
    this.#lastId = modules.database.epoch * NUMBERS_PER_EPOCH;
    this.#lost = new Counter({
      name: "openprime_template_rows_lost_total",
      help: "Rows of templates that were not written to the books, by why.",
      labelNames: ["why"],
      registers: [modules.metrics],
    });
  }

  /**
   * Ends what the last pool left undone: templates without a verdict are unjudged, and shares of unsound ones are taken back. Open it once the log is
   * open; close it before the log.
   */
  static async open(modules: TemplateBookModules, options: TemplateBookOptions = {}): Promise<TemplateBook> {
    const { database, shareLog, log, now } = modules;
    await database.pool.query(END_PENDING, [new Date(now())]);
    const { rows } = await database.pool.query<{ id: string; prevhash: Buffer }>(UNVOIDED_TEMPLATES);
    for (const { id, prevhash } of rows) {
      const voided = await shareLog.voidTemplate(BigInt(id), Uint8Array.from(prevhash));
      log.warn({ template: id, voided }, "shares of an unsound template were left from before the pool stopped: they are taken back");
    }
    return new TemplateBook(modules, options);
  }

  /** A number that no template ever had. */
  nextId(): bigint {
    this.#lastId += 1n;
    return this.#lastId;
  }

  /** Neither throws nor waits: a record that can't be kept costs a row of the table. */
  opened(record: TemplateRecord): void {
    this.#open.set(record.id, record);
    const [oldest] = this.#open.keys();
    if (this.#open.size > MAX_OPEN && oldest !== undefined) this.#open.delete(oldest);
    this.#add({ record });
  }

  /** As `opened`. The last verdict of a template holds. */
  judged(id: bigint, verdict: TemplateVerdict): void {
    const record = this.#open.get(id);
    if (record === undefined) {
      this.#lose(1, "forgotten");
      return;
    }
    if (verdict.state !== "unsound") this.#open.delete(id);
    this.#add({ record, verdict });
  }

  /**
   * Takes back the shares that carry the template, late ones as they come; to be called after its verdict. Tried again until the books take it: rejects
   * only when the pool ends or another has taken over (`ledger.closed`, `ledger.fenced`); then the next start does it. Safe to repeat.
   *
   * @returns how many
   */
  async voidShares(id: bigint): Promise<number> {
    const { shareLog, log } = this.#modules;
    await this.#write();
    return this.#patiently(`the shares of template ${id} could not be taken back yet`, async () => {
      const prevhash = this.#open.get(id)?.prevhash ?? (await this.#parentOf(id));
      if (prevhash === undefined) {
        log.error({ template: String(id) }, "the books know nothing of an unsound template: its shares stay");
        return 0;
      }
      const voided = await shareLog.voidTemplate(id, prevhash);
      this.#open.delete(id);
      return voided;
    });
  }

  /** Writes what waits, for some seconds at most, and stops. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const giveUp = setTimeout(() => this.#abort.abort(), CLOSE_PATIENCE_MS);
    await this.#write();
    clearTimeout(giveUp);
    this.#abort.abort();
  }

  async #parentOf(id: bigint): Promise<Uint8Array | undefined> {
    const { rows } = await this.#modules.database.pool.query<{ prevhash: Buffer }>(PARENT_OF_TEMPLATE, [String(id)]);
    return rows[0] === undefined ? undefined : Uint8Array.from(rows[0].prevhash);
  }

  #add(row: Row): void {
    const { id } = row.record;
    if (this.#closed) {
      this.#lose(1, "closed");
      return;
    }
    // What shares are taken back by is kept whatever waits; `#open` bounds it.
    const spare = row.verdict?.state !== "unsound" && !this.#waiting.has(id);
    if (spare && this.#waiting.size >= this.#options.maxQueue) {
      if (!this.#overflowing)
        this.#modules.log.error({ waiting: this.#waiting.size }, "too many templates wait for the database: rows are lost");
      this.#overflowing = true;
      this.#lose(1, "overflow");
      return;
    }
    this.#waiting.set(id, row);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#waiting.size === 0 || this.#closed) return;
    this.#timer = setTimeout(async () => {
      await this.#write();
      this.#timer = undefined;
      this.#schedule();
    }, this.#options.gatherMs).unref();
  }

  #lose(rows: number, why: "overflow" | "refused" | "forgotten" | "closed"): void {
    this.#lost.inc({ why }, rows);
  }

  /** Resolves when everything that waits now has been written, or lost. */
  #write(): Promise<void> {
    this.#turn = this.#turn.then(async () => {
      while (this.#waiting.size > 0) {
        const rows = [...this.#waiting.values()].slice(0, ROWS_PER_WRITE);
        for (const { record } of rows) this.#waiting.delete(record.id);
        await this.#store(rows);
        this.#overflowing = false;
      }
    });
    return this.#turn;
  }

  async #store(rows: readonly Row[]): Promise<void> {
    const { database, log } = this.#modules;
    try {
      const text = JSON.stringify(rows.map(({ record, verdict }) => rowToWrite(record, verdict)));
      await this.#patiently("templates could not be written yet", () => database.pool.query(WRITE_TEMPLATES, [text]), passes);
    } catch (error) {
      if (rows.length === 1 || error instanceof LedgerError || this.#abort.signal.aborted) {
        this.#lose(rows.length, this.#abort.signal.aborted ? "closed" : "refused");
        log.error({ rows: rows.length, error: (error as Error).message }, "templates could not be written");
        return;
      }
      // One row that the database refuses must not take its neighbours along.
      const middle = rows.length >> 1;
      await this.#store(rows.slice(0, middle));
      await this.#store(rows.slice(middle));
    }
  }

  /** Does `work` until it succeeds. Rejects when the book is closed, for an error of the ledger, and for one that `again` does not take for a passing one. */
  async #patiently<T>(what: string, work: () => Promise<T>, again: (error: unknown) => boolean = () => true): Promise<T> {
    const { database, log } = this.#modules;
    const { signal } = this.#abort;
    for (let wait = FIRST_BACKOFF_MS; ; wait = Math.min(2 * wait, LAST_BACKOFF_MS)) {
      try {
        database.check();
        return await work();
      } catch (error) {
        if (error instanceof LedgerError || !again(error) || signal.aborted) throw error;
        if (wait === FIRST_BACKOFF_MS) log.warn({ error: (error as Error).message }, what);
        await sleep(wait, undefined, { signal }).catch(() => undefined);
      }
    }
  }
}
