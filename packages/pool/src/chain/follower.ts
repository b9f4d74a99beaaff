/**
 * Keeps the books in step with the node's best chain: block by block upwards, and back down where the node has left the books' branch, however
 * deep. Nothing is skipped: whatever fails (node, database, a block that can't be had) is tried again until it works.
 *
 * All that it knows stands in the books' cursor, so a stop or a crash at any moment costs nothing but the step under way.
 */
import { setTimeout as wait } from "node:timers/promises";
import { fromReverseHex, NodeError, reverseHex } from "@openprime/bitcoin";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { type ChainBlock, type ChainBooks, type ChainPosition, type Connected, type Disconnected, LedgerError } from "../ledger/index.js";
import { ChainError } from "./errors.js";
import { findFork } from "./follower-fork.js";
import { FollowerMetrics, type Obstacle } from "./follower-metrics.js";
import { type FollowedNode, nodeAnswered } from "./node.js";
import { readBlock } from "./read-block.js";

export interface ChainFollowerOptions {
  /** Pause between two looks at the node when nobody pokes; 10 s by default. */
  readonly pollMs?: number;
  /** First pause after something failed; doubles up to thirty times itself. 1 s by default. */
  readonly retryMs?: number;
  /**
   * How long a node that stands below the books, on their own branch, is waited for before the books go back with it; 120 s by default. A node
   * that was not shut down well starts some blocks back and catches up; taking the pool's blocks back meanwhile would be noise.
   */
  readonly fallenBackMs?: number;
  /** Blocks before the first that new books know by their hash: the chain may leave the first block so far down. 100 by default. */
  readonly knownBefore?: number;
}

export interface ChainFollowerModules {
  readonly node: FollowedNode;
  readonly books: ChainBooks;
  /** The DATUM prime id that a coinbase's scriptSig carries; undefined when it has not that form. */
  readonly readPrimeId: (scriptSig: Uint8Array) => number | undefined;
  /** Done before each block joins: what was promised to gateways must be in the books first. Its failure is the step's. */
  readonly beforeConnect?: () => Promise<unknown>;
  readonly log: Logger;
  readonly metrics: Registry;
  /** A clock that is never set, milliseconds. */
  readonly monotonic?: () => number;
  /** Waits; rejects when the signal comes. */
  readonly delay?: (ms: number, signal: AbortSignal) => Promise<void>;
}

type Listener<T extends unknown[]> = (...args: T) => void;

/** How often a wait, and progress over many blocks, is said. */
const SAY_EVERY_MS = 30_000;
const MOST_RETRIES_PAUSE = 30;
/** RPC_INVALID_PARAMETER of Bitcoin Core: no block at that height. */
const OUT_OF_RANGE = -8;

export class ChainFollower {
  readonly #node: FollowedNode;
  readonly #books: ChainBooks;
  readonly #log: Logger;
  readonly #metrics: FollowerMetrics;
  readonly #monotonic: () => number;
  readonly #delay: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly #pollMs: number;
  readonly #retryMs: number;
  readonly #fallenBackMs: number;
  readonly #knownBefore: number;
  readonly #blockListeners = new Set<Listener<[block: ChainBlock, connected: Connected]>>();
  readonly #disconnectListeners = new Set<Listener<[position: ChainPosition, disconnected: Disconnected]>>();
  readonly #stop = new AbortController();
  #loop: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #poked = false;
  /** Things under way that must be done before the next block joins, and since when there are any (steady milliseconds). */
  #awaited = 0;
  #awaitedSince = 0;
  /** True while claims may be in the books for blocks that joined without them; at the start nobody knows. */
  #claimed = true;
  /** Height of the node's tip at the last look. */
  #top = 0;
  /** Tries in a row that got nowhere. */
  #failures = 0;
  #obstacle: Obstacle | undefined;
  /** Steady milliseconds at which an obstacle, or progress, was last said. */
  #saidAt = Number.NEGATIVE_INFINITY;
  #progressSaidAt = Number.NEGATIVE_INFINITY;
  /** Where the node's chain ends below the books, and since when (steady milliseconds). */
  #fallenBack: { readonly height: number; readonly since: number } | undefined;

  constructor(
    options: ChainFollowerOptions,
    private readonly modules: ChainFollowerModules,
  ) {
    this.#node = modules.node;
    this.#books = modules.books;
    this.#log = modules.log;
    this.#metrics = new FollowerMetrics(modules.metrics);
    this.#monotonic = modules.monotonic ?? (() => performance.now());
    this.#delay = modules.delay ?? ((ms, signal) => wait(ms, undefined, { signal }));
    this.#pollMs = options.pollMs ?? 10_000;
    this.#retryMs = options.retryMs ?? 1000;
    this.#fallenBackMs = options.fallenBackMs ?? 120_000;
    this.#knownBefore = options.knownBefore ?? 100;
  }

  /**
   * Begins new books at the node's tip, waiting for node and database where it must; then follows in the background.
   * @throws ChainError `stopped` when `stop` is called before new books have begun
   */
  start(): Promise<void> {
    const begun = this.#beginBooks();
    this.#loop = begun.then(
      () => this.#run(),
      () => undefined,
    );
    return begun;
  }

  /**
   * Looks at the node now: its tip has probably changed.
   * @param ready what must be done before a further block joins, such as the segment's end in the share log; its failure is its owner's to tell
   */
  follow(ready?: Promise<unknown>): void {
    if (ready !== undefined) {
      if (this.#awaited === 0) this.#awaitedSince = this.#monotonic();
      this.#awaited += 1;
      const done = (): void => {
        this.#awaited -= 1;
        this.follow();
      };
      ready.then(done, done);
    }
    this.#poked = true;
    this.#wake?.();
  }

  /**
   * Does the same for the claim of a found block: the block must not join before it. One that has, because the claim comes late, is looked at again.
   * @param recorded the claim's way into the books
   */
  expectClaim(recorded: Promise<unknown>): void {
    recorded.then(
      () => {
        this.#claimed = true;
      },
      // Whoever records it tries again, and comes here again.
      () => undefined,
    );
    this.follow(recorded);
  }

  /** Ends following. A block on its way into the books, or out of them, is waited for; nothing is called back after it. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#blockListeners.clear();
    this.#disconnectListeners.clear();
    this.#wake?.();
    await this.#loop;
  }

  /**
   * Calls back after each block that joined the books. A hint, not a record: a step whose answer was lost with the database's connection is done
   * and not called back. @returns ends it
   */
  onBlock(listener: (block: ChainBlock, connected: Connected) => void): () => void {
    this.#blockListeners.add(listener);
    return () => this.#blockListeners.delete(listener);
  }

  /** Calls back after each block that was taken back, likewise. @returns ends it */
  onDisconnect(listener: (position: ChainPosition, disconnected: Disconnected) => void): () => void {
    this.#disconnectListeners.add(listener);
    return () => this.#disconnectListeners.delete(listener);
  }

  // Turns.

  async #beginBooks(): Promise<void> {
    while (!this.#stopped && this.#books.cursor() === undefined) await this.#turn(() => this.#begin());
    if (this.#stopped) throw new ChainError("stopped", "stopped before the books had begun");
  }

  async #run(): Promise<void> {
    while (!this.#stopped) await this.#turn(() => this.#look());
  }

  /** One try and the pause after it. @param work false when it should be done again soon */
  async #turn(work: () => Promise<boolean>): Promise<void> {
    let pauseMs: number;
    try {
      pauseMs = (await work()) ? this.#pollMs : this.#retryMs;
      this.#advanced();
    } catch (error) {
      if (this.#stopped) return;
      this.#failed(error);
      pauseMs = this.#retryMs * Math.min(MOST_RETRIES_PAUSE, 2 ** this.#failures);
      this.#failures += 1;
    }
    await this.#pause(pauseMs);
  }

  async #pause(ms: number): Promise<void> {
    if (!this.#poked && !this.#stopped) {
      const wake = new AbortController();
      this.#wake = () => wake.abort();
      await this.#delay(ms, wake.signal).catch((error: unknown) => {
        if (!wake.signal.aborted) throw error;
      });
      this.#wake = undefined;
    }
    this.#poked = false;
  }

  get #stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Waits for something that changes nothing, and no longer than until the stop. */
  #orStop<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this.#stop;
    return new Promise<T>((resolve, reject) => {
      const end = (): void => reject(signal.reason);
      if (signal.aborted) end();
      // Taken away again each time: the signal lives as long as the pool, and would keep every answer.
      signal.addEventListener("abort", end, { once: true });
      promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", end));
    });
  }

  // Following.

  async #begin(): Promise<boolean> {
    const { blocks, bestblockhash } = await this.#nodeInfo();
    const position = { height: blocks, hash: readHash("getblockchaininfo", bestblockhash) };
    const before: ChainPosition[] = [];
    for (let height = Math.max(0, blocks - this.#knownBefore); height < blocks; height++) {
      const hash = await this.#nodeHash(height);
      if (hash === undefined) return false;
      before.push({ height, hash });
    }
    // The chain may have moved meanwhile: then these are of two.
    if (!(await this.#isOnNodesChain(position))) return false;
    await this.#books.begin(position, before);
    this.#metrics.at(blocks, blocks);
    this.#log.info({ height: blocks, hash: bestblockhash }, "the books begin after this block");
    this.#poked = true;
    return true;
  }

  /** Brings the books to the node's tip. @returns false when the chain moved under it: to be done again */
  async #look(): Promise<boolean> {
    this.#top = (await this.#nodeInfo()).blocks;
    this.#progressSaidAt = this.#monotonic();
    for (;;) {
      this.#stop.signal.throwIfAborted();
      const cursor = this.#books.cursor();
      if (cursor === undefined) return this.#begin();
      this.#metrics.at(cursor.height, this.#top);
      const next = await this.#nodeHash(cursor.height + 1);
      if (next === undefined) {
        if (await this.#isOnNodesChain(cursor)) {
          if (this.#claimed) await this.#attributeClaimed();
          return true;
        }
        if (!(await this.#leave(cursor))) return false;
        continue;
      }
      if (this.#mustWait(cursor)) return true;
      const block = await this.#read(next, cursor);
      if (block !== undefined) await this.#connect(block);
      else if ((await this.#isOnNodesChain(cursor)) || !(await this.#leave(cursor))) return false;
    }
  }

  /** True while something must be done before the next block joins; its end pokes. @throws Error when that takes long */
  #mustWait({ height }: ChainPosition): boolean {
    if (this.#awaited === 0) return false;
    const waitedMs = this.#monotonic() - this.#awaitedSince;
    if (waitedMs < SAY_EVERY_MS) return true;
    throw new Error(`the share log has not come through with what must be done before block ${height + 1}, for ${waitedMs / 1000} s`);
  }

  /** The block after the books' last; undefined when the node's chain has another there by now, or does not go through the books' last. */
  async #read(hash: Uint8Array, cursor: ChainPosition): Promise<ChainBlock | undefined> {
    try {
      const raw = await this.#orStop(this.#node.rawBlock(reverseHex(hash)));
      return await readBlock(raw, hash, cursor, this.modules);
    } catch (error) {
      if (!(error instanceof ChainError) && !nodeAnswered(error)) throw error;
      const now = await this.#nodeHash(cursor.height + 1);
      if (now === undefined || !equal(now, hash) || !(await this.#isOnNodesChain(cursor))) return undefined;
      throw error instanceof ChainError ? error : unavailable(cursor.height + 1, reverseHex(hash), error.message);
    }
  }

  async #connect(block: ChainBlock): Promise<void> {
    this.#stop.signal.throwIfAborted();
    if (this.modules.beforeConnect !== undefined) await this.#orStop(this.modules.beforeConnect());
    this.#stop.signal.throwIfAborted();
    const started = performance.now();
    const connected = await this.#books.connect(block);
    this.#metrics.booked((performance.now() - started) / 1000);
    this.#advanced();
    this.#fallenBack = undefined;
    this.#metrics.connected(connected);
    this.#metrics.at(block.height, this.#top);
    const { outcome, received, paid, claimed } = connected;
    const fields = { height: block.height, hash: reverseHex(block.hash) };
    if (outcome === "paid") this.#log.info({ ...fields, received, paid, claimed }, "a block of the pool has joined the best chain");
    else if (outcome === "receipt") this.#log.warn({ ...fields, received }, "a coinbase pays the pool, and is no block that it knows");
    else this.#log.debug(fields, "block in the books");
    this.#sayProgress(block.height);
    this.#call(this.#blockListeners, block, connected);
  }

  /** Looks again at blocks that joined as nobody's, and that have a claim now. */
  async #attributeClaimed(): Promise<void> {
    this.#claimed = false;
    try {
      for (const position of await this.#orStop(this.#books.claimedReceipts())) await this.#attribute(position);
    } catch (error) {
      this.#claimed = true;
      throw error;
    }
  }

  async #attribute({ height, hash }: ChainPosition): Promise<void> {
    const fields = { height, hash: reverseHex(hash) };
    const parent = await this.#orStop(this.#books.hashAt(height - 1));
    // Taken back meanwhile; it is asked about again when it joins.
    if (parent === undefined) return;
    let connected: Connected | undefined;
    try {
      const raw = await this.#orStop(this.#node.rawBlock(fields.hash));
      const block = await readBlock(raw, hash, { height: height - 1, hash: parent }, this.modules);
      this.#stop.signal.throwIfAborted();
      connected = await this.#books.attribute(block);
    } catch (error) {
      // A node without the block, and a log without the shares, will say the same again: that must not hold the books up.
      if (!nodeAnswered(error) && !(error instanceof LedgerError && error.code === "ledger.pinTooOld")) throw error;
      this.#log.error({ ...fields, error: error.message }, "the claim of a block came after the block, which stays nobody's");
      return;
    }
    if (connected === undefined) return;
    const { outcome, received, paid } = connected;
    if (outcome === "paid") {
      this.#metrics.connected(connected);
      this.#log.warn({ ...fields, received, paid }, "the claim of a block came after the block: what was a receipt is a block of the pool");
    } else this.#log.debug(fields, "a block that a session claims is none of the pool's");
  }

  /** Takes back what is not on the node's chain. @returns false when nothing was */
  async #leave(cursor: ChainPosition): Promise<boolean> {
    const fork = await findFork(cursor.height, (height) => this.#isSame(height));
    if (fork === cursor.height) return false;
    if (fork < 0 || (await this.#books.hashAt(fork)) === undefined) throw await this.#noCommonBlock(fork + 1);
    if ((await this.#nodeHash(fork + 1)) === undefined) this.#waitForNode(fork, cursor);
    this.#log.warn(
      { height: cursor.height, hash: reverseHex(cursor.hash), fork },
      "the node's chain has left the books': they go back to the fork",
    );
    let at: ChainPosition | undefined = cursor;
    while (at !== undefined && at.height > fork && !(await this.#isOnNodesChain(at))) {
      await this.#disconnect(at);
      at = this.#books.cursor();
    }
    return at?.height !== cursor.height;
  }

  async #disconnect(position: ChainPosition): Promise<void> {
    this.#stop.signal.throwIfAborted();
    const started = performance.now();
    const disconnected = await this.#books.disconnect(position);
    this.#metrics.booked((performance.now() - started) / 1000);
    this.#advanced();
    this.#metrics.disconnected(disconnected);
    this.#metrics.at(position.height - 1, this.#top);
    const fields = { height: position.height, hash: reverseHex(position.hash), reversed: disconnected.reversed };
    if (disconnected.poolBlock) this.#log.warn(fields, "a block of the pool has left the best chain: its postings are reversed");
    else this.#log.debug(fields, "block taken back");
    this.#call(this.#disconnectListeners, position, disconnected);
  }

  /** @throws ChainError `nodeBehind` as long as the node may still be catching up */
  #waitForNode(height: number, cursor: ChainPosition): void {
    const now = this.#monotonic();
    if (this.#fallenBack?.height !== height) this.#fallenBack = { height, since: now };
    if (now - this.#fallenBack.since >= this.#fallenBackMs) return;
    throw new ChainError(
      "nodeBehind",
      `the node's chain ends at block ${height}, the books are at block ${cursor.height} of the same chain: it is given ` +
        `${Math.ceil(this.#fallenBackMs / 1000)} s without a change to catch up, then the books go back with it`,
      String(cursor.height),
      String(height),
    );
  }

  // The node.

  async #nodeInfo(): ReturnType<FollowedNode["blockchainInfo"]> {
    const info = await this.#orStop(this.#node.blockchainInfo());
    if (!info.initialblockdownload) return info;
    // Its best chain is on its way up; the books must not follow it down first.
    throw new ChainError("nodeBehind", `the node is still synchronising: block ${info.blocks} of ${info.headers}`);
  }

  /** Hash at a height of the node's best chain, internal order; undefined above its tip. */
  async #nodeHash(height: number): Promise<Uint8Array | undefined> {
    try {
      return readHash("getblockhash", await this.#orStop(this.#node.blockHash(height)));
    } catch (error) {
      if (nodeAnswered(error) && (error.rpcCode === OUT_OF_RANGE || error.notFound)) return undefined;
      throw error;
    }
  }

  async #isOnNodesChain({ height, hash }: ChainPosition): Promise<boolean> {
    const there = await this.#nodeHash(height);
    return there !== undefined && equal(there, hash);
  }

  /** Whether books and node have the same block; undefined where the books have none. */
  async #isSame(height: number): Promise<boolean | undefined> {
    this.#stop.signal.throwIfAborted();
    const hash = await this.#books.hashAt(height);
    return hash === undefined ? undefined : this.#isOnNodesChain({ height, hash });
  }

  async #noCommonBlock(first: number): Promise<ChainError> {
    const ours = await this.#books.hashAt(first);
    const theirs = await this.#nodeHash(first);
    const expected = ours === undefined ? "none" : reverseHex(ours);
    const got = theirs === undefined ? `none, its tip is block ${this.#top}` : reverseHex(theirs);
    return new ChainError(
      "noCommonBlock",
      `the node's chain has no block in common with the books: they begin with block ${first} ${expected}, the node has ${got} there. ` +
        "Nothing is booked until the pool has a node of the chain that its books are of (node.url), or new books (another database)",
      expected,
      got,
    );
  }

  // What is said.

  /** Something worked: whatever was in the way is no longer. */
  #advanced(): void {
    this.#failures = 0;
    if (this.#obstacle === undefined) return;
    this.#obstacle = undefined;
    this.#metrics.stuck(undefined);
    this.#log.info({ height: this.#books.cursor()?.height }, "the books follow the chain again");
  }

  #failed(error: unknown): void {
    const obstacle = error instanceof NodeError ? "node" : error instanceof ChainError ? error.code : "books";
    const now = this.#monotonic();
    const isNew = obstacle !== this.#obstacle;
    this.#obstacle = obstacle;
    this.#metrics.stuck(obstacle);
    if (!isNew && now - this.#saidAt < SAY_EVERY_MS) return;
    this.#saidAt = now;
    const fields = { reason: obstacle, height: this.#books.cursor()?.height };
    // A failure of the books can be a fault of ours: then the stack tells where.
    if (obstacle === "books") this.#log.error({ ...fields, err: error }, "the books do not follow the chain: tried again");
    else this.#log.error({ ...fields, error: (error as Error).message }, "the books do not follow the chain: tried again");
  }

  #sayProgress(height: number): void {
    const now = this.#monotonic();
    if (height >= this.#top || now - this.#progressSaidAt < SAY_EVERY_MS) return;
    this.#progressSaidAt = now;
    this.#log.info({ height, top: this.#top, behind: this.#top - height }, "the books are catching up with the chain");
  }

  #call<T extends unknown[]>(listeners: Iterable<Listener<T>>, ...args: T): void {
    for (const listener of listeners) {
      try {
        listener(...args);
      } catch (error) {
        // One listener's fault must not keep the books from following.
        this.#log.error({ err: error }, "a listener of the books failed");
      }
    }
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** @throws NodeError `badResponse` for what is no block's hash */
function readHash(method: string, hex: string): Uint8Array {
  if (!/^[0-9a-f]{64}$/i.test(hex)) throw new NodeError("badResponse", method, `expected a block's hash, got ${hex.length} characters`);
  return fromReverseHex(hex);
}

function unavailable(height: number, hash: string, words: string): ChainError {
  return new ChainError(
    "blockUnavailable",
    `the node does not give block ${height} ${hash} of its own best chain, which the books need next (${words}). If it is pruned: let it fetch ` +
      "the block again (getblockfrompeer) or give the pool a node that has it (node.url), and let the pruned node keep more blocks from now on (prune)",
    hash,
    words,
  );
}
