/**
 * Templates judged by the whole pool over the real wire, on the simulator's nodes and on a bitcoind that OPENPRIME_BITCOIND names (left out,
 * aloud, without one): every way to have the transactions, and every kind of broken template. The pool's node lacks some of what the gateways'
 * has, as in life.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NodeClient, parseBlock, reverseHex } from "@openprime/bitcoin";
import {
  type Job,
  type MinedShare,
  mine,
  mineOne,
  minerAddress,
  type NodePair,
  newKeys,
  readTemplate,
  SimulatedGateway,
  spoil,
  startBitcoindPair,
  startSimulatedPair,
  type Template,
  type TemplateFault,
  WireGateway,
} from "@openprime/simulator";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { bookCounts, checkBooks } from "../../src/ledger/index.js";
import { NodeProxy } from "./support/node-proxy.js";
import { PoolHome, type RunningPool } from "./support/running-pool.js";
import { until } from "./support/until.js";

interface Broken {
  readonly fault: TemplateFault;
  /** Why, as docs/errors.md lists it. */
  readonly code: string;
  /** Transactions that the pool must ask for before it can tell; none by default, so that it knows all fees. */
  readonly unknown?: number;
}
const BROKEN = JSON.parse(readFileSync(new URL("data/broken-templates.json", import.meta.url), "utf8")) as Broken[];

const MINER = `${minerAddress("templates", 0)}.rig`;
/** Reject reasons. */
const OTHER = 30;
const TOO_LARGE = 17;
const START_MS = 120_000;
/** 2^17 hashes a block: no share is one by chance. */
const BITS = 0x1e7fffff;

const bitcoind = process.env.OPENPRIME_BITCOIND;
if (bitcoind === undefined) console.warn("no real bitcoind in these tests: set OPENPRIME_BITCOIND to the path of one");
const dir = mkdtempSync(join(tmpdir(), "openprime-templates-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** On a stock regtest every share is a block: there blocks are kept from the pool's node, or no template would be judged while its parent is the tip. */
const NODES = [
  { name: "the simulator's nodes", start: () => startSimulatedPair(BITS), sharesAreBlocks: false },
  ...(bitcoind === undefined ? [] : [{ name: "bitcoind", start: () => startBitcoindPair(bitcoind, dir), sharesAreBlocks: true }]),
];

interface TemplateRow {
  readonly id: string;
  readonly state: string;
  readonly path: string | null;
  readonly code: string | null;
  readonly detail: string | null;
  readonly transactions: number;
  readonly fees: string | null;
  readonly own_value: string | null;
}

describe.each(NODES)("on $name", ({ start, sharesAreBlocks }) => {
  let pair: NodePair;
  let client: NodeClient;
  let proxy: NodeProxy;
  let home: PoolHome;
  let pool: RunningPool;
  const gateways: WireGateway[] = [];

  beforeAll(async () => {
    pair = await start();
    client = new NodeClient(pair.gateways);
    proxy = await NodeProxy.start(pair.pools);
    home = await PoolHome.make("external");
    const settings = { templates: { check: "always", proposalsPerSecond: 10 } } as const;
    pool = await home.start(proxy.rpc, settings, {
      templates: { mempoolPollMs: 100, retryMs: 50, confirmMs: 200 },
    });
  }, START_MS);
  /** Both nodes' mempools are empty, and the pool knows. */
  beforeEach(async () => {
    const hash = await pair.mine();
    await until("the tip", () => reverseHex(pool.pool.status().tip!.hash) === hash);
    if (sharesAreBlocks) proxy.keepBlocks();
  });
  afterEach(async () => {
    for (const gateway of gateways.splice(0)) if (gateway.connected) await gateway.close();
  });
  afterAll(async () => {
    await home.remove();
    await proxy.close();
    await client.close();
    await pair.stop();
  });

  async function connect(): Promise<WireGateway> {
    const gateway = await WireGateway.connect(pool, { keys: newKeys() });
    gateways.push(gateway);
    return gateway;
  }

  /** Of all that waits; a bitcoind keeps a template for seconds. */
  const template = (): Promise<Template> =>
    until("a template of the whole mempool", async () => {
      const waiting = await client.call<string[]>("getrawmempool");
      const now = readTemplate(await client.blockTemplate());
      return now.transactions.length === waiting.length && now;
    });
  const shares = (job: Job, count: number): MinedShare[] => mine(job, { username: MINER, count, block: sharesAreBlocks });
  const share = (job: Job): MinedShare => mineOne(job, { username: MINER, block: sharesAreBlocks });

  /** New transactions for the gateways' node, of which the pool's gets to know `known`. */
  async function send(known: number, unknown: number): Promise<void> {
    const before = await mempoolSize();
    await pair.send(known, unknown);
    await until("the pool's sight of its node's mempool", async () => (await mempoolSize()) >= before + known);
  }

  const mempoolSize = async (): Promise<number> => {
    const gauge = await pool.pool.metrics.getSingleMetric("openprime_mempool_transactions")?.get();
    return gauge?.values[0]?.value ?? 0;
  };

  const rows = (): Promise<TemplateRow[]> => pool.rows<TemplateRow>("SELECT * FROM templates ORDER BY id");

  /** What the books say of a job's template once it is judged. The shares are the first of the job. */
  async function judged(gateway: WireGateway, first: readonly MinedShare[]): Promise<{ row: TemplateRow; answers: unknown[] }> {
    const before = (await rows()).length;
    const answers = await gateway.submitAll(first);
    const row = await until("a verdict", async () => {
      const found = (await rows())[before];
      return found !== undefined && found.state !== "pending" && found;
    });
    return { row, answers };
  }

  test("a template is sound however its transactions come: known, asked for one by one, or all together", { timeout: 60_000 }, async () => {
    const gateway = await connect();
    const asked = (): string[] => gateway.questions.splice(0).map(({ type }) => type);
    await send(250, 0);
    const first = gateway.job(await template());
    expect(first.template.transactions).toHaveLength(250);
    const known = await judged(gateway, shares(first, 3));
    expect(known.answers).toEqual(["tentative", "tentative", "tentative"]);
    expect(known.row).toMatchObject({ state: "sound", path: "shortIds", code: null, transactions: 250 });
    expect(BigInt(known.row.fees!)).toBe(first.template.transactions.reduce((sum, { fee }) => sum + fee, 0n));
    expect(await gateway.submit(share(first))).toBe("accepted");

    await send(0, 20);
    const second = gateway.job(await template());
    const some = await judged(gateway, [share(second)]);
    expect(some).toMatchObject({ answers: ["tentative"], row: { state: "sound", path: "byIndex", transactions: 270 } });
    expect(await gateway.submit(share(second))).toBe("accepted");

    await send(0, 300);
    const third = gateway.job(await template());
    const most = await judged(gateway, [share(third)]);
    expect(most).toMatchObject({ answers: ["tentative"], row: { state: "sound", path: "fullSet", transactions: 570 } });
    expect(await gateway.submit(share(third))).toBe("accepted");
    // Blocks of jobs that are not judged yet ask too.
    if (!sharesAreBlocks) {
      expect(asked()).toEqual(["shortIds", "shortIds", "transactionsByIndex", "shortIds", "fullSet"].map((kind) => `${kind}Request`));
    }
    expect(await checkBooks(pool.pool.database)).toEqual([]);
  });

  test("each gateway's template of one set is judged, by what is known of the set", async () => {
    await send(5, 5);
    const [one, other] = [await connect(), await connect()];
    const set = await template();
    expect((await judged(one, [share(one.job(set))])).row.state).toBe("sound");
    expect((await judged(other, [share(other.job(set))])).row).toMatchObject({ state: "sound", path: "known" });
  });

  /** Three shares of a job, taken on trust; its template turns out unsound, they are taken back, and the gateway is told why. */
  async function caught(gateway: WireGateway, job: Job, code: string): Promise<void> {
    const before = await bookCounts(pool.pool.database);
    const { row, answers } = await judged(gateway, shares(job, 3));
    expect(row).toMatchObject({ state: "unsound", code });
    expect(answers).toEqual(["tentative", "tentative", "tentative"]);
    expect(await gateway.submit(share(job))).toBe(OTHER);

    await until("the voids", async () => (await bookCounts(pool.pool.database)).voids === before.voids + 3n);
    const voids = await pool.rows<{ n: string }>("SELECT count(*) AS n FROM voids WHERE template = $1", [row.id]);
    expect(Number(voids[0]?.n)).toBe(3);
    expect(await bookCounts(pool.pool.database)).toMatchObject({ shares: before.shares, weight: before.weight });
    await until("word to the gateway", () => gateway.told.some((line) => line.includes(row.detail!)));
    expect(await checkBooks(pool.pool.database)).toEqual([]);
  }

  test.each(BROKEN)("$fault is found out as $code: its shares are taken back, and no more taken", async ({ fault, code, unknown = 0 }) => {
    await send(5, unknown);
    const gateway = await connect();
    await caught(gateway, gateway.job(spoil(await template(), fault)), code);
    // The next job of the same gateway is judged by itself.
    const next = await judged(gateway, [share(gateway.job(await template()))]);
    expect(next).toMatchObject({ answers: ["tentative"], row: { state: "sound" } });
  });

  test("a template too heavy by its own words is refused at its first share, with nothing asked and nothing to take back", async () => {
    await send(5, 0);
    const gateway = await connect();
    const before = await bookCounts(pool.pool.database);
    expect(await gateway.submitAll(shares(gateway.job(spoil(await template(), "tooHeavy")), 2))).toEqual([TOO_LARGE, TOO_LARGE]);
    expect(gateway.questions.filter(({ type }) => type === "shortIdsRequest")).toEqual([]);
    expect(await bookCounts(pool.pool.database)).toEqual(before);
    const next = await judged(gateway, [share(gateway.job(await template()))]);
    expect(next).toMatchObject({ answers: ["tentative"], row: { state: "sound" } });
  });

  test.skipIf(sharesAreBlocks)(
    "a gateway's miners lose the work on a broken template only: what they did before and after counts",
    async () => {
      await send(50, 5);
      const before = await bookCounts(pool.pool.database);
      const gateway = await SimulatedGateway.start({
        name: "now and then broken",
        pool: { host: pool.host, port: pool.port, publicKey: pool.publicKey },
        node: pair.gateways,
        timeScale: 60,
        announceJobs: true,
        miners: [1, 3].map((kind, index) => ({ username: `${minerAddress("broken", index)}.rig`, hashrate: 40, kind: kind as 1 | 3 })),
      });
      try {
        await gateway.until(({ shares }) => shares.accepted > 5);
        gateway.break("doubleSpend");
        await gateway.until(({ shares }) => (shares.reasons[OTHER] ?? 0) > 2);
        gateway.break(undefined);
        const { shares: mended } = gateway.snapshot();
        await gateway.until(({ shares }) => shares.accepted > mended.accepted + 5);
        gateway.rest();
        const { shares } = await gateway.until((now) => now.shares.waiting === 0);
        expect(Object.keys(shares.reasons)).toEqual([String(OTHER)]);
        expect(shares.unknownResponses).toBe(0);
        await until("the voids", async () => {
          const { shares: counted, voids } = await bookCounts(pool.pool.database);
          const taken = BigInt(shares.accepted + shares.tentative);
          return voids > before.voids && counted + voids === before.shares + before.voids + taken;
        });
      } finally {
        await gateway.stop();
      }
      expect(await checkBooks(pool.pool.database)).toEqual([]);
    },
  );

  test("a gateway that can't say what it mines on is as one that lies", async () => {
    await send(5, 0);
    const gateway = await connect();
    gateway.answersQuestions = false;
    const job = gateway.job(await template());
    let refused = 0;
    const refusing = until("questions to refuse", () => {
      const { questions } = gateway;
      for (const question of questions.slice(refused)) gateway.refuse(question);
      refused = questions.length;
      return gateway.told.length > 0;
    });
    await Promise.all([caught(gateway, job, "noAnswer"), refusing]);
  });

  test.each(["foreignIds", "wrongCrosscheck"] as const)("%s does not hide a good set: all of it is asked for", async (fault) => {
    await send(3, 3);
    const gateway = await connect();
    const { row } = await judged(gateway, [share(gateway.job(spoil(await template(), fault)))]);
    expect(row).toMatchObject({ state: "sound", path: "fullSet" });
    expect(gateway.fullSetRequests.length).toBeGreaterThan(0);
  });

  test("empty work is good, and shown beside what the node would have made", async () => {
    await send(5, 0);
    const gateway = await connect();
    const { row } = await judged(gateway, [share(gateway.job(spoil(await template(), "empty")))]);
    expect(row).toMatchObject({ state: "sound", path: "known", transactions: 0, fees: "0" });
    expect(BigInt(row.own_value!)).toBeGreaterThanOrEqual(5_000_000_000n);
  });

  test("a block of a template that was judged reaches both nodes, with nothing more asked", async () => {
    await send(3, 3);
    const gateway = await connect();
    const job = gateway.job(await template());
    expect((await judged(gateway, [share(job)])).row.state).toBe("sound");
    gateway.answersQuestions = false;
    const asked = gateway.questions.length;
    proxy.passBlocks();
    const block = mineOne(job, { username: MINER, block: true });
    expect(await gateway.submit(block)).toBe("accepted");
    const hash = Buffer.from(block.hash, "hex");
    const record = await until("the block's record", async () => {
      const known = await pool.pool.blocks.find(hash);
      return known?.status === "accepted" && known;
    });
    expect(record.transactionCount).toBe(job.template.transactions.length);
    expect(gateway.questions).toHaveLength(asked);
    await pair.sync();
    const raw = await client.rawBlock(await client.blockHash(record.height));
    expect(parseBlock(raw).transactions).toHaveLength(1 + record.transactionCount!);
  });
});
