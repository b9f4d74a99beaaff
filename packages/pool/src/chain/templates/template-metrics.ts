/** Figures of judged templates for Prometheus. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { TemplateVerdict } from "./types.js";

const SECONDS_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

/** What is asked for when the figures are read. */
export interface TemplateGauges {
  readonly waiting: () => number;
  readonly proposals: () => number;
  readonly keptBytes: () => number;
  readonly badGateways: () => number;
}

export class TemplateMetrics {
  readonly #verdicts: Counter<"state" | "code">;
  readonly #paths: Counter<"path">;
  readonly #seconds: Histogram;
  readonly #belowFloor: Counter;
  readonly #voided: Counter;

  constructor(registry: Registry, gauges: TemplateGauges) {
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
    this.#verdicts = new Counter({
      name: "openprime_templates_total",
      help: "Templates by verdict; code says why one is not sound.",
      labelNames: ["state", "code"],
      registers,
    });
    this.#paths = new Counter({
      name: "openprime_template_paths_total",
      help: "Judged templates by how their transactions were had.",
      labelNames: ["path"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "openprime_template_seconds",
      help: "From a job's first good share to the verdict about its template.",
      buckets: SECONDS_BUCKETS,
      registers,
    });
    this.#belowFloor = new Counter({
      name: "openprime_templates_below_floor_total",
      help: "Templates whose fees are under the floor.",
      registers,
    });
    this.#voided = new Counter({
      name: "openprime_template_shares_voided_total",
      help: "Shares that were taken back because their template is unsound.",
      registers,
    });
    gauge("openprime_templates_waiting", "Templates without a verdict.", gauges.waiting);
    gauge("openprime_template_proposals_waiting", "Templates that wait for the node's judgement.", gauges.proposals);
    gauge("openprime_template_kept_bytes", "Raw transactions of judged templates in memory.", gauges.keptBytes);
    gauge("openprime_template_bad_gateways", "Gateways whose templates are looked at first because one was unsound.", gauges.badGateways);
  }

  judged({ state, code, path }: Pick<TemplateVerdict, "state" | "code" | "path">, seconds: number | undefined): void {
    this.#verdicts.labels(state, code ?? "").inc();
    if (path !== undefined) this.#paths.labels(path).inc();
    if (seconds !== undefined) this.#seconds.observe(seconds);
  }

  belowFloor(): void {
    this.#belowFloor.inc();
  }

  voided(shares: number): void {
    this.#voided.inc(shares);
  }
}
