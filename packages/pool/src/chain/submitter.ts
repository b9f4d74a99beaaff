/**
 * Found blocks: recorded, put together, written to disk, handed to the node, and handed again until the node has answered. A block is lost
 * only if neither the gateway (which submits it to its own node first) nor this pool can reach a node.
 */
import { setTimeout as delay } from "node:timers/promises";
import { assembleBlock, fromReverseHex, merkleRoot, NodeError, parseTransaction, reverseHex, sha256d } from "@openprime/bitcoin";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { RecordedBlock } from "../ledger/index.js";
import type { BlockCandidate } from "../work/index.js";
import { BlockFiles } from "./block-files.js";
import { decodeClaim, encodeClaim } from "./claim-text.js";
import { BlockMetrics } from "./metrics.js";
import { type ChainNode, nodeAnswered, readHeader } from "./node.js";
import { type BlockOutcome, readSubmitAnswer } from "./submit-answer.js";

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
}

export interface BlockSubmitterModules {
  readonly node: Pick<ChainNode, "submitBlock" | "blockHeader">;
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
/** Tries with a node that lacks the parent, about ten minutes at the longest pause. */
const EARLY_TRIES = 24;
/** Candidates in hand at once; on parents that the node does not know, where a cheap hash may pass for a block, fewer. */
const MAX_IN_HAND = 256;
const MAX_ON_UNKNOWN = 8;
/** Transaction sets kept: several blocks of one job are found only on test networks. */
const MAX_SETS = 4;
const MAX_SETTLED = 256;

export class BlockSubmitter {
  readonly #files: BlockFiles;
  readonly #retryMs: number;
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
    this.#metrics = new BlockMetrics(modules.metrics);
    this.#log = modules.log;
    const { signal } = this.#stop;
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
    const done = work()
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
    if ("transactions" in found) {
      const hex = Buffer.from(assembleBlock(candidate.header, candidate.coinbase, found.transactions)).toString("hex");
      await this.#files.write(hash, hex).catch((error: unknown) => {
        // A full disk must not keep a block from the network.
        this.#log.error({ hash, err: error }, "a found block could not be written to disk: it is submitted all the same");
      });
      outcome = await this.#submit(hash, hex);
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
    this.modules.poke?.();
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
  async #transactions(
    hash: string,
    candidate: BlockCandidate,
    fetch: FetchTransactions,
  ): Promise<{ readonly transactions: readonly Uint8Array[] } | BlockOutcome> {
    if (candidate.transactionCount === 0) {
      if (provesRoot(candidate, [])) return { transactions: [] };
      return { status: "rejected", detail: "the header's merkle root is not that of its coinbase alone" };
    }
    let why = "";
    for (let attempt = 0; attempt < FETCH_TRIES; attempt++) {
      if (attempt > 0) {
        await this.#backOff(attempt);
        // Meanwhile the gateway's own node may have spread it.
        if (await this.#nodeHas(hash)) return { status: "duplicate", detail: `the node has it already (transactions: ${why})` };
      }
      try {
        const transactions = await this.#set(candidate, fetch, attempt > 0);
        if (provesRoot(candidate, transactions)) return { transactions };
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
    try {
      return (await readHeader(this.modules.node, hash)) !== undefined;
    } catch {
      // No answer is no knowledge: the transactions are asked for again, and submitting tells more.
      return false;
    }
  }

  // The node.

  async #submit(hash: string, hex: string): Promise<BlockOutcome> {
    for (let attempt = 1, early = 0; ; attempt++) {
      try {
        const answer = await this.modules.node.submitBlock(hex);
        const outcome = readSubmitAnswer(answer);
        if (outcome !== "early") return outcome;
        early += 1;
        if (early >= EARLY_TRIES) return { status: "rejected", detail: `${answer ?? ""}: the node never had its parent` };
        this.#log.warn({ hash, answer, attempt }, "the node lacks a found block's parent: submitted again soon");
      } catch (error) {
        if (nodeAnswered(error)) return { status: "rejected", detail: error.message };
        const code = error instanceof NodeError ? error.code : "unknown";
        const words = error instanceof Error ? error.message : String(error);
        this.#log.error({ hash, attempt, code, error: words }, "a found block is not submitted yet: the node did not answer");
      }
      await this.#backOff(attempt);
    }
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
    return this.#wait(this.#retryMs * Math.min(30, 2 ** (attempt - 1)));
  }

  /** @throws AbortError at the stop. */
  async #wait(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stop.signal });
  }
}

/** Whether coinbase and transactions give the root in the header (bytes 36-67). */
function provesRoot(candidate: BlockCandidate, transactions: readonly Uint8Array[]): boolean {
  let txids: readonly Uint8Array[];
  try {
    txids = transactions.map((raw) => parseTransaction(raw).txid);
  } catch {
    // Bytes from a gateway that are no transactions: not the block's.
    return false;
  }
  const root = merkleRoot([sha256d(candidate.coinbase), ...txids]);
  return Buffer.compare(root, candidate.header.subarray(36, 68)) === 0;
}
