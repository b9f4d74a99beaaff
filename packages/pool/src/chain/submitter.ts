/**
 * Found blocks: recorded, put together, written to disk, handed to every node, and handed again until they have answered. A block is lost
 * only if neither the gateway (which submits it to its own node first) nor this pool can reach a node.
 */
import { setMaxListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { assembleBlock, fromReverseHex, reverseHex } from "@openprime/bitcoin";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { RecordedBlock } from "../ledger/index.js";
import type { BlockCandidate } from "../work/index.js";
import { type BlockTransactions, findFault, readTransactions } from "./block-check.js";
import { BlockFiles } from "./block-files.js";
import { decodeClaim, encodeClaim } from "./claim-text.js";
import { BlockMetrics } from "./metrics.js";
import { readHeader } from "./node.js";
import { backOff, type SubmitNode, submitToAll } from "./submission.js";
import type { BlockOutcome } from "./submit-answer.js";

/** The books' side of found blocks (`ledger`). Both are tried again when they fail, so they must bear being called twice. */
export interface BlockStore {
  record(block: RecordedBlock): Promise<void>;
  /** @param hash header hash, internal order. */
  outcome(hash: Uint8Array, outcome: BlockOutcome): Promise<void>;
}

export interface BlockSubmitterOptions {
  /** Blocks on their way stand in `<dataDir>/blocks`. */
  readonly dataDir: string;
  /** First pause before something is tried again; doubles up to thirty times itself. 1 s by default. */
  readonly retryMs?: number;
  /** Once a node has a block: how long the others are waited for before it is settled; 5 s by default. */
  readonly patienceMs?: number;
  /** Once a node has answered for a block: how long the others are still tried; 10 minutes by default. */
  readonly lateMs?: number;
}

export interface BlockSubmitterModules {
  /** All that the pool has. */
  readonly nodes: readonly SubmitNode[];
  readonly store: BlockStore;
  readonly log: Logger;
  readonly metrics: Registry;
  /** The tip has probably changed (ChainTracker.poke). */
  readonly poke?: () => void;
}

/** The transactions besides the coinbase; as the gateway room gives it. */
export type FetchTransactions = () => Promise<readonly Uint8Array[]>;

/** The record comes first, but a database that hangs must not keep a block from the network. */
const RECORD_PATIENCE_MS = 1000;
/** Tries to get the transactions: with the pauses between them about a minute, in which a gateway that lost its connection is back. */
const FETCH_TRIES = 6;
/** Candidates in hand at once; on parents that the node does not know, where a cheap hash may pass for a block, fewer. */
const MAX_IN_HAND = 256;
const MAX_ON_UNKNOWN = 8;
/** Transaction sets kept: several blocks of one job are found only on test networks. */
const MAX_SETS = 4;
const MAX_SETTLED = 256;

export class BlockSubmitter {
  readonly #files: BlockFiles;
  readonly #retryMs: number;
  readonly #patienceMs: number;
  readonly #lateMs: number;
  readonly #metrics: BlockMetrics;
  readonly #log: Logger;
  readonly #inHand = new Map<string, { unknownParent: boolean; done: Promise<void> }>();
  /** Hashes that are done with, the oldest first: the same block comes again as a resent share. */
  readonly #settled = new Set<string>();
  readonly #sets = new Map<string, Promise<readonly Uint8Array[]>>();
  readonly #stop = new AbortController();
  readonly #stopped: Promise<never>;

  constructor(
    options: BlockSubmitterOptions,
    private readonly modules: BlockSubmitterModules,
  ) {
    this.#files = new BlockFiles(options.dataDir);
    this.#retryMs = options.retryMs ?? 1000;
    this.#patienceMs = options.patienceMs ?? 5000;
    this.#lateMs = options.lateMs ?? 600_000;
    this.#metrics = new BlockMetrics(modules.metrics, () => this.#inHand.size);
    this.#log = modules.log;
    const { signal } = this.#stop;
    // Every block in hand waits on it, and those are bounded.
    setMaxListeners(0, signal);
    this.#stopped = new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
    // Nobody may be waiting when it comes.
    this.#stopped.catch(() => undefined);
  }

  /**
   * Records the claims that the books did not take before the last stop. To be done before the books follow the chain: a block that joins them without its
   * claim may be taken for somebody else's.
   *
   * @returns how many. @throws when the directory can't be read, and the errors of the books
   */
  async restoreClaims(): Promise<number> {
    let restored = 0;
    for (const { hash, text } of await this.#files.claims()) {
      let block: RecordedBlock;
      try {
        block = decodeClaim(text);
      } catch (error) {
        this.#log.error({ hash, err: error }, "the kept claim of a found block can't be read: its file stays");
        continue;
      }
      await this.modules.store.record(block);
      this.#log.warn({ hash }, "the claim of a found block, kept on disk before the last stop, is in the books");
      await this.#files.removeClaim(hash);
      restored += 1;
    }
    return restored;
  }

  /** Takes up the blocks that a stop or a crash interrupted. @returns how many. @throws when the directory can't be read. */
  async start(): Promise<number> {
    const blocks = await this.#files.unsettled();
    for (const { hash, hex } of blocks) {
      this.#log.warn({ hash }, "a found block was not settled before the last stop: it is submitted again");
      this.#take(hash, false, async () => {
        const outcome = await this.#submit(hash, hex);
        await this.#settle(hash, outcome);
      });
    }
    return blocks.length;
  }

  /** Takes a block that was found. Returns at once and never throws. */
  found(candidate: BlockCandidate, fetch: FetchTransactions): void {
    const hash = reverseHex(candidate.hash);
    if (this.#inHand.has(hash) || this.#settled.has(hash)) return;
    const unknownParent = candidate.parent.state === "unknown";
    const onUnknown = [...this.#inHand.values()].filter((one) => one.unknownParent).length;
    if (this.#inHand.size >= MAX_IN_HAND || (unknownParent && onUnknown >= MAX_ON_UNKNOWN)) {
      this.#metrics.outcome("overLimit");
      this.#log.error({ hash, height: candidate.height, inHand: this.#inHand.size, unknownParent }, "too many block candidates at once");
      return;
    }
    this.#log.info({ hash, height: candidate.height, transactions: candidate.transactionCount }, "block candidate");
    this.#take(hash, unknownParent, () => this.#handle(hash, candidate, fetch));
  }

  /** Resolves when no block is in hand. */
  async idle(): Promise<void> {
    while (this.#inHand.size > 0) await Promise.all([...this.#inHand.values()].map((one) => one.done));
  }

  /** Ends every wait; what is not settled stands on disk and is taken up at the next start. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.idle();
  }

  #take(hash: string, unknownParent: boolean, work: () => Promise<void>): void {
    const started = performance.now();
    const done = work()
      .then(() => this.#metrics.settled((performance.now() - started) / 1000))
      .catch((error: unknown) => {
        if (this.#stop.signal.aborted) this.#log.warn({ hash }, "stopped before a found block was settled");
        else {
          this.#metrics.outcome("failed");
          this.#log.error({ hash, err: error }, "a found block could not be handled");
        }
      })
      .finally(() => this.#inHand.delete(hash));
    this.#inHand.set(hash, { unknownParent, done });
  }

  async #handle(hash: string, candidate: BlockCandidate, fetch: FetchTransactions): Promise<void> {
    const recorded = this.#persist(hash, () => this.modules.store.record(candidate));
    // Its failure is met where it is awaited for good, below.
    recorded.catch(() => undefined);
    // The gateway may have submitted it already: a stop before the books answer must not cost the claim.
    const kept = this.#files.writeClaim(hash, encodeClaim(candidate)).catch((error: unknown) => {
      this.#log.error({ hash, err: error }, "the claim of a found block could not be written to disk");
    });
    // Also when the stop comes meanwhile: what can be put on disk goes there first.
    await Promise.race([Promise.all([recorded, kept]), this.#wait(RECORD_PATIENCE_MS)]).catch(() => undefined);
    const found = await this.#transactions(hash, candidate, fetch);
    let outcome: BlockOutcome;
    if ("raw" in found) {
      const hex = Buffer.from(assembleBlock(candidate.header, candidate.coinbase, found.raw)).toString("hex");
      await this.#files.write(hash, hex).catch((error: unknown) => {
        // A full disk must not keep a block from the network.
        this.#log.error({ hash, err: error }, "a found block could not be written to disk: it is submitted all the same");
      });
      const submitted = this.#submit(hash, hex);
      const fault = findFault(candidate, found);
      if (fault !== undefined) this.#log.error({ hash, fault }, "a found block looks invalid: it is submitted all the same");
      outcome = await submitted;
    } else outcome = found;
    await recorded;
    await kept;
    await this.#files.removeClaim(hash).catch((error: unknown) => {
      // It will be recorded once more at the next start, which does no harm.
      this.#log.warn({ hash, err: error }, "the claim file of a recorded block stays");
    });
    await this.#settle(hash, outcome);
  }

  async #settle(hash: string, outcome: BlockOutcome): Promise<void> {
    const fields = { hash, status: outcome.status, detail: outcome.detail };
    if (outcome.status === "accepted" || outcome.status === "duplicate") this.#log.info(fields, "found block settled");
    else this.#log.error(fields, "found block settled");
    this.#metrics.outcome(outcome.status);
    await this.#persist(hash, () => this.modules.store.outcome(fromReverseHex(hash), outcome));
    this.#settled.add(hash);
    if (this.#settled.size > MAX_SETTLED) {
      for (const oldest of this.#settled) {
        this.#settled.delete(oldest);
        break;
      }
    }
    try {
      if (outcome.status === "rejected") await this.#files.setAside(hash);
      else await this.#files.remove(hash);
    } catch (error) {
      // It will be submitted once more at the next start, which does no harm.
      this.#log.warn({ hash, err: error }, "the file of a settled block stays");
    }
  }

  // Transactions.

  /** The transactions that give the header's merkle root, or why there are none. */
  async #transactions(hash: string, candidate: BlockCandidate, fetch: FetchTransactions): Promise<BlockTransactions | BlockOutcome> {
    if (candidate.transactionCount === 0) {
      const none = readTransactions(candidate, []);
      return none ?? { status: "rejected", detail: "the header's merkle root is not that of its coinbase alone" };
    }
    let why = "";
    for (let attempt = 0; attempt < FETCH_TRIES; attempt++) {
      if (attempt > 0) {
        await this.#backOff(attempt);
        // Meanwhile the gateway's own node may have spread it.
        if (await Promise.race([this.#nodeHas(hash), this.#stopped]))
          return { status: "duplicate", detail: `the node has it already (transactions: ${why})` };
      }
      try {
        const transactions = await this.#set(candidate, fetch, attempt > 0);
        const read = readTransactions(candidate, transactions);
        if (read !== undefined) return read;
        why = `${transactions.length} transactions that don't give the header's merkle root, expected ${candidate.transactionCount}`;
      } catch (error) {
        why = error instanceof Error ? error.message : String(error);
      }
      this.#log.warn({ hash, attempt: attempt + 1, why }, "the found block's transactions were not had");
    }
    return { status: "transactionsMissing", detail: why };
  }

  #set(candidate: BlockCandidate, fetch: FetchTransactions, anew: boolean): Promise<readonly Uint8Array[]> {
    const key = `${candidate.sessionId}/${candidate.jobId}/${candidate.jobSerial}`;
    const known = this.#sets.get(key);
    if (known !== undefined && !anew) return known;
    const set = fetch();
    this.#sets.delete(key);
    this.#sets.set(key, set);
    set.catch(() => {
      if (this.#sets.get(key) === set) this.#sets.delete(key);
    });
    if (this.#sets.size > MAX_SETS) {
      for (const oldest of this.#sets.keys()) {
        this.#sets.delete(oldest);
        break;
      }
    }
    return set;
  }

  async #nodeHas(hash: string): Promise<boolean> {
    // No answer is no knowledge: the transactions are asked for again, and submitting tells more.
    const has = ({ client }: SubmitNode): Promise<boolean> =>
      readHeader(client, hash).then(
        (header) => header !== undefined,
        () => false,
      );
    return (await Promise.all(this.modules.nodes.map(has))).includes(true);
  }

  // The nodes.

  #submit(hash: string, hex: string): Promise<BlockOutcome> {
    return submitToAll({ hash, hex }, this.modules.nodes, {
      log: this.#log,
      signal: this.#stop.signal,
      retryMs: this.#retryMs,
      patienceMs: this.#patienceMs,
      lateMs: this.#lateMs,
      taken: () => this.modules.poke?.(),
      isOurs: (block) => this.#inHand.has(block) || this.#settled.has(block),
    });
  }

  // Trying again.

  /** Does it until it succeeds. @throws AbortError at the stop, also while the books hang. */
  async #persist(hash: string, work: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await Promise.race([work(), this.#stopped]);
      } catch (error) {
        this.#stop.signal.throwIfAborted();
        this.#log.error({ hash, attempt, err: error }, "the books did not take a found block: tried again");
      }
      await this.#backOff(attempt);
    }
  }

  #backOff(attempt: number): Promise<void> {
    return backOff(attempt, this.#retryMs, this.#stop.signal);
  }

  /** @throws AbortError at the stop. */
  async #wait(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stop.signal });
  }
}
