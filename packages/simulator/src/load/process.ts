/** Main program of the load process. Everything is on one core that is not the pool's. */
import {
  type CoinbaserResponse,
  type Configuration,
  decodePublicKey,
  generateLongTermKeys,
  loadCrypto,
  type PoolMessage,
} from "@openprime/datum";
import { PoolConnection } from "../gateway/connection.js";
import type { LoadMessage, LoadOptions, LoadReport } from "./load.js";
import { type PreparedLoad, prepareLoad } from "./prepare.js";

const IN_FLIGHT = 4096;
/** Shares handed to the socket before answers are read. */
const BURST = 256;

const tell = (message: LoadMessage): void => {
  process.send?.(message);
};
const fail = (why: string): void => {
  tell({ type: "failed", message: why });
  process.exitCode = 1;
  if (process.connected) process.disconnect();
};

class Load {
  readonly #options: LoadOptions;
  #connection: PoolConnection | undefined;
  #configuration: Configuration | undefined;
  #prepared: PreparedLoad | undefined;
  #preparedMs = 0;
  #sentAt = new Float64Array(0);
  #next = 0;
  #answered = 0;
  #latencies = new Float64Array(0);
  /** Answers name a nonce, not a share; those waiting, by nonce. */
  readonly #waiting = new Map<number, number[]>();
  readonly #counts = { accepted: 0, tentative: 0, rejected: 0 };
  readonly #reasons: Record<number, number> = {};
  #startedAt = 0;
  #startCpu = process.cpuUsage();
  #done = false;
  #scheduled = false;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  async connect(): Promise<void> {
    const crypto = await loadCrypto();
    this.#connection = new PoolConnection(
      {
        host: this.#options.host,
        port: this.#options.port,
        poolPublicKey: decodePublicKey(this.#options.poolPublicKey),
        crypto,
        longTermKeys: generateLongTermKeys(crypto),
        version: "v0.4.1-beta/load",
        silenceMs: 60_000,
        acceptanceMs: 30_000,
      },
      {
        message: (message) => this.#receive(message),
        closed: (why) => {
          if (!this.#done) fail(why);
        },
      },
    );
  }

  #receive(message: PoolMessage): void {
    if (message.type === "configuration" && this.#configuration === undefined) {
      this.#configuration = message;
      const { work } = this.#options;
      this.#connection?.send({ type: "coinbaserRequest", value: BigInt(work.value), prevhash: Buffer.from(work.prevhash, "hex") });
    } else if (message.type === "coinbaser" && this.#prepared === undefined) {
      this.#prepare(message);
    } else if (message.type === "shareResponse") {
      this.#answer(message);
    }
  }

  #prepare(split: CoinbaserResponse): void {
    const start = performance.now();
    this.#prepared = prepareLoad(this.#options, this.#configuration!, split);
    this.#preparedMs = performance.now() - start;
    this.#sentAt = new Float64Array(this.#options.shares);
    this.#latencies = new Float64Array(this.#options.shares);
    tell({ type: "prepared" });
    this.#startedAt = performance.now();
    this.#startCpu = process.cpuUsage();
    this.#fill();
  }

  /** One burst before the answers that have come meanwhile are read. */
  #fill(): void {
    this.#scheduled = false;
    const shares = this.#prepared!.shares;
    const room = Math.min(shares.length, this.#answered + (this.#options.inFlight ?? IN_FLIGHT));
    const end = Math.min(room, this.#next + BURST);
    this.#connection!.batch((send) => {
      for (; this.#next < end; this.#next++) {
        const share = shares[this.#next]!;
        this.#sentAt[this.#next] = performance.now();
        const queue = this.#waiting.get(share.nonce);
        if (queue === undefined) this.#waiting.set(share.nonce, [this.#next]);
        else queue.push(this.#next);
        send(share);
      }
    });
    if (end < room) this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#next === this.#options.shares) return;
    this.#scheduled = true;
    setImmediate(() => this.#fill());
  }

  #answer(response: Extract<PoolMessage, { type: "shareResponse" }>): void {
    const index = this.#waiting.get(response.nonce)?.shift();
    if (index !== undefined) this.#latencies[this.#answered] = performance.now() - this.#sentAt[index]!;
    this.#answered += 1;
    this.#counts[response.status] += 1;
    if (response.status === "rejected") this.#reasons[response.reason] = (this.#reasons[response.reason] ?? 0) + 1;
    if (this.#answered === this.#options.shares) this.#finish();
    else this.#schedule();
  }

  #finish(): void {
    const seconds = (performance.now() - this.#startedAt) / 1000;
    const cpu = process.cpuUsage(this.#startCpu);
    const sorted = this.#latencies.sort();
    const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
    const report: LoadReport = {
      shares: this.#options.shares,
      ...this.#counts,
      reasons: this.#reasons,
      seconds,
      sharesPerSecond: this.#options.shares / seconds,
      coinbaseBytes: this.#prepared!.coinbaseBytes,
      coinbaseOutputs: this.#prepared!.coinbaseOutputs,
      latency: { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) },
      preparedMs: this.#preparedMs,
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
    };
    this.#done = true;
    tell({ type: "done", report });
    this.#connection?.close("done");
    if (process.connected) process.disconnect();
  }
}

process.on("disconnect", () => process.exit());
await new Load(JSON.parse(process.argv[2] ?? "{}") as LoadOptions).connect();
