/**
 * Whom a coinbase shall pay: the share window in memory, following the committed log, and the splits made from it.
 *
 * An answer is given from a snapshot of the window at a committed position, at once and without the database; the split is stored through the same
 * queue as the shares, so it is committed before any share that is made from it.
 *
 * Everybody asks at once after a new block, each for another value. What does not depend on the value is worked out once per snapshot: the weights, and
 * how much each account's earning lacks to be paid. Per value there is left to divide it and to order the few accounts that lack nothing.
 */
import { performance } from "node:perf_hooks";
import {
  type AccountId,
  type Earnings,
  EMPTY_WINDOW,
  type NetworkTargets,
  type Payee,
  type Scheme,
  type SegmentSums,
  ShareWindow,
  segmentLimit,
  split,
  type WindowWeights,
  windowSize,
} from "@openprime/rewards";
import type { Client } from "pg";
import type { Registry } from "prom-client";
import { LedgerError } from "./errors.js";
import type { BalanceView } from "./money/types.js";
import { LOG_WEIGHT, READ_SUMS, SEGMENTS_BEFORE } from "./queries/window.js";
import type { ShareLog } from "./share-log.js";
import { Shortfalls } from "./shortfalls.js";
import { SplitMetrics } from "./split-metrics.js";
import type { BlockWorth, LedgerLogger, LogFollower, OfferedSplit, SplitOutput } from "./types.js";

export interface SplitBookOptions {
  /** Least output, satoshis; each script's own dust limit holds besides. */
  readonly dust: bigint;
  /** Satoshis that an account must be owed to be paid, where it has no threshold of its own. */
  readonly threshold: bigint;
  /**
   * An account that has no weight in the window, and that earned its last so many blocks of the chain ago, is paid from the dust floor on, whatever its
   * threshold: else what it is owed would stay for ever.
   */
  readonly inactiveBlocks: number;
  /** `pool`: everything goes to the pool's script, splits are empty. */
  readonly mode: "direct" | "pool";
  /** The pool's fee, parts per million. Schemes without a window take it from a block's value; it is stored with each split. */
  readonly feePpm: number;
  /** How old a snapshot may be given out again, milliseconds. Default 1000, at most five minutes (design, "Pinned"). */
  readonly snapshotMs?: number;
}

/** What the pool owes, as the books of the chain have it. */
export interface BalanceSource {
  /** The balances of the chain that ends at this block; undefined for every block but the followed tip. */
  view(prevhash: Uint8Array): BalanceView | undefined;
  /** Those of the followed tip. */
  latest(): BalanceView;
}

/** What the ledger can't know. */
export interface SplitBookModules {
  readonly log: ShareLog;
  readonly scheme: Scheme;
  readonly balances: BalanceSource;
  /** Targets of a block on this parent; undefined while they are unknown. */
  readonly targets: (prevhash: Uint8Array) => NetworkTargets | undefined;
  /** Above this value a request gets an empty list. */
  readonly maxValue: (prevhash: Uint8Array) => bigint;
  /** What paying a script means; the same for ever. */
  readonly payee: (script: Uint8Array) => Pick<Payee, "dustLimit" | "legacySigops">;
  /** Milliseconds, pool clock. */
  readonly now: () => number;
  readonly logger: LedgerLogger;
  readonly metrics?: Registry;
}

export interface SplitRequest {
  readonly sessionId: bigint;
  readonly coinbaserId: number;
  /** Satoshis. */
  readonly value: bigint;
  readonly prevhash: Uint8Array;
  /** Script of the account that asks, where it is known: the one that is paid where the scheme pays the finder. */
  readonly finder?: Uint8Array | undefined;
}

/** An output of a split and whose it is. */
export interface PreviewRow extends SplitOutput {
  readonly account: number;
}

/** The window at one committed position, and the splits made of it so far. */
interface Snapshot {
  /** The chain whose balances are paid too; undefined when only earnings are. */
  readonly prevhash: Uint8Array | undefined;
  readonly target: bigint;
  /** Of the balances. */
  readonly lastEntry: bigint;
  readonly position: bigint;
  /** Milliseconds, pool clock. */
  readonly at: number;
  readonly weights: WindowWeights;
  readonly shortfalls: Shortfalls;
  /** By finder and value. */
  readonly splits: Map<string, readonly PreviewRow[]>;
}

const MAX_SNAPSHOT_MS = 300_000;
/**
 * Segments are kept in memory for so many windows: a retarget that raises difficulty brings older shares back. It can do so fourfold, but hardly ever does by
 * a third, and segments of many accounts are most of the pool's memory. What was let go is read again when it is needed after all.
 */
const KEPT_WINDOWS = 2n;
const SEGMENTS_PER_READ = 128;
/**
 * A segment with fewer shares is not cut: each costs the log a transaction and a file, which should be small beside that of its shares. It only matters where
 * a window holds less than two million shares, as on test networks, whose windows weigh next to nothing.
 */
const LEAST_SHARES = 4096;
/** Different values one snapshot remembers. */
const MAX_REMEMBERED = 256;

export class SplitBook implements LogFollower {
  readonly #options: Required<SplitBookOptions>;
  readonly #modules: SplitBookModules;
  readonly #metrics: SplitMetrics | undefined;
  /** False for a scheme that does not look at the log. */
  readonly #windowed: boolean;
  /** A scheme that neither looks at the log nor pays each share can only pay who finds the block. */
  readonly #paysFinder: boolean;
  /** Without the segments whose shares are paid one by one. */
  readonly #window = new ShareWindow();
  /** Weight of the whole log, without shares that are paid one by one; followed where the scheme counts blocks. */
  #logWeight = 0n;
  /** Of the followed tip, with balances; and of all other parents, which differ by their target only. */
  #onTip: Snapshot | undefined;
  #elsewhere: Snapshot | undefined;
  /** Ledger entry up to which all accounts with a balance are in memory. */
  #knownUpTo: bigint | undefined;
  readonly #payees = new Map<AccountId, Payee | undefined>();
  /** Largest window asked for: a difficulty that falls for one block (test networks) or one request must not cost the memory of the others. */
  #largest = 0n;
  #loading = false;
  /** Shares of the open segment that were seen, and the weight at which it is to be cut; undefined where it ends with the tip. */
  #headShares = 0;
  #headLimit: bigint | undefined;
  #cutting = false;

  private constructor(options: SplitBookOptions, modules: SplitBookModules) {
    this.#options = { snapshotMs: 1000, ...options };
    if (this.#options.snapshotMs < 0 || this.#options.snapshotMs > MAX_SNAPSHOT_MS) {
      throw new RangeError(`expected a snapshot age of 0 to ${MAX_SNAPSHOT_MS} ms, got ${this.#options.snapshotMs}`);
    }
    this.#modules = modules;
    this.#metrics = modules.metrics && new SplitMetrics(modules.metrics);
    this.#windowed = modules.scheme.window.kind !== "none";
    this.#paysFinder = !this.#windowed && modules.scheme.credit === undefined;
  }

  /** Reads as many stored sums as the present window may need, and follows the log from there. Open it after the balances. */
  static open(options: SplitBookOptions, modules: SplitBookModules): Promise<SplitBook> {
    const book = new SplitBook(options, modules);
    const { log, balances, targets, scheme } = modules;
    return log.exclusive("reading the share window", async (client) => {
      const latest = balances.latest();
      await log.directory.load(client, latest.balances.keys());
      if (!book.#windowed) return book;
      if (scheme.window.kind === "blocks") {
        const { rows } = await client.query<{ weight: string }>(LOG_WEIGHT);
        book.#logWeight = BigInt(rows[0]?.weight ?? 0);
      }
      const network = log.prevhash === undefined ? undefined : targets(log.prevhash);
      await book.#load(client, (network === undefined ? 0n : book.#size(network, latest)) * KEPT_WINDOWS);
      book.#limitHead();
      log.follow(book);
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
    const { log, scheme, now } = this.#modules;
    const finder = this.#finder(request.finder);
    const made = this.#make(value, prevhash, finder);
    if (made !== undefined && made.rows.length > 0) {
      const offered: OfferedSplit = { id: log.nextSplitId(), coinbaserId, value, prevhash, outputs: made.rows, position: made.position };
      const terms = { scheme: scheme.options, feePpm: this.#options.feePpm };
      if (log.appendSplit({ ...offered, ...terms, sessionId, finder, offeredAt: now() })) return offered;
      this.#modules.logger.warn({ waiting: log.waiting }, "the share log is full: a gateway gets an empty split");
    }
    return { id: 0n, coinbaserId, value, prevhash, outputs: [], position: log.head() };
  }

  /** The split as `offer` would give it now, with the accounts; nothing is stored. */
  preview(value: bigint, prevhash: Uint8Array, finder?: Uint8Array): readonly PreviewRow[] {
    return this.#make(value, prevhash, this.#finder(finder))?.rows ?? [];
  }

  /** Earnings of a value over the present window, the operator's account among them; undefined when the parent, or a finder to be paid, is unknown. */
  earnings(value: bigint, prevhash: Uint8Array, finder?: Uint8Array): Earnings | undefined {
    const account = this.#finder(finder);
    if (this.#paysFinder && account === undefined) return undefined;
    const snapshot = this.#current(value, prevhash);
    return snapshot === undefined ? undefined : this.#earned(snapshot, value, account);
  }

  /** The window of that size at the committed head; for a scheme that has one. */
  weigh(size: bigint): WindowWeights {
    return this.#window.weigh(size);
  }

  segmentOpened(segment: number, worth: BlockWorth | undefined): void {
    if (worth === undefined) this.#window.openSegment(segment);
    this.#limitHead();
  }

  shareCommitted(segment: number, account: number, weight: bigint, feePpm: number, perShare: boolean): void {
    if (perShare) return;
    this.#window.add({ account, weight, feePpm });
    this.#logWeight += weight;
    this.#headShares++;
    if (this.#headLimit === undefined || this.#headShares < LEAST_SHARES || this.#cutting) return;
    if (this.#window.headWeight >= this.#headLimit) this.#cut(segment);
  }

  shareVoided(segment: number, account: number, weight: bigint, feePpm: number, perShare: boolean): void {
    if (perShare) return;
    this.#window.void(segment, { account, weight, feePpm });
    this.#logWeight -= weight;
    // A void has a position of its own, so the snapshot ages like with a share; but nobody should be offered what was taken back.
    this.#onTip = undefined;
    this.#elsewhere = undefined;
  }

  /** A segment begins. Where it ends, unless the tip changes before, depends on its tip alone. */
  #limitHead(): void {
    const { log, scheme, targets } = this.#modules;
    const network = log.prevhash === undefined ? undefined : targets(log.prevhash);
    this.#headShares = 0;
    this.#headLimit = network === undefined ? undefined : segmentLimit(scheme.window, network);
  }

  #cut(segment: number): void {
    const { log, logger } = this.#modules;
    this.#cutting = true;
    log
      .cutSegment(segment)
      .catch((error: Error) => {
        if (error instanceof LedgerError && error.code === "ledger.closed") return;
        // The segment ends with the tip, or is asked for again after as many shares more.
        this.#headShares = 0;
        logger.error({ segment, error: error.message }, "cutting a segment of the share log failed");
      })
      .finally(() => {
        this.#cutting = false;
      });
  }

  /** The account of a finder who is to be paid, if he has shares. */
  #finder(script: Uint8Array | undefined): AccountId | undefined {
    if (!this.#paysFinder || script === undefined) return undefined;
    return this.#modules.log.directory.accountOf(script)?.id;
  }

  #make(value: bigint, prevhash: Uint8Array, finder: AccountId | undefined): { rows: readonly PreviewRow[]; position: bigint } | undefined {
    if (this.#options.mode === "pool" || (this.#paysFinder && finder === undefined)) return undefined;
    const started = performance.now();
    const snapshot = this.#current(value, prevhash);
    if (snapshot === undefined) return undefined;
    const { splits, position } = snapshot;
    const key = `${finder ?? ""}:${value}`;
    let rows = splits.get(key);
    if (rows === undefined) {
      const claims = snapshot.shortfalls.claims(value, (amount, only) => this.#earned(snapshot, amount, finder, only));
      rows = split(claims, { value, dust: this.#options.dust, payee: (account) => this.#payee(account) });
      if (splits.size < MAX_REMEMBERED) splits.set(key, rows);
      this.#metrics?.computed((performance.now() - started) / 1000);
    }
    return { rows, position };
  }

  #earned({ weights }: Snapshot, value: bigint, finder: AccountId | undefined, only?: readonly number[]): Earnings {
    const { feePpm } = this.#options;
    return this.#modules.scheme.earned({ value, feePpm, ...(finder !== undefined && { finder }) }, weights, only);
  }

  /** A snapshot that may answer for this parent now. */
  #current(value: bigint, prevhash: Uint8Array): Snapshot | undefined {
    const { log, balances, targets, maxValue, now } = this.#modules;
    const network = targets(prevhash);
    if (network === undefined || value <= 0n || value > maxValue(prevhash)) return undefined;
    const view = balances.view(prevhash);
    const at = now();
    const last = view === undefined ? this.#elsewhere : this.#onTip;
    const { lastEntry } = view ?? balances.latest();
    if (last !== undefined && last.target === network.target && last.lastEntry === lastEntry && this.#fresh(last, at)) {
      if (view === undefined || (last.prevhash !== undefined && Buffer.compare(last.prevhash, prevhash) === 0)) return last;
    }
    const weights = this.#weights(network, view ?? balances.latest());
    if (weights === undefined || !this.#accountsKnown(view)) return undefined;
    this.#metrics?.weighed(weights.totalWeight, weights.accounts.length);
    const snapshot: Snapshot = {
      prevhash: view === undefined ? undefined : Uint8Array.from(prevhash),
      target: network.target,
      lastEntry,
      position: log.head(),
      at,
      weights,
      shortfalls: this.#shortfalls(weights.accounts, view),
      splits: new Map(),
    };
    // An empty log has nothing to pin: the first share should count at once.
    if (weights.totalWeight > 0n || !this.#windowed) {
      if (view === undefined) this.#elsewhere = snapshot;
      else this.#onTip = snapshot;
    }
    return snapshot;
  }

  /** True while a snapshot is young enough, or the log has not moved since. */
  #fresh({ at, position }: Snapshot, now: number): boolean {
    const age = now - at;
    return age >= 0 && age <= (position === this.#modules.log.head() ? MAX_SNAPSHOT_MS : this.#options.snapshotMs);
  }

  /** The weighed window of a block; undefined, and read in the background, while it reaches back past what is in memory. */
  #weights(network: NetworkTargets, view: BalanceView): WindowWeights | undefined {
    if (!this.#windowed) return EMPTY_WINDOW;
    const size = this.#size(network, view);
    const weights = this.#window.weigh(size);
    if (!weights.complete) {
      this.#modules.logger.warn(
        { loaded: String(this.#window.weight), wanted: String(size) },
        "the share window reaches back past what is in memory; reading more",
      );
      this.#loadMore("reading older segments", (client) => this.#load(client, size * KEPT_WINDOWS));
      return undefined;
    }
    if (size > this.#largest) this.#largest = size;
    this.#window.forget(this.#largest * KEPT_WINDOWS);
    return weights;
  }

  #size(targets: NetworkTargets, { blockWeights }: BalanceView): bigint {
    return windowSize(this.#modules.scheme.window, { targets, logWeight: this.#logWeight, blockWeights });
  }

  /** False, and they are read in the background, while accounts with a balance are not in memory: a split without them would be another split. */
  #accountsKnown(view: BalanceView | undefined): boolean {
    if (view === undefined || view.lastEntry === this.#knownUpTo) return true;
    const { directory } = this.#modules.log;
    const missing = [...view.balances.keys()].filter((account) => directory.account(account) === undefined);
    if (missing.length === 0) {
      this.#knownUpTo = view.lastEntry;
      return true;
    }
    this.#loadMore("reading accounts", (client) => directory.load(client, missing));
    return false;
  }

  #shortfalls(accounts: readonly AccountId[], view: BalanceView | undefined): Shortfalls {
    const { dust, threshold, inactiveBlocks } = this.#options;
    const own = view ?? this.#modules.balances.latest();
    return new Shortfalls({
      accounts,
      balances: view?.balances,
      terms: (account, earns) => {
        const payee = this.#payee(account);
        if (payee === undefined) return undefined;
        const least = payee.dustLimit > dust ? payee.dustLimit : dust;
        const lastEarned = earns ? undefined : view?.balances.get(account)?.lastEarned;
        const inactive = lastEarned !== undefined && own.height + 1 - lastEarned >= inactiveBlocks;
        const wanted = inactive ? dust : (own.threshold(account) ?? threshold);
        return { floor: wanted > least ? wanted : least, payee };
      },
    });
  }

  /** Undefined for an account that no coinbase pays: the operator's. */
  #payee(id: AccountId): Payee | undefined {
    let payee = this.#payees.get(id);
    if (payee === undefined && !this.#payees.has(id)) {
      const account = this.#modules.log.directory.account(id);
      if (account === undefined) return undefined;
      payee = account.operator ? undefined : { script: account.script, ...this.#modules.payee(account.script) };
      this.#payees.set(id, payee);
    }
    return payee;
  }

  /** In the background; offers are empty until it is there, never from a part of the window. */
  #loadMore(what: string, load: (client: Client) => Promise<void>): void {
    if (this.#loading) return;
    this.#loading = true;
    const { log, logger } = this.#modules;
    log
      .exclusive(what, load)
      .catch((error: Error) => logger.error({ error: error.message }, `${what} failed`))
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
      if (first === undefined || last === undefined) {
        this.#window.load([], false);
        break;
      }
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
        ids.length === SEGMENTS_PER_READ,
      );
      segments += sums.size;
    }
    this.#modules.logger.info(
      { segments, weight: String(this.#window.weight), ms: Math.round(performance.now() - started) },
      "share window read from the books",
    );
  }
}
