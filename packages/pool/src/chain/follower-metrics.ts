/** The follower's figures for Prometheus. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { Connected, Disconnected } from "../ledger/index.js";
import type { ChainErrorCode } from "./errors.js";

/** What keeps the books from following: calls that fail, or what is wrong with the node's chain. */
export type Obstacle = "node" | "books" | ChainErrorCode;

const SECONDS_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export class FollowerMetrics {
  readonly #height: Gauge;
  readonly #behind: Gauge;
  readonly #stuck: Gauge<"reason">;
  readonly #reorged: Counter;
  readonly #blocks: Counter<"life">;
  readonly #receipts: Counter;
  readonly #lost: Counter;
  readonly #seconds: Histogram;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#height = new Gauge({ name: "openprime_books_height", help: "Height of the last block in the books.", registers });
    this.#behind = new Gauge({ name: "openprime_books_blocks_behind", help: "Blocks of the node's chain that the books lack.", registers });
    this.#stuck = new Gauge({
      name: "openprime_books_stuck",
      help: "1 while this keeps the books from following the chain.",
      labelNames: ["reason"],
      registers,
    });
    this.#reorged = new Counter({ name: "openprime_books_reorged_blocks_total", help: "Blocks that left the best chain.", registers });
    this.#blocks = new Counter({
      name: "openprime_pool_blocks_total",
      help: "Blocks of the pool that joined the best chain (paid) or left it (orphaned), each time that they did.",
      labelNames: ["life"],
      registers,
    });
    for (const life of ["paid", "orphaned"]) this.#blocks.labels(life).inc(0);
    this.#receipts = new Counter({
      name: "openprime_receipts_unattributed_total",
      help: "Coinbases that paid the pool's scripts and are no block that the pool knows.",
      registers,
    });
    this.#lost = new Counter({
      name: "openprime_blocks_lost_total",
      help: "Blocks that were handed in, or of sessions that were given splits for their parents, and earned the miners nothing.",
      registers,
    });
    this.#seconds = new Histogram({
      name: "openprime_books_block_seconds",
      help: "Time in which the books took a block up, or back.",
      buckets: SECONDS_BUCKETS,
      registers,
    });
  }

  /** A block has joined the books or left them. */
  booked(seconds: number): void {
    this.#seconds.observe(seconds);
  }

  /** How far the books are, and how far the chain. */
  at(height: number, top: number): void {
    this.#height.set(height);
    this.#behind.set(Math.max(0, top - height));
  }

  connected({ outcome, lost }: Connected): void {
    if (lost === true) this.#lost.inc();
    if (outcome === "paid") this.#blocks.labels("paid").inc();
    if (outcome === "receipt") this.#receipts.inc();
  }

  disconnected({ poolBlock }: Disconnected): void {
    this.#reorged.inc();
    if (poolBlock) this.#blocks.labels("orphaned").inc();
  }

  /** Nothing is in the way when undefined. */
  stuck(reason: Obstacle | undefined): void {
    this.#stuck.reset();
    if (reason !== undefined) this.#stuck.labels(reason).set(1);
  }
}
