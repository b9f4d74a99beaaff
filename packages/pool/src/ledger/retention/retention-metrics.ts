/** Figures of retention for Prometheus. */
import { Counter, Gauge, type Registry } from "prom-client";
import type { RetentionReport } from "./retention.js";

const OUTCOMES = ["compacted", "kept", "busy", "failed"] as const;

export class RetentionMetrics {
  readonly #rounds: Counter<"outcome">;
  readonly #runs: Counter<"outcome">;
  readonly #succeededAt: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#rounds = new Counter({
      name: "openprime_retention_rounds_total",
      help: "Old rounds that were looked at, by what became of them.",
      labelNames: ["outcome"],
      registers,
    });
    for (const outcome of OUTCOMES) this.#rounds.labels(outcome).inc(0);
    this.#runs = new Counter({
      name: "openprime_retention_runs_total",
      help: "Runs of retention, by outcome.",
      labelNames: ["outcome"],
      registers,
    });
    for (const outcome of ["done", "failed"]) this.#runs.labels(outcome).inc(0);
    this.#succeededAt = new Gauge({
      name: "openprime_retention_success_timestamp_seconds",
      help: "When retention last came to its end; 0 before.",
      registers,
    });
  }

  /** @param now pool clock, milliseconds */
  done(report: RetentionReport, now: number): void {
    for (const outcome of OUTCOMES) this.#rounds.labels(outcome).inc(report[outcome]);
    this.#runs.labels("done").inc();
    this.#succeededAt.set(now / 1000);
  }

  failed(): void {
    this.#runs.labels("failed").inc();
  }
}
