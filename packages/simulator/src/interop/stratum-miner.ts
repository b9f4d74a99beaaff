/** A CPU miner that speaks Stratum V1, as small as a gateway takes it. */
import { createConnection, type Socket } from "node:net";
import { Hasher } from "../mining/hasher.js";
import { readNotify, type StratumJob, stratumHeader } from "./stratum-work.js";

export interface StratumMinerOptions {
  readonly port: number;
  /** `address.worker`. */
  readonly username: string;
  /** Decides the kind of coinbase that the gateway makes for it. */
  readonly userAgent: string;
  /** Target of difficulty one, 32 bytes little-endian: 0x00000000ffff… for an unmodified gateway. */
  readonly difficultyOne: bigint;
  /** Hashes per second; 0 for as many as the core gives. */
  readonly hashrate: number;
}

interface Pending {
  readonly job: StratumJob;
  readonly extranonce2: string;
}

const hex8 = (value: number): string => value.toString(16).padStart(8, "0");

function littleEndian(target: bigint): Uint8Array {
  return new Uint8Array(Buffer.from(target.toString(16).padStart(64, "0"), "hex").reverse());
}

/** One connection and one hashing thread. */
export class StratumMiner {
  readonly figures = { submitted: 0, accepted: 0, refused: 0, connections: 0 };
  readonly #options: StratumMinerOptions;
  readonly #hasher: Hasher;
  readonly #number: number;
  #socket: Socket | undefined;
  #reconnect: NodeJS.Timeout | undefined;
  #stopped = false;
  #nextId = 1;
  #subscribeId = 0;
  readonly #submits = new Set<number>();
  #extranonce1 = "";
  #extranonce2 = 0n;
  #difficulty = 1;
  #serial = 0;
  #work: Pending | undefined;

  constructor(options: StratumMinerOptions, onError: (error: Error) => void) {
    this.#options = options;
    this.#hasher = new Hasher(onError);
    this.#number = this.#hasher.add({
      found: (serial, nonce) => {
        if (serial === this.#serial && this.#work !== undefined) this.#submit(this.#work, nonce);
      },
      exhausted: (serial) => {
        if (serial === this.#serial && this.#work !== undefined) this.#start(this.#work.job);
      },
    });
    this.#connect();
  }

  /** Hashes tried so far. */
  hashes(): Promise<number> {
    return this.#hasher.hashes();
  }

  #connect(): void {
    if (this.#stopped) return;
    const socket = createConnection({ host: "127.0.0.1", port: this.#options.port });
    this.#socket = socket;
    let rest = "";
    socket.on("connect", () => {
      this.figures.connections += 1;
      this.#subscribeId = this.#call("mining.subscribe", [this.#options.userAgent]);
      this.#call("mining.authorize", [this.#options.username, "x"]);
    });
    socket.on("data", (text: Buffer) => {
      const lines = (rest + text.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#line(line);
    });
    // A gateway without its pool cuts its miners off; it comes back.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.#hasher.stop(this.#number);
      this.#work = undefined;
      if (!this.#stopped) this.#reconnect = setTimeout(() => this.#connect(), 1000);
    });
  }

  #call(method: string, params: readonly unknown[]): number {
    const id = this.#nextId++;
    this.#socket?.write(`${JSON.stringify({ id, method, params })}\n`);
    return id;
  }

  #line(line: string): void {
    const message = JSON.parse(line) as { id?: number | null; method?: string; params?: unknown[]; result?: unknown; error?: unknown };
    if (message.method === "mining.notify") {
      const job = readNotify(message.params);
      if (job !== undefined) this.#start(job);
    } else if (message.method === "mining.set_difficulty") {
      this.#difficulty = Number(message.params?.[0] ?? 1);
    } else if (message.id === this.#subscribeId && Array.isArray(message.result)) {
      this.#extranonce1 = String(message.result[1]);
    } else if (typeof message.id === "number" && this.#submits.delete(message.id)) {
      if (message.result === true) this.figures.accepted += 1;
      else this.figures.refused += 1;
    }
  }

  #start(job: StratumJob): void {
    const extranonce2 = (this.#extranonce2++).toString(16).padStart(16, "0");
    this.#work = { job, extranonce2 };
    this.#serial += 1;
    const target = littleEndian(this.#options.difficultyOne / BigInt(this.#difficulty));
    this.#hasher.work(this.#number, this.#serial, stratumHeader(job, this.#extranonce1 + extranonce2), target, this.#options.hashrate);
  }

  #submit(work: Pending, nonce: number): void {
    this.figures.submitted += 1;
    const params = [this.#options.username, work.job.id, work.extranonce2, work.job.ntime, hex8(nonce)];
    this.#submits.add(this.#call("mining.submit", params));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#reconnect);
    this.#socket?.destroy();
    await this.#hasher.close();
  }
}
