/** Figures of the share window and of splits for Prometheus. */
import { Gauge, Histogram, type Registry } from "prom-client";

const SECONDS_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5];

export class SplitMetrics {
  readonly #seconds: Histogram;
  readonly #weight: Gauge;
  readonly #accounts: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#seconds = new Histogram({
      name: "openprime_split_seconds",
      help: "Time in which a split was computed, weighing the window included where that was due.",
      buckets: SECONDS_BUCKETS,
      registers,
    });
    this.#weight = new Gauge({
      name: "openprime_window_weight",
      help: "Weight of the share window when it was last weighed, in units of the network's difficulty one.",
      registers,
    });
    this.#accounts = new Gauge({
      name: "openprime_window_accounts",
      help: "Accounts with work in the share window when it was last weighed.",
      registers,
    });
  }

  computed(seconds: number): void {
    this.#seconds.observe(seconds);
  }

  weighed(weight: bigint, accounts: number): void {
    this.#weight.set(Number(weight));
    this.#accounts.set(accounts);
  }
}
