/** The mempool's figures for Prometheus. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { MempoolFigures } from "./mempool-messages.js";

const MATCH_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];

export class MempoolMetrics {
  readonly #transactions: Gauge;
  readonly #rawBytes: Gauge;
  readonly #loaded: Gauge;
  readonly #refused: Gauge;
  readonly #matchSeconds: Histogram;
  readonly #restarts: Counter;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#transactions = new Gauge({
      name: "openprime_mempool_transactions",
      help: "Transactions that the node has or lately had, and that gateways showed.",
      registers,
    });
    this.#rawBytes = new Gauge({ name: "openprime_mempool_raw_bytes", help: "Raw bytes of transactions in memory.", registers });
    this.#loaded = new Gauge({ name: "openprime_mempool_loaded", help: "1 once the node's whole mempool was read.", registers });
    this.#refused = new Gauge({
      name: "openprime_mempool_refused",
      help: "Transactions of the node for which there was no place.",
      registers,
    });
    this.#matchSeconds = new Histogram({
      name: "openprime_mempool_match_seconds",
      help: "Looking up the short ids of a job, in the mempool's own thread.",
      buckets: MATCH_BUCKETS,
      registers,
    });
    this.#restarts = new Counter({ name: "openprime_mempool_restarts_total", help: "Restarts of the mempool's thread.", registers });
  }

  figures({ transactions, rawBytes, loaded, refused }: MempoolFigures): void {
    this.#transactions.set(transactions);
    this.#rawBytes.set(rawBytes);
    this.#loaded.set(loaded ? 1 : 0);
    this.#refused.set(refused);
  }

  matched(seconds: number): void {
    this.#matchSeconds.observe(seconds);
  }

  restarted(): void {
    this.#restarts.inc();
  }
}
