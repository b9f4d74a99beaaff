/** Notices in a running pool: looks for what there is to tell, and sends it, both beside everything else. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { NoticeBook, NoticeChannel } from "../ledger/index.js";
import type { Channel } from "./channels/types.js";
import type { PoolName } from "./digest.js";
import { Dispatcher, TOKENS } from "./dispatcher.js";
import { NoticeMetrics } from "./metrics.js";
import type { NoticeSecrets } from "./secrets.js";
import type { PoolSight } from "./sight.js";
import { tellBooks } from "./watch-books.js";
import { PoolWatch } from "./watch-pool.js";
import { RefusalsWatch } from "./watch-refusals.js";
import { WorkWatch } from "./watch-work.js";

/** Times, milliseconds; the defaults are those of life. */
export interface NoticeTuning {
  readonly pollMs?: number;
  readonly sendMs?: number;
  readonly gatherMs?: number;
  readonly gatewayAwayMs?: number;
  readonly firstBackoffMs?: number;
}

export interface NoticesOptions extends NoticeTuning {
  readonly pool: PoolName;
  /** What the operator is told. */
  readonly operatorEvents: readonly string[];
  /** Whether miners' webhooks may be in private networks. */
  readonly privateAllowed: boolean;
}

export interface NoticesModules {
  readonly book: NoticeBook;
  readonly sight: PoolSight;
  readonly secrets: NoticeSecrets;
  /** Those that the configuration has the means for. */
  readonly channels: ReadonlyMap<NoticeChannel, Channel>;
  /** The operator's own targets. */
  readonly operator: ReadonlyMap<NoticeChannel, string>;
  readonly log: Logger;
  readonly metrics: Registry;
  /** Pool clock, milliseconds. */
  readonly now: () => number;
}

const POLL_MS = 15_000;
const SEND_MS = 2_000;
const GATHER_MS = 20_000;
const GATEWAY_AWAY_MS = 300_000;
const FIRST_BACKOFF_MS = 30_000;
const SWEEP_MS = 3_600_000;
/** How long messages on their way may hold up the pool's end. */
const GRACE_MS = 3_000;

export class Notices {
  readonly #stop = new AbortController();
  readonly #dispatcher: Dispatcher;
  readonly #metrics: NoticeMetrics;
  readonly #work: WorkWatch;
  readonly #pool: PoolWatch;
  readonly #refusals: RefusalsWatch;
  readonly #pollMs: number;
  readonly #running: Promise<void>[] = [];
  readonly #failing = new Set<string>();
  #operatorKept = false;

  constructor(
    private readonly options: NoticesOptions,
    private readonly modules: NoticesModules,
  ) {
    const { book, sight } = modules;
    this.#pollMs = options.pollMs ?? POLL_MS;
    this.#metrics = new NoticeMetrics(modules.metrics);
    this.#dispatcher = new Dispatcher(
      {
        pool: options.pool,
        privateAllowed: options.privateAllowed,
        gatherMs: options.gatherMs ?? GATHER_MS,
        firstBackoffMs: options.firstBackoffMs ?? FIRST_BACKOFF_MS,
      },
      { ...modules, metrics: this.#metrics },
    );
    this.#work = new WorkWatch({ pollMs: this.#pollMs, gatewayAwayMs: options.gatewayAwayMs ?? GATEWAY_AWAY_MS }, book);
    this.#pool = new PoolWatch(book, sight);
    this.#refusals = new RefusalsWatch(book);
  }

  /** Begins; everything goes on in the background. */
  start(): void {
    this.#running.push(
      this.#repeat("looking", this.#pollMs, () => this.look()),
      this.#repeat("sending", this.options.sendMs ?? SEND_MS, () => this.#dispatcher.run()),
      this.#repeat("sweeping", SWEEP_MS, () => this.#dispatcher.sweep()),
    );
  }

  /** No further look. Messages on their way are waited for, for a moment; what waits in the outbox is sent by the next start. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
    await this.#dispatcher.stop(GRACE_MS);
    await this.#work.save(this.modules.now()).catch(() => undefined);
    for (const channel of this.modules.channels.values()) await channel.close();
  }

  /** One look for all there is to tell. Rejects with the database's errors; the next look does what this one could not. */
  async look(): Promise<void> {
    const { book, sight, now } = this.modules;
    try {
      await this.#keepOperator();
      const receivers = await book.receivers();
      this.#metrics.receivers(receivers);
      const at = now();
      await tellBooks(book, receivers, at);
      const alarms = await book.alarms();
      const gateways = sight.gateways();
      await this.#work.look(gateways, receivers, alarms, at);
      await this.#refusals.look(gateways, alarms, (session) => this.#work.accountsOf(session), at);
      await this.#pool.look(alarms, at);
      const { worker, gateway } = this.#work.counts;
      this.#metrics.watched("worker", worker);
      this.#metrics.watched("gateway", gateway);
      this.#metrics.looked("done");
    } catch (error) {
      this.#metrics.looked("failed");
      throw error;
    }
  }

  /** Makes the operator's receivers those of the configuration, once. */
  async #keepOperator(): Promise<void> {
    if (this.#operatorKept) return;
    const { book, operator } = this.modules;
    await book.keepOperator([...operator.keys()], this.options.operatorEvents, TOKENS);
    this.#operatorKept = true;
  }

  async #repeat(what: string, ms: number, step: () => Promise<void>): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await step();
        this.#failing.delete(what);
      } catch (error) {
        // Told once for each time that it begins: a database that is away is told of by others.
        if (!this.#failing.has(what))
          this.modules.log.warn({ error: (error as Error).message }, `notices: ${what} failed, it is tried again`);
        this.#failing.add(what);
      }
      await sleep(ms, undefined, { ref: false, signal }).catch(() => undefined);
    }
  }
}
