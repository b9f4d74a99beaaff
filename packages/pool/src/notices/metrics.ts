/** What notices tell Prometheus. Labels are channels and outcomes: never a receiver. */
import { Counter, Gauge, type Registry } from "prom-client";
import type { NoticeChannel, NoticeReceiver } from "../ledger/index.js";

/** `sent`: notices that reached their receiver; `failed`: tries that did not; `dropped`: too old, or too many; `disabled`: receivers given up. */
export type NoticeOutcome = "sent" | "failed" | "dropped" | "disabled";

const CHANNELS: readonly NoticeChannel[] = ["webhook", "email", "nostr"];

export class NoticeMetrics {
  readonly #outcomes: Counter<"channel" | "outcome">;
  readonly #waiting: Gauge<"channel">;
  readonly #receivers: Gauge<"channel" | "state">;
  readonly #looks: Counter<"outcome">;
  readonly #watched: Gauge<"kind">;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#outcomes = new Counter({
      name: "openprime_notices_total",
      help: "Notices sent or dropped, tries that failed, receivers that were given up (disabled), by channel.",
      labelNames: ["channel", "outcome"],
      registers,
    });
    this.#waiting = new Gauge({
      name: "openprime_notices_waiting",
      help: "Notices that wait for their receivers.",
      labelNames: ["channel"],
      registers,
    });
    this.#receivers = new Gauge({
      name: "openprime_notice_receivers",
      help: "Receivers of notices, by channel and state: good, failing, disabled.",
      labelNames: ["channel", "state"],
      registers,
    });
    this.#looks = new Counter({
      name: "openprime_notice_looks_total",
      help: "Looks for something to tell, by outcome: done, failed.",
      labelNames: ["outcome"],
      registers,
    });
    this.#watched = new Gauge({
      name: "openprime_notice_watched",
      help: "Workers and gateways whose silence would be told.",
      labelNames: ["kind"],
      registers,
    });
    for (const outcome of ["sent", "failed", "dropped", "disabled"]) {
      for (const channel of CHANNELS) this.#outcomes.labels(channel, outcome).inc(0);
    }
    for (const outcome of ["done", "failed"]) this.#looks.labels(outcome).inc(0);
  }

  count(channel: NoticeChannel, outcome: NoticeOutcome, notices = 1): void {
    this.#outcomes.labels(channel, outcome).inc(notices);
  }

  looked(outcome: "done" | "failed"): void {
    this.#looks.labels(outcome).inc();
  }

  watched(kind: "worker" | "gateway", count: number): void {
    this.#watched.labels(kind).set(count);
  }

  receivers(all: readonly NoticeReceiver[]): void {
    for (const channel of CHANNELS) {
      const own = all.filter((receiver) => receiver.channel === channel);
      this.#waiting.labels(channel).set(own.reduce((sum, { waiting }) => sum + waiting, 0));
      const disabled = own.filter(({ disabledAt }) => disabledAt !== undefined).length;
      const failing = own.filter(({ disabledAt, failures }) => disabledAt === undefined && failures > 0).length;
      this.#receivers.labels(channel, "disabled").set(disabled);
      this.#receivers.labels(channel, "failing").set(failing);
      this.#receivers.labels(channel, "good").set(own.length - disabled - failing);
    }
  }
}
