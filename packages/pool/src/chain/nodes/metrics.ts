/** The nodes' figures for Prometheus. */
import { Counter, Gauge, type Registry } from "prom-client";
import type { NodeState, NodeStatus } from "./types.js";

const STATES: readonly NodeState[] = ["unchecked", "good", "unreachable", "wrongChain", "synchronising", "lying", "lagging", "disagrees"];

export class NodeMetrics {
  readonly #switches: Counter;

  constructor(registry: Registry, statuses: () => readonly NodeStatus[]) {
    const registers = [registry];
    new Gauge({
      name: "openprime_node_state",
      help: "1 for the state that each node is in.",
      labelNames: ["node", "state"],
      registers,
      collect() {
        this.reset();
        for (const { name, state } of statuses()) for (const one of STATES) this.labels(name, one).set(one === state ? 1 : 0);
      },
    });
    new Gauge({
      name: "openprime_node_followed",
      help: "1 for the node that the pool goes by.",
      labelNames: ["node"],
      registers,
      collect() {
        this.reset();
        for (const { name, followed } of statuses()) this.labels(name).set(followed ? 1 : 0);
      },
    });
    new Gauge({
      name: "openprime_node_height",
      help: "Height of each node's best block, with several nodes.",
      labelNames: ["node"],
      registers,
      collect() {
        this.reset();
        for (const { name, height } of statuses()) if (height !== undefined) this.labels(name).set(height);
      },
    });
    this.#switches = new Counter({
      name: "openprime_node_switches_total",
      help: "Times that the pool went over to another node.",
      registers,
    });
  }

  switched(): void {
    this.#switches.inc();
  }
}
