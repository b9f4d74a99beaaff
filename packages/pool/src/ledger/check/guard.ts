/** The check of the books in a running pool: at start and once a day, in the background. What differs is told in the log and by the metrics. */
import { setTimeout as sleep } from "node:timers/promises";
import { Counter, Gauge, type Registry } from "prom-client";
import type { LedgerLogger } from "../types.js";
import type { MoneyCheck } from "./types.js";

export interface LedgerGuardOptions {
  /** From the end of one check to the next one's beginning; a day by default. */
  readonly intervalMs?: number;
}

export interface LedgerGuardModules {
  /** The signal fires when the pool stops. */
  readonly check: (signal: AbortSignal) => Promise<MoneyCheck>;
  readonly log: LedgerLogger;
  readonly metrics: Registry;
  /** Pool clock, milliseconds. */
  readonly now: () => number;
  /** Resolves after the time, rejects when the signal fires. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

const DAY_MS = 86_400_000;
/** Differences that get a line of their own; the rest is told as a number. */
const MOST_LINES = 20;

export class LedgerGuard {
  readonly #intervalMs: number;
  readonly #modules: LedgerGuardModules;
  readonly #metrics: GuardMetrics;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: LedgerGuardOptions, modules: LedgerGuardModules) {
    this.#intervalMs = options.intervalMs ?? DAY_MS;
    this.#modules = modules;
    this.#metrics = new GuardMetrics(modules.metrics);
  }

  /** Begins with the first check; does not wait for it. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** No further check; one that is under way is waited for. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const wait = this.#modules.wait ?? ((ms: number, stopped: AbortSignal) => sleep(ms, undefined, { ref: false, signal: stopped }));
    for (;;) {
      await this.#check();
      if (signal.aborted) return;
      try {
        await wait(this.#intervalMs, signal);
      } catch {
        // Broken off: the pool ends.
        return;
      }
    }
  }

  async #check(): Promise<void> {
    const { check, log, now } = this.#modules;
    try {
      const result = await check(this.#stop.signal);
      this.#metrics.checked(result, now() / 1000);
      this.#tell(result);
    } catch (error) {
      this.#metrics.failed();
      if (!this.#stop.signal.aborted) log.error({ error: (error as Error).message }, "the books could not be checked");
    }
  }

  #tell({ differences, notes, figures }: MoneyCheck): void {
    const { log } = this.#modules;
    for (const note of notes) log.info({ note }, "check of the books");
    for (const { kind, message } of differences.slice(0, MOST_LINES)) log.error({ kind, difference: message }, "THE BOOKS ARE WRONG");
    if (differences.length > MOST_LINES) {
      log.error({ more: differences.length - MOST_LINES }, "THE BOOKS ARE WRONG in more places: openprime ledger check names them");
    }
    const { height, owed, holdings } = figures;
    if (differences.length === 0) {
      log.info({ height: height ?? "none", owed: owed.toString(), holdings: holdings.toString() }, "the books agree with the chain");
    }
  }
}

class GuardMetrics {
  readonly #differences: Gauge;
  readonly #owed: Gauge;
  readonly #holdings: Gauge;
  readonly #negative: Gauge;
  readonly #checkedAt: Gauge;
  readonly #runs: Counter<"outcome">;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#differences = new Gauge({
      name: "openprime_ledger_differences",
      help: "Differences that the last check of the books found.",
      registers,
    });
    this.#owed = new Gauge({ name: "openprime_ledger_owed_sats", help: "Sum of the miners' positive balances.", registers });
    this.#holdings = new Gauge({ name: "openprime_ledger_holdings_sats", help: "Unspent coins of the pool's scripts.", registers });
    this.#negative = new Gauge({ name: "openprime_ledger_negative_balances", help: "Miners' balances below zero.", registers });
    this.#checkedAt = new Gauge({
      name: "openprime_ledger_checked_timestamp_seconds",
      help: "When the books were last checked.",
      registers,
    });
    this.#runs = new Counter({
      name: "openprime_ledger_checks_total",
      help: "Checks of the books, by outcome: clean, different, failed.",
      labelNames: ["outcome"],
      registers,
    });
    for (const outcome of ["clean", "different", "failed"]) this.#runs.labels(outcome).inc(0);
  }

  checked({ differences, figures }: MoneyCheck, at: number): void {
    this.#differences.set(differences.length);
    this.#owed.set(Number(figures.owed));
    this.#holdings.set(Number(figures.holdings));
    this.#negative.set(figures.negativeBalances);
    this.#checkedAt.set(at);
    this.#runs.labels(differences.length === 0 ? "clean" : "different").inc();
  }

  failed(): void {
    this.#runs.labels("failed").inc();
  }
}
