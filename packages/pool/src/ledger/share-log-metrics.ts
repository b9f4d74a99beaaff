/** The share log's figures for Prometheus. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { ShareLog, ShareLogState } from "./share-log.js";

const SECONDS_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const SHARES_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
const STATES: readonly ShareLogState[] = ["running", "waiting", "failed", "closed"];
const OUTCOMES = ["committed", "duplicate", "failed"] as const;

export class ShareLogMetrics {
  readonly #shares: Counter<"outcome">;
  readonly #seconds: Histogram;
  readonly #batch: Histogram;
  readonly #interruptions: Counter;

  constructor(registry: Registry, log: Pick<ShareLog, "head" | "lagMs" | "state" | "waiting">) {
    const registers = [registry];
    const gauge = (name: string, help: string, read: () => number): Gauge =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    gauge("openprime_share_log_waiting", "Entries of the share log that wait for their commit.", () => log.waiting);
    gauge(
      "openprime_share_log_lag_seconds",
      "Age of the oldest entry that waits for its commit; 0 when none does.",
      () => log.lagMs / 1000,
    );
    gauge("openprime_share_log_position", "Last committed position of the share log.", () => Number(log.head()));
    new Gauge({
      name: "openprime_share_log_state",
      help: "1 for the state that the share log is in; waiting: the database is away.",
      labelNames: ["state"],
      registers,
      collect() {
        for (const state of STATES) this.labels(state).set(state === log.state ? 1 : 0);
      },
    });
    this.#shares = new Counter({
      name: "openprime_share_log_shares_total",
      help: "Shares that the log has settled, by outcome.",
      labelNames: ["outcome"],
      registers,
    });
    for (const outcome of OUTCOMES) this.#shares.labels(outcome).inc(0);
    this.#seconds = new Histogram({
      name: "openprime_share_log_commit_seconds",
      help: "From the taking of a batch of shares to its commit, times without a database included.",
      buckets: SECONDS_BUCKETS,
      registers,
    });
    this.#batch = new Histogram({
      name: "openprime_share_log_batch_shares",
      help: "Shares of a committed batch.",
      buckets: SHARES_BUCKETS,
      registers,
    });
    this.#interruptions = new Counter({
      name: "openprime_share_log_interruptions_total",
      help: "Times that the share log had to wait for the database to come back.",
      registers,
    });
  }

  committed(shares: number, stored: number, seconds: number): void {
    this.#shares.labels("committed").inc(stored);
    this.#shares.labels("duplicate").inc(shares - stored);
    this.#seconds.observe(seconds);
    this.#batch.observe(shares);
  }

  failed(shares: number): void {
    this.#shares.labels("failed").inc(shares);
  }

  interrupted(): void {
    this.#interruptions.inc();
  }
}
