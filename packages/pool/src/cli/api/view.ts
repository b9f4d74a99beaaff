/**
 * What the API is told of a pool, from the moment at which it begins to start until it has stopped: the rooms are shown here as they come up, and
 * plain values are made of them.
 */
import { type Network, reverseHex, scriptToAddress } from "@openprime/bitcoin";
import type { Registry } from "prom-client";
import type { PoolStatusDocument, ReadinessPart } from "../../api/index.js";
import type { ChainTracker, NodeGroup } from "../../chain/index.js";
import type { GatewayServer, GatewaySnapshot } from "../../gateway/index.js";
import type { Blocks, Database, ShareLog, SplitBook } from "../../ledger/index.js";
import { hashesPerDifficulty } from "../figures.js";
import { shareCounts } from "../share-counts.js";
import { version } from "../version.js";

export interface BooksRooms {
  readonly database: Database;
  readonly shareLog: ShareLog;
  readonly blocks: Blocks;
}
export interface ChainRooms {
  readonly chain: ChainTracker;
  readonly nodes: NodeGroup;
}
export interface ServingRooms {
  readonly server: GatewayServer;
  readonly splits: SplitBook;
}

/** Rows of a status: those with the most work, of the largest payees, and of the newest blocks. */
const MOST_GATEWAYS = 50;
const MOST_PAYEES = 100;
const MOST_BLOCKS = 20;
/** Books that don't answer for so long are told as away. */
const BOOKS_MS = 2000;

export class PoolView {
  #books: BooksRooms | undefined;
  #chain: ChainRooms | undefined;
  #serving: ServingRooms | undefined;
  #draining = false;
  #asking: Promise<unknown> | undefined;
  #blocks: PoolStatusDocument["blocks"];
  readonly #startedAt: number;

  /** @param now pool clock, milliseconds */
  constructor(
    private readonly network: Network,
    private readonly metrics: Registry,
    now: () => number,
  ) {
    this.#startedAt = now();
  }

  /** Of what the books are told, from when they are open. */
  showBooks(rooms: BooksRooms): void {
    this.#books = rooms;
  }

  showChain(rooms: ChainRooms): void {
    this.#chain = rooms;
  }

  /** Gateways can connect. */
  showServing(rooms: ServingRooms): void {
    this.#serving = rooms;
  }

  /** The pool has begun to stop. */
  drain(): void {
    this.#draining = true;
  }

  async readiness(): Promise<ReadinessPart[]> {
    return [
      part("books", await this.#booksTrouble()),
      part("node", this.#nodeTrouble()),
      part("listener", this.#serving === undefined ? "gateways can't connect yet" : undefined),
      part("draining", this.#draining ? "the pool is stopping" : undefined),
    ];
  }

  async status(): Promise<PoolStatusDocument> {
    const { metrics, network } = this;
    const serving = this.#serving;
    const totals = serving?.server.totals() ?? { gateways: 0, workers: 0, weightPerSecond: 0 };
    const hashes = hashesPerDifficulty(network);
    const [shares, blocks] = await Promise.all([shareCounts(metrics), this.#readBlocks()]);
    const log = this.#books?.shareLog;
    const tip = this.#chain?.chain.tip();
    return {
      version: version(),
      network: network.name,
      state: this.#draining ? "draining" : serving === undefined ? "starting" : "running",
      startedAt: new Date(this.#startedAt).toISOString(),
      hashrate: totals.weightPerSecond * hashes,
      shares,
      gateways: {
        connected: totals.gateways,
        workers: totals.workers,
        list: serving?.server.snapshot({ most: MOST_GATEWAYS }).map((gateway) => gatewayRow(gateway, hashes)) ?? [],
      },
      nodeReachable: this.#chain?.chain.reachable ?? false,
      nodes: this.#chain?.nodes.statuses() ?? [],
      ...(tip !== undefined && { tip: { height: tip.height, hash: reverseHex(tip.hash) } }),
      ...(log !== undefined && {
        log: { position: log.head().toString(), waiting: log.waiting, lagSeconds: log.lagMs / 1000, state: log.state },
      }),
      split: this.#split(),
      ...(blocks !== undefined && { blocks }),
    };
  }

  /** Hashes per second of all gateways, over the last minutes. */
  hashrate(): number {
    return (this.#serving?.server.totals().weightPerSecond ?? 0) * hashesPerDifficulty(this.network);
  }

  /** What keeps the books from taking shares, in words. */
  async #booksTrouble(): Promise<string | undefined> {
    if (this.#books === undefined) return "not open yet";
    const { database, shareLog } = this.#books;
    if (shareLog.state !== "running") return `the share log is ${shareLog.state}`;
    if (!database.held) return "the database is away, or another pool has it";
    // One question at a time, however often it is asked for: a database that hangs answers none.
    this.#asking ??= database.pool.query("SELECT 1").finally(() => {
      this.#asking = undefined;
    });
    return within(this.#asking, BOOKS_MS).then(
      () => undefined,
      (error: Error) => `the database does not answer: ${error.message}`,
    );
  }

  #nodeTrouble(): string | undefined {
    if (this.#chain === undefined) return "not asked yet";
    const { chain, nodes } = this.#chain;
    if (chain.reachable) return chain.tip() === undefined ? "no tip yet" : undefined;
    const states = nodes.statuses().map(({ name, state, why }) => `${name} is ${state}${why === undefined ? "" : ` (${why})`}`);
    return `no node can be followed: ${states.join("; ")}`;
  }

  /** As the books have them; the last that they said while they are away. */
  async #readBlocks(): Promise<PoolStatusDocument["blocks"]> {
    const blocks = this.#books?.blocks;
    if (blocks === undefined || !this.#books?.database.held) return this.#blocks;
    try {
      const [counts, newest] = await within(Promise.all([blocks.counts(), blocks.recent(MOST_BLOCKS)]), BOOKS_MS);
      this.#blocks = {
        ...counts,
        newest: newest.map(({ hash, height, status, life, coinbaseValue, foundAt }) => ({
          hash: reverseHex(hash),
          height,
          status,
          life,
          value: coinbaseValue.toString(),
          foundAt: foundAt.toISOString(),
        })),
      };
    } catch {
      // How the books are is told by their own part; this one stays as it was.
    }
    return this.#blocks;
  }

  #split(): PoolStatusDocument["split"] {
    const tip = this.#chain?.chain.tip();
    if (tip === undefined || this.#chain === undefined || this.#serving === undefined) return { payees: 0, value: "0", list: [] };
    const rows = this.#serving.splits.preview(this.#chain.chain.subsidy(tip.height + 1), tip.hash);
    return {
      payees: rows.length,
      value: rows.reduce((sum, { value }) => sum + value, 0n).toString(),
      list: rows
        .slice(0, MOST_PAYEES)
        .map(({ script, value }) => ({ address: scriptToAddress(script, this.network) ?? "", value: value.toString() })),
    };
  }
}

const part = (name: string, why: string | undefined): ReadinessPart => ({ name, ok: why === undefined, why });

function gatewayRow(gateway: GatewaySnapshot, hashes: number): PoolStatusDocument["gateways"]["list"][number] {
  const rate = ({ recentWeight, recentSeconds }: { recentWeight: number; recentSeconds: number }): number =>
    (recentWeight * hashes) / Math.max(1, recentSeconds);
  return {
    primeId: gateway.primeId,
    key: gateway.keyPrefix,
    poolKey: gateway.poolKeyPrefix,
    version: gateway.version,
    connection: gateway.connection,
    address: gateway.address,
    connectedAt: new Date(gateway.connectedAt).toISOString(),
    hashrate: rate(gateway),
    accepted: gateway.accepted,
    tentative: gateway.tentative,
    late: gateway.late,
    refusedByReason: gateway.refusedByReason,
    minimumDifficulty: gateway.minimumDifficulty.toString(),
    ignoresSplit: gateway.ignoresSplit,
    workerCount: gateway.workerCount,
    workers: gateway.workers.map((worker) => ({ name: worker.name, hashrate: rate(worker), accepted: worker.accepted })),
  };
}

/** @throws Error when the time is over first; the promise goes on */
async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    // What comes later is nobody's to hear.
    promise.catch(() => undefined);
  }
}
