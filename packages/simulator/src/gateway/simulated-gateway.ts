/**
 * A gateway on the wire: builds its work from a node's templates, asks the pool for splits, mines with simulated miners and sends
 * their shares, as DATUM.md sections 8 to 11 tell of the public gateway.
 */
import { randomBytes } from "node:crypto";
import { assembleBlock, NodeClient, reverseHex } from "@openprime/bitcoin";
import {
  type Configuration,
  type DatumCrypto,
  decodePublicKey,
  type FullSetRequest,
  generateLongTermKeys,
  JOB_COUNT,
  type LongTermKeys,
  loadCrypto,
  type PoolMessage,
  type PoolPublicKey,
  type Share,
  type ShortIdsRequest,
  type TransactionsByIndexRequest,
} from "@openprime/datum";
import { SimulatorError } from "../errors.js";
import { Hasher } from "../mining/hasher.js";
import { type CoinbaseKind, SUBSIDY_ONLY } from "./coinbase.js";
import { PoolConnection } from "./connection.js";
import { type GatewayFault, isAnswerFault, spoil } from "./faults.js";
import type { GatewayFigures } from "./figures.js";
import { Job } from "./job.js";
import { type FoundShare, SimulatedMiner } from "./miner.js";
import type { Misbehaviour, SimulatedGatewayModules, SimulatedGatewayOptions } from "./options.js";
import { ShareTally } from "./share-tally.js";
import { SplitRequests } from "./split-requests.js";
import { readTemplate, type Template } from "./template.js";
import { answerValidation, REPLY_TYPES, refusal } from "./validation.js";
import { headerWithNonce } from "./work.js";

const JOB_SECONDS = 40;
const POLL_MS = 1000;
const SHARES_PER_MINUTE = 8;
/** How long miners are on subsidy-only work after a new block; in life, as long as it takes to send it to all of them. */
const EMPTY_WORK_MS = 500;
/** However fast time runs, miners need some turns of the hashing thread to find anything on it. */
const LEAST_EMPTY_WORK_MS = 100;
const LATE_MS = 10_000;
const VERSION = "v0.4.1-beta/0000000000000000000000000000000000000000(openprime-simulator)";
/** A script that is nobody's. */
const WRONG_SCRIPT = Uint8Array.of(0x00, 0x14, ...new Uint8Array(20).fill(0xee));

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
  readonly #splits: SplitRequests;
  #jobTimer: NodeJS.Timeout | undefined;
  #pollTimer: NodeJS.Timeout | undefined;
  #reconnectTimer: NodeJS.Timeout | undefined;
  readonly #paced = new Set<NodeJS.Timeout>();
  readonly #tally = new ShareTally();
  readonly #counts = {
    connections: 0,
    jobs: 0,
    validations: 0,
    blocks: { found: 0, submitted: 0, hashes: [] as string[] },
  };
  #lastClosed: string | undefined;
  #fault: GatewayFault | undefined;
  #nodeCut = false;
  /** Answers that are late on purpose. */
  readonly #late = new Set<NodeJS.Timeout>();
  readonly #changed = new Set<() => void>();

  private constructor(options: SimulatedGatewayOptions, crypto: DatumCrypto, modules: SimulatedGatewayModules) {
    this.name = options.name;
    this.#options = options;
    this.#scale = options.timeScale ?? 1;
    this.#misbehaviours = new Set(options.misbehaviours ?? []);
    this.#fault = options.fault;
    this.#log = modules.log ?? (() => undefined);
    this.#crypto = crypto;
    this.#keys = modules.longTermKeys ?? generateLongTermKeys(crypto);
    this.#poolKey = decodePublicKey(options.pool.publicKey);
    this.#node = new NodeClient(options.node);
    this.#splits = new SplitRequests(options.timeouts?.coinbaserMs, (request) => this.#active && this.#connection?.send(request) === true);
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
    this.#splits.disconnected();
    this.#tally.disconnected();
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
        this.#splits.answered(message);
        break;
      case "shareResponse":
        this.#tally.answered(message);
        break;
      case "blockNotify":
        this.#refresh("normal");
        break;
      case "shortIdsRequest":
      case "transactionsByIndexRequest":
      case "fullSetRequest":
        this.#counts.validations += 1;
        this.#answer(message);
        break;
      case "info":
        this.#log(`pool: ${message.text}`);
        break;
      case "ping":
        break;
    }
    this.#notifyChange();
  }

  #answer(question: ShortIdsRequest | TransactionsByIndexRequest | FullSetRequest): void {
    if (this.#fault === "neverAnswers") return;
    const answer =
      this.#fault === "answersError"
        ? refusal(REPLY_TYPES[question.type], question.jobId, "noTemplate")
        : answerValidation(question, (slot) => this.#slots[slot]?.template, this.#keys.sign.publicKey, this.#poolKey);
    if (this.#fault !== "answersLate") {
      this.#connection?.send(answer);
      return;
    }
    const timer = setTimeout(() => {
      this.#late.delete(timer);
      this.#connection?.send(answer);
    }, this.#options.lateMs ?? LATE_MS);
    this.#late.add(timer);
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
    if (this.#nodeCut) {
      later();
      return;
    }
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
    if (this.#nodeCut) throw new SimulatorError("nodeEnded", "the gateway's node is cut off");
    const answer = await this.#node.blockTemplate();
    const newTip = answer.previousblockhash !== this.#prevhash;
    if (newTip && this.#prevhash !== "" && this.#misbehaviours.has("staleWork") && this.#job !== undefined) return;
    this.#prevhash = answer.previousblockhash;
    if (!this.#active || this.#stopped) return;
    const template = this.#spoiled(readTemplate(answer));
    for (const timer of this.#paced) clearTimeout(timer);
    this.#paced.clear();

    if (newTip || how === "forced" || this.#job === undefined) {
      for (const old of this.#slots) if (old !== undefined) old.stale = true;
      const first = this.#newJob(template);
      this.#announce(first, [0, SUBSIDY_ONLY]);
      this.#assignAll(first, SUBSIDY_ONLY);
      this.#after(Math.max(LEAST_EMPTY_WORK_MS, EMPTY_WORK_MS / this.#scale), () => {
        if (this.#job === first) this.#assignAll(first, 0);
        const full = this.#newJob(template);
        this.#splits.want(full, () => this.#useSplit(full, 0));
      });
    } else {
      const next = this.#newJob(template);
      this.#splits.want(next, () => this.#useSplit(next, (JOB_SECONDS - 3) * 1000));
    }
  }

  /** With the gateway's fault, where it is one of templates and this one has something to spoil. */
  #spoiled(template: Template): Template {
    const fault = this.#fault;
    if (fault === undefined || isAnswerFault(fault)) return template;
    return template.transactions.length === 0 ? template : spoil(template, fault);
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

  /** The sections go out with the job's shares all the same: a pool need not understand announcements. */
  #announce(job: Job, kinds: readonly CoinbaseKind[]): void {
    if (this.#options.announceJobs !== true) return;
    const coinbases = kinds.map((kind) => job.coinbaseSection(kind));
    this.#connection?.send({ type: "jobAnnouncement", jobId: job.slot, job: job.jobSection(), coinbases });
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

  #useSplit(job: Job, overMs: number): void {
    if (this.#job !== job || !this.#active || this.#stopped) return;
    this.#announce(job, [0, 1, 2, 3, 4, 5]);
    this.#assignOwn(job, overMs);
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

  // --- shares

  async #found(share: FoundShare): Promise<void> {
    if (share.isBlock) await this.#block(share);
    // A block goes out even when its job is stale.
    else if (share.work.job.stale && !this.#misbehaviours.has("staleWork")) {
      this.#tally.dropped();
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
    if (this.#options.submitBlocks === false || this.#nodeCut) return;
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
      this.#tally.dropped();
      return;
    }
    holder.told.job = true;
    holder.told.coinbases.add(work.kind);
    this.#tally.sent(share, miner);
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

  /** Its templates (or answers) are wrong in this way from now on; undefined mends it. It makes new work at once. */
  break(fault: GatewayFault | undefined): void {
    this.#fault = fault;
    this.#refresh("forced");
  }

  /** The job that is newest; undefined before the first. */
  get work(): Job | undefined {
    return this.#job;
  }

  /** Its own node is gone: it mines on what it has, and has nobody to give its blocks to but the pool. */
  cutNode(): void {
    this.#nodeCut = true;
  }

  restoreNode(): void {
    this.#nodeCut = false;
    this.#refresh("normal");
  }

  /** Cuts the connection as a broken network would; the gateway comes back by itself. */
  cut(): void {
    this.#connection?.close("cut");
  }

  snapshot(): GatewayFigures {
    const { blocks } = this.#counts;
    return {
      name: this.name,
      connected: this.#active,
      connections: this.#counts.connections,
      lastClosed: this.#lastClosed,
      primeId: this.#configuration?.primeId,
      height: this.#job?.template.height,
      jobs: this.#counts.jobs,
      coinbasers: { ...this.#splits.counts },
      ...this.#tally.snapshot(),
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
    for (const timer of this.#late) clearTimeout(timer);
    for (const miner of this.#miners) miner.remove();
    this.#connection?.close("stopped");
    this.#notifyChange();
    await this.#node.close();
    if (this.#ownsHasher) await this.#hasher.close();
  }
}
