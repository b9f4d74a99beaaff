/**
 * The mempool as the pool's node sees it, seen from the share path: everything is done by a thread of its own (mempool-thread.ts), which is
 * started again when it dies. Here answers are only unpacked.
 */
import { Worker } from "node:worker_threads";
import type { NodeClientOptions } from "@openprime/bitcoin";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { MempoolError } from "../errors.js";
import type { OwnTransaction } from "../own-template.js";
import { flatten, unflatten } from "./flat-bytes.js";
import type { MempoolFollowerOptions } from "./mempool-follower.js";
import type {
  MempoolAnswers,
  MempoolFigures,
  MempoolOrder,
  MempoolQuestion,
  MempoolReport,
  MempoolThreadOptions,
} from "./mempool-messages.js";
import { MempoolMetrics } from "./mempool-metrics.js";
import type { FoundTransactions, MempoolLimits } from "./mempool-store.js";
import type { KnownTransaction, MempoolView } from "./types.js";

export interface NodeMempoolOptions {
  readonly node: NodeClientOptions;
  /** Endpoints of the node's `zmqpubrawtx` and `zmqpubsequence`. */
  readonly zmq?: MempoolFollowerOptions["zmq"];
  /** Least pause between two polls; by default 5 s, with `rawtx` or `sequence` 60 s. */
  readonly pollMs?: number;
  readonly limits?: Partial<MempoolLimits>;
}

/** A node's mempool of the usual 300 MB holds some 150 MB of raw transactions and 300,000 of them at most. Work on a job lasts 270 s. */
const LIMITS: MempoolLimits = { transactions: 1_000_000, rawBytes: 268_435_456, keepGoneMs: 600_000 };
const POLL_MS = 5000;
const POLL_BESIDE_ZMQ_MS = 60_000;
/** Questions that wait for their answers. */
const MAX_WAITING = 64;
/** Memory of JavaScript objects in the thread; without a bound of its own it could take the pool with it. */
const MAX_HEAP_MB = 1024;
/** Pause before the thread is started again: doubled each time, and back at the first once it has lived for as long as the last. */
const RESTART_MS = 1000;
const LONGEST_RESTART_MS = 60_000;
/** Patience with a thread that is to end by itself. */
const STOP_MS = 5000;
const NOTHING: MempoolFigures = { transactions: 0, rawBytes: 0, loaded: false, refused: 0 };

// The same path from src and from dist: a thread runs the compiled program.
const threadFile = new URL("../../../dist/chain/templates/mempool-thread.js", import.meta.url);

interface Waiting {
  readonly resolve: (answer: never) => void;
  readonly reject: (error: MempoolError) => void;
}

export class NodeMempool implements MempoolView {
  readonly #options: MempoolThreadOptions;
  readonly #log: Logger;
  readonly #metrics: MempoolMetrics;
  readonly #waiting = new Map<number, Waiting>();
  #figures = NOTHING;
  #nextQuestion = 1;
  #worker: Worker | undefined;
  #restartMs = RESTART_MS;
  #restarting: NodeJS.Timeout | undefined;
  #stopped = false;

  /** Starts the thread; it fills by and by. */
  constructor(options: NodeMempoolOptions, modules: { readonly log: Logger; readonly metrics: Registry }) {
    const { node, zmq = {}, limits } = options;
    const told = zmq.rawtx !== undefined || zmq.sequence !== undefined;
    const pollMs = options.pollMs ?? (told ? POLL_BESIDE_ZMQ_MS : POLL_MS);
    this.#options = { node, follow: { pollMs, zmq }, limits: { ...LIMITS, ...limits } };
    this.#log = modules.log;
    this.#metrics = new MempoolMetrics(modules.metrics);
    this.#start();
  }

  get size(): number {
    return this.#figures.transactions;
  }

  /** Raw bytes in memory. */
  get rawBytes(): number {
    return this.#figures.rawBytes;
  }

  /** Whether everything that the node has was read once; until then much is not known. */
  get loaded(): boolean {
    return this.#figures.loaded;
  }

  async match(key: Uint8Array, ids: Uint8Array): Promise<(KnownTransaction | undefined)[]> {
    // Copies: a view would be sent with the whole frame that it came in.
    const { found, seconds } = await this.#ask({ type: "match", key: new Uint8Array(key), ids: new Uint8Array(ids) });
    this.#metrics.matched(seconds);
    return knownTransactions(found);
  }

  async raw(transactions: readonly KnownTransaction[]): Promise<(Uint8Array | undefined)[]> {
    const txids = Buffer.concat(transactions.map(({ txid }) => txid));
    const wtxids = Buffer.concat(transactions.map(({ wtxid }) => wtxid));
    return unflatten(await this.#ask({ type: "raw", txids, wtxids }));
  }

  async fees(transactions: readonly KnownTransaction[]): Promise<(bigint | undefined)[]> {
    if (transactions.every(({ fee }) => fee !== undefined)) return transactions.map(({ fee }) => fee);
    const fees = await this.#ask({ type: "fees", txids: Buffer.concat(transactions.map(({ txid }) => txid)) });
    return Array.from(fees, feeOf);
  }

  learn(raw: readonly Uint8Array[]): void {
    const raws = flatten(raw);
    this.#order({ type: "learn", raws }, [raws.bytes.buffer, raws.lengths.buffer]);
  }

  /** Takes the fees of the node's own template, so that the node need not be asked for each. */
  learnFees(transactions: readonly Pick<OwnTransaction, "txid" | "fee">[]): void {
    const txids = Buffer.concat(transactions.map(({ txid }) => txid));
    this.#order({ type: "knowFees", txids, fees: BigInt64Array.from(transactions, ({ fee }) => fee) });
  }

  /** Ends the thread; what is under way fails with `threadEnded`. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#restarting);
    const worker = this.#worker;
    if (worker === undefined) return;
    const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
    this.#order({ type: "stop" });
    const timer = setTimeout(() => void worker.terminate(), STOP_MS);
    await ended;
    clearTimeout(timer);
  }

  #ask<Q extends MempoolQuestion>(question: Q): Promise<MempoolAnswers[Q["type"]]> {
    return new Promise((resolve, reject) => {
      if (this.#worker === undefined) throw new MempoolError("threadEnded", "the mempool's thread has ended and is not up again");
      if (this.#waiting.size >= MAX_WAITING) throw new MempoolError("busy", `${MAX_WAITING} questions to the mempool wait`);
      const number = this.#nextQuestion++;
      this.#waiting.set(number, { resolve, reject });
      this.#order({ ...question, question: number });
    });
  }

  /** Nothing where there is no thread: what it would have learned it will be shown again. */
  #order(order: MempoolOrder, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker?.postMessage(order, transfer);
  }

  #start(): void {
    const began = performance.now();
    const worker = new Worker(threadFile, {
      workerData: this.#options,
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
      execArgv: [],
    });
    let cause: unknown;
    worker.on("message", (report: MempoolReport) => this.#receive(report));
    worker.once("error", (error) => {
      cause = error;
    });
    worker.once("exit", (code) => this.#ended(cause, code, performance.now() - began));
    this.#worker = worker;
  }

  #ended(cause: unknown, code: number, livedMs: number): void {
    this.#worker = undefined;
    this.#use(NOTHING);
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(new MempoolError("threadEnded", "the mempool's thread has ended"));
    if (this.#stopped) return;
    if (livedMs > LONGEST_RESTART_MS) this.#restartMs = RESTART_MS;
    const error = cause instanceof Error ? cause.message : `exit ${code}`;
    this.#log.error(
      { error, waiting: waiting.length, againInMs: this.#restartMs },
      "the mempool's thread has ended by itself: it is started again",
    );
    this.#metrics.restarted();
    this.#restarting = setTimeout(() => this.#start(), this.#restartMs);
    this.#restartMs = Math.min(2 * this.#restartMs, LONGEST_RESTART_MS);
  }

  #receive(report: MempoolReport): void {
    if (report.type === "figures") this.#use(report.figures);
    else if (report.type === "said") this.#log[report.level](report.fields, report.text);
    else {
      const waiting = this.#waiting.get(report.question);
      this.#waiting.delete(report.question);
      if (report.type === "answer") waiting?.resolve(report.answer as never);
      else waiting?.reject(new MempoolError("failed", `the mempool's thread failed: ${report.error}`));
    }
  }

  #use(figures: MempoolFigures): void {
    this.#figures = figures;
    this.#metrics.figures(figures);
  }
}

function knownTransactions({ positions, txids, wtxids, sizes, weights, fees }: FoundTransactions): (KnownTransaction | undefined)[] {
  return Array.from(positions, (at) =>
    at < 0
      ? undefined
      : {
          txid: txids.subarray(32 * at, 32 * (at + 1)),
          wtxid: wtxids.subarray(32 * at, 32 * (at + 1)),
          size: sizes[at]!,
          weight: weights[at]!,
          fee: feeOf(fees[at]!),
        },
  );
}

function feeOf(fee: bigint): bigint | undefined {
  return fee < 0n ? undefined : fee;
}
