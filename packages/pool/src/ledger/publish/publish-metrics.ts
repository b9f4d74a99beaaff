/** Figures of publishing for Prometheus. */
import { Counter, Gauge, type Registry } from "prom-client";

export class PublishMetrics {
  readonly #failures: Counter;
  readonly #succeededAt: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#failures = new Counter({
      name: "openprime_publish_failures_total",
      help: "Times that log files or settlements could not be published; they are tried again.",
      registers,
    });
    this.#succeededAt = new Gauge({
      name: "openprime_publish_success_timestamp_seconds",
      help: "When the published folder last had all that the books hold; 0 before.",
      registers,
    });
  }

  failed(): void {
    this.#failures.inc();
  }

  /** @param now milliseconds */
  succeeded(now: number): void {
    this.#succeededAt.set(now / 1000);
  }
}
