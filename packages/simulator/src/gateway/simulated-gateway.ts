/**
 * A gateway on the wire: builds its work from a node's templates, asks the pool for splits, mines with simulated miners and sends
 * their shares, as DATUM.md sections 8 to 11 tell of the public gateway.
 */
import { randomBytes } from "node:crypto";
import { assembleBlock, NodeClient, reverseHex } from "@openprime/bitcoin";
import {
  type CoinbaserResponse,
  type Configuration,
  type DatumCrypto,
  decodePublicKey,
  generateLongTermKeys,
  JOB_COUNT,
  type LongTermKeys,
  loadCrypto,
  type PoolMessage,
  type PoolPublicKey,
  type Share,
  type ShareResponse,
} from "@openprime/datum";
import { SimulatorError } from "../errors.js";
import { Hasher } from "../mining/hasher.js";
import type { RpcAccess } from "../node/options.js";
import { type CoinbaseKind, SUBSIDY_ONLY } from "./coinbase.js";
import { PoolConnection } from "./connection.js";
import type { GatewayFigures } from "./figures.js";
import { Job } from "./job.js";
import { type FoundShare, type MinerOptions, SimulatedMiner } from "./miner.js";
import { readTemplate, type Template } from "./template.js";
import { answerValidation } from "./validation.js";
import { headerWithNonce } from "./work.js";

/** Ways to be wrong, for tests of the pool. */
export type Misbehaviour =
  /** Pays another script than the pool's. */
  | "badPayee"
  | "wrongTag"
  | "wrongPrimeId"
  /** Never takes a new tip. */
  | "staleWork"
  /** Sends each share twice. */
  | "duplicates"
  /** Sends usernames that are no addresses. */
  | "garbageUsername";

export interface SimulatedGatewayOptions {
  /** For logs and figures. */
  readonly name: string;
  /** `publicKey`: 128 hex digits, as an operator pastes it. */
  readonly pool: { readonly host: string; readonly port: number; readonly publicKey: string };
  readonly node: RpcAccess;
  readonly miners: readonly MinerOptions[];
  /** Cut to the room that the pool's tag leaves. */
  readonly secondaryTag?: string;
  /** u16. */
  readonly uniqueId?: number;
  /**
   * How many times faster than life: jobs (every 40 s), variable difficulty (8 shares a minute), the node's polling (1 s) and
   * reconnecting (5-20 s). Not the waits for the pool, which runs in real time: see `timeouts`.
   */
  readonly timeScale?: number;
  readonly timeouts?: {
    /** Nothing heard from the pool; 60,000 ms. */
    readonly silenceMs?: number;
    /** Shares sent and none accepted; 30,000 ms. */
    readonly acceptanceMs?: number;
    /** For a split; 5,000 ms. */
    readonly coinbaserMs?: number;
  };
  /** The gateway's own floor, a power of two; default 1. */
  readonly minimumDifficulty?: number;
  /** Found blocks go to the gateway's own node first, as in life (default); `false` leaves them to the pool. */
  readonly submitBlocks?: boolean;
  readonly misbehaviours?: readonly Misbehaviour[];
}

export interface SimulatedGatewayModules {
  /** Shared by several gateways; one of its own otherwise. */
  readonly hasher?: Hasher;
  readonly crypto?: DatumCrypto;
  /** The gateway's identity; fresh otherwise. */
  readonly longTermKeys?: LongTermKeys;
  /** What happens, a line each. */
  readonly log?: (line: string) => void;
}

const JOB_SECONDS = 40;
const POLL_MS = 1000;
const SHARES_PER_MINUTE = 8;
/** How long miners are on subsidy-only work after a new block; in life, as long as it takes to send it to all of them. */
const EMPTY_WORK_MS = 500;
/** However fast time runs, miners need some turns of the hashing thread to find anything on it. */
const LEAST_EMPTY_WORK_MS = 100;
const COINBASER_WAIT_MS = 5000;
/** Below it the gateway asks for no split, satoshis. */
const LEAST_SPLIT_VALUE = 31_250_000n;
const VERSION = "v0.4.1-beta/0000000000000000000000000000000000000000(openprime-simulator)";
/** A script that is nobody's. */
const WRONG_SCRIPT = Uint8Array.of(0x00, 0x14, ...new Uint8Array(20).fill(0xee));

interface WaitingShare {
  readonly miner: SimulatedMiner;
  readonly sentAt: number;
}

const waitingKey = (share: { nonce: number; targetByte: number; jobId: number }): string =>
  `${share.nonce}:${share.targetByte}:${share.jobId}`;

export class SimulatedGateway {
  readonly name: string;
  readonly #options: SimulatedGatewayOptions;
  readonly #scale: number;
  readonly #misbehaviours: ReadonlySet<Misbehaviour>;
  readonly #log: (line: string) => void;
  readonly #crypto: DatumCrypto;
  readonly #keys: LongTermKeys;
  readonly #poolKey: PoolPublicKey;
  readonly #node: NodeClient;
  readonly #hasher: Hasher;
  readonly #ownsHasher: boolean;
  readonly #miners: readonly SimulatedMiner[];
  readonly #slots: (Job | undefined)[] = new Array<Job | undefined>(JOB_COUNT).fill(undefined);
  #nextSlot = 0;
  #prefix = 0;
  #connection: PoolConnection | undefined;
  #configuration: Configuration | undefined;
  /** Connected and configured. */
  #active = false;
  #failures = 0;
  #stopped = false;
  #prevhash = "";
  #job: Job | undefined;
  /** Refreshing the template; a request meanwhile asks for one more round. */
  #refreshing = false;
  #again: "normal" | "forced" | undefined;
  /** The job that waits for a split next; only one request is out at a time. */
  #needsSplit: { job: Job; ready: () => void } | undefined;
  #fetching: { value: bigint; done: (answer: CoinbaserResponse | undefined) => void } | undefined;
  #jobTimer: NodeJS.Timeout | undefined;
  #pollTimer: NodeJS.Timeout | undefined;
  #reconnectTimer: NodeJS.Timeout | undefined;
  readonly #paced = new Set<NodeJS.Timeout>();
  readonly #waiting = new Map<string, WaitingShare[]>();
  readonly #counts = {
    connections: 0,
    jobs: 0,
    validations: 0,
    coinbasers: { requested: 0, answered: 0, missed: 0, empty: 0, outputs: 0 },
    shares: { sent: 0, accepted: 0, tentative: 0, rejected: 0, unknownResponses: 0, unanswered: 0, dropped: 0 },
    reasons: {} as Record<number, number>,
    latency: { sum: 0, count: 0, max: 0 },
    blocks: { found: 0, submitted: 0, hashes: [] as string[] },
  };
  #lastClosed: string | undefined;
  readonly #changed = new Set<() => void>();

  private constructor(options: SimulatedGatewayOptions, crypto: DatumCrypto, modules: SimulatedGatewayModules) {
    this.name = options.name;
    this.#options = options;
    this.#scale = options.timeScale ?? 1;
    this.#misbehaviours = new Set(options.misbehaviours ?? []);
    this.#log = modules.log ?? (() => undefined);
    this.#crypto = crypto;
    this.#keys = modules.longTermKeys ?? generateLongTermKeys(crypto);
    this.#poolKey = decodePublicKey(options.pool.publicKey);
    this.#node = new NodeClient(options.node);
    this.#ownsHasher = modules.hasher === undefined;
    this.#hasher = modules.hasher ?? new Hasher((error) => this.#log(`hashing thread: ${error.message}`));
    this.#miners = options.miners.map(
      (miner) =>
        new SimulatedMiner(
          miner,
          { sharesPerMinute: SHARES_PER_MINUTE, minimumDifficulty: options.minimumDifficulty ?? 1 },
          { hasher: this.#hasher, now: () => performance.now() * this.#scale, onFound: (share) => void this.#found(share) },
        ),
    );
  }

  /** Starts a gateway: connects in the background and goes on until {@link stop}. */
  static async start(options: SimulatedGatewayOptions, modules: SimulatedGatewayModules = {}): Promise<SimulatedGateway> {
    const gateway = new SimulatedGateway(options, modules.crypto ?? (await loadCrypto()), modules);
    gateway.#connect();
    gateway.#poll();
    return gateway;
  }

  // --- the pool

  #connect(): void {
    if (this.#stopped) return;
    const startedAt = performance.now();
    for (const job of this.#slots) job?.forgetTold();
    const timeouts = this.#options.timeouts ?? {};
    this.#connection = new PoolConnection(
      {
        host: this.#options.pool.host,
        port: this.#options.pool.port,
        poolPublicKey: this.#poolKey,
        crypto: this.#crypto,
        longTermKeys: this.#keys,
        version: VERSION,
        silenceMs: timeouts.silenceMs ?? 60_000,
        acceptanceMs: timeouts.acceptanceMs ?? 30_000,
      },
      {
        message: (message) => this.#receive(message),
        closed: (why) => this.#disconnected(why, startedAt),
      },
    );
  }

  #disconnected(why: string, startedAt: number): void {
    this.#lastClosed = why;
    this.#failures = this.#active ? 1 : this.#failures + 1;
    this.#active = false;
    this.#fetching?.done(undefined);
    for (const waiting of this.#waiting.values()) this.#counts.shares.unanswered += waiting.length;
    this.#waiting.clear();
    this.#log(`disconnected: ${why}`);
    this.#notifyChange();
    if (this.#stopped) return;
    // Pooled mining only: miners are cut off when coming back has failed once.
    if (this.#failures >= 2) for (const miner of this.#miners) miner.rest();
    // Counted from the last attempt, so after a long connection nearly at once.
    const backoff = (5000 + Math.random() * 15_000) / this.#scale;
    this.#reconnectTimer = setTimeout(() => this.#connect(), Math.max(20, startedAt + backoff - performance.now()));
  }

  #receive(message: PoolMessage): void {
    switch (message.type) {
      case "configuration":
        this.#configure(message);
        break;
      case "coinbaser":
        this.#fetching?.done(message);
        break;
      case "shareResponse":
        this.#answered(message);
        break;
      case "blockNotify":
        this.#refresh("normal");
        break;
      case "shortIdsRequest":
      case "transactionsByIndexRequest":
      case "fullSetRequest":
        this.#counts.validations += 1;
        this.#connection?.send(answerValidation(message, (slot) => this.#slots[slot]?.template, this.#keys.sign.publicKey, this.#poolKey));
        break;
      case "info":
        this.#log(`pool: ${message.text}`);
        break;
      case "ping":
        break;
    }
    this.#notifyChange();
  }

  #configure(configuration: Configuration): void {
    const bend = (wanted: Misbehaviour): boolean => this.#misbehaviours.has(wanted);
    this.#configuration = {
      ...configuration,
      payoutScript: bend("badPayee") ? WRONG_SCRIPT : configuration.payoutScript,
      tag: bend("wrongTag") ? new TextEncoder().encode("not this pool") : configuration.tag,
      primeId: bend("wrongPrimeId") ? (configuration.primeId ^ 1) >>> 0 : configuration.primeId,
    };
    const minimum = Math.max(this.#options.minimumDifficulty ?? 1, Number(configuration.minimumDifficulty));
    for (const miner of this.#miners) miner.setMinimum(minimum);
    if (this.#active) return;
    this.#active = true;
    this.#counts.connections += 1;
    this.#log(`configured: prime id ${configuration.primeId}, minimum difficulty ${configuration.minimumDifficulty}`);
    this.#refresh("forced");
  }

  // --- templates and jobs

  #poll(): void {
    const later = (): void => {
      if (!this.#stopped) this.#pollTimer = setTimeout(() => this.#poll(), Math.max(50, POLL_MS / this.#scale));
    };
    this.#node.bestBlockHash().then(
      (hash) => {
        if (hash !== this.#prevhash) this.#refresh("normal");
        later();
      },
      (error: Error) => {
        if (!this.#stopped) this.#log(`node: ${error.message}`);
        later();
      },
    );
  }

  /** Takes a new template; `forced` makes clean work even on the same tip. */
  #refresh(how: "normal" | "forced"): void {
    if (this.#refreshing) {
      this.#again = this.#again === "forced" ? "forced" : how;
      return;
    }
    this.#refreshing = true;
    clearTimeout(this.#jobTimer);
    this.#newJobs(how)
      .catch((error: unknown) => {
        if (!this.#stopped) this.#log(`no new work: ${error instanceof Error ? error.message : String(error)}`);
      })
      .finally(() => {
        this.#refreshing = false;
        const again = this.#again;
        this.#again = undefined;
        if (this.#stopped) return;
        this.#jobTimer = setTimeout(() => this.#refresh("normal"), (JOB_SECONDS * 1000) / this.#scale);
        if (again !== undefined) this.#refresh(again);
      });
  }

  async #newJobs(how: "normal" | "forced"): Promise<void> {
    const answer = await this.#node.blockTemplate();
    const newTip = answer.previousblockhash !== this.#prevhash;
    if (newTip && this.#prevhash !== "" && this.#misbehaviours.has("staleWork") && this.#job !== undefined) return;
    this.#prevhash = answer.previousblockhash;
    if (!this.#active || this.#stopped) return;
    const template = readTemplate(answer);
    for (const timer of this.#paced) clearTimeout(timer);
    this.#paced.clear();

    if (newTip || how === "forced" || this.#job === undefined) {
      for (const old of this.#slots) if (old !== undefined) old.stale = true;
      const first = this.#newJob(template);
      this.#assignAll(first, SUBSIDY_ONLY);
      this.#after(Math.max(LEAST_EMPTY_WORK_MS, EMPTY_WORK_MS / this.#scale), () => {
        if (this.#job === first) this.#assignAll(first, 0);
        const full = this.#newJob(template);
        this.#wantSplit(full, () => this.#assignOwn(full, 0));
      });
    } else {
      const next = this.#newJob(template);
      this.#wantSplit(next, () => this.#assignOwn(next, (JOB_SECONDS - 3) * 1000));
    }
  }

  #newJob(template: Template): Job {
    if (this.#configuration === undefined) throw new SimulatorError("gatewayStopped", "a job needs the pool's configuration");
    const slot = this.#nextSlot;
    this.#nextSlot = (slot + 1) % JOB_COUNT;
    this.#prefix = (this.#prefix + 1) & 0xffff;
    const job = new Job(template, slot, this.#prefix ^ 0xb10c, {
      configuration: this.#configuration,
      secondaryTag: new TextEncoder().encode(this.#options.secondaryTag ?? "DATUM User"),
      uniqueId: this.#options.uniqueId ?? 4242,
    });
    this.#slots[slot] = job;
    this.#job = job;
    this.#counts.jobs += 1;
    return job;
  }

  #after(ms: number, what: () => void): void {
    const timer = setTimeout(() => {
      this.#paced.delete(timer);
      if (!this.#stopped && this.#active) what();
    }, ms);
    this.#paced.add(timer);
  }

  #assignAll(job: Job, kind: CoinbaseKind): void {
    for (const miner of this.#miners) miner.assign(job, kind);
  }

  /** Each miner its own kind of coinbase, one after another over `overMs` of the gateway's time (0: all at once). */
  #assignOwn(job: Job, overMs: number): void {
    // Without an answer from the pool everything pays the pool: coinbase 0.
    const kindOf = (miner: SimulatedMiner): CoinbaseKind => (job.hasAnswer ? miner.kind : 0);
    for (const [i, miner] of this.#miners.entries()) {
      if (overMs === 0) miner.assign(job, kindOf(miner));
      else this.#after((overMs * i) / this.#miners.length / this.#scale, () => miner.assign(job, kindOf(miner)));
    }
  }

  #wantSplit(job: Job, ready: () => void): void {
    const waiting = this.#needsSplit !== undefined || this.#fetching !== undefined;
    this.#needsSplit = { job, ready };
    if (!waiting) void this.#fetchSplits();
  }

  async #fetchSplits(): Promise<void> {
    for (let next = this.#needsSplit; next !== undefined; next = this.#needsSplit) {
      this.#needsSplit = undefined;
      const { job, ready } = next;
      await this.#fetchSplit(job);
      if (this.#job === job && this.#active && !this.#stopped) ready();
    }
  }

  async #fetchSplit(job: Job): Promise<void> {
    const value = job.template.value;
    if (value < LEAST_SPLIT_VALUE || !this.#active) return job.setSplit(0, []);
    const answer = await new Promise<CoinbaserResponse | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), this.#options.timeouts?.coinbaserMs ?? COINBASER_WAIT_MS);
      this.#fetching = {
        value,
        done: (response) => {
          clearTimeout(timer);
          resolve(response);
        },
      };
      this.#counts.coinbasers.requested += 1;
      this.#connection?.send({ type: "coinbaserRequest", value, prevhash: job.template.prevhash });
    });
    this.#fetching = undefined;
    const counts = this.#counts.coinbasers;
    if (answer === undefined || answer.value !== value) {
      counts.missed += 1;
      return;
    }
    counts.answered += 1;
    counts.outputs = answer.outputs.length;
    if (answer.outputs.length === 0) counts.empty += 1;
    job.setSplit(answer.outputs.length === 0 ? 0 : answer.coinbaserId, answer.outputs);
  }

  // --- shares

  async #found(share: FoundShare): Promise<void> {
    if (share.isBlock) await this.#block(share);
    // A block goes out even when its job is stale.
    else if (share.work.job.stale && !this.#misbehaviours.has("staleWork")) {
      this.#counts.shares.dropped += 1;
      return;
    }
    this.#submit(share);
    if (this.#misbehaviours.has("duplicates")) this.#submit(share);
    if (!share.work.job.stale) share.miner.counted();
  }

  async #block(share: FoundShare): Promise<void> {
    const blocks = this.#counts.blocks;
    blocks.found += 1;
    blocks.hashes.push(reverseHex(share.hash));
    this.#log(`block found: ${reverseHex(share.hash)} at height ${share.work.job.template.height}`);
    if (this.#options.submitBlocks === false) return;
    const transactions = share.work.kind === SUBSIDY_ONLY ? [] : share.work.job.template.transactions.map((one) => one.raw);
    const block = assembleBlock(headerWithNonce(share.work, share.nonce), share.work.coinbase, transactions);
    try {
      const refusal = await this.#node.submitBlock(Buffer.from(block).toString("hex"));
      if (refusal === null) {
        blocks.submitted += 1;
        this.#refresh("normal");
      } else {
        this.#log(`node refused the block: ${refusal}`);
      }
    } catch (error) {
      this.#log(`block not submitted: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #submit(found: FoundShare): void {
    const { work, miner } = found;
    const slot = work.job.slot;
    // As in life, the sections are those of the job that holds the slot now.
    const holder = this.#slots[slot] ?? work.job;
    const sendsJob = !holder.told.job;
    const sendsCoinbase = !holder.told.coinbases.has(work.kind);
    const share: Share = {
      type: "share",
      jobId: slot,
      coinbaseId: work.kind,
      isBlock: found.isBlock,
      subsidyOnly: work.kind === SUBSIDY_ONLY,
      quickdiff: work.quickdiff,
      unknownFlags: 0,
      targetByte: work.targetByte,
      ntime: work.ntime,
      nonce: found.nonce,
      version: work.version,
      extranonce: work.extranonce,
      username: this.#misbehaviours.has("garbageUsername")
        ? randomBytes(24).map((byte) => byte | 1)
        : new TextEncoder().encode(miner.username),
      reserved: 0,
      ...(sendsJob ? { job: holder.jobSection() } : {}),
      ...(sendsCoinbase ? { coinbase: holder.coinbaseSection(work.kind) } : {}),
    };
    if (!this.#active || this.#connection?.send(share) !== true) {
      this.#counts.shares.dropped += 1;
      return;
    }
    holder.told.job = true;
    holder.told.coinbases.add(work.kind);
    this.#counts.shares.sent += 1;
    const key = waitingKey(share);
    const waiting = { miner, sentAt: performance.now() };
    const others = this.#waiting.get(key);
    if (others === undefined) this.#waiting.set(key, [waiting]);
    else others.push(waiting);
  }

  #answered(response: ShareResponse): void {
    const counts = this.#counts;
    const key = waitingKey(response);
    const queue = this.#waiting.get(key);
    const share = queue?.shift();
    if (queue?.length === 0) this.#waiting.delete(key);
    if (response.status === "rejected") {
      counts.shares.rejected += 1;
      counts.reasons[response.reason] = (counts.reasons[response.reason] ?? 0) + 1;
    } else {
      counts.shares[response.status] += 1;
    }
    if (share === undefined) {
      counts.shares.unknownResponses += 1;
      return;
    }
    const figures = share.miner.figures;
    if (response.status === "rejected") {
      figures.rejected += 1;
    } else {
      figures.accepted += 1;
      figures.acceptedDifficulty += 2 ** response.targetByte;
    }
    const took = performance.now() - share.sentAt;
    counts.latency.sum += took;
    counts.latency.count += 1;
    counts.latency.max = Math.max(counts.latency.max, took);
  }

  // --- from outside

  #notifyChange(): void {
    for (const check of this.#changed) check();
  }

  /** Waits until the figures are as wanted; looked at after every message of the pool. Rejects when the gateway is stopped. */
  async until(wanted: (figures: GatewayFigures) => boolean): Promise<GatewayFigures> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        const figures = this.snapshot();
        const done = wanted(figures);
        if (!done && !this.#stopped) return;
        this.#changed.delete(check);
        if (done) resolve(figures);
        else reject(new SimulatorError("gatewayStopped", `${this.name} was stopped before what was waited for`));
      };
      this.#changed.add(check);
      check();
    });
  }

  /** Cuts the connection as a broken network would; the gateway comes back by itself. */
  cut(): void {
    this.#connection?.close("cut");
  }

  snapshot(): GatewayFigures {
    const { shares, latency, blocks, coinbasers } = this.#counts;
    let waiting = 0;
    for (const queue of this.#waiting.values()) waiting += queue.length;
    return {
      name: this.name,
      connected: this.#active,
      connections: this.#counts.connections,
      lastClosed: this.#lastClosed,
      primeId: this.#configuration?.primeId,
      height: this.#job?.template.height,
      jobs: this.#counts.jobs,
      coinbasers: { ...coinbasers },
      shares: { ...shares, reasons: { ...this.#counts.reasons }, waiting },
      latency: { mean: latency.count === 0 ? 0 : latency.sum / latency.count, max: latency.max },
      blocks: { ...blocks, hashes: [...blocks.hashes] },
      validations: this.#counts.validations,
      miners: this.#miners.map((miner) => miner.snapshot()),
    };
  }

  /** Stops mining; shares on their way are still answered. */
  rest(): void {
    for (const timer of this.#paced) clearTimeout(timer);
    this.#paced.clear();
    for (const miner of this.#miners) miner.rest();
  }

  /** Ends the gateway and its connection. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.rest();
    clearTimeout(this.#jobTimer);
    clearTimeout(this.#pollTimer);
    clearTimeout(this.#reconnectTimer);
    for (const miner of this.#miners) miner.remove();
    this.#connection?.close("stopped");
    this.#notifyChange();
    await this.#node.close();
    if (this.#ownsHasher) await this.#hasher.close();
  }
}
