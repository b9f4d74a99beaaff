/**
 * A pool, its gateways and its chain, with the questions that a test of money asks: whom a block paid, what was booked for it, who is owed what, and
 * whether all of it can be recomputed from the chain and from the published files.
 */
import { isDeepStrictEqual } from "node:util";
import { NodeClient, parseBlock, parseCoinbase, reverseHex, sha256d } from "@openprime/bitcoin";
import {
  blockOf,
  type CoinbaseKind,
  Job,
  type MinedShare,
  mine,
  mineOne,
  minerAddress,
  minerScript,
  newKeys,
  RegtestNode,
  readTemplate,
  type Template,
  WireGateway,
} from "@openprime/simulator";
import { expect } from "vitest";
import { RpcAuditNode } from "../../../src/cli/audit/audit-node.js";
import { publishedFiles } from "../../../src/cli/audit/published-files.js";
import { NodeChainReader } from "../../../src/cli/ledger/node-chain-reader.js";
import type { PoolModules } from "../../../src/cli/pool.js";
import { accountBalances, type BlockRecord, checkMoney, type MoneyFigures } from "../../../src/ledger/index.js";
import { Auditor } from "../../../src/proofs/index.js";
import { HashSet } from "../../../src/work/index.js";
import { NodeProxy } from "./node-proxy.js";
import { divide } from "./plain-split.js";
import { PoolHome, type RunningPool, type Settings } from "./running-pool.js";
import { until } from "./until.js";

/** 512 hashes a block, which is 256 times difficulty one. */
const BITS = 0x1f7fffff;
export const COIN = 100_000_000n;

/** Who a test speaks of. `pool` and `later` are payout addresses of the pool. */
export const SCRIPTS = {
  alice: minerScript("money", 0),
  bob: minerScript("money", 1),
  carol: minerScript("money", 2),
  pool: minerScript("pool", 0),
  later: minerScript("pool", 1),
};
export type Name = keyof typeof SCRIPTS;
type Miner = "alice" | "bob" | "carol";
export const ADDRESSES: Readonly<Record<Name, string>> = {
  alice: minerAddress("money", 0),
  bob: minerAddress("money", 1),
  carol: minerAddress("money", 2),
  pool: minerAddress("pool", 0),
  later: minerAddress("pool", 1),
};
/** Satoshis by name; who has none is left out. */
export type Amounts = Readonly<Record<string, bigint>>;

/** A regtest chain for the tests of a file, with something between it and the pool that can hold it back. */
export class MoneyChain {
  private constructor(
    readonly node: RegtestNode,
    readonly client: NodeClient,
    readonly proxy: NodeProxy,
  ) {}

  static async start(): Promise<MoneyChain> {
    const node = await RegtestNode.start({ bits: BITS });
    return new MoneyChain(node, new NodeClient(node.rpc), await NodeProxy.start(node.rpc));
  }

  async stop(): Promise<void> {
    await this.proxy.close();
    await this.client.close();
    await this.node.stop();
  }
}

/** What a test finds blocks with. */
export interface FindOptions {
  /** Whose share it is; alice's by default. */
  readonly by?: Miner;
  /** Of the coinbase; 4 by default, which has room for all payees. */
  readonly kind?: CoinbaseKind;
  /** Made by `split` before; a new one by default. */
  readonly job?: Job;
  readonly gateway?: WireGateway;
  /** How the block comes to the node: by its share, or by the gateway's own node alone. */
  readonly way?: "share" | "node";
}

/** A block that was found. */
export interface FoundBlock {
  readonly share: MinedShare;
  /** Satoshis that its coinbase pays. */
  readonly value: bigint;
  /** Internal order. */
  readonly hash: Uint8Array;
}

export class MoneyScene {
  pool!: RunningPool;
  gateway!: WireGateway;
  readonly #gateways: WireGateway[] = [];

  private constructor(
    readonly chain: MoneyChain,
    readonly home: PoolHome,
    private readonly settings: Settings,
    private readonly modules: Partial<PoolModules>,
  ) {}

  /** A pool without a past at the chain's tip, and one gateway. Shares on an old tip are stale at once. */
  static async open(chain: MoneyChain, settings: Settings = {}, modules: Partial<PoolModules> = {}): Promise<MoneyScene> {
    chain.proxy.restore();
    chain.proxy.release();
    const scene = new MoneyScene(chain, await PoolHome.make("external"), settings, modules);
    await scene.start();
    scene.gateway = await scene.connect();
    return scene;
  }

  /** Starts the pool (anew). */
  async start(settings: Settings = {}): Promise<void> {
    const all = { shares: { staleGraceSeconds: 0 }, ...this.settings, ...settings };
    this.pool = await this.home.start(this.chain.proxy.rpc, all, this.modules);
  }

  /** Another gateway. */
  async connect(): Promise<WireGateway> {
    const gateway = await WireGateway.connect(this.pool, { keys: newKeys() });
    this.#gateways.push(gateway);
    return gateway;
  }

  /** Stops the pool, and starts it again after something else has happened; the gateways come back. */
  async restart(meanwhile: () => Promise<unknown> = async () => undefined, settings: Settings = {}): Promise<void> {
    await this.pool.close();
    await meanwhile();
    await this.start(settings);
    await this.reconnect();
  }

  async reconnect(): Promise<void> {
    for (const gateway of this.#gateways) {
      await gateway.closed;
      await gateway.connect(this.pool);
    }
  }

  async remove(): Promise<void> {
    for (const gateway of this.#gateways) if (gateway.connected) await gateway.close();
    await this.home.remove();
  }

  // Work and blocks.

  async template(): Promise<Template> {
    return readTemplate(await this.chain.client.blockTemplate());
  }

  /** Shares on the node's tip, by the log2 of their difficulties. */
  async work(list: Partial<Record<Miner, readonly number[]>>, gateway = this.gateway): Promise<void> {
    const job = gateway.job(await this.template());
    const shares = Object.entries(list).flatMap(([name, bytes]) =>
      bytes.flatMap((targetByte) => mine(job, { username: ADDRESSES[name as Miner], targetByte })),
    );
    expect(new Set(await gateway.submitAll(shares))).toEqual(new Set(["accepted"]));
  }

  /** A job on the node's tip that pays the pool's split. */
  async split(gateway = this.gateway): Promise<Job> {
    return gateway.jobWithSplit(await this.template());
  }

  /** Finds a block and waits until the books have it. */
  async find(options: FindOptions = {}): Promise<FoundBlock> {
    const { by = "alice", kind = 4, gateway = this.gateway, way = "share" } = options;
    const job = options.job ?? (await this.split(gateway));
    const found = this.mineBlock(job, by, kind);
    if (way === "node") await this.giveToNode(found);
    else expect(await gateway.submit(found.share)).toBe("accepted");
    await this.isTip(found);
    await this.followed();
    return found;
  }

  /** A block that nobody has been told of. */
  mineBlock(job: Job, by: Miner = "alice", kind: CoinbaseKind = 4): FoundBlock {
    const share = mineOne(job, { username: ADDRESSES[by], kind, block: true });
    const { outputs } = parseCoinbase(share.work.coinbase);
    return { share, value: outputs.reduce((sum, { value }) => sum + value, 0n), hash: Uint8Array.from(Buffer.from(share.hash, "hex")) };
  }

  /** As the gateway gives it to its own node. */
  async giveToNode({ share }: FoundBlock): Promise<void> {
    expect(await this.chain.client.submitBlock(blockOf(share))).toBeNull();
  }

  async isTip({ hash }: FoundBlock): Promise<void> {
    await until(`block ${reverseHex(hash)} as the tip`, async () => (await this.chain.node.tip()).hash === reverseHex(hash));
  }

  /** Gives the node blocks of strangers, one on another, the first on the block with this hash. Answers the hash of the last one. */
  async strangers(parent: Uint8Array, height: number, count: number): Promise<void> {
    let last = parent;
    for (let i = 0; i < count; i++) {
      const job = this.strangersJob(emptyTemplate(await this.template(), last, height + 1 + i, i), minerScript("strangers", i));
      const block = this.mineBlock(job, "alice", 0);
      await this.giveToNode(block);
      last = block.hash;
    }
    await until("the strangers' block as the tip", async () => (await this.chain.node.tip()).hash === reverseHex(last));
  }

  /** Work of somebody who is no gateway of the pool: it pays what it likes, and has a prime id that no session has. */
  strangersJob(template: Template, payoutScript: Uint8Array): Job {
    return new Job(template, 0, 0x7777, {
      configuration: { ...this.gateway.configuration, payoutScript, primeId: 0x7fff_ffff },
      secondaryTag: new TextEncoder().encode("stranger"),
      uniqueId: 9,
    });
  }

  /** Waits until the pool has seen the node's tip, and its books stand there. */
  async followed(): Promise<void> {
    await until("the books at the node's tip", async () => {
      const { pool } = this.pool;
      const { hash } = await this.chain.node.tip();
      return [pool.status().tip, pool.money.cursor()].every((position) => position !== undefined && reverseHex(position.hash) === hash);
    });
  }

  // What became of it.

  /** What the mined coinbase pays, from the node. */
  async coinbase({ hash }: FoundBlock): Promise<Amounts> {
    const { outputs } = parseCoinbase(parseBlock(await this.chain.client.rawBlock(reverseHex(hash))).transactions[0]);
    return sums(outputs.filter(({ value }) => value > 0n).map(({ script, value }) => [nameOf(script), value]));
  }

  /** Everybody's balance, 0 left out. */
  async balances(): Promise<Amounts> {
    const accounts = await accountBalances(this.pool.pool.database);
    // What splits are made from is in memory; it must be the same.
    const { balances } = this.pool.pool.money.latest();
    for (const { account, balance } of accounts) expect(balances.get(account)?.balance).toBe(balance);
    return Object.fromEntries(accounts.map(({ script, balance }) => [nameOf(script), balance]));
  }

  /** The entries of a block, its spends among them, oldest first: the kind, and the postings by reason and name (or book). */
  async entries({ hash }: Pick<FoundBlock, "hash">): Promise<{ readonly kind: string; readonly postings: Amounts }[]> {
    const rows = await this.pool.rows<{ id: string; kind: string; reason: string; book: string; script: Buffer | null; amount: string }>(
      `SELECT e.id, e.kind, p.reason, p.book, a.script, p.amount FROM entries e JOIN postings p ON p.entry = e.id LEFT JOIN accounts a ON a.id = p.account
       WHERE e.block = $1 ORDER BY e.id, p.line`,
      [Buffer.from(hash)],
    );
    return [...new Set(rows.map(({ id }) => id))].map((id) => {
      const own = rows.filter((row) => row.id === id);
      const postings = own.map(
        ({ reason, book, script, amount }) => [`${reason} ${script === null ? book : nameOf(script)}`, amount] as const,
      );
      return { kind: own[0]!.kind, postings: sums(postings.map(([name, amount]) => [name, BigInt(amount)])) };
    });
  }

  /** Its record, once the books have one. */
  record({ hash }: FoundBlock): Promise<BlockRecord> {
    return until(`the record of ${reverseHex(hash)}`, () => this.pool.pool.blocks.find(hash));
  }

  async life(block: FoundBlock): Promise<string> {
    return (await this.record(block)).life;
  }

  /** Unspent coins of the pool, oldest first. */
  async coins(): Promise<{ txid: Uint8Array; vout: number; name: string; value: bigint; height: number; coinbase: boolean }[]> {
    const rows = await this.pool.rows<{ txid: Buffer; vout: number; script: Buffer; value: string; height: number; coinbase: boolean }>(
      "SELECT txid, vout, script, value, height, coinbase FROM coins WHERE spent_by IS NULL ORDER BY height, txid",
    );
    return rows.map(({ txid, script, value, ...row }) => ({
      ...row,
      txid: Uint8Array.from(txid),
      name: nameOf(script),
      value: BigInt(value),
    }));
  }

  /**
   * The end of every test: nothing differs between books and chain, and everything that is published can be recomputed.
   *
   * @param settlements how many there should be
   */
  async clean(settlements: number): Promise<MoneyFigures> {
    await this.followed();
    const { pool, config } = this.pool;
    const reader = new NodeChainReader(this.chain.node.rpc);
    const options = { scan: true, reserve: config.reserve ?? 0n, pause: async () => undefined };
    const check = await checkMoney(pool.database, reader, options).finally(() => reader.close());
    expect(check.differences).toEqual([]);
    const source = publishedFiles(config.publish.dir);
    if (settlements > 0) {
      await until(`${settlements} published settlements`, async () => {
        const published = await source.index().catch(() => undefined);
        return (published?.settlements.length ?? 0) >= settlements;
      });
      const auditor = await Auditor.open({ source, node: new RpcAuditNode(this.chain.client), seen: new HashSet() });
      expect(auditor.documents.index).toHaveLength(settlements);
      for (const { number } of auditor.documents.index) expect(await auditor.audit(number)).toMatchObject({ verdict: "PASS" });
      expect((await auditor.scan()).untold.filter(({ missing }) => missing)).toEqual([]);
    }
    const [state] = await this.pool.rows<{ last_settlement: number }>("SELECT last_settlement FROM money_state");
    expect(state?.last_settlement).toBe(settlements);
    return check.figures;
  }
}

/** A template without transactions on any parent. @param later seconds, for each block between it and the given one's parent */
export function emptyTemplate(template: Template, prevhash: Uint8Array, height: number, later = 0): Template {
  return {
    ...template,
    prevhash,
    height,
    curtime: template.curtime + later,
    value: template.subsidy,
    // BIP141: of a block whose coinbase is its only transaction.
    witnessCommitment: Uint8Array.of(0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed, ...sha256d(new Uint8Array(64))),
    transactions: [],
    branches: new Uint8Array(),
    totalSize: 0,
    totalWeight: 0,
    totalSigops: 0,
  };
}

/** What each earns of an amount by these weights. Names in the order in which they came to the pool. */
export function parts<N extends string>(amount: bigint, weights: Readonly<Record<N, bigint | number>>): Record<N, bigint> {
  const names = Object.keys(weights) as N[];
  const list = names.map((name) => BigInt(weights[name]));
  const total = list.reduce((sum, weight) => sum + weight, 0n);
  const amounts = divide(amount, list, total);
  return Object.fromEntries(names.map((name, i) => [name, amounts[i]])) as Record<N, bigint>;
}

/** The same with every sign turned. */
export function negated(amounts: Amounts): Amounts {
  return Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, -amount]));
}

/** Whose script it is; in hex where the tests speak of nobody. */
export function nameOf(script: Uint8Array): string {
  const known = Object.entries(SCRIPTS).find(([, one]) => isDeepStrictEqual(Buffer.from(one), Buffer.from(script)));
  return known?.[0] ?? Buffer.from(script).toString("hex");
}

function sums(list: readonly (readonly [string, bigint])[]): Amounts {
  const all: Record<string, bigint> = {};
  for (const [name, amount] of list) all[name] = (all[name] ?? 0n) + amount;
  return all;
}
