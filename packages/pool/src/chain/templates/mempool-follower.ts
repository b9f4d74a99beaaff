/**
 * Keeps the store at what the node has: the txids of its mempool are asked for again and again, what is new is fetched in batches.
 * ZMQ, where it is configured, tells at once, and the polls then only mend what was missed. A node that is away takes nothing with it.
 */
import { setImmediate as breathe } from "node:timers/promises";
import { fromReverseHex, type NodeClient, type NodeNotices, sha256d, subscribeNotices, TransactionError } from "@openprime/bitcoin";
import { keyOf, type MempoolStore } from "./mempool-store.js";

/** The calls of a NodeClient that are used here. */
export type MempoolNode = Pick<NodeClient, "mempoolIds" | "rawTransactions" | "mempoolFees">;

export interface MempoolFollowerOptions {
  /** Least pause between two polls, milliseconds; a poll that takes long makes it longer. */
  readonly pollMs: number;
  /** Endpoints of the node's `zmqpubrawtx` and `zmqpubsequence`. */
  readonly zmq?: { readonly rawtx?: string | undefined; readonly sequence?: string | undefined };
}

export type Say = (level: "debug" | "info" | "warn", fields: Readonly<Record<string, unknown>>, text: string) => void;

export interface MempoolFollowerModules {
  readonly node: MempoolNode;
  readonly store: MempoolStore;
  /** Milliseconds, of a clock that is never set. */
  readonly now: () => number;
  readonly say: Say;
  readonly subscribe?: typeof subscribeNotices;
}

/** Polls take a tenth of the node's and of this thread's time at most. */
const PAUSE_PER_POLL = 9;
/** Txids that are read before others get their turn. */
const SLICE = 5000;
/** Transactions that are fetched before they are entered. */
const FETCH = 200;
/** How long new transactions wait for others, to be fetched together. */
const SOON_MS = 200;

export class MempoolFollower {
  readonly #node: MempoolNode;
  readonly #store: MempoolStore;
  readonly #say: Say;
  readonly #now: () => number;
  readonly #unsubscribe: (() => void)[] = [];
  /** Keys of txids that ZMQ told of since the last poll began: an answer that was made before does not have them. */
  #fresh = new Set<string>();
  /** Txids, display order, that ZMQ told of and that are to be fetched. */
  readonly #wanted = new Set<string>();
  #fetching: NodeJS.Timeout | undefined;
  #reachable: boolean | undefined;
  #loaded = false;
  #stopped = false;
  #loop: Promise<void> | undefined;
  #wake: (() => void) | undefined;

  constructor(
    private readonly options: MempoolFollowerOptions,
    private readonly modules: MempoolFollowerModules,
  ) {
    this.#node = modules.node;
    this.#store = modules.store;
    this.#say = modules.say;
    this.#now = modules.now;
  }

  /** Whether everything that the node has was entered once. */
  get loaded(): boolean {
    return this.#loaded;
  }

  async start(): Promise<void> {
    const { rawtx, sequence } = this.options.zmq ?? {};
    const first = rawtx ?? sequence;
    // One connection where both come from one place.
    if (rawtx !== undefined && sequence !== undefined && rawtx !== sequence) {
      await this.#subscribe(rawtx, this.#notices(true, false));
      await this.#subscribe(sequence, this.#notices(false, true));
    } else if (first !== undefined) await this.#subscribe(first, this.#notices(rawtx !== undefined, sequence !== undefined));
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    clearTimeout(this.#fetching);
    this.#wake?.();
    await this.#loop;
  }

  /**
   * Raw bytes from memory or the node, in order; undefined where neither has that very transaction.
   * @param wanted keys of `keyOf`
   */
  async raw(wanted: readonly { readonly txid: string; readonly wtxid: string }[]): Promise<(Uint8Array | undefined)[]> {
    const raws = wanted.map(({ wtxid }) => this.#store.raw(wtxid));
    const missing = wanted.filter((_, i) => raws[i] === undefined);
    const fetched = await this.#ask("raw transactions", missing, (txids) => this.#node.rawTransactions(txids));
    const told = new Map<string, Uint8Array>();
    for (const raw of fetched) {
      if (raw === undefined) continue;
      this.#enter(raw);
      // BIP141: the wtxid is the hash of the whole. The node may have the transaction with another witness.
      told.set(keyOf(sha256d(raw)), raw);
    }
    return wanted.map(({ wtxid }, i) => raws[i] ?? told.get(wtxid));
  }

  /** Fees in satoshis, in order; undefined where the node does not tell, as of all that it does not have. @param txids keys of `keyOf` */
  async fees(txids: readonly string[]): Promise<(bigint | undefined)[]> {
    const missing = txids.filter((txid) => this.#store.present(txid) && this.#store.fee(txid) === undefined).map((txid) => ({ txid }));
    const told = await this.#ask("fees", missing, (ids) => this.#node.mempoolFees(ids));
    for (const [i, { txid }] of missing.entries()) {
      const fee = told[i];
      if (fee !== undefined) this.#store.setFee(txid, fee);
    }
    return txids.map((txid) => this.#store.fee(txid));
  }

  /** Asks the node for what is missing; a node that can't be asked has nothing. */
  async #ask<T>(
    what: string,
    missing: readonly { readonly txid: string }[],
    ask: (txids: string[]) => Promise<(T | undefined)[]>,
  ): Promise<(T | undefined)[]> {
    if (missing.length === 0) return [];
    try {
      return await ask(missing.map(({ txid }) => Buffer.from(txid, "latin1").reverse().toString("hex")));
    } catch (error) {
      this.#say("debug", { missing: missing.length, error: words(error) }, `the node was not asked for ${what}`);
      return [];
    }
  }

  // ZMQ.

  #notices(rawtx: boolean, sequence: boolean): NodeNotices {
    return {
      ...(rawtx && { rawtx: (raw: Uint8Array) => this.#note(this.#enter(raw)) }),
      ...(sequence && {
        sequence: ({ kind, hash }) => {
          if (kind === "removed") this.#store.mark(keyOf(hash), false, this.#now());
          else if (kind === "added") this.#added(hash);
        },
      }),
    };
  }

  #added(hash: Uint8Array): void {
    const key = keyOf(hash);
    this.#note(key);
    if (this.#store.has(key)) this.#store.mark(key, true, this.#now());
    // With its raw bytes on the way there is nothing to ask for.
    else if (this.options.zmq?.rawtx === undefined) {
      this.#wanted.add(Buffer.from(hash).reverse().toString("hex"));
      this.#fetching ??= setTimeout(() => void this.#fetchWanted(), SOON_MS);
    }
  }

  async #fetchWanted(): Promise<void> {
    const wanted = [...this.#wanted];
    this.#wanted.clear();
    this.#fetching = undefined;
    try {
      await this.#fetch(wanted);
    } catch (error) {
      this.#say("debug", { error: words(error) }, "new transactions were not fetched; the next poll does it");
    }
  }

  #note(txid: string | undefined): void {
    if (txid !== undefined) this.#fresh.add(txid);
  }

  async #subscribe(endpoint: string, notices: NodeNotices): Promise<void> {
    const subscribe = this.modules.subscribe ?? subscribeNotices;
    const failed = (error: unknown): void =>
      this.#say("warn", { endpoint, error: words(error) }, "ZMQ mempool: the node is polled all the same");
    try {
      const unsubscribe = await subscribe(endpoint, notices, failed);
      // It may have been stopped meanwhile.
      if (this.#stopped) unsubscribe();
      else this.#unsubscribe.push(unsubscribe);
    } catch (error) {
      failed(error);
    }
  }

  // Polling.

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const began = this.#now();
      try {
        await this.#poll();
        this.#found();
      } catch (error) {
        this.#lost(error);
      }
      await this.#pause(Math.max(this.options.pollMs, PAUSE_PER_POLL * (this.#now() - began)));
    }
  }

  async #pause(ms: number): Promise<void> {
    if (this.#stopped) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }

  async #poll(): Promise<void> {
    this.#fresh = new Set();
    const ids = await this.#node.mempoolIds();
    const present = new Set<string>();
    const missing: string[] = [];
    for (const [i, id] of ids.entries()) {
      if (i % SLICE === SLICE - 1) await breathe();
      const key = keyOf(fromReverseHex(id));
      present.add(key);
      if (!this.#store.has(key)) missing.push(id);
    }
    await this.#fetch(missing);
    if (this.#stopped) return;
    for (const key of this.#fresh) present.add(key);
    this.#store.markAll(present, this.#now());
    this.#store.sweep(this.#now());
    if (this.#loaded) return;
    this.#loaded = true;
    this.#say("info", { transactions: this.#store.size, rawBytes: this.#store.rawBytes }, "the node's mempool is known");
  }

  /** @param txids display order */
  async #fetch(txids: readonly string[]): Promise<void> {
    for (let at = 0; at < txids.length && !this.#stopped; at += FETCH) {
      for (const raw of await this.#node.rawTransactions(txids.slice(at, at + FETCH))) if (raw !== undefined) this.#enter(raw);
    }
  }

  /** @returns the txid's key; undefined for what could not be entered */
  #enter(raw: Uint8Array): string | undefined {
    try {
      return this.#store.add(raw, this.#now());
    } catch (error) {
      if (!(error instanceof TransactionError)) throw error;
      this.#say("warn", { code: error.code, error: error.message }, "the node gave a transaction that can't be read");
      return undefined;
    }
  }

  #found(): void {
    if (this.#reachable === false) this.#say("info", { transactions: this.#store.size }, "the node tells of its mempool again");
    this.#reachable = true;
  }

  #lost(error: unknown): void {
    if (this.#stopped) return;
    if (this.#reachable !== false) {
      this.#say(
        "warn",
        { error: words(error) },
        "the node does not tell of its mempool: what was known stays, gateways are asked for more",
      );
    }
    this.#reachable = false;
  }
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
