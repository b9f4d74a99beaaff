/**
 * Whom a coinbase shall pay: the share window in memory, following the committed log, and the splits made from it.
 *
 * An answer is given from a snapshot of the window at a committed position, at once and without the database; the split is stored through the same
 * queue as the shares, so it is committed before any share that is made from it.
 */
import { performance } from "node:perf_hooks";
import { type Earnings, type Payee, type Scheme, type SegmentSums, ShareWindow, split, type WindowWeights } from "@openprime/rewards";
import type { Client } from "pg";
import { HEAD_PREVHASH, READ_SUMS, SEGMENTS_BEFORE } from "./queries/window.js";
import type { ShareLog } from "./share-log.js";
import type { LedgerLogger, LogFollower, OfferedSplit, SplitOutput } from "./types.js";

export interface SplitBookOptions {
  /** Least output, satoshis; each script's own dust limit holds besides. */
  readonly dust: bigint;
  /** How old a snapshot may be given out again, milliseconds. Default 1000, at most five minutes (design, "Pinned"). */
  readonly snapshotMs?: number;
}

/** What the ledger can't know. */
export interface SplitBookModules {
  readonly log: ShareLog;
  readonly scheme: Scheme;
  /** Weight of the window for a block on this parent; undefined while the parent's target is unknown. */
  readonly windowSize: (prevhash: Uint8Array) => bigint | undefined;
  /** Above this value a request gets an empty list. */
  readonly maxValue: (prevhash: Uint8Array) => bigint;
  /** What paying a script means. */
  readonly payee: (script: Uint8Array) => Pick<Payee, "dustLimit" | "legacySigops">;
  /** Milliseconds, pool clock. */
  readonly now: () => number;
  readonly logger: LedgerLogger;
}

export interface SplitRequest {
  readonly sessionId: bigint;
  readonly coinbaserId: number;
  /** Satoshis. */
  readonly value: bigint;
  readonly prevhash: Uint8Array;
}

/** An output of a split and whose it is. */
export interface PreviewRow extends SplitOutput {
  readonly account: number;
}

/** The window at one committed position, and the splits made of it so far. */
interface Snapshot {
  readonly size: bigint;
  readonly position: bigint;
  /** Milliseconds, pool clock. */
  readonly at: number;
  readonly weights: WindowWeights;
  readonly splits: Map<bigint, readonly PreviewRow[]>;
}

const MAX_SNAPSHOT_MS = 300_000;
/**
 * Segments are kept in memory for so many windows: a retarget can raise difficulty fourfold and bring older shares back. What was let go is read again
 * when it is needed after all.
 */
const KEPT_WINDOWS = 4n;
const SEGMENTS_PER_READ = 128;
/** Different values one snapshot remembers. */
const MAX_REMEMBERED = 256;

export class SplitBook implements LogFollower {
  readonly #options: Required<SplitBookOptions>;
  readonly #modules: SplitBookModules;
  readonly #window = new ShareWindow();
  #snapshot: Snapshot | undefined;
  /** Largest window asked for: a difficulty that falls for one block (test networks) or one request must not cost the memory of the others. */
  #largest = 0n;
  #loading = false;

  private constructor(options: SplitBookOptions, modules: SplitBookModules) {
    this.#options = { snapshotMs: 1000, ...options };
    if (this.#options.snapshotMs < 0 || this.#options.snapshotMs > MAX_SNAPSHOT_MS) {
      throw new RangeError(`expected a snapshot age of 0 to ${MAX_SNAPSHOT_MS} ms, got ${this.#options.snapshotMs}`);
    }
    this.#modules = modules;
  }

  /** Reads as many stored sums as the present window may need, and follows the log from there. */
  static open(options: SplitBookOptions, modules: SplitBookModules): Promise<SplitBook> {
    const book = new SplitBook(options, modules);
    return modules.log.exclusive("reading the share window", async (client) => {
      const { rows } = await client.query<{ prevhash: Buffer | null }>(HEAD_PREVHASH);
      const prevhash = rows[0]?.prevhash;
      const size = prevhash == null ? undefined : modules.windowSize(prevhash);
      await book.#load(client, (size ?? 0n) * KEPT_WINDOWS);
      modules.log.follow(book);
      return book;
    });
  }

  /**
   * Whom a coinbase of this value on this parent shall pay. Synchronous; a split with outputs is queued for storing. The outputs are empty, and nothing is
   * stored, when the parent is unknown, the value is out of bounds, the log can't take it, or nobody is to be paid: then everything goes to
   * the pool's script, and the work is pinned to the head.
   */
  offer(request: SplitRequest): OfferedSplit {
    const { sessionId, coinbaserId, value } = request;
    // The split outlives the message that asked for it.
    const prevhash = Uint8Array.from(request.prevhash);
    const { log, now } = this.#modules;
    const snapshot = this.#current(value, prevhash);
    const rows = snapshot === undefined ? [] : this.#rows(snapshot, value);
    if (snapshot !== undefined && rows.length > 0) {
      const offered: OfferedSplit = { id: log.nextSplitId(), coinbaserId, value, prevhash, outputs: rows, position: snapshot.position };
      if (log.appendSplit({ ...offered, sessionId, offeredAt: now() })) return offered;
      this.#modules.logger.warn({ waiting: log.waiting }, "the share log is full: a gateway gets an empty split");
    }
    return { id: 0n, coinbaserId, value, prevhash, outputs: [], position: log.head() };
  }

  /** The split as `offer` would give it now, with the accounts; nothing is stored. */
  preview(value: bigint, prevhash: Uint8Array): readonly PreviewRow[] {
    const snapshot = this.#current(value, prevhash);
    return snapshot === undefined ? [] : this.#rows(snapshot, value);
  }

  /** Earnings of a value over the present window, the operator's account among them; undefined when the parent is unknown. */
  earnings(value: bigint, prevhash: Uint8Array): Earnings | undefined {
    const snapshot = this.#current(value, prevhash);
    return snapshot === undefined ? undefined : this.#modules.scheme.earned({ value }, snapshot.weights);
  }

  /** The window of that size at the committed head. */
  weigh(size: bigint): WindowWeights {
    return this.#window.weigh(size);
  }

  segmentOpened(segment: number): void {
    this.#window.openSegment(segment);
  }

  shareCommitted(_segment: number, account: number, weight: bigint, feePpm: number): void {
    this.#window.add({ account, weight, feePpm });
  }

  shareVoided(segment: number, account: number, weight: bigint, feePpm: number): void {
    this.#window.void(segment, { account, weight, feePpm });
    // A void has a position of its own, so the snapshot ages like with a share; but nobody should be offered what was taken back.
    this.#snapshot = undefined;
  }

  #current(value: bigint, prevhash: Uint8Array): Snapshot | undefined {
    const { log, windowSize, maxValue, now } = this.#modules;
    const size = windowSize(prevhash);
    if (size === undefined || value <= 0n || value > maxValue(prevhash)) return undefined;
    const position = log.head();
    const at = now();
    const last = this.#snapshot;
    if (
      last !== undefined &&
      last.size === size &&
      (last.position === position || (at >= last.at && at - last.at <= this.#options.snapshotMs))
    )
      return last;
    const weights = this.#window.weigh(size);
    if (!weights.complete) {
      this.#loadMore(size * KEPT_WINDOWS);
      return undefined;
    }
    if (size > this.#largest) this.#largest = size;
    this.#window.forget(this.#largest * KEPT_WINDOWS);
    const snapshot: Snapshot = { size, position, at, weights, splits: new Map() };
    // An empty log has nothing to pin: the first share should count at once.
    if (weights.totalWeight > 0n) this.#snapshot = snapshot;
    return snapshot;
  }

  #rows(snapshot: Snapshot, value: bigint): readonly PreviewRow[] {
    let rows = snapshot.splits.get(value);
    if (rows === undefined) {
      const { scheme, log, payee } = this.#modules;
      const earned = scheme.earned({ value }, snapshot.weights);
      rows = split(earned, {
        value,
        dust: this.#options.dust,
        payee: (id) => {
          const account = log.directory.account(id);
          if (account === undefined || account.operator) return undefined;
          return { script: account.script, ...payee(account.script) };
        },
      });
      if (snapshot.splits.size < MAX_REMEMBERED) snapshot.splits.set(value, rows);
    }
    return rows;
  }

  /** Older segments, in the background; offers are empty until they are there, never from a part of the window. */
  #loadMore(weight: bigint): void {
    if (this.#loading) return;
    this.#loading = true;
    const { log, logger } = this.#modules;
    logger.warn(
      { loaded: String(this.#window.weight), wanted: String(weight) },
      "the share window reaches back past what is in memory; reading more",
    );
    log
      .exclusive("reading older segments", (client) => this.#load(client, weight))
      .catch((error: Error) => logger.error({ error: error.message }, "older segments could not be read"))
      .finally(() => {
        this.#loading = false;
      });
  }

  /** Loads older segments until at least `weight` is in memory or the log ends; at least one read's worth in an empty window. */
  async #load(client: Client, weight: bigint): Promise<void> {
    const started = performance.now();
    let segments = 0;
    while (this.#window.oldestSegment === undefined || (this.#window.olderRemain && this.#window.weight < weight)) {
      const before = this.#window.oldestSegment ?? 2 ** 31 - 1;
      const { rows: ids } = await client.query<{ id: number }>(SEGMENTS_BEFORE, [before, SEGMENTS_PER_READ]);
      const first = ids.at(-1)?.id;
      const last = ids[0]?.id;
      if (first === undefined || last === undefined) break;
      const { rows } = await client.query<{ segment: number; account: number; weight: string; fee_weight: string }>(READ_SUMS, [
        first,
        last,
      ]);
      await this.#modules.log.directory.load(
        client,
        rows.map(({ account }) => account),
      );
      const sums = new Map<number, SegmentSums["sums"][number][]>(ids.reverse().map(({ id }) => [id, []]));
      for (const row of rows) {
        sums.get(row.segment)?.push({ account: row.account, weight: BigInt(row.weight), feeWeight: BigInt(row.fee_weight) });
      }
      this.#window.load(
        [...sums].map(([id, list]) => ({ id, sums: list })),
        first > 1,
      );
      segments += sums.size;
    }
    this.#modules.logger.info(
      { segments, weight: String(this.#window.weight), ms: Math.round(performance.now() - started) },
      "share window read from the books",
    );
  }
}
