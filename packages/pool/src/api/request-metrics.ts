/** The API's own figures for Prometheus. Labels are those of routes that exist, never what a caller made up. */
import { Counter, Histogram, type Registry } from "prom-client";

const SECONDS_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];

export class RequestMetrics {
  readonly #requests: Counter<"route" | "status">;
  readonly #seconds: Histogram<"route">;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#requests = new Counter({
      name: "openprime_api_requests_total",
      help: "Requests to the HTTP API, by route (none: no such route) and status.",
      labelNames: ["route", "status"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "openprime_api_request_seconds",
      help: "From a request to the end of its answer.",
      labelNames: ["route"],
      buckets: SECONDS_BUCKETS,
      registers,
    });
  }

  answered(route: string | undefined, status: number, seconds: number): void {
    this.#requests.labels(route ?? "none", String(status)).inc();
    this.#seconds.labels(route ?? "none").observe(seconds);
  }
}
