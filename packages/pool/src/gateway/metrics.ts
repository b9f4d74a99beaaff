/** The listener's figures for Prometheus. Labelled children are made once and kept: a lookup by label object per share would cost more than the share. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** How a handshake ended. */
export type HandshakeOutcome =
  | "accepted"
  | "refused"
  | "replayed"
  | "timeout"
  | "http"
  | "stratum"
  | "tooManyConnections"
  | "tooManyFromAddress"
  | "sessionUnavailable"
  | "left";

export type ConnectionState = "handshake" | "opening" | "open";
export type ShareResult = "accepted" | "tentative" | "refused";
export type CoinbaserResult = "split" | "empty" | "overBudget" | "failed";

/** A labelled child. */
interface Incrementable {
  inc(): void;
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
  readonly #fullSets: Counter<"outcome">;

  /** @param sessions read at each scrape: gateways whose work is in memory. */
  constructor(registry: Registry, sessions: () => number) {
    const registers = [registry];
    this.#shares = new Counter({
      name: "openprime_shares_total",
      help: "Shares answered, by result and reject reason (0: none).",
      labelNames: ["result", "reason"],
      registers,
    });
    const connections = new Gauge({
      name: "openprime_gateway_connections",
      help: "Gateway connections, by state.",
      labelNames: ["state"],
      registers,
    });
    this.#states = {
      handshake: connections.labels("handshake"),
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
      help: "Connections closed, by reason.",
      labelNames: ["reason"],
      registers,
    });
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
      help: "Sessions taken over by a newer connection of the same gateway.",
      registers,
    });
    this.#fullSets = new Counter({
      name: "openprime_full_set_requests_total",
      help: "Transaction sets asked of gateways for found blocks, by outcome.",
      labelNames: ["outcome"],
      registers,
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
    const key = `${result}${reason}`;
    let child = this.#shareChildren.get(key);
    if (child === undefined) {
      child = this.#shares.labels(result, String(reason));
      this.#shareChildren.set(key, child);
    }
    child.inc();
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

  takenOver(): void {
    this.#takeovers.inc();
  }

  fullSet(outcome: string): void {
    this.#fullSets.labels(outcome).inc();
  }
}
