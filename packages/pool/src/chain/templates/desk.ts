/**
 * The desk that judges the templates behind jobs. A job is taken in at once and worked off in the background: its transactions are got
 * (collect.ts), checked (checks.ts) and shown to the node (proposals.ts); the verdict goes into the JobTemplate and the books.
 *
 * Gateways get deadlines, not patience:
 * - One that is connected and gives no answer of use is asked twice; then the job is unsound (`noAnswer`).
 * - One that leaves is asked again after the time that a return takes. Is it not back, or still without an answer, the job is unjudged.
 * - So is a job whose slot is filled anew before the answer. But a gateway that gets away with either too often (reputation.ts) has its jobs
 *   refused for it (`evaded`).
 * - An answer that is not the job's may come from a slot that was filled anew a moment ago: the full set is asked for once more, later, when
 *   a share would have told of the new job. Only then is the job unsound; or, where it was asked about late, taken for one whose slot was
 *   filled anew: a gateway with few shares may not have told of that by then.
 */
import { assembleBlock } from "@openprime/bitcoin";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { JobTemplate, OpenedJob, Parent, TemplateDesk } from "../../work/index.js";
import { MempoolError } from "../errors.js";
import type { OwnTemplate } from "../own-template.js";
import { findClaimFault, findFault } from "./checks.js";
import type { Fault, Judgement, UnjudgedCode } from "./codes.js";
import { type Collected, type CollectModules, type CollectPath, collect, type SourceFault } from "./collect.js";
import { KeptSets } from "./kept-sets.js";
import { keyOf } from "./mempool-store.js";
import { OwnTemplates } from "./own-templates.js";
import type { Proposals } from "./proposals.js";
import { Reputation } from "./reputation.js";
import { TemplateMetrics } from "./template-metrics.js";
import { makeSet, SetReader, type TransactionSet } from "./transaction-set.js";
import type { MempoolView, TemplateStore, TemplateVerdict } from "./types.js";
import { type Urgency, UrgentQueue } from "./urgent-queue.js";

export interface TemplateDeskOptions {
  /** Which jobs are judged; besides those drawn `sample` judges what new gateways and those with a bad record bring. */
  readonly check: "always" | "sample";
  /** Part of the jobs that `sample` draws, 0 to 1. */
  readonly sample: number;
  /** Least fees of a template, parts per million of the fees of the node's own; 0 for no floor. */
  readonly leastFeesPpm: number;
  /** What happens below it: a word to the gateway, or the job is refused. */
  readonly floorAction: "tell" | "refuse";
  /** Jobs that may wait for their turn; 2,000 by default. */
  readonly waiting?: number;
  /** Jobs without a verdict of one gateway; 16 by default, twice what it has slots. */
  readonly perSession?: number;
  /** Gateways that are asked at one time; 100 by default. An answer may hold four megabytes. */
  readonly concurrent?: number;
  /** Raw bytes of judged sets that stay in memory; 128 MiB by default. */
  readonly keptBytes?: number;
  /** Before a silent gateway is asked again; 2 s by default. */
  readonly retryMs?: number;
  /** Before one that left is asked again; 25 s by default: a gateway is back within 20. */
  readonly reconnectMs?: number;
  /** Before an answer that is not the job's is asked for again; 20 s by default. */
  readonly confirmMs?: number;
}

export interface TemplateDeskModules {
  readonly mempool: MempoolView;
  readonly store: TemplateStore;
  readonly proposals: Pick<Proposals, "propose" | "waiting" | "stop">;
  /** New coins of the block at a height, satoshis. */
  readonly subsidy: (height: number) => bigint;
  readonly log: Logger;
  readonly metrics: Registry;
  /** Pool clock, milliseconds. */
  readonly now: () => number;
  /** A clock that is never set, milliseconds. */
  readonly monotonic?: () => number;
  /** From 0 to under 1. */
  readonly random?: () => number;
}

/** A job on its way to a verdict. */
interface Inspection {
  readonly opened: OpenedJob;
  readonly template: JobTemplate;
  readonly urgency: Urgency;
  readonly since: number;
  /** When it was asked about first. */
  askedAt: number | undefined;
  lastAskedAt: number | undefined;
  silences: number;
  disconnects: number;
  /** An answer was not the job's, and is to be confirmed; a late one was asked for when the slot may have been filled anew. */
  mismatch: { readonly late: boolean } | undefined;
  /** Waiting to be asked again. */
  timer: NodeJS.Timeout | undefined;
}

/** What the verdict tells besides the judgement. */
interface Findings {
  readonly path: CollectPath;
  readonly fees: bigint | undefined;
  readonly own: TemplateVerdict["own"];
}

/** Before a gateway is told again that its templates are below the floor. */
const FLOOR_TOLD_MS = 600_000;
/** Gateways for which it is remembered when that was. */
const MAX_FLOOR_TOLD = 10_000;
/** A gateway that was asked within this time of its job's first share had the job. It fills a slot anew after 35 s at the soonest. */
const PROMPT_MS = 10_000;
const PPM = 1_000_000n;
const HEADER_TIME = 68;

export class BackgroundTemplateDesk implements TemplateDesk {
  readonly #options: Required<TemplateDeskOptions>;
  readonly #monotonic: () => number;
  readonly #random: () => number;
  readonly #log: Logger;
  readonly #metrics: TemplateMetrics;
  readonly #reputation = new Reputation();
  readonly #own = new OwnTemplates();
  readonly #kept: KeptSets;
  readonly #sources: CollectModules;
  readonly #queue: UrgentQueue<Inspection>;
  /** Without a verdict. */
  readonly #open = new Map<bigint, Set<Inspection>>();
  #openCount = 0;
  /** Sessions that are being asked: one job of each at a time. */
  readonly #asking = new Set<bigint>();
  /** Fees of a set's transactions, once all are known. */
  readonly #fees = new WeakMap<TransactionSet, readonly bigint[]>();
  readonly #floorTold = new Map<bigint, number>();
  #stopped = false;

  constructor(
    options: TemplateDeskOptions,
    private readonly modules: TemplateDeskModules,
  ) {
    this.#options = {
      ...{
        waiting: 2000,
        perSession: 16,
        concurrent: 100,
        keptBytes: 134_217_728,
        retryMs: 2000,
        reconnectMs: 25_000,
        confirmMs: 20_000,
      },
      ...options,
    };
    this.#monotonic = modules.monotonic ?? (() => performance.now());
    this.#random = modules.random ?? Math.random;
    this.#log = modules.log;
    this.#kept = new KeptSets(this.#options.keptBytes);
    const kept = (key: string): TransactionSet | undefined => this.#kept.get(key);
    this.#sources = { mempool: modules.mempool, kept, reader: new SetReader(kept) };
    this.#queue = new UrgentQueue(this.#options.waiting);
    this.#metrics = new TemplateMetrics(modules.metrics, {
      waiting: () => this.#openCount,
      proposals: () => modules.proposals.waiting,
      keptBytes: () => this.#kept.bytes,
      badGateways: () => this.#reputation.badCount,
    });
  }

  /** Templates without a verdict. */
  get waiting(): number {
    return this.#openCount;
  }

  open(opened: OpenedJob): JobTemplate {
    try {
      return this.#take(opened);
    } catch (error) {
      this.#log.error({ err: error, session: String(opened.sessionId) }, "a job could not be taken in to be judged: it is taken on trust");
      return { id: 0n, state: "unjudged", why: undefined };
    }
  }

  /** Transactions of a judged job besides the coinbase, in order, as its branches want them; undefined when they are not in memory. */
  transactionsOf(sessionId: bigint, jobId: number, jobSerial: number): readonly Uint8Array[] | undefined {
    return this.#kept.of(sessionId, jobId, jobSerial)?.raw;
  }

  /** Takes the node's own template, whenever there is a new one. */
  ownTemplate(template: OwnTemplate): void {
    this.#own.note(template, this.modules.subsidy(template.height), this.#monotonic());
  }

  /** Ends all waiting; what has no verdict gets none. */
  stop(): void {
    this.#stopped = true;
    this.modules.proposals.stop();
    for (const inspections of this.#open.values()) for (const { timer } of inspections) clearTimeout(timer);
  }

  // Taking a job in.

  #take(opened: OpenedJob): JobTemplate {
    const { sessionId, job, parent } = opened;
    const template: JobTemplate = { id: this.modules.store.nextId(), state: "pending", why: undefined };
    const fees = job.coinbaseValue - this.modules.subsidy(job.height);
    const inspection: Inspection = {
      ...{
        opened,
        template,
        since: this.#monotonic(),
        askedAt: undefined,
        lastAskedAt: undefined,
        silences: 0,
        disconnects: 0,
        mismatch: undefined,
        timer: undefined,
      },
      urgency: { rank: this.#reputation.isBad(sessionId) ? 0 : this.#reputation.isNew(sessionId) ? 1 : 2, fees },
    };
    this.modules.store.opened({
      ...{ id: template.id, sessionId, prevhash: job.prevhash, height: job.height, value: job.coinbaseValue },
      ...{ transactions: job.transactionCount, weight: job.totalWeight, size: job.totalSize, sigops: job.totalSigops },
      openedAt: this.modules.now(),
    });
    this.#add(inspection);
    const fault = findClaimFault(job) ?? this.#belowFloor(opened, fees);
    if (fault !== undefined) this.#settle(inspection, { state: "unsound", ...fault });
    else if (!this.#drawn(sessionId)) this.#unjudged(inspection, "notSampled", "not in the sample");
    else if (parent.state === "invalid") this.#unjudged(inspection, "parentNotTip", "the node refuses its parent");
    else if ((this.#open.get(sessionId)?.size ?? 0) <= this.#options.perSession) this.#enqueue(inspection);
    else {
      const detail = `over ${this.#options.perSession} jobs of the gateway have no verdict`;
      // Who lets a question wait and goes on making jobs; else it is the pool that is slow.
      if (this.#asking.has(sessionId)) this.#evaded(inspection, "overLimit", detail);
      else this.#unjudged(inspection, "overLimit", detail);
    }
    return template;
  }

  #drawn(sessionId: bigint): boolean {
    if (this.#options.check === "always") return true;
    if (this.#reputation.isBad(sessionId) || this.#reputation.isNew(sessionId)) return true;
    return this.#random() < this.#options.sample;
  }

  /** Holds the fees that a job claims against the floor. @returns why it is refused, if it is */
  #belowFloor({ sessionId, source, job }: OpenedJob, fees: bigint): Fault | undefined {
    const { leastFeesPpm, floorAction } = this.#options;
    const now = this.#monotonic();
    const own = leastFeesPpm === 0 ? undefined : this.#own.leastFees(job.prevhash, now);
    if (own === undefined || fees * PPM >= own * BigInt(leastFeesPpm)) return undefined;
    this.#metrics.belowFloor();
    const detail = `its fees are ${fees} satoshis, at least ${leastFeesPpm / 10_000} % of the ${own} of the pool's own template are wanted`;
    if (floorAction === "refuse") return { code: "belowFloor", detail };
    if (now - (this.#floorTold.get(sessionId) ?? Number.NEGATIVE_INFINITY) >= FLOOR_TOLD_MS) {
      this.#floorTold.delete(sessionId);
      this.#floorTold.set(sessionId, now);
      const [oldest] = this.#floorTold.keys();
      if (this.#floorTold.size > MAX_FLOOR_TOLD && oldest !== undefined) this.#floorTold.delete(oldest);
      source.tell(`Your templates are poor: at height ${job.height} ${detail}. Look at your node's mempool and block settings.`);
    }
    return undefined;
  }

  // Working it off.

  #enqueue(inspection: Inspection): void {
    const left = this.#queue.add(inspection);
    if (left !== undefined) this.#unjudged(left, "overLimit", "too many jobs wait to be judged");
    this.#pump();
  }

  #pump(): void {
    while (!this.#stopped && this.#asking.size < this.#options.concurrent) {
      const next = this.#queue.take(({ opened }) => !this.#asking.has(opened.sessionId));
      if (next === undefined) return;
      const { sessionId } = next.opened;
      this.#asking.add(sessionId);
      next.lastAskedAt = this.#monotonic();
      next.askedAt ??= next.lastAskedAt;
      void this.#inspect(next);
    }
  }

  /** Never throws: a fault of the pool's own leaves the template unjudged. */
  async #inspect(inspection: Inspection): Promise<void> {
    const { sessionId } = inspection.opened;
    try {
      const collected = await this.#collect(inspection).finally(() => this.#asking.delete(sessionId));
      // The next one is asked while this one is checked and waits for the node.
      this.#pump();
      await this.#proceed(inspection, collected);
    } catch (error) {
      this.#pump();
      if (this.#stopped) return;
      this.#log.error({ err: error, template: String(inspection.template.id) }, "a template could not be judged");
      this.#unjudged(inspection, "failed", error instanceof Error ? error.message : String(error));
    }
  }

  async #collect({ opened, mismatch }: Inspection): Promise<Collected> {
    // Nothing to ask for: there is but one set of none.
    if (opened.job.transactionCount === 0) return { kind: "set", set: await makeSet([], []), path: "known" };
    return collect(opened, this.#sources, mismatch !== undefined);
  }

  async #proceed(inspection: Inspection, collected: Collected): Promise<void> {
    const { opened } = inspection;
    switch (collected.kind) {
      case "fault":
        this.#answerless(inspection, collected.fault, collected.detail);
        return;
      case "mismatch":
        if (inspection.mismatch === undefined) {
          inspection.mismatch = { late: (inspection.lastAskedAt ?? 0) - inspection.since > PROMPT_MS };
          this.#again(inspection, this.#options.confirmMs);
        } else if (inspection.mismatch.late) this.#answerless(inspection, "slotRefilled", collected.fault.detail);
        else this.#settle(inspection, { state: "unsound", ...collected.fault });
        return;
      case "set":
        this.#kept.keep(opened.sessionId, opened.jobId, opened.jobSerial, collected.set);
        await this.#judge(inspection, collected.set, collected.path);
    }
  }

  async #judge(inspection: Inspection, set: TransactionSet, path: CollectPath): Promise<void> {
    const { opened, urgency } = inspection;
    const { job, coinbase, header, parent } = opened;
    const fees = await this.#feesOf(set);
    const knownFees = fees.reduce<bigint>((sum, fee) => sum + (fee ?? 0n), 0n);
    const facts = { knownFees, allFeesKnown: fees.every((fee) => fee !== undefined), subsidy: this.modules.subsidy(job.height) };
    const findings: Findings = { path, fees: knownFees, own: this.#own.compare(job.prevhash, set, fees) };
    const fault = findFault(job, coinbase, set, facts);
    if (fault !== undefined) {
      this.#settle(inspection, { state: "unsound", ...fault }, findings);
      return;
    }
    // A block that is sound stays so with another coinbase of that value: the commitment is the set's, and its form was looked at.
    const key = `${keyOf(job.prevhash)}${set.key}${job.coinbaseValue}`;
    const verdict = await this.modules.proposals.propose({
      key,
      urgency,
      parent,
      block: () => assembleBlock(this.#timed(header, parent), coinbase, set.raw),
    });
    this.#settle(inspection, verdict, findings);
  }

  /**
   * A header whose time is no matter for a node: other shares of the job have others, and what is wrong with one share's time must not keep
   * the transactions from being judged.
   */
  #timed(header: Uint8Array, { medianTime = 0 }: Parent): Uint8Array {
    const timed = new Uint8Array(header);
    const view = new DataView(timed.buffer);
    const time = Math.min(view.getUint32(HEADER_TIME, true), Math.floor(this.modules.now() / 1000));
    view.setUint32(HEADER_TIME, Math.max(time, medianTime + 1), true);
    return timed;
  }

  /** In order; undefined where nobody can tell. */
  async #feesOf(set: TransactionSet): Promise<readonly (bigint | undefined)[]> {
    const known = this.#fees.get(set);
    if (known !== undefined) return known;
    const transactions = set.txids.map((txid, i) => ({
      txid,
      wtxid: set.wtxids[i]!,
      size: set.raw[i]!.length,
      weight: set.weights[i]!,
      fee: undefined,
    }));
    try {
      const fees = await this.modules.mempool.fees(transactions);
      if (fees.every((fee) => fee !== undefined)) this.#fees.set(set, fees as bigint[]);
      return fees;
    } catch (error) {
      if (!(error instanceof MempoolError)) throw error;
      return transactions.map(() => undefined);
    }
  }

  // Gateways that don't answer.

  #answerless(inspection: Inspection, fault: SourceFault, detail: string): void {
    if (fault === "slotRefilled") {
      // After a long wait for its turn that is the pool's doing.
      if ((inspection.askedAt ?? 0) - inspection.since > PROMPT_MS) this.#unjudged(inspection, fault, detail);
      else this.#evaded(inspection, fault, detail);
    } else if (fault === "disconnected" || inspection.disconnects > 0) {
      // One that was started anew is back without its jobs: no more is asked of it than of one that stays away.
      if (++inspection.disconnects > 1) this.#evaded(inspection, "disconnected", detail);
      else this.#again(inspection, this.#options.reconnectMs);
    } else if (++inspection.silences > 1) this.#settle(inspection, { state: "unsound", code: "noAnswer", detail });
    else this.#again(inspection, this.#options.retryMs);
  }

  #again(inspection: Inspection, afterMs: number): void {
    if (this.#stopped) return;
    inspection.timer = setTimeout(() => {
      inspection.timer = undefined;
      this.#enqueue(inspection);
    }, afterMs);
  }

  /** The gateway kept its job from being judged: nothing is said against the job, until that has happened too often. */
  #evaded(inspection: Inspection, code: UnjudgedCode, detail: string): void {
    if (!this.#reputation.evaded(inspection.opened.sessionId)) this.#unjudged(inspection, code, detail);
    else this.#settle(inspection, { state: "unsound", code: "evaded", detail: `once more it could not be looked at: ${detail}` });
  }

  // Verdicts.

  #unjudged(inspection: Inspection, code: UnjudgedCode, detail: string): void {
    this.#settle(inspection, { state: "unjudged", code, detail });
  }

  #settle(inspection: Inspection, judgement: Judgement, findings?: Findings): void {
    if (this.#stopped || !this.#remove(inspection)) return;
    const { opened, template, since } = inspection;
    const { state } = judgement;
    const { code, detail } = judgement.state === "sound" ? { code: undefined, detail: undefined } : judgement;
    template.why = state === "unsound" ? `${detail} (${code})` : undefined;
    template.state = state;
    const verdict = {
      ...{ path: undefined, fees: undefined, own: undefined, ...findings },
      ...{ state, code, detail, judgedAt: this.modules.now() },
    };
    this.modules.store.judged(template.id, verdict);
    // A verdict that took no look says nothing of how long one takes.
    this.#metrics.judged(verdict, findings === undefined ? undefined : (this.#monotonic() - since) / 1000);
    const fields = { template: String(template.id), session: String(opened.sessionId), height: opened.job.height, code, detail };
    if (state === "sound") this.#reputation.sound(opened.sessionId);
    if (state !== "unsound") this.#log.debug(fields, `template ${state}`);
    else this.#refuse(opened, template, fields);
  }

  #refuse({ sessionId, jobId, job, source }: OpenedJob, template: JobTemplate, fields: object): void {
    // One line for a gateway until it has made up for it.
    const first = this.#reputation.unsound(sessionId);
    this.#log[first ? "warn" : "debug"](fields, "unsound template: the job is refused, its shares are taken back");
    source.tell(
      `Job ${jobId} at height ${job.height} is refused, and its shares don't count: ${template.why}. Shares of other jobs are not touched.`,
    );
    this.modules.store.voidShares(template.id).then(
      (voided) => this.#metrics.voided(voided),
      (error: unknown) => this.#log.error({ ...fields, err: error }, "shares of an unsound template stay until the next start"),
    );
  }

  #add(inspection: Inspection): void {
    const { sessionId } = inspection.opened;
    const open = this.#open.get(sessionId) ?? new Set();
    this.#open.set(sessionId, open.add(inspection));
    this.#openCount++;
  }

  /** @returns false when it had its verdict already. */
  #remove(inspection: Inspection): boolean {
    const { sessionId } = inspection.opened;
    const open = this.#open.get(sessionId);
    if (open?.delete(inspection) !== true) return false;
    if (open.size === 0) this.#open.delete(sessionId);
    this.#openCount--;
    return true;
  }
}
