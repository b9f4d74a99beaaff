/**
 * The life of a pool's blocks with everything that can happen to it, in random order from a seed: blocks of every coinbase kind that arrive by
 * their share, by the gateway's own node, or by both; blocks of others; reorganisations of several blocks and back again; kill -9 of the pool and of
 * its database; a node that is away. At the end `openprime ledger check` finds no difference, and `openprime audit` recomputes every settlement from the
 * published files.
 *
 * OPENPRIME_LIFE_BLOCKS asks for a longer run than the usual one, OPENPRIME_LIFE_SEED for another order of events.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { NodeClient } from "@openprime/bitcoin";
import {
  blockOf,
  type CoinbaseKind,
  type MinedShare,
  mineOne,
  minerAddress,
  type PoolPlace,
  RegtestNode,
  readTemplate,
  SUBSIDY_ONLY,
  WireGateway,
} from "@openprime/simulator";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Command, lives, postmaster } from "./support/command.js";
import { NodeProxy } from "./support/node-proxy.js";
import { PoolFolder } from "./support/pool-folder.js";
import { until } from "./support/until.js";

/** 512 hashes a block. */
const BITS = 0x1f7fffff;
const BLOCKS = Number(process.env.OPENPRIME_LIFE_BLOCKS ?? 40);
const SEED = Number(process.env.OPENPRIME_LIFE_SEED ?? 1);
const GATEWAYS = 3;
const ACCOUNTS = 24;
const KINDS: readonly CoinbaseKind[] = [0, 1, 2, 3, 4, 5, SUBSIDY_ONLY];
/** Deepest reorganisation. */
const DEEPEST = 5;

/** Mulberry32: small, and the same on every machine. */
function seeded(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

let node: RegtestNode;
let client: NodeClient;
let proxy: NodeProxy;
beforeAll(async () => {
  node = await RegtestNode.start({ bits: BITS });
  client = new NodeClient(node.rpc);
  proxy = await NodeProxy.start(node.rpc);
});
afterAll(async () => {
  await proxy.close();
  await client.close();
  await node.stop();
});

/** One life: the pool's processes, its gateways, and what was done to them. */
class Life {
  readonly counts: Record<string, number> = {};
  readonly #random = seeded(SEED);
  readonly #gateways = Array.from({ length: GATEWAYS }, () => new WireGateway());
  #pool: Command | undefined;
  #place: PoolPlace | undefined;
  /** First block of a branch that was marked invalid, to be taken back. */
  #removed: string | undefined;

  constructor(readonly folder: PoolFolder) {}

  async start(): Promise<void> {
    this.#pool = this.folder.serve();
    this.#place = await this.#pool.listening();
    for (const gateway of this.#gateways) await gateway.connect(this.#place);
  }

  /** The end of the pool's log, and how it ended if it has. */
  get lastWords(): string {
    return `${this.#pool?.stderr.slice(-4000) ?? ""}${this.#pool?.end ?? "(it runs)"}`;
  }

  async stop(): Promise<void> {
    this.#pool?.kill("SIGTERM");
    expect(await this.#pool?.ended, this.#pool?.stderr.slice(-3000)).toBe(0);
  }

  async step(): Promise<void> {
    const choice = this.#random(100);
    if (choice < 62) await this.#find();
    else if (choice < 72) await this.#count("outside", () => node.mine(1 + this.#random(2)));
    else if (choice < 82) await this.#reorganise();
    else if (choice < 86) await this.#invalidate();
    else if (choice < 91) await this.#killPool(() => Promise.resolve());
    else if (choice < 94) await this.#killDatabase();
    else if (choice < 97) await this.#nodeAway();
    else await this.#count("outsideWhileDown", () => this.#killPool(() => node.mine(2)));
  }

  /** A block of the pool, with a few shares before it. */
  async #find(): Promise<void> {
    const gateway = this.#gateways[this.#random(GATEWAYS)] as WireGateway;
    const kind = KINDS[this.#random(KINDS.length)] as CoinbaseKind;
    if (this.#random(4) === 0) await node.send(1 + this.#random(3));
    const template = readTemplate(await client.blockTemplate());
    const job = this.#random(8) === 0 ? gateway.job(template) : await gateway.jobWithSplit(template);
    const shares: MinedShare[] = [];
    for (let count = this.#random(5); count >= 0; count--) {
      // A few accounts have much of the work, as in life.
      const account = this.#random(2) === 0 ? this.#random(3) : this.#random(ACCOUNTS);
      shares.push(mineOne(job, { username: minerAddress("life", account), kind, targetByte: this.#random(3) }));
    }
    await gateway.submitAll(shares);
    const block = mineOne(job, { username: minerAddress("life", this.#random(ACCOUNTS)), kind, block: true });
    const way = this.#random(10);
    if (way < 4) {
      // By its share alone.
      await this.#count(`share${kind}`, () => gateway.submit(block));
    } else if (way < 6) {
      // The share never arrives.
      await this.#count(`discovered${kind}`, () => client.submitBlock(blockOf(block)));
    } else if (way < 9) {
      await this.#count(`both${kind}`, () => Promise.all([gateway.submit(block), client.submitBlock(blockOf(block))]));
    } else {
      // The pool ends at that very moment.
      const sent = gateway.submit(block);
      await this.#count(`killed${kind}`, () => this.#killPool(() => client.submitBlock(blockOf(block))));
      await sent;
    }
  }

  async #reorganise(): Promise<void> {
    const { height } = await node.tip();
    const depth = 1 + this.#random(DEEPEST);
    await this.#count(`reorg${depth}`, () => node.branch(height - depth, depth + 1));
  }

  /** Blocks are taken off the chain, and put back some steps later: they win when they have the most work. */
  async #invalidate(): Promise<void> {
    if (this.#removed !== undefined) {
      const hash = this.#removed;
      this.#removed = undefined;
      await this.#count("reconsider", () => node.reconsider(hash));
      return;
    }
    const { height } = await node.tip();
    const hash = await client.blockHash(height - this.#random(3));
    this.#removed = hash;
    await this.#count("invalidate", () => node.invalidate(hash));
  }

  async #killPool(meanwhile: () => Promise<unknown>): Promise<void> {
    this.#tally("killPool");
    this.#pool?.kill("SIGKILL");
    await this.#pool?.ended;
    await meanwhile();
    // A pool without a node does not begin to listen.
    proxy.restore();
    for (const gateway of this.#gateways) await gateway.closed;
    await this.start();
  }

  async #killDatabase(): Promise<void> {
    this.#tally("killDatabase");
    const pid = postmaster(this.folder.dataDir);
    if (pid !== undefined) process.kill(pid, "SIGKILL");
    await this.#find();
    await until("the database's return", () => ![undefined, pid].includes(postmaster(this.folder.dataDir)));
  }

  async #nodeAway(): Promise<void> {
    this.#tally("nodeAway");
    proxy.cut();
    await this.#find();
    await node.mine(1);
    proxy.restore();
  }

  async #count(name: string, work: () => Promise<unknown>): Promise<void> {
    this.#tally(name);
    await work();
  }

  #tally(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }
}

/** The last line that a command printed, as JSON. */
async function json<T>(args: readonly string[]): Promise<{ end: number | NodeJS.Signals; said: T; text: string }> {
  const command = new Command(args);
  const end = await command.ended;
  const text = `${command.stdout}\n${command.stderr}`;
  expect(command.stdout, text).not.toBe("");
  return { end, said: JSON.parse(command.stdout) as T, text };
}

test(`${BLOCKS} blocks, seed ${SEED}: the books and every audit are clean`, { timeout: 60_000 + BLOCKS * 6_000 }, async () => {
  const folder = await PoolFolder.init(proxy.rpc);
  folder.set("feePercent", "1.5");
  // High enough that balances are carried, low enough that they are paid.
  folder.set("threshold", "100000000");
  folder.set("coinbaserPerMinute", "6000");
  const life = new Life(folder);
  await life.start();
  const first = (await node.tip()).height;
  const told = async <T>(work: Promise<T>): Promise<T> =>
    work.catch((cause: unknown) => {
      throw new Error(`after ${JSON.stringify(life.counts)}; the pool's last words:\n${life.lastWords}`, { cause });
    });
  while ((await node.tip()).height < first + BLOCKS) await told(life.step());
  // Nothing is left under way: the pool has followed the chain to its end.
  const { height } = await node.tip();
  interface Check {
    readonly differences: readonly unknown[];
    readonly figures: { readonly height: number };
  }
  const config = ["--config", folder.configFile];
  const check = await told(
    until(
      "books at the tip",
      async () => {
        const { said } = await json<Check>(["ledger", "check", ...config, "--scan", "--json"]);
        return said.figures.height >= height && said;
      },
      // Each of its lives is shorter than what it takes to write its log files on a busy disk, and what was left is made up for here.
      60_000 + BLOCKS * 500,
    ),
  );
  expect(check.differences).toEqual([]);
  const published = join(folder.path, "openprime-public");
  const { cookieFile, url } = { cookieFile: join(folder.path, "cookie"), url: proxy.rpc.url };
  const audit = await json<{ result: string; audits: readonly { result: string }[] }>([
    ...["audit", "all", "--from", published, "--node", url, "--cookie-file", cookieFile, "--json"],
  ]);
  expect(audit.end, audit.text).toBe(0);
  await life.stop();
  const files = readdirSync(join(published, "settlements"));
  console.info(`seed ${SEED}: ${height - first} blocks, ${files.length} settlements, ${JSON.stringify(life.counts)}`);
  expect(files.length).toBeGreaterThan(BLOCKS / 8);
  const left = postmaster(folder.dataDir);
  expect(left === undefined || !lives(left)).toBe(true);
});
