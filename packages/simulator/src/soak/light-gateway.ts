/**
 * A gateway as light as can be, so that thousands fit beside the pool on one machine: real connection, real jobs and coinbases from real splits,
 * valid shares; no node and no miners of its own.
 */
import {
  type CoinbaserResponse,
  type Configuration,
  type DatumCrypto,
  generateLongTermKeys,
  JOB_COUNT,
  type PoolMessage,
} from "@openprime/datum";
import type { CoinbaseKind } from "../gateway/coinbase.js";
import { PoolConnection } from "../gateway/connection.js";
import { Job } from "../gateway/job.js";
import { shareTargetBytes } from "../gateway/targets.js";
import type { Template } from "../gateway/template.js";
import { makeWork } from "../gateway/work.js";
import type { Scanner } from "../mining/scanner.js";
import type { Pace } from "./messages.js";
import type { SoakTally } from "./tally.js";

/** The coinbases of each job: of up to 6,500 and 16,000 bytes. */
const KINDS: readonly CoinbaseKind[] = [3, 4];
const RECONNECT_MS = 5000;
const NONCES = 0x1_0000_0000;

export interface LightGatewayOptions {
  readonly number: number;
  readonly place: {
    readonly host: string;
    readonly port: number;
    readonly poolPublicKey: ReturnType<typeof import("@openprime/datum").decodePublicKey>;
  };
  /** Whose miners take turns. */
  readonly usernames: readonly Uint8Array[];
  readonly pace: Pace;
}

export interface LightGatewayModules {
  readonly crypto: DatumCrypto;
  readonly scanner: Scanner;
  readonly template: () => Template;
  readonly tally: SoakTally;
}

export class LightGateway {
  readonly #options: LightGatewayOptions;
  readonly #modules: LightGatewayModules;
  readonly #keys;
  #connection: PoolConnection | undefined;
  #configuration: Configuration | undefined;
  #job: Job | undefined;
  #asked: Template | undefined;
  #jobs = 0;
  #shares = 0;
  /** When each share that waits was sent, by nonce: an answer names nothing better. */
  readonly #waiting = new Map<number, number>();
  #jobTimer: NodeJS.Timeout | undefined;
  #shareTimer: NodeJS.Timeout | undefined;

  constructor(options: LightGatewayOptions, modules: LightGatewayModules) {
    this.#options = options;
    this.#modules = modules;
    this.#keys = generateLongTermKeys(modules.crypto);
  }

  connect(): void {
    const { number, place } = this.#options;
    this.#configuration = undefined;
    this.#connection = new PoolConnection(
      {
        ...place,
        // Each from an address of its own, and a few in one network, as in life.
        localAddress: `127.${1 + (number >> 11)}.${(number >> 3) & 0xff}.${1 + (number & 7)}`,
        crypto: this.#modules.crypto,
        longTermKeys: this.#keys,
        version: "v0.4.1-beta/soak",
        silenceMs: 60_000,
        acceptanceMs: 30_000,
      },
      { message: (message) => this.#receive(message), closed: () => this.#closed() },
    );
  }

  /** Sends no more; what waits may still be answered. */
  rest(): void {
    clearTimeout(this.#jobTimer);
    clearTimeout(this.#shareTimer);
  }

  close(): void {
    this.rest();
    this.#connection?.close("the soak is over");
  }

  #closed(): void {
    this.rest();
    this.#modules.tally.disconnected(this.#configuration !== undefined, this.#waiting.size);
    this.#waiting.clear();
    if (this.#modules.tally.over) return;
    setTimeout(() => this.connect(), RECONNECT_MS);
  }

  #receive(message: PoolMessage): void {
    if (message.type === "configuration") {
      if (this.#configuration === undefined) {
        this.#modules.tally.connected();
        this.#jobTimer = setTimeout(() => this.#ask(), Math.random() * this.#options.pace.fillMs);
      }
      this.#configuration = message;
    } else if (message.type === "coinbaser") {
      this.#newJob(message);
    } else if (message.type === "shareResponse") {
      const sentAt = this.#waiting.get(message.nonce);
      this.#waiting.delete(message.nonce);
      this.#modules.tally.answered(message, sentAt === undefined ? undefined : performance.now() - sentAt);
    }
  }

  /** The next job: each has a value of its own, as each template has other fees. */
  #ask(): void {
    const template = this.#modules.template();
    const { pace, number } = this.#options;
    this.#asked = { ...template, value: template.value + BigInt(number) * 100n + BigInt(this.#jobs % 100) };
    this.#connection?.send({ type: "coinbaserRequest", value: this.#asked.value, prevhash: template.prevhash });
    this.#jobTimer = setTimeout(() => this.#ask(), this.#jobs < JOB_COUNT ? pace.fillMs : pace.jobMs);
  }

  #newJob(split: CoinbaserResponse): void {
    const template = this.#asked;
    const configuration = this.#configuration;
    if (template === undefined || configuration === undefined || template.value !== split.value) return;
    const slot = this.#jobs % JOB_COUNT;
    const job = new Job(template, slot, this.#jobs & 0xffff, { configuration, secondaryTag: new Uint8Array(), uniqueId: 1 });
    job.setSplit(split.outputs.length === 0 ? 0 : split.coinbaserId, split.outputs);
    this.#job = job;
    this.#jobs += 1;
    // The sections of both coinbases go out with the first shares.
    this.#connection?.batch(() => {
      for (const kind of KINDS) this.#send(job, kind);
    });
    this.#modules.tally.job(split.outputs.length, job.coinbase(KINDS[0]!).paidOutputs, this.#jobs === JOB_COUNT);
    clearTimeout(this.#shareTimer);
    this.#shareTimer = setTimeout(() => this.#mine(), Math.random() * this.#options.pace.shareMs);
  }

  #mine(): void {
    if (this.#job !== undefined) this.#send(this.#job, KINDS[this.#shares % KINDS.length]!);
    this.#shareTimer = setTimeout(() => this.#mine(), this.#options.pace.shareMs);
  }

  #send(job: Job, kind: CoinbaseKind): void {
    const { usernames } = this.#options;
    const targetByte = Math.log2(Number(this.#configuration?.minimumDifficulty ?? 1n));
    const extranonce = new Uint8Array(12);
    const view = new DataView(extranonce.buffer);
    view.setUint32(0, this.#options.number);
    view.setUint32(8, this.#shares);
    const work = makeWork(job, kind, { quickdiff: false, targetByte, extranonce, rolledVersion: 0 });
    this.#modules.scanner.load(work.header, shareTargetBytes(targetByte));
    // From another nonce each time: an answer is told from the others by it.
    const from = (this.#shares * 0x10000) % (NONCES / 2);
    const found = this.#modules.scanner.search(from, NONCES - from);
    if (found === undefined) return;
    const sent = this.#connection?.send({
      type: "share",
      jobId: job.slot,
      coinbaseId: kind,
      isBlock: false,
      subsidyOnly: false,
      quickdiff: false,
      unknownFlags: 0,
      targetByte,
      ntime: work.ntime,
      nonce: found.nonce,
      version: work.version,
      extranonce,
      username: usernames[this.#shares % usernames.length]!,
      reserved: 0,
      ...(job.told.job ? {} : { job: { ...job.jobSection(), transactionCount: transactionsFor(job) } }),
      ...(job.told.coinbases.has(kind) ? {} : { coinbase: job.coinbaseSection(kind) }),
    });
    this.#shares += 1;
    if (sent !== true) return;
    job.told.job = true;
    job.told.coinbases.add(kind);
    this.#waiting.set(found.nonce, performance.now());
    this.#modules.tally.sent();
  }
}

/** As many as the branches are for; the template does not hold them. */
function transactionsFor(job: Job): number {
  return 2 ** (job.template.branches.length / 32) - 1;
}
