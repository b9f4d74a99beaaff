/**
 * A pool of two nodes that are no peers of each other: what one lacks the other gets from the pool or from the test. Nodes fail, lag and come
 * back under work; found blocks reach the network all the same, and the books are right in the end.
 */
import { NodeClient, reverseHex } from "@openprime/bitcoin";
import { type MinedShare, mine, mineOne, minerAddress, RegtestNode, readTemplate, type Template, WireGateway } from "@openprime/simulator";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { checkBooks } from "../../src/ledger/index.js";
import { NodeProxy } from "./support/node-proxy.js";
import { PoolHome, type RunningPool } from "./support/running-pool.js";
import { until } from "./support/until.js";

const BITS = 0x1f7fffff;
const MINER = `${minerAddress("nodes", 0)}.rig`;
const LAG_MS = 1000;

interface Place {
  readonly node: RegtestNode;
  readonly client: NodeClient;
  proxy: NodeProxy;
}
let first: Place;
let second: Place;
let home: PoolHome;
let pool: RunningPool;
let gateway: WireGateway;

async function place(): Promise<Place> {
  const node = await RegtestNode.start({ bits: BITS });
  return { node, client: new NodeClient(node.rpc), proxy: await NodeProxy.start(node.rpc) };
}

/** Gives a node the blocks of another's best chain that it lacks. */
async function copy(from: Place, to: Place): Promise<void> {
  const missing: string[] = [];
  for (let hash = await from.client.bestBlockHash(); !(await has(to, hash)); ) {
    missing.push(hash);
    hash = (await from.client.blockHeader(hash)).previousblockhash!;
  }
  for (const hash of missing.reverse()) {
    expect(await to.client.submitBlock(Buffer.from(await from.client.rawBlock(hash)).toString("hex"))).toBeNull();
  }
}

const has = ({ client }: Place, hash: string): Promise<boolean> =>
  client.blockHeader(hash).then(
    () => true,
    () => false,
  );

const startPool = (): Promise<RunningPool> =>
  home.start(first.proxy.rpc, { nodes: [second.proxy.rpc], shares: { staleGraceSeconds: 0 } }, { nodes: { lagMs: LAG_MS } });

beforeAll(async () => {
  [first, second] = await Promise.all([place(), place()]);
  await first.node.mine(2);
  await copy(first, second);
});
afterAll(async () => {
  for (const { node, client } of [first, second]) {
    await client.close();
    await node.stop();
  }
});
beforeEach(async () => {
  home = await PoolHome.make("external");
  for (const one of [first, second]) one.proxy = await NodeProxy.start(one.node.rpc);
  await copy(first, second);
  await copy(second, first);
  pool = await startPool();
  await states("good", "good");
  gateway = await WireGateway.connect(pool);
});
afterEach(async () => {
  if (gateway.connected) await gateway.close();
  await home.remove();
  for (const one of [first, second]) await one.proxy.close();
});

const states = (...expected: string[]) =>
  until(`nodes that are ${expected.join(", ")}`, () => {
    const now = pool.pool.status().nodes.map(({ state }) => state);
    return now.join() === expected.join();
  });
const template = async (at: Place): Promise<Template> => readTemplate(await at.client.blockTemplate());
const display = (share: MinedShare): string => reverseHex(Buffer.from(share.hash, "hex"));
const isTipOf = ({ node }: Place, share: MinedShare) =>
  until(`block ${display(share)} as a node's tip`, async () => (await node.tip()).hash === display(share));
const poolSees = (hash: string) => until(`the pool's tip ${hash}`, () => reverseHex(pool.pool.status().tip!.hash) === hash);
const booksSee = (hash: string) => until(`the books at ${hash}`, () => reverseHex(pool.pool.money.cursor()!.hash) === hash);
const statusOf = async (share: MinedShare) => (await pool.pool.blocks.find(Buffer.from(share.hash, "hex")))?.status;

test("one node fails under work: the other is followed, a found block reaches it through the pool alone, and the first when it is back", async () => {
  const job = gateway.job(await template(first));
  const answers = gateway.submitAll(mine(job, { username: MINER, count: 30 }));
  first.proxy.cut();
  expect(new Set(await answers)).toEqual(new Set(["accepted"]));
  await states("unreachable", "good");
  expect(pool.pool.status()).toMatchObject({ nodeReachable: true, nodes: [{ followed: false }, { followed: true }] });
  expect(new Set(await gateway.submitAll(mine(job, { username: MINER, count: 10 })))).toEqual(new Set(["accepted"]));

  // The gateway hands it to no node of its own.
  const block = mineOne(job, { username: MINER, kind: 4, block: true });
  expect(await gateway.submit(block)).toBe("accepted");
  await isTipOf(second, block);
  await poolSees(display(block));
  await booksSee(display(block));
  await until("the outcome", async () => (await statusOf(block)) === "accepted");
  expect((await first.node.tip()).hash).not.toBe(display(block));

  first.proxy.restore();
  await isTipOf(first, block);
  await states("good", "good");
  expect(await checkBooks(pool.pool.database)).toEqual([]);
});

test("all nodes fail: a found block is sent when one returns, and nothing is stale meanwhile; also after a restart", async () => {
  const job = gateway.job(await template(first));
  first.proxy.cut();
  second.proxy.cut();
  await until("the loss of the nodes", () => !pool.pool.status().nodeReachable);
  const block = mineOne(job, { username: MINER, kind: 4, block: true });
  expect(await gateway.submit(block)).toBe("accepted");
  expect(await gateway.submit(mineOne(job, { username: MINER, kind: 4 }))).toBe("accepted");
  await until("tries with both", () => new Set(pool.logs.saying("a found block is not submitted yet").map(({ node }) => node)).size === 2);
  await pool.close();
  second.proxy.restore();
  // The gateway is gone with its transactions, and the first node still away.
  pool = await startPool();
  await isTipOf(second, block);
  await until("the outcome", async () => (await statusOf(block)) === "accepted");
  await booksSee(display(block));
  first.proxy.restore();
  await isTipOf(first, block);
  await states("good", "good");
});

test("a node that stands still is left for the better one at once, set aside when it stays behind, and taken back", async () => {
  const job = gateway.job(await template(first));
  await first.proxy.hold();
  const [next] = await second.node.mine();
  await poolSees(next!);
  expect(await gateway.submit(mineOne(job, { username: MINER }))).toBe(25);
  const job2 = gateway.job(await template(second));
  expect(await gateway.submit(mineOne(job2, { username: MINER }))).toBe("accepted");
  await booksSee(next!);
  await states("lagging", "good");
  expect(pool.logs.saying("a node is set aside")).toHaveLength(1);
  first.proxy.release();
  await copy(second, first);
  await states("good", "good");
  expect(await pool.pool.metrics.metrics()).toMatch(/openprime_node_state\{node="127\.0\.0\.1:\d+",state="good"\} 1/);
});

test("the followed node fails in a reorganisation that only the other has: the books go over to its chain", async () => {
  const { height } = await first.node.tip();
  const [own] = await first.node.mine();
  await poolSees(own!);
  await booksSee(own!);
  const branch = await second.node.branch(height - 1, 2);
  await first.proxy.cut();
  const [top] = await second.node.mine();
  await poolSees(top!);
  await booksSee(top!);
  expect(await second.client.blockHash(height)).toBe(branch[0]);
  expect(await checkBooks(pool.pool.database)).toEqual([]);
  first.proxy.restore();
  await copy(second, first);
  await states("good", "good");
});
