/** The chain room's figures for Prometheus. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";

export class ChainMetrics {
  readonly #reachable: Gauge;
  readonly #height: Gauge;
  readonly #tips: Counter;
  readonly #tipAt: Gauge;
  readonly #unknown: Gauge;
  readonly #invalid: Counter;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#reachable = new Gauge({ name: "openprime_node_reachable", help: "1 while the node answers.", registers });
    this.#height = new Gauge({ name: "openprime_chain_height", help: "Height of the node's tip.", registers });
    this.#tipAt = new Gauge({
      name: "openprime_chain_tip_timestamp_seconds",
      help: "When the pool heard of the tip that it has; 0 before the first.",
      registers,
    });
    this.#tips = new Counter({ name: "openprime_chain_tips_total", help: "Changes of the tip.", registers });
    this.#unknown = new Gauge({ name: "openprime_parents_unknown", help: "Parents of work that the node has not told of.", registers });
    this.#invalid = new Counter({
      name: "openprime_parents_invalid_total",
      help: "Parents of work that the node did not have in time.",
      registers,
    });
  }

  reachable(value: boolean): void {
    this.#reachable.set(value ? 1 : 0);
  }

  /** @param now pool clock, milliseconds */
  tip(height: number, now: number): void {
    this.#height.set(height);
    this.#tipAt.set(now / 1000);
    this.#tips.inc();
  }

  unknown(count: number): void {
    this.#unknown.set(count);
  }

  invalid(): void {
    this.#invalid.inc();
  }
}

const SETTLE_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600];
/** Those of a submission, and candidates that could not be taken or handled. */
const OUTCOMES = ["accepted", "duplicate", "inconclusive", "rejected", "transactionsMissing", "overLimit", "failed"] as const;
export type CountedOutcome = (typeof OUTCOMES)[number];

export class BlockMetrics {
  readonly #blocks: Counter<"outcome">;
  readonly #seconds: Histogram;

  /** @param inHand how many blocks are on their way, read at each scrape */
  constructor(registry: Registry, inHand: () => number) {
    const registers = [registry];
    this.#blocks = new Counter({
      name: "openprime_blocks_total",
      help: "Found blocks, by what became of them.",
      labelNames: ["outcome"],
      registers,
    });
    // An increase is only seen from a figure that was there before.
    for (const outcome of OUTCOMES) this.#blocks.labels(outcome).inc(0);
    this.#seconds = new Histogram({
      name: "openprime_block_settle_seconds",
      help: "From a found block to the nodes' answer, its transactions and the books included.",
      buckets: SETTLE_BUCKETS,
      registers,
    });
    new Gauge({
      name: "openprime_blocks_in_hand",
      help: "Found blocks that are on their way to the nodes and the books.",
      registers,
      collect() {
        this.set(inHand());
      },
    });
  }

  outcome(outcome: CountedOutcome): void {
    this.#blocks.labels(outcome).inc();
  }

  settled(seconds: number): void {
    this.#seconds.observe(seconds);
  }
}
