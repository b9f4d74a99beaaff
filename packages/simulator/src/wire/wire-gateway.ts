/**
 * A gateway in a test's own hands: the real wire over a real socket, work built from a real node's templates, and the header hash of
 * every share known before it is sent. It does nothing by itself, so a test decides what is sent when, and knows how each share was answered.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { assembleBlock, meetsTarget } from "@openprime/bitcoin";
import {
  type CoinbaserResponse,
  type Configuration,
  decodePublicKey,
  type FullSetRequest,
  GatewayChannel,
  type GatewayMessage,
  generateLongTermKeys,
  generateSessionKeys,
  type LongTermKeys,
  loadCrypto,
  type PoolMessage,
  type PoolPublicKey,
  type Share,
  type ShortIdsRequest,
  type TransactionsByIndexRequest,
} from "@openprime/datum";
import { type CoinbaseKind, SUBSIDY_ONLY } from "../gateway/coinbase.js";
import { Job } from "../gateway/job.js";
import { networkTarget, shareTargetBytes } from "../gateway/targets.js";
import type { Template } from "../gateway/template.js";
import { answerValidation, REPLY_TYPES, refusal } from "../gateway/validation.js";
import { headerWithNonce, makeWork, type Work } from "../gateway/work.js";
import { Scanner } from "../mining/scanner.js";

const crypto = await loadCrypto();
let scanner: Scanner | undefined;
/** Differs for every piece of work of this process, so no two shares are alike by chance. */
let extranonces = 0n;
/** Grows too: an answer names a share by its nonce, and is to be told from every other. */
let nonces = 0;
const JOBS = 8;
/** Nonces of one header: many times what any share or block here takes. */
const NONCES = 2 ** 22;

/** Where a pool listens and how it is known. */
export interface PoolPlace {
  readonly host: string;
  readonly port: number;
  /** 128 hex digits. */
  readonly publicKey: string;
}

/** A share that was mined and can be sent, also more than once. */
export interface MinedShare {
  readonly work: Work;
  readonly nonce: number;
  readonly username: string;
  /** Header hash, hex in internal order: how the books name it. */
  readonly hash: string;
  readonly isBlock: boolean;
}

/** How a share was answered: the reason's code when it was refused, `lost` when the connection ended first. */
export type Answer = "accepted" | "tentative" | "lost" | number;

export interface MineOptions {
  readonly username: string;
  /** Default 0, the least possible. */
  readonly kind?: CoinbaseKind;
  /** log2 of the difficulty; default 0. */
  readonly targetByte?: number;
  readonly count?: number;
  /** Whether a share may, or must, be a block too; by default it must not. */
  readonly block?: boolean;
  readonly quickdiff?: boolean;
}

/** Mines shares on a job, as many as asked, each with an extranonce of its own. */
export function mine(job: Job, options: MineOptions): MinedShare[] {
  const { username, kind = 0, targetByte = 0, count = 1, block = false, quickdiff = false } = options;
  const shares: MinedShare[] = [];
  const blockTarget = networkTarget(job.template.nbits);
  scanner ??= new Scanner();
  while (shares.length < count) {
    const extranonce = new Uint8Array(12);
    extranonce.set(randomBytes(4));
    new DataView(extranonce.buffer).setBigUint64(4, extranonces++, true);
    const work = makeWork(job, kind, { quickdiff, targetByte, extranonce, rolledVersion: 0 });
    // A block here is far harder than a share, and a share that is none is met at once.
    scanner.load(work.header, block ? blockTarget : shareTargetBytes(targetByte));
    if (nonces + NONCES >= 2 ** 32) throw new Error("the nonces are used up");
    for (;;) {
      const found = scanner.search(nonces, NONCES);
      if (found === undefined) throw new Error(`none of ${NONCES} nonces meets the target`);
      nonces = found.nonce + 1;
      const isBlock = meetsTarget(found.hash, blockTarget);
      if (isBlock !== block) continue;
      shares.push({ work, nonce: found.nonce, username, hash: Buffer.from(found.hash).toString("hex"), isBlock });
      break;
    }
  }
  return shares;
}

/** The one share that was asked for. */
export function mineOne(job: Job, options: Omit<MineOptions, "count">): MinedShare {
  return mine(job, { ...options, count: 1 })[0]!;
}

/** The block that a share is, as its gateway gives it to its own node. */
export function blockOf({ work, nonce }: MinedShare): string {
  const transactions = work.kind === SUBSIDY_ONLY ? [] : work.job.template.transactions.map(({ raw }) => raw);
  return Buffer.from(assembleBlock(headerWithNonce(work, nonce), work.coinbase, transactions)).toString("hex");
}

export const newKeys = (): LongTermKeys => generateLongTermKeys(crypto);

/** What the pool asks of a job's transactions. */
export type Question = ShortIdsRequest | TransactionsByIndexRequest | FullSetRequest;

const isQuestion = (message: PoolMessage): message is Question =>
  message.type === "shortIdsRequest" || message.type === "transactionsByIndexRequest" || message.type === "fullSetRequest";

export interface WireGatewayOptions {
  /** The gateway's identity; fresh otherwise. */
  readonly keys?: LongTermKeys;
}

export class WireGateway {
  readonly keys: LongTermKeys;
  configuration!: Configuration;
  /** Full sets that the pool asked for, by job slot. */
  readonly fullSetRequests: number[] = [];
  /** Everything that the pool sent on this connection, but answers to shares. */
  readonly received: PoolMessage[] = [];
  /** False: the pool's questions about a job's transactions are left unanswered, or answered by hand with `answer`. */
  answersQuestions = true;
  #poolKey!: PoolPublicKey;
  #socket!: Socket;
  #channel!: GatewayChannel;
  #open = false;
  #closed: Promise<void> = Promise.resolve();
  #failure: unknown;
  #nextSlot = 0;
  #prefix = 0;
  readonly #slots: (Job | undefined)[] = new Array<Job | undefined>(JOBS).fill(undefined);
  /** What this connection's pool has been told of a job. */
  #told = new Map<Job, Set<CoinbaseKind>>();
  readonly #splits: ((response: CoinbaserResponse | undefined) => void)[] = [];
  readonly #answers = new Map<string, ((answer: Answer) => void)[]>();
  #configured: (() => void) | undefined;

  constructor(options: WireGatewayOptions = {}) {
    this.keys = options.keys ?? newKeys();
  }

  /** A gateway that is connected and configured. */
  static async connect(place: PoolPlace, options: WireGatewayOptions = {}): Promise<WireGateway> {
    const gateway = new WireGateway(options);
    await gateway.connect(place);
    return gateway;
  }

  /** Connects (anew); resolves with the pool's configuration. Jobs stay what they were, their sections are sent again. */
  async connect(place: PoolPlace): Promise<Configuration> {
    this.#told = new Map();
    this.#failure = undefined;
    this.#poolKey = decodePublicKey(place.publicKey);
    this.#channel = new GatewayChannel({
      crypto,
      poolPublicKey: this.#poolKey,
      longTermKeys: this.keys,
      sessionKeys: generateSessionKeys(crypto),
      version: "v0.4.1-beta/test",
      nk: randomBytes(4).readUInt32LE(),
    });
    const socket = connect({ host: place.host, port: place.port, noDelay: true });
    this.#socket = socket;
    socket.on("error", () => undefined);
    await once(socket, "connect");
    this.#open = true;
    this.#closed = new Promise((resolve) => socket.once("close", () => this.#onClose(resolve)));
    const configured = new Promise<void>((resolve) => {
      this.#configured = resolve;
    });
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.write(this.#channel.hello());
    await Promise.race([configured, this.#closed]);
    if (!this.#open) throw this.#failure ?? new Error("the pool closed the connection before its configuration");
    return this.configuration;
  }

  get connected(): boolean {
    return this.#open;
  }

  /** Resolves when the connection has ended. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  get primeId(): number {
    return this.configuration.primeId;
  }

  /** Ends the connection from this side. */
  async close(): Promise<void> {
    this.#socket.destroy();
    await this.#closed;
  }

  send(message: GatewayMessage): void {
    if (this.#open) this.#socket.write(this.#channel.send(message));
  }

  /** Asks whom a coinbase of this value shall pay. */
  async split(value: bigint, prevhash: Uint8Array): Promise<CoinbaserResponse> {
    const answer = new Promise<CoinbaserResponse | undefined>((resolve) => this.#splits.push(resolve));
    this.send({ type: "coinbaserRequest", value, prevhash });
    const response = await answer;
    if (response === undefined) throw this.#failure ?? new Error("the connection ended before the split came");
    if (response.value !== value) throw new Error(`expected the split of ${value}, got that of ${response.value}`);
    return response;
  }

  /** A job without a split, in the next slot. */
  job(template: Template): Job {
    const slot = this.#nextSlot;
    this.#nextSlot = (slot + 1) % JOBS;
    this.#prefix = (this.#prefix + 1) & 0xffff;
    const job = new Job(template, slot, this.#prefix, {
      configuration: this.configuration,
      secondaryTag: new TextEncoder().encode("wire test"),
      uniqueId: 7,
    });
    this.#slots[slot] = job;
    return job;
  }

  /** A job that pays the pool's split. */
  async jobWithSplit(template: Template): Promise<Job> {
    const job = this.job(template);
    const { coinbaserId, outputs } = await this.split(template.value, template.prevhash);
    job.setSplit(outputs.length === 0 ? 0 : coinbaserId, outputs);
    return job;
  }

  /** A job of another connection of the same gateway, in its slot. */
  adopt(job: Job): void {
    this.#slots[job.slot] = job;
  }

  /** Lines for the gateway's log. */
  get told(): string[] {
    return this.received.flatMap((message) => (message.type === "info" ? [message.text] : []));
  }

  /** What the pool has asked of a job's transactions, in order. */
  get questions(): Question[] {
    return this.received.filter(isQuestion);
  }

  /** Sends a share, with the sections that this connection's pool has not been told yet; resolves with its answer. */
  submit(mined: MinedShare): Promise<Answer> {
    if (!this.#open) return Promise.resolve("lost");
    const { work } = mined;
    const { job } = work;
    const told = this.#told.get(job);
    const share: Share = {
      type: "share",
      jobId: job.slot,
      coinbaseId: work.kind,
      isBlock: mined.isBlock,
      subsidyOnly: work.kind === SUBSIDY_ONLY,
      quickdiff: work.quickdiff,
      unknownFlags: 0,
      targetByte: work.targetByte,
      ntime: work.ntime,
      nonce: mined.nonce,
      version: work.version,
      extranonce: work.extranonce,
      username: new TextEncoder().encode(mined.username),
      reserved: 0,
      ...(told === undefined && { job: job.jobSection() }),
      ...(told?.has(work.kind) !== true && { coinbase: job.coinbaseSection(work.kind) }),
    };
    if (told === undefined) this.#told.set(job, new Set([work.kind]));
    else told.add(work.kind);
    const name = `${share.nonce}:${share.targetByte}:${share.jobId}`;
    const answer = new Promise<Answer>((resolve) => {
      const waiting = this.#answers.get(name);
      if (waiting === undefined) this.#answers.set(name, [resolve]);
      else waiting.push(resolve);
    });
    this.send(share);
    return answer;
  }

  /** Sends them all, one after another without waiting; resolves with the answers in the same order. */
  submitAll(shares: readonly MinedShare[]): Promise<Answer[]> {
    return Promise.all(shares.map((share) => this.submit(share)));
  }

  #read(chunk: Buffer): void {
    try {
      this.#channel.receive(chunk);
      for (let event = this.#channel.next(); event !== undefined; event = this.#channel.next()) {
        if (event.type === "message") this.#take(event.message);
      }
    } catch (error) {
      this.#failure = error;
      this.#socket.destroy();
    }
  }

  #take(message: PoolMessage): void {
    if (message.type === "shareResponse") {
      const name = `${message.nonce}:${message.targetByte}:${message.jobId}`;
      const waiting = this.#answers.get(name);
      const resolve = waiting?.shift();
      if (resolve === undefined) throw new Error(`an answer to no share that waits: ${JSON.stringify(message)}`);
      if (waiting?.length === 0) this.#answers.delete(name);
      resolve(message.status === "rejected" ? message.reason : message.status);
      return;
    }
    this.received.push(message);
    if (message.type === "configuration") {
      this.configuration = message;
      this.#configured?.();
    } else if (message.type === "coinbaser") {
      const resolve = this.#splits.shift();
      if (resolve === undefined) throw new Error("a split that nobody asked for");
      resolve(message);
    } else if (isQuestion(message)) {
      if (message.type === "fullSetRequest") this.fullSetRequests.push(message.jobId);
      if (this.answersQuestions) this.answer(message);
    }
  }

  /** Answers a question about a job's transactions as the job's template has it. */
  answer(question: Question): void {
    const template = (slot: number): Template | undefined => this.#slots[slot]?.template;
    this.send(answerValidation(question, template, this.keys.sign.publicKey, this.#poolKey));
  }

  /** Answers that it has no template to tell of. */
  refuse({ type, jobId }: Question): void {
    this.send(refusal(REPLY_TYPES[type], jobId, "noTemplate"));
  }

  #onClose(resolve: () => void): void {
    this.#open = false;
    for (const answer of this.#splits.splice(0)) answer(undefined);
    for (const waiting of this.#answers.values()) for (const answer of waiting) answer("lost");
    this.#answers.clear();
    resolve();
  }
}
