/**
 * Work on a parent that the pool's node has left behind, or does not have yet, or never gets: judged by the pool's own node, which a proxy
 * holds still, and by the pool's clock, which the test moves.
 */
import { randomBytes } from "node:crypto";
import { NodeClient, reverseHex } from "@openprime/bitcoin";
import { blockOf, mine, mineOne, minerAddress, newKeys, RegtestNode, readTemplate, type Template, WireGateway } from "@openprime/simulator";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { accountWeights, bookCounts, checkBooks } from "../../src/ledger/index.js";
import { NodeProxy } from "./support/node-proxy.js";
import { PoolHome, type RunningPool } from "./support/running-pool.js";
import { until } from "./support/until.js";

const BITS = 0x1f7fffff;
const GRACE_MS = 2000;
const MINER = `${minerAddress("stale", 0)}.rig`;
const OTHER = minerAddress("stale", 1);

let node: RegtestNode;
/** The gateways' own way to the node: never held. */
let client: NodeClient;
let proxy: NodeProxy;
let home: PoolHome;
/** The pool's clock, milliseconds: stands still until the test moves it. */
let clock = 0;
const now = () => clock;
const gateways: WireGateway[] = [];

beforeAll(async () => {
  node = await RegtestNode.start({ bits: BITS });
  client = new NodeClient(node.rpc);
});
afterAll(async () => {
  await client.close();
  await node.stop();
});
beforeEach(async () => {
  clock = Date.now();
  proxy = await NodeProxy.start(node.rpc);
  home = await PoolHome.make("external");
});
afterEach(async () => {
  for (const gateway of gateways.splice(0)) if (gateway.connected) await gateway.close();
  await home.remove();
  await proxy.close();
});

const start = (modules: { unknownParentMs?: number } = {}): Promise<RunningPool> =>
  home.start(proxy.rpc, { shares: { staleGraceSeconds: GRACE_MS / 1000 } }, { now, ...modules });

async function gatewayOf(pool: RunningPool, keys = newKeys()): Promise<WireGateway> {
  const gateway = await WireGateway.connect(pool, { keys });
  gateways.push(gateway);
  return gateway;
}

const template = async (): Promise<Template> => readTemplate(await client.blockTemplate());
/** Work on a block that no node will ever have. */
const templateOnNothing = async (): Promise<Template> => {
  const real = await template();
  return { ...real, prevhash: new Uint8Array(randomBytes(32)), height: real.height + 1 };
};
const tipIs = (pool: RunningPool, hash: string) => until(`tip ${hash}`, () => reverseHex(pool.pool.status().tip!.hash) === hash);
const tentative = async (pool: RunningPool): Promise<number> =>
  Number((await pool.rows<{ n: string }>("SELECT count(*) AS n FROM shares WHERE tentative"))[0]?.n);
/** Every row as it is, but for `tentative`, which says what is known and not what was accepted. */
const rowsOf = (pool: RunningPool) =>
  pool.rows<{ row: string }>("SELECT (to_jsonb(s) - 'tentative')::text AS row FROM shares s ORDER BY position");
const weightOf = async (pool: RunningPool, address: string): Promise<bigint> =>
  (await accountWeights(pool.pool.database)).find((account) => account.address === address)?.weight ?? 0n;

test("shares on a parent that the node does not have yet are taken on trust, and credited when it has", async () => {
  const pool = await start();
  const gateway = await gatewayOf(pool);
  const behind = gateway.job(await template());
  expect(await gateway.submit(mineOne(behind, { username: MINER }))).toBe("accepted");

  await proxy.hold();
  const [next] = await node.mine();
  const job = gateway.job(await template());
  expect(reverseHex(job.template.prevhash)).toBe(next);
  const early = mine(job, { username: MINER, count: 3 });
  expect(await gateway.submitAll(early)).toEqual(["tentative", "tentative", "tentative"]);
  // Meanwhile nothing else has changed: the tip that the pool knows is still good, a share on trust is a duplicate like any other.
  expect(await gateway.submit(mineOne(behind, { username: MINER }))).toBe("accepted");
  expect(await gateway.submit(early[0]!)).toBe(29);
  expect(await tentative(pool)).toBe(3);

  proxy.release();
  await tipIs(pool, next!);
  await until("the shares' confirmation", async () => (await tentative(pool)) === 0);
  expect(await gateway.submit(mineOne(job, { username: MINER }))).toBe("accepted");
  expect(await gateway.submit(early[2]!)).toBe(29);
  expect(await bookCounts(pool.pool.database)).toMatchObject({ shares: 6n, weight: 6n, voids: 0n });
  expect(await checkBooks(pool.pool.database)).toEqual([]);
});

test("shares on a parent that the node never has are taken back by later entries of the log", async () => {
  const pool = await start({ unknownParentMs: 300 });
  const gateway = await gatewayOf(pool);
  const real = mine(gateway.job(await template()), { username: MINER, count: 4, targetByte: 2 });
  expect(new Set(await gateway.submitAll(real))).toEqual(new Set(["accepted"]));
  // Without a node no parent's time runs out, so that the test can look about before it does.
  proxy.cut();
  await until("the loss of the node", () => !pool.pool.status().nodeReachable);
  const job = gateway.job(await templateOnNothing());
  const shares = [...mine(job, { username: MINER, count: 3, targetByte: 1 }), ...mine(job, { username: OTHER, count: 2 })];
  expect(new Set(await gateway.submitAll(shares))).toEqual(new Set(["tentative"]));
  const before = await rowsOf(pool);
  expect(before).toHaveLength(9);
  const head = pool.pool.status().position;
  expect(head).toBe(9n);
  expect(await weightOf(pool, OTHER)).toBe(2n);
  expect(pool.pool.presentSplit()).toHaveLength(2);
  proxy.restore();

  await until("the voids", async () => (await bookCounts(pool.pool.database)).voids === 5n);
  // Entries of their own, after what was there; nothing that was there has changed.
  const voids = await pool.rows<{ position: string; hash: Buffer; share_position: string }>("SELECT * FROM voids ORDER BY position");
  expect(voids.map(({ position }) => BigInt(position))).toEqual([10n, 11n, 12n, 13n, 14n]);
  expect(voids.map(({ hash }) => hash.toString("hex")).sort()).toEqual(shares.map(({ hash }) => hash).sort());
  expect(await rowsOf(pool)).toEqual(before);
  await until("the head", () => pool.pool.status().position === 14n);
  expect(await bookCounts(pool.pool.database)).toMatchObject({ shares: 4n, weight: 16n, position: 14n });
  expect(await weightOf(pool, OTHER)).toBe(0n);
  expect(await weightOf(pool, MINER.split(".")[0]!)).toBe(16n);
  // The split no longer knows them.
  expect(pool.pool.presentSplit()).toHaveLength(1);

  // Work on it is stale from now on, however fresh, and what was taken back can't be sent again.
  expect(await gateway.submit(mineOne(job, { username: MINER }))).toBe(25);
  expect(await gateway.submit(shares[0]!)).toBe(25);
  expect(await checkBooks(pool.pool.database)).toEqual([]);
});

test("shares taken on trust are decided after a restart too", async () => {
  let pool = await start();
  const gateway = await gatewayOf(pool);
  await proxy.hold();
  const [next] = await node.mine();
  const onReal = mine(gateway.job(await template()), { username: MINER, count: 2 });
  const onNothing = mine(gateway.job(await templateOnNothing()), { username: OTHER, count: 2 });
  expect(new Set(await gateway.submitAll([...onReal, ...onNothing]))).toEqual(new Set(["tentative"]));
  await pool.close();
  await gateway.closed;

  proxy.release();
  pool = await start({ unknownParentMs: 300 });
  await tipIs(pool, next!);
  await until("the decision", async () => (await bookCounts(pool.pool.database)).voids === 2n);
  const rows = await pool.rows<{ hash: Buffer; tentative: boolean }>("SELECT hash, tentative FROM shares ORDER BY position");
  expect(rows.map((row) => [row.hash.toString("hex"), row.tentative])).toEqual([
    ...onReal.map(({ hash }) => [hash, false]),
    ...onNothing.map(({ hash }) => [hash, true]),
  ]);
  expect(await bookCounts(pool.pool.database)).toMatchObject({ shares: 2n, weight: 2n });
  expect(await checkBooks(pool.pool.database)).toEqual([]);
});

test("work on the last tip is good for the time of grace, and stale after it", async () => {
  const pool = await start();
  const gateway = await gatewayOf(pool);
  const old = gateway.job(await template());
  const shares = mine(old, { username: MINER, count: 5 });
  expect(await gateway.submit(shares[0]!)).toBe("accepted");
  const [next] = await node.mine();
  await tipIs(pool, next!);
  expect(await gateway.submit(shares[1]!)).toBe("accepted");
  clock += GRACE_MS;
  expect(await gateway.submit(shares[2]!)).toBe("accepted");
  clock += 1;
  expect(await gateway.submit(shares[3]!)).toBe(25);
  // Grace is for parents that were the tip a moment ago, not for what lies deeper.
  await node.mine();
  const [last] = await node.mine();
  await tipIs(pool, last!);
  expect(await gateway.submit(shares[4]!)).toBe(25);
  expect(await gateway.submit(mineOne(gateway.job(await template()), { username: MINER }))).toBe("accepted");
  expect((await bookCounts(pool.pool.database)).shares).toBe(4n);
});

test("a new tip is told to the gateways that are not on it", async () => {
  const pool = await start();
  const [ahead, behind] = [await gatewayOf(pool), await gatewayOf(pool)];
  for (const gateway of [ahead, behind]) {
    expect(await gateway.submit(mineOne(gateway.job(await template()), { username: MINER }))).toBe("accepted");
  }
  await proxy.hold();
  const [next] = await node.mine();
  const job = ahead.job(await template());
  expect(await ahead.submit(mineOne(job, { username: MINER }))).toBe("tentative");
  proxy.release();
  await tipIs(pool, next!);
  const notices = async (outcome: string): Promise<number | undefined> =>
    (await pool.pool.metrics.getSingleMetric("openprime_block_notifies_total")?.get())?.values.find(
      ({ labels }) => labels.outcome === outcome,
    )?.value;
  await until("both turns", async () => (await notices("sent")) === 1 && (await notices("needless")) === 1);
  for (const gateway of [ahead, behind]) await gateway.submit(mineOne(gateway.job(await template()), { username: MINER }));
  const told = [ahead, behind].map(({ received }) => received.filter(({ type }) => type === "blockNotify").length);
  expect(told).toEqual([0, 1]);
});

test("the share that made the new tip is accepted, however late it comes", async () => {
  const pool = await start();
  const gateway = await gatewayOf(pool);
  const job = gateway.job(await template());
  const winner = mineOne(job, { username: MINER, block: true });
  const loser = mineOne(job, { username: MINER });
  // The gateway's own node has it first, as in life, and the pool's node tells of it before the share is there.
  expect(await client.submitBlock(blockOf(winner))).toBeNull();
  await tipIs(pool, reverseHex(Buffer.from(winner.hash, "hex")));
  clock += GRACE_MS + 60_000;
  expect(await gateway.submit(loser)).toBe(25);
  expect(await gateway.submit(winner)).toBe("accepted");
  expect(await gateway.submit(winner)).toBe(29);
  const block = await until("the block's record", async () => {
    const [record] = await pool.pool.blocks.recent(1);
    return record?.status === "accepted" && record;
  });
  expect(Buffer.from(block.hash).toString("hex")).toBe(winner.hash);
  expect(block.outcome).toContain("duplicate");
});

test("while the node is away nothing is stale, and an unknown parent's time stands still", async () => {
  const UNKNOWN_MS = 1000;
  const pool = await start({ unknownParentMs: UNKNOWN_MS });
  const gateway = await gatewayOf(pool);
  const job = gateway.job(await template());
  const [next] = await node.mine();
  await tipIs(pool, next!);
  clock += GRACE_MS + 1;
  expect(await gateway.submit(mineOne(job, { username: MINER }))).toBe(25);
  proxy.cut();
  await until("the loss of the node", () => !pool.pool.status().nodeReachable);
  expect(await gateway.submit(mineOne(job, { username: MINER }))).toBe("accepted");
  // A block that nobody can ask the node about now.
  const [unseen] = await node.mine();
  const onUnseen = gateway.job(await template());
  expect(await gateway.submit(mineOne(onUnseen, { username: MINER }))).toBe("tentative");
  // By the clock that would void it, its time is over.
  const seenAt = performance.now();
  await until("time", () => performance.now() - seenAt > UNKNOWN_MS);
  expect((await bookCounts(pool.pool.database)).voids).toBe(0n);
  proxy.restore();
  await tipIs(pool, unseen!);
  await until("the confirmation", async () => (await tentative(pool)) === 0);
  expect(await bookCounts(pool.pool.database)).toMatchObject({ shares: 2n, voids: 0n });
  expect(await gateway.submit(mineOne(job, { username: MINER }))).toBe(25);
});
