/**
 * The chain as the pool's node sees it: its tip, and what is known of every block that work is built on.
 *
 * The node is polled, and told at once by ZMQ where that is configured. While it does not answer nothing is judged stale, and the time that
 * an unknown parent is given stands still: silence of the node says nothing about a block.
 */
import {
  type BlockHeaderInfo,
  type BlockTemplate,
  fromReverseHex,
  type Network,
  reverseHex,
  subscribeHashBlock,
  subsidy,
} from "@openprime/bitcoin";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { ChainView, Parent } from "../work/index.js";
import { ChainError } from "./errors.js";
import { GENESIS } from "./genesis.js";
import { ChainMetrics } from "./metrics.js";
import { type BitsHeader, nextBits } from "./next-bits.js";
import { type ChainNode, isInvalid, nodeAnswered, readBlockFees, readHeader } from "./node.js";
import { type OwnTemplate, readOwnTemplate } from "./own-template.js";
import { type ParentEntry, ParentTable } from "./parents.js";
import { RecentFees } from "./recent-fees.js";

export interface ChainTrackerOptions {
  readonly network: Network;
  /** Pause between two questions for the tip; 1 s by default. */
  readonly pollMs?: number;
  /** The nodes' `zmqpubhashblock` endpoints. */
  readonly zmqHashBlocks?: readonly string[];
  /** How long a parent may stay unknown before it is invalid; 60 s by default. */
  readonly unknownParentMs?: number;
}

export interface ChainTrackerModules {
  readonly node: ChainNode;
  readonly log: Logger;
  readonly metrics: Registry;
  /** Pool clock, milliseconds. */
  readonly now: () => number;
  /** A clock that is never set, milliseconds. */
  readonly monotonic?: () => number;
  readonly subscribe?: typeof subscribeHashBlock;
}

type Listener<T extends unknown[]> = (...args: T) => void;

/** What is kept of a template; its transactions are megabytes. */
interface TemplateFigures {
  readonly previous: string;
  readonly height: number;
  readonly bits: number;
  /** Satoshis. */
  readonly subsidy: bigint;
}

/** While waiting for a node: how often that is said. */
const SAY_EVERY_MS = 30_000;
/** How often the node is asked again for a parent it did not have. */
const ASK_AGAIN_MS = 5_000;
/** Blocks that are looked at when the node has left a branch as invalid. */
const LEFT_BLOCKS = 100;
/** A template's fees and, on the test networks, its bits grow old. */
const TEMPLATE_MS = 30_000;
/** A busy node's template is not waited for longer before a new tip is used. */
const TEMPLATE_PATIENCE_MS = 2_000;
/** 144 blocks, each with its own fees and those of the template that came before it. */
const FEE_FIGURES = 288;
/** Blocks whose fees are looked up at start. */
const FEE_BLOCKS_AT_START = 6;
/**
 * Least figure for "recent highest fees": without it a pool with an empty mempool (a test network, the minute after a start) would take an
 * honest template with sudden fees for a made-up one. 0.1 bitcoin is a usual block's fees, so it tells a stranger nothing.
 */
const FEE_FLOOR = 10_000_000n;

export class ChainTracker implements ChainView {
  readonly #network: Network;
  readonly #pollMs: number;
  readonly #unknownMs: number;
  readonly #node: ChainNode;
  readonly #log: Logger;
  readonly #metrics: ChainMetrics;
  readonly #monotonic: () => number;
  readonly #parents = new ParentTable();
  readonly #fees = new RecentFees(FEE_FIGURES);
  readonly #blockFees = new RecentFees(FEE_FIGURES / 2);
  readonly #tipListeners = new Set<Listener<[tip: Parent, previous: Parent | undefined]>>();
  readonly #knownListeners = new Set<Listener<[parent: Parent]>>();
  readonly #invalidListeners = new Set<Listener<[parent: Parent]>>();
  readonly #templateListeners = new Set<Listener<[template: OwnTemplate]>>();
  #tip: ParentEntry | undefined;
  #reachable = false;
  #template: TemplateFigures | undefined;
  #templateAskedAt = Number.NEGATIVE_INFINITY;
  #templateAsking: Promise<void> | undefined;
  #askingUnknown: Promise<void> | undefined;
  /** Steady milliseconds at which it was last said that the node is waited for. */
  #saidAt = Number.NEGATIVE_INFINITY;
  #stopped = false;
  /** Ends what waits for the node. */
  #end = (): void => undefined;
  readonly #ending = new Promise<undefined>((resolve) => {
    this.#end = () => resolve(undefined);
  });
  #loop: Promise<void> | undefined;
  /** Ends of the subscriptions. */
  readonly #subscriptions: (() => void)[] = [];
  #wake: (() => void) | undefined;
  #poked = false;

  constructor(
    private readonly options: ChainTrackerOptions,
    private readonly modules: ChainTrackerModules,
  ) {
    this.#network = options.network;
    this.#pollMs = options.pollMs ?? 1000;
    this.#unknownMs = options.unknownParentMs ?? 60_000;
    this.#node = modules.node;
    this.#log = modules.log;
    this.#metrics = new ChainMetrics(modules.metrics);
    this.#monotonic = modules.monotonic ?? (() => performance.now());
  }

  /**
   * Waits for a node that answers, is on the pool's network and has caught up, and says every half minute what it waits for; then follows it.
   * @throws ChainError `wrongNetwork`, `wrongGenesis`; `stopped` when `stop` is called meanwhile; ZmqError for an endpoint that can't be used
   */
  async start(): Promise<void> {
    for (const endpoint of this.options.zmqHashBlocks ?? []) await this.#subscribe(endpoint);
    while (!this.#stopped) {
      const waitingFor = await Promise.race([this.#ready(), this.#ending]);
      if (this.#stopped) break;
      if (waitingFor === undefined) {
        this.#loop = this.#run();
        void this.#lookBackForFees();
        return;
      }
      this.#say(waitingFor);
      await this.#pause();
    }
    throw new ChainError("stopped", "stopped before the node was ready");
  }

  /** Ends polling; nothing is called back after it. A question under way is not waited for: a node that hangs must not hold the stop up. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const end of this.#subscriptions.splice(0)) end();
    this.#tipListeners.clear();
    this.#knownListeners.clear();
    this.#invalidListeners.clear();
    this.#templateListeners.clear();
    this.#end();
    this.poke();
    await Promise.race([this.#loop, this.#ending]);
  }

  /** Asks the node now, not at the next turn: somebody has reason to think that the tip has changed. */
  poke(): void {
    this.#poked = true;
    this.#wake?.();
  }

  get reachable(): boolean {
    return this.#reachable;
  }

  tip(): Parent | undefined {
    return this.#tip?.parent;
  }

  known(hash: Uint8Array): Parent | undefined {
    return this.#parents.get(hash)?.parent;
  }

  parent(hash: Uint8Array, claimedHeight: number, proven = false): Parent | undefined {
    const known = this.#parents.get(hash);
    if (known !== undefined) return known.parent;
    const entry = this.#parents.enterUnknown(hash, reverseHex(hash), claimedHeight, this.#monotonic(), proven);
    if (entry === undefined) return undefined;
    this.#metrics.unknown(this.#parents.unknown().length);
    // Either the node is a moment behind, then its tip changes soon, or the block is none it builds on.
    this.poke();
    void this.#ask(entry);
    return entry.parent;
  }

  /** Calls back at every change of the tip, also back to a block that was the tip before. @returns ends it. */
  onTip(listener: (tip: Parent, previous: Parent | undefined) => void): () => void {
    this.#tipListeners.add(listener);
    return () => this.#tipListeners.delete(listener);
  }

  /** Calls back when the node turns out to have a parent that was unknown: its tentative shares are good. */
  onParentKnown(listener: (parent: Parent) => void): () => void {
    this.#knownListeners.add(listener);
    return () => this.#knownListeners.delete(listener);
  }

  /** Calls back when the node did not have a parent in time: its tentative shares are void. */
  onParentInvalid(listener: (parent: Parent) => void): () => void {
    this.#invalidListeners.add(listener);
    return () => this.#invalidListeners.delete(listener);
  }

  /** Calls back with the node's own template, every half minute and at each new tip. @returns ends it. */
  onOwnTemplate(listener: (template: OwnTemplate) => void): () => void {
    this.#templateListeners.add(listener);
    return () => this.#templateListeners.delete(listener);
  }

  /** The highest fees of the last 144 blocks that were seen and of the node's templates, satoshis; never under the floor. */
  highestFees(): bigint {
    const highest = this.#fees.highest();
    return highest > FEE_FLOOR ? highest : FEE_FLOOR;
  }

  /** Fees of the recent blocks whose fees the node told, on average; satoshis, at most 144 blocks. */
  averageFees(): bigint {
    return this.#blockFees.average();
  }

  /** New coins of the block at `height`, satoshis: by the rule, or by the node's own template where that says more (test chains). */
  subsidy(height: number): bigint {
    const byRule = subsidy(height, this.#network);
    const template = this.#template;
    if (template === undefined) return byRule;
    return Math.abs(height - template.height) <= 1 && template.subsidy > byRule ? template.subsidy : byRule;
  }

  /**
   * The most that a coinbase on that parent can plausibly be worth: the subsidy plus twice the recent highest fees, satoshis. A request for
   * more is no job's. On a parent that is not known, or lies deep, the tip's height counts; 0 before the first tip.
   */
  maxValue(prevhash: Uint8Array): bigint {
    const parent = this.#nearTip(prevhash);
    return parent === undefined ? 0n : this.subsidy(parent.height + 1) + 2n * this.highestFees();
  }

  /**
   * Compact target of a block on that parent; the tip's where the node has not told of the parent, or it lies so deep that nobody builds on it
   * (its target may be of another age, and the asker chose it). Undefined before the first tip.
   */
  childBits(prevhash: Uint8Array): number | undefined {
    return this.#nearTip(prevhash)?.childBits;
  }

  /** The parent if the node has told of it and it may be built on in good faith: the tip, its rivals, what came just before. Else the tip. */
  #nearTip(prevhash: Uint8Array): Parent | undefined {
    const tip = this.#tip?.parent;
    const known = this.#parents.get(prevhash)?.parent;
    return tip !== undefined && known?.childBits !== undefined && known.height >= tip.height - 1 ? known : tip;
  }

  // Waiting for the node.

  /** Undefined when the node is ready and its tip is known; else what is missing. */
  async #ready(): Promise<string | undefined> {
    try {
      const waitingFor = await this.#checkNode();
      if (waitingFor === undefined) await this.#follow();
      return waitingFor;
    } catch (error) {
      if (error instanceof ChainError) throw error;
      return `the node does not answer: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  /** Undefined when the node can be followed; else what it must do first. @throws ChainError when it never can. */
  async #checkNode(): Promise<string | undefined> {
    const { chain, initialblockdownload, blocks, headers } = await this.#node.blockchainInfo();
    const expected = this.#network.chain;
    if (chain !== expected) {
      throw new ChainError("wrongNetwork", `the pool is set to ${expected}, its node is on ${chain}`, expected, chain);
    }
    const genesis = await this.#node.blockHash(0);
    const first = GENESIS[this.#network.name];
    if (genesis !== first) {
      throw new ChainError(
        "wrongGenesis",
        `${this.#network.name} begins with block ${first}, the node's chain with ${genesis}`,
        first,
        genesis,
      );
    }
    // Its tip is an old block, and the work of every gateway would be stale by it.
    return initialblockdownload ? `the node is still synchronising: block ${blocks} of ${headers}` : undefined;
  }

  #say(what: string): void {
    const now = this.#monotonic();
    if (now - this.#saidAt < SAY_EVERY_MS) return;
    this.#saidAt = now;
    this.#log.warn({ waitingFor: what }, "waiting for the Bitcoin node");
  }

  async #subscribe(endpoint: string): Promise<void> {
    const subscribe = this.modules.subscribe ?? subscribeHashBlock;
    const end = await subscribe(
      endpoint,
      () => this.poke(),
      (error) => this.#log.warn({ err: error, endpoint }, "ZMQ hashblock: the node is polled all the same"),
    );
    if (this.#stopped) end();
    else this.#subscriptions.push(end);
  }

  // Following it.

  async #run(): Promise<void> {
    for (;;) {
      await this.#pause();
      if (this.#stopped) return;
      try {
        const waitingFor = this.#reachable ? undefined : await this.#checkNode();
        if (waitingFor === undefined) await this.#follow();
        else this.#say(waitingFor);
      } catch (error) {
        if (this.#stopped) return;
        this.#lost(error);
      }
    }
  }

  /** One look at the node. @throws when it does not answer. */
  async #follow(): Promise<void> {
    const best = await this.#node.bestBlockHash();
    if (best !== this.#tip?.hash) await this.#advance(best);
    else if (this.#monotonic() - this.#templateAskedAt >= TEMPLATE_MS) void this.#askTemplate();
    this.#found();
    // Beside the polls: a new tip must not wait for a hundred answers about parents that nobody has.
    this.#askingUnknown ??= this.#askUnknown().finally(() => {
      this.#askingUnknown = undefined;
    });
  }

  async #advance(best: string): Promise<void> {
    const [header] = await Promise.all([this.#node.blockHeader(best), this.#templateOn(best)]);
    const template = this.#template;
    const bits = template?.previous === best ? template.bits : await this.#bitsAfter(header);
    if (this.#stopped) return;
    this.#setTip(header, bits);
    void this.#noteFees(best);
  }

  /** The one place where the tip changes: both objects in one step, then the listeners. */
  #setTip(header: BlockHeaderInfo, childBits: number): void {
    const before = this.#tip;
    const hash = fromReverseHex(header.hash);
    const wasUnknown = this.#parents.get(hash)?.parent.state === "unknown";
    const entry = this.#parents.tip(hash, header.hash, header.height, this.#monotonic());
    const { parent } = entry;
    if (before !== undefined && before !== entry) before.parent.state = "stale";
    parent.state = "tip";
    parent.height = header.height;
    parent.childBits = childBits;
    parent.medianTime = header.mediantime;
    parent.staleSince = undefined;
    this.#tip = entry;
    this.#passBy(header.height);
    this.#metrics.tip(header.height, this.modules.now());
    this.#metrics.unknown(this.#parents.unknown().length);
    const fields = { height: header.height, hash: header.hash, bits: childBits.toString(16) };
    if (before === undefined || header.previousblockhash === before.hash) this.#log.info(fields, "tip");
    else
      this.#log.warn({ ...fields, instead: before.hash, insteadHeight: before.parent.height }, "tip on another branch, or several at once");
    if (wasUnknown) this.#call(this.#knownListeners, parent);
    this.#call(this.#tipListeners, parent, before?.parent);
    if (before !== undefined && before !== entry && header.height <= before.parent.height) void this.#checkLeft(before);
  }

  /** Blocks that the chain has passed are stale from now on; of those at the tip's height, or above, any may still win. */
  #passBy(tipHeight: number): void {
    const now = this.modules.now();
    for (const { parent } of this.#parents.all()) {
      if (parent.state === "stale") parent.staleSince = parent.height >= tipHeight ? undefined : (parent.staleSince ?? now);
    }
  }

  /** The chain went back, or sideways: marks what the node left because it is invalid. Never throws. */
  async #checkLeft(left: ParentEntry): Promise<void> {
    try {
      if (!(await isInvalid(this.#node, left.hash))) return;
      const branch = [left];
      let header = await this.#node.blockHeader(left.hash);
      for (let step = 0; step < LEFT_BLOCKS && header.confirmations < 1 && header.previousblockhash !== undefined; step++) {
        header = await this.#node.blockHeader(header.previousblockhash);
        const entry = this.#parents.get(fromReverseHex(header.hash));
        if (entry !== undefined && header.confirmations < 1) branch.push(entry);
      }
      // Where the chain now ends at the fork it is the first block after it that is invalid, and so all are; else only the last is sure to be.
      const invalid = header.hash === this.#tip?.hash ? branch : [left];
      for (const { parent, hash } of invalid) {
        if (parent.state !== "stale") continue;
        parent.state = "invalid";
        parent.staleSince = undefined;
        this.#log.warn({ hash, height: parent.height }, "the node calls a former tip invalid: work on it is refused");
      }
    } catch (error) {
      this.#log.warn(
        { hash: left.hash, error: error instanceof Error ? error.message : String(error) },
        "a former tip was not asked about",
      );
    }
  }

  /** The node answers. */
  #found(): void {
    if (this.#reachable) return;
    this.#reachable = true;
    this.#metrics.reachable(true);
    // It could not tell of them while it was away: their time begins anew.
    for (const entry of this.#parents.unknown()) entry.unknownSince = this.#monotonic();
    this.#log.info({ height: this.#tip?.parent.height, hash: this.#tip?.hash }, "the Bitcoin node answers");
  }

  #lost(error: unknown): void {
    const words = error instanceof Error ? error.message : String(error);
    if (this.#reachable) {
      this.#reachable = false;
      this.#metrics.reachable(false);
      this.#saidAt = this.#monotonic();
      this.#log.error({ error: words }, "the Bitcoin node does not answer: nothing is judged stale until it does");
    } else this.#say(words);
  }

  // Unknown parents.

  async #askUnknown(): Promise<void> {
    const now = this.#monotonic();
    for (const entry of this.#parents.unknown()) {
      if (now - entry.unknownSince >= this.#unknownMs) this.#invalidate(entry, "the node never had this parent: work on it is void");
      else if (now - entry.askedAt >= ASK_AGAIN_MS) await this.#ask(entry);
    }
  }

  /** Asks the node for one unknown parent; never throws. */
  async #ask(entry: ParentEntry): Promise<void> {
    if (entry.asking) return;
    entry.asking = true;
    entry.askedAt = this.#monotonic();
    try {
      const header = await readHeader(this.#node, entry.hash);
      if (header !== undefined) await this.#learn(entry, header);
    } catch (error) {
      // The poll finds out for itself whether the node is gone; this parent is asked for again.
      this.#log.debug({ hash: entry.hash, error: error instanceof Error ? error.message : String(error) }, "unknown parent not asked");
    } finally {
      entry.asking = false;
    }
  }

  /** The node has the header of a parent that was unknown. */
  async #learn(entry: ParentEntry, header: BlockHeaderInfo): Promise<void> {
    const bits = await this.#bitsAfter(header);
    const { parent } = entry;
    // Only of a block that competes with the tip is it worth asking.
    const invalid = header.height === this.#tip?.parent.height && (await isInvalid(this.#node, entry.hash));
    const tip = this.#tip?.parent;
    if (this.#stopped || tip === undefined || parent.state !== "unknown") return;
    // Higher than the tip: the node has the header and not yet, or never, the block. It becomes the tip, or its time runs out.
    if (header.height > tip.height) return;
    if (invalid) {
      this.#invalidate(entry, "the node calls this parent invalid: work on it is void");
      return;
    }
    parent.state = "stale";
    parent.height = header.height;
    parent.medianTime = header.mediantime;
    parent.childBits = bits;
    // The tip's rival may win; its parent may be what a gateway builds on in good faith; what lies deeper has been stale for longer than any grace.
    if (header.height < tip.height) parent.staleSince = header.height === tip.height - 1 ? this.modules.now() : 0;
    this.#parents.settle(entry);
    this.#metrics.unknown(this.#parents.unknown().length);
    this.#call(this.#knownListeners, parent);
  }

  #invalidate(entry: ParentEntry, words: string): void {
    entry.parent.state = "invalid";
    this.#parents.settle(entry);
    this.#metrics.invalid();
    this.#metrics.unknown(this.#parents.unknown().length);
    this.#log.warn({ hash: entry.hash, afterMs: Math.round(this.#monotonic() - entry.unknownSince) }, words);
    this.#call(this.#invalidListeners, entry.parent);
  }

  // Targets and fees.

  async #bitsAfter(header: BitsHeader): Promise<number> {
    return nextBits(header, this.#network, Math.floor(this.modules.now() / 1000), {
      byHash: (hash) => this.#node.blockHeader(hash),
      byHeight: async (height) => this.#node.blockHeader(await this.#node.blockHash(height)),
    });
  }

  /** Asks for a template on a new tip; gives up waiting, not asking, when the node takes long. */
  async #templateOn(best: string): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, TEMPLATE_PATIENCE_MS);
    });
    const asked = async (): Promise<void> => {
      // One that was asked for before may still be of the old tip.
      await this.#templateAsking;
      if (this.#template?.previous !== best) await this.#askTemplate();
    };
    await Promise.race([asked(), patience]);
    clearTimeout(timer);
  }

  /** Never throws: without a template there are the rules. */
  #askTemplate(): Promise<void> {
    this.#templateAskedAt = this.#monotonic();
    this.#templateAsking ??= this.#node
      .blockTemplate()
      .then(
        (template) => this.#useTemplate(template),
        (error: unknown) => {
          const words = error instanceof Error ? error.message : String(error);
          this.#log.debug({ error: words, answered: nodeAnswered(error) }, "no block template: the target is worked out by the rules");
        },
      )
      .finally(() => {
        this.#templateAsking = undefined;
      });
    return this.#templateAsking;
  }

  #useTemplate(template: BlockTemplate): void {
    const { previousblockhash: previous, height, bits } = template;
    const fees = template.transactions.reduce((sum, transaction) => sum + transaction.fee, 0n);
    this.#template = { previous, height, bits, subsidy: template.coinbasevalue - fees };
    this.#fees.note(`on ${previous}`, fees);
    if (this.#tip !== undefined && previous === this.#tip.hash) this.#tip.parent.childBits = bits;
    if (this.#templateListeners.size > 0) this.#call(this.#templateListeners, readOwnTemplate(template));
  }

  async #noteFees(hash: string): Promise<void> {
    try {
      const fees = await readBlockFees(this.#node, hash);
      if (fees === undefined) return;
      this.#fees.note(hash, fees);
      this.#blockFees.note(hash, fees);
    } catch (error) {
      this.#log.debug({ hash, error: error instanceof Error ? error.message : String(error) }, "a block's fees were not told");
    }
  }

  async #lookBackForFees(): Promise<void> {
    const top = this.#tip?.parent.height ?? 0;
    try {
      for (let height = top - 1; height > Math.max(0, top - FEE_BLOCKS_AT_START) && !this.#stopped; height--) {
        await this.#noteFees(await this.#node.blockHash(height));
      }
    } catch (error) {
      this.#log.debug({ error: error instanceof Error ? error.message : String(error) }, "recent blocks' fees were not told");
    }
  }

  // Time and callbacks.

  /** Until the next look: `pollMs`, or less when poked. */
  async #pause(): Promise<void> {
    if (!this.#poked && !this.#stopped) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, this.#pollMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#wake = undefined;
    this.#poked = false;
  }

  #call<T extends unknown[]>(listeners: Iterable<Listener<T>>, ...args: T): void {
    for (const listener of listeners) {
      try {
        listener(...args);
      } catch (error) {
        // One listener's fault must not keep the others, or the tip, from following the chain.
        this.#log.error({ err: error }, "a listener of the chain failed");
      }
    }
  }
}
