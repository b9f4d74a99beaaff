/** Keeps the tables short: compacts old rounds, and drops kept shares, splits and templates when their time is over. In the background, on a connection of its own. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "pg";
import type { Registry } from "prom-client";
import type { Database } from "../database.js";
import { passes } from "../retry.js";
import type { LedgerLogger } from "../types.js";
import { pruneArchive } from "./archive.js";
import { type CompactionOutcome, compactRound } from "./compaction.js";
import { CAUGHT_UP, DROP_SPLITS, DROP_TEMPLATES, OLD_ROUNDS } from "./queries.js";
import { RetentionMetrics } from "./retention-metrics.js";

export interface RetentionOptions {
  /** How long single shares stay after their round: not at all, so many days, or for ever. */
  readonly keep: "rounds" | "forever" | number;
  /** How long rows of templates are kept, days; a week by default. */
  readonly keepTemplates?: number;
  /** Least age of a round, and of its last share, in milliseconds; a day by default. */
  readonly minAgeMs?: number;
  /** Rounds on so many newest tips keep their shares, however old they are. Default 6. */
  readonly newestTips?: number;
  /** From the end of one run to the next one's beginning; ten minutes by default. */
  readonly intervalMs?: number;
}

export interface RetentionModules {
  readonly database: Database;
  readonly logger: LedgerLogger;
  readonly metrics?: Registry;
  /** Pool clock, milliseconds. */
  readonly now: () => number;
  /** Resolves after the time, rejects when the signal fires. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/** What one run did. */
export interface RetentionReport {
  readonly compacted: number;
  /** Old rounds that something still speaks for. */
  readonly kept: number;
  /** Rounds whose tables were in use for too long. */
  readonly busy: number;
  /** Rounds that the database refused to compact; told in the log. */
  readonly failed: number;
}

const DAY_MS = 86_400_000;
const SPLITS_KEPT_MS = 7 * DAY_MS;
const TEMPLATES_KEPT_DAYS = 7;
const ROWS_PER_DELETE = 5000;
const END_OF_TIME = Date.UTC(9999, 0);
const INTERVAL_MS = 600_000;
const NEWEST_TIPS = 6;

export class Retention {
  readonly #options: Required<RetentionOptions>;
  readonly #modules: RetentionModules;
  readonly #metrics: RetentionMetrics | undefined;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: RetentionOptions, modules: RetentionModules) {
    this.#options = { keepTemplates: TEMPLATES_KEPT_DAYS, minAgeMs: DAY_MS, newestTips: NEWEST_TIPS, intervalMs: INTERVAL_MS, ...options };
    this.#modules = modules;
    this.#metrics = modules.metrics && new RetentionMetrics(modules.metrics);
  }

  /** Begins with a first run; does not wait for it. */
  start(): void {
    this.#running ??= this.#work();
  }

  /** Ends with the round that is being compacted. To be called before the database is closed. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Compacts what can be compacted now and drops what was kept long enough. Rejects with errors of the database; safe to repeat. */
  async run(): Promise<RetentionReport> {
    const { database, now } = this.#modules;
    const { keep, keepTemplates, minAgeMs, newestTips } = this.#options;
    const { signal } = this.#stop;
    const client = await database.connect();
    try {
      const report = { compacted: 0, kept: 0, busy: 0, failed: 0 };
      const state = await client.query<{ caught_up: boolean }>(CAUGHT_UP);
      if (state.rows[0]?.caught_up !== true) return report;
      const youngSince = now() - minAgeMs;
      const { rows } = await client.query<{ id: number }>(OLD_ROUNDS, [new Date(youngSince), newestTips]);
      for (const { id } of rows) {
        database.check();
        if (signal.aborted) return report;
        report[await this.#compact(client, id, youngSince)]++;
      }
      // Those that were archived before `keep` became "rounds" go too.
      if (keep !== "forever") await pruneArchive(client, keep === "rounds" ? END_OF_TIME : now() - keep * DAY_MS);
      // A block is found with a split of the last minutes, and booked when the books have caught up, as they have here.
      await this.#drop(client, DROP_SPLITS, now() - SPLITS_KEPT_MS);
      await this.#drop(client, DROP_TEMPLATES, now() - keepTemplates * DAY_MS);
      return report;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** Deletes what is older than `before` (milliseconds since 1970), some rows at a time. */
  async #drop(client: Client, statement: string, before: number): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const { rowCount } = await client.query(statement, [new Date(before), ROWS_PER_DELETE]);
      if ((rowCount ?? 0) < ROWS_PER_DELETE) return;
    }
  }

  /** What is wrong with one round must not keep the others. */
  async #compact(client: Client, round: number, youngSince: number): Promise<CompactionOutcome | "failed"> {
    const { logger, now } = this.#modules;
    try {
      return await compactRound(client, round, {
        archive: this.#options.keep !== "rounds",
        youngSince,
        now: now(),
        signal: this.#stop.signal,
      });
    } catch (error) {
      if (passes(error)) throw error;
      await client.query("ROLLBACK");
      logger.error({ round, error: (error as Error).message }, "a round can't be compacted");
      return "failed";
    }
  }

  async #work(): Promise<void> {
    const { logger } = this.#modules;
    const { signal } = this.#stop;
    const wait = this.#modules.wait ?? ((ms: number, stopped: AbortSignal) => sleep(ms, undefined, { ref: false, signal: stopped }));
    while (!signal.aborted) {
      try {
        const report = await this.run();
        this.#metrics?.done(report, this.#modules.now());
        if (report.compacted > 0) logger.info({ ...report }, "old rounds were compacted");
      } catch (error) {
        this.#metrics?.failed();
        logger.warn({ error: (error as Error).message }, "compacting old rounds failed, it is tried again later");
      }
      await wait(this.#options.intervalMs, signal).catch(() => undefined);
    }
  }
}
