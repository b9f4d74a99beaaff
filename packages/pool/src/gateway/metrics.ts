/** The listener's figures for Prometheus. Labelled children are made once and kept: a lookup by label object per share would cost more than the share. */
import { REJECT_REASONS } from "@openprime/datum";
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { AdmissionRefusal } from "./admission.js";
import type { BanScope } from "./bans.js";
import { BUDGETS, type BudgetName } from "./budgets.js";
import type { QuestionKind, QuestionOutcome } from "./questions.js";
import type { TellOutcome } from "./session-source.js";

/** How a handshake ended. */
export type HandshakeOutcome =
  | "accepted"
  | "refused"
  | "replayed"
  | "timeout"
  | "http"
  | "stratum"
  | "proxyHeader"
  | AdmissionRefusal
  | "gaveWay"
  | "tooManyHandshakes"
  | "tooManyNewSessions"
  | "notListed"
  | "sessionUnavailable"
  | "left";

export type ConnectionState = "handshake" | "queued" | "opening" | "open";
export type ShareResult = "accepted" | "tentative" | "refused";
export type CoinbaserResult = "split" | "empty" | "overBudget" | "failed";

/** What is read at each scrape. */
export interface GatewayGauges {
  /** How many gateways' work is in memory. */
  readonly sessions: () => number;
  /** log2 of the minimum difficulty of each connected gateway. */
  readonly minima: () => Iterable<number>;
  /** Bytes that connections hold, unread and unsent. */
  readonly held: () => number;
  /** Addresses or networks that are banned. */
  readonly banned: (scope: BanScope) => number;
}

/** A labelled child. */
interface Incrementable {
  inc(value?: number): void;
}

const LATENCY_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export class GatewayMetrics {
  readonly #shares: Counter<"result" | "reason">;
  readonly #shareChildren = new Map<string, Incrementable>();
  readonly #states: Record<ConnectionState, Incrementable & { dec(): void }>;
  readonly #protocolErrors: Counter<"code">;
  readonly #handshakes: Counter<"outcome">;
  readonly #closed: Counter<"reason">;
  readonly #coinbaserRequests: Record<CoinbaserResult, Incrementable>;
  readonly #coinbaserSeconds: Histogram;
  readonly #ackSeconds: Histogram;
  readonly #answersDropped: Counter;
  readonly #takeovers: Counter;
  readonly #questions: Counter<"kind" | "outcome">;
  readonly #tells: Counter<"outcome">;
  readonly #blockNotifies: Counter<"outcome">;
  readonly #announcements: Counter<"outcome">;
  readonly #candidates: Counter<"outcome">;
  readonly #late: Counter;
  readonly #unsound: Counter;
  readonly #splitUnused: Counter;
  readonly #splitIgnored: Counter;
  readonly #slowed: Counter<"budget">;
  readonly #bans: Counter<"scope">;
  readonly #minimumChanges: Record<"raised" | "lowered", Incrementable>;

  constructor(registry: Registry, read: GatewayGauges) {
    const { sessions, minima } = read;
    const registers = [registry];
    this.#shares = new Counter({
      name: "openprime_shares_total",
      help: "Shares answered, by result and reject reason (0: none).",
      labelNames: ["result", "reason"],
      registers,
    });
    // An increase is only seen from a figure that was there before.
    for (const result of ["accepted", "tentative"] as const) this.#shareChild(result, 0).inc(0);
    for (const { code } of Object.values(REJECT_REASONS)) this.#shareChild("refused", code).inc(0);
    const connections = new Gauge({
      name: "openprime_gateway_connections",
      help: "Gateway connections, by state.",
      labelNames: ["state"],
      registers,
    });
    this.#states = {
      handshake: connections.labels("handshake"),
      queued: connections.labels("queued"),
      opening: connections.labels("opening"),
      open: connections.labels("open"),
    };
    this.#protocolErrors = new Counter({
      name: "openprime_protocol_errors_total",
      help: "Bytes no gateway would send, by error code; each closed its connection.",
      labelNames: ["code"],
      registers,
    });
    this.#handshakes = new Counter({
      name: "openprime_handshakes_total",
      help: "Connections, by how their handshake ended.",
      labelNames: ["outcome"],
      registers,
    });
    this.#closed = new Counter({
      name: "openprime_gateway_closed_total",
      help: "Connections closed, by reason; internal: a fault of ours.",
      labelNames: ["reason"],
      registers,
    });
    this.#closed.labels("internal").inc(0);
    const requests = new Counter({
      name: "openprime_coinbaser_requests_total",
      help: "Coinbaser requests answered, by kind of answer.",
      labelNames: ["result"],
      registers,
    });
    this.#coinbaserRequests = {
      split: requests.labels("split"),
      empty: requests.labels("empty"),
      overBudget: requests.labels("overBudget"),
      failed: requests.labels("failed"),
    };
    this.#coinbaserSeconds = new Histogram({
      name: "openprime_coinbaser_seconds",
      help: "From a decrypted coinbaser request to its encrypted answer.",
      buckets: LATENCY_BUCKETS,
      registers,
    });
    this.#ackSeconds = new Histogram({
      name: "openprime_share_ack_seconds",
      help: "From a decrypted share that was accepted to its answer, commit included.",
      buckets: LATENCY_BUCKETS,
      registers,
    });
    this.#answersDropped = new Counter({
      name: "openprime_answers_dropped_total",
      help: "Answers to shares whose connection had gone.",
      registers,
    });
    this.#takeovers = new Counter({
      name: "openprime_session_takeovers_total",
      help: "Newer connections of gateways that have one already: done, contested (the older one may give a sign of life), refused (it did).",
      labelNames: ["outcome"],
      registers,
    });
    this.#questions = new Counter({
      name: "openprime_gateway_questions_total",
      help: "Questions to gateways about a job's transactions, by what was asked and what came of it.",
      labelNames: ["kind", "outcome"],
      registers,
    });
    this.#tells = new Counter({
      name: "openprime_gateway_messages_total",
      help: "Lines for gateways' logs, by what became of them.",
      labelNames: ["outcome"],
      registers,
    });
    this.#blockNotifies = new Counter({
      name: "openprime_block_notifies_total",
      help: "New tips, for each gateway: told of it, or on it already.",
      labelNames: ["outcome"],
      registers,
    });
    this.#announcements = new Counter({
      name: "openprime_job_announcements_total",
      help: "Jobs announced before their first share: kept, or malformed.",
      labelNames: ["outcome"],
      registers,
    });
    this.#candidates = new Counter({
      name: "openprime_block_candidates_total",
      help: "Shares that are a block: handed to the chain, or over the limit on unknown parents.",
      labelNames: ["outcome"],
      registers,
    });
    this.#late = new Counter({
      name: "openprime_late_shares_total",
      help: "Accepted shares on a block that the chain had passed a moment ago.",
      registers,
    });
    this.#unsound = new Counter({
      name: "openprime_unsound_template_shares_total",
      help: "Shares refused because their job's transactions would make no valid block.",
      registers,
    });
    this.#splitUnused = new Counter({
      name: "openprime_split_unused_shares_total",
      help: "Accepted shares that pay all to the pool although their gateway had a split.",
      registers,
    });
    this.#splitIgnored = new Counter({
      name: "openprime_split_ignored_total",
      help: "Gateways found to take no split at all; each counts at most once an hour.",
      registers,
    });
    const minimumChanges = new Counter({
      name: "openprime_minimum_difficulty_changes_total",
      help: "Changes of a gateway's minimum difficulty, by direction.",
      labelNames: ["direction"],
      registers,
    });
    this.#minimumChanges = { raised: minimumChanges.labels("raised"), lowered: minimumChanges.labels("lowered") };
    new Gauge({
      name: "openprime_gateway_minimum_difficulty",
      help: "Connected gateways, by log2 of their minimum difficulty.",
      labelNames: ["log2"],
      registers,
      collect() {
        this.reset();
        for (const log2 of minima()) this.labels(String(log2)).inc();
      },
    });
    this.#slowed = new Counter({
      name: "openprime_gateway_slowed_total",
      help: "Times that a gateway came to be read more slowly, by the budget that it used up; at most one a minute and gateway.",
      labelNames: ["budget"],
      registers,
    });
    this.#bans = new Counter({
      name: "openprime_bans_total",
      help: "Bans that began, of addresses and of networks (prefixes).",
      labelNames: ["scope"],
      registers,
    });
    for (const scope of ["address", "prefix"] as const) this.#bans.labels(scope).inc(0);
    for (const budget of BUDGETS) this.#slowed.labels(budget).inc(0);
    new Gauge({
      name: "openprime_banned_addresses",
      help: "Addresses and networks (prefixes) that are banned now.",
      labelNames: ["scope"],
      registers,
      collect() {
        for (const scope of ["address", "prefix"] as const) this.set({ scope }, read.banned(scope));
      },
    });
    new Gauge({
      name: "openprime_gateway_held_bytes",
      help: "Bytes that gateway connections hold in memory, unread and unsent.",
      registers,
      collect() {
        this.set(read.held());
      },
    });
    new Gauge({
      name: "openprime_gateway_sessions",
      help: "Gateways whose work is in memory, connected or not.",
      registers,
      collect() {
        this.set(sessions());
      },
    });
  }

  share(result: ShareResult, reason: number): void {
    this.#shareChild(result, reason).inc();
  }

  #shareChild(result: ShareResult, reason: number): Incrementable {
    const key = `${result}${reason}`;
    let child = this.#shareChildren.get(key);
    if (child === undefined) {
      child = this.#shares.labels(result, String(reason));
      this.#shareChildren.set(key, child);
    }
    return child;
  }

  state(from: ConnectionState | undefined, to: ConnectionState | undefined): void {
    if (from !== undefined) this.#states[from].dec();
    if (to !== undefined) this.#states[to].inc();
  }

  protocolError(code: string): void {
    this.#protocolErrors.labels(code).inc();
  }

  handshake(outcome: HandshakeOutcome): void {
    this.#handshakes.labels(outcome).inc();
  }

  closed(reason: string): void {
    this.#closed.labels(reason).inc();
  }

  coinbaser(result: CoinbaserResult, seconds: number): void {
    this.#coinbaserRequests[result].inc();
    this.#coinbaserSeconds.observe(seconds);
  }

  acknowledged(seconds: number): void {
    this.#ackSeconds.observe(seconds);
  }

  answerDropped(): void {
    this.#answersDropped.inc();
  }

  takeover(outcome: "done" | "contested" | "refused"): void {
    this.#takeovers.labels(outcome).inc();
  }

  question(kind: QuestionKind, outcome: QuestionOutcome): void {
    this.#questions.labels(kind, outcome).inc();
  }

  told(outcome: TellOutcome): void {
    this.#tells.labels(outcome).inc();
  }

  blockNotify(outcome: "sent" | "needless"): void {
    this.#blockNotifies.labels(outcome).inc();
  }

  announcement(outcome: "kept" | "malformed"): void {
    this.#announcements.labels(outcome).inc();
  }

  candidate(outcome: "handedOver" | "overLimit"): void {
    this.#candidates.labels(outcome).inc();
  }

  late(): void {
    this.#late.inc();
  }

  unsoundTemplate(): void {
    this.#unsound.inc();
  }

  splitUnused(): void {
    this.#splitUnused.inc();
  }

  splitIgnored(): void {
    this.#splitIgnored.inc();
  }

  slowed(budget: BudgetName): void {
    this.#slowed.labels(budget).inc();
  }

  banned(scope: BanScope): void {
    this.#bans.labels(scope).inc();
  }

  minimumChanged(direction: "raised" | "lowered"): void {
    this.#minimumChanges[direction].inc();
  }
}
