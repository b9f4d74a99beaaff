/** The chain room's figures for Prometheus. */
import { Counter, Gauge, type Registry } from "prom-client";

export class ChainMetrics {
  readonly #reachable: Gauge;
  readonly #height: Gauge;
  readonly #tips: Counter;
  readonly #unknown: Gauge;
  readonly #invalid: Counter;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#reachable = new Gauge({ name: "openprime_node_reachable", help: "1 while the node answers.", registers });
    this.#height = new Gauge({ name: "openprime_chain_height", help: "Height of the node's tip.", registers });
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

  tip(height: number): void {
    this.#height.set(height);
    this.#tips.inc();
  }

  unknown(count: number): void {
    this.#unknown.set(count);
  }

  invalid(): void {
    this.#invalid.inc();
  }
}

export class BlockMetrics {
  readonly #blocks: Counter<"outcome">;

  constructor(registry: Registry) {
    this.#blocks = new Counter({
      name: "openprime_blocks_total",
      help: "Found blocks, by what became of them.",
      labelNames: ["outcome"],
      registers: [registry],
    });
  }

  outcome(outcome: string): void {
    this.#blocks.labels(outcome).inc();
  }
}
