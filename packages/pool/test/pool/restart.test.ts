/**
 * What a gateway keeps through a restart of the pool, a second connection and a reorganisation: its prime id, its jobs, its splits; and that
 * a share counts once through all of them. A real pool, a real database, a real node.
 */
import { NodeClient } from "@openprime/bitcoin";
import { mine, mineOne, minerAddress, newKeys, RegtestNode, readTemplate, type Template, WireGateway } from "@openprime/simulator";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { checkBooks } from "../../src/ledger/index.js";
import { PoolHome, type RunningPool } from "./support/running-pool.js";
import { until } from "./support/until.js";

/** 512 hashes a block, so that the test can mine outside blocks in no time. */
const BITS = 0x1f7fffff;
const ALICE = `${minerAddress("restart", 0)}.rig`;
const BOB = minerAddress("restart", 1);

let node: RegtestNode;
let client: NodeClient;
let home: PoolHome;
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
  home = await PoolHome.make("external");
});
afterEach(async () => {
  for (const gateway of gateways.splice(0)) if (gateway.connected) await gateway.close();
  await home.remove();
});

const template = async (): Promise<Template> => readTemplate(await client.blockTemplate());

async function gatewayOf(pool: RunningPool, keys = newKeys()): Promise<WireGateway> {
  const gateway = await WireGateway.connect(pool, { keys });
  gateways.push(gateway);
  return gateway;
}

const storedHashes = async (pool: RunningPool): Promise<string[]> =>
  (await pool.rows<{ hash: Buffer }>("SELECT hash FROM shares ORDER BY position")).map(({ hash }) => hash.toString("hex"));

test("a gateway that comes back after a restart goes on where it was", async () => {
  let pool = await home.start(node.rpc);
  const gateway = await gatewayOf(pool);
  const { primeId } = gateway;
  expect(primeId).toBeGreaterThan(0);

  // A first share, so that there is somebody to pay, then several splits.
  const first = gateway.job(await template());
  const early = mine(first, { username: ALICE, count: 2 });
  expect(await gateway.submitAll(early)).toEqual(["accepted", "accepted"]);
  const job = await until("a split with somebody to pay", async () => {
    const made = await gateway.jobWithSplit(await template());
    return made.coinbaserId !== 0 && made;
  });
  const ids = [job.coinbaserId];
  for (let more = 0; more < 4; more++) ids.push((await gateway.split(job.template.value, job.template.prevhash)).coinbaserId);
  expect(new Set(ids).size).toBe(5);
  const before = mine(job, { username: ALICE, kind: 4, count: 3 });
  const unsent = mine(job, { username: BOB, kind: 4, count: 3 });
  expect(await gateway.submitAll(before)).toEqual(["accepted", "accepted", "accepted"]);

  await pool.close();
  await gateway.closed;
  pool = await home.start(node.rpc);
  expect((await gateway.connect(pool)).primeId).toBe(primeId);

  // The old job's work is good, its split is still known by its id; what was sent before is a duplicate though memory has forgotten it.
  expect(await gateway.submitAll(unsent)).toEqual(["accepted", "accepted", "accepted"]);
  expect(await gateway.submitAll([...early, ...before])).toEqual([29, 29, 29, 29, 29]);
  const splits = await pool.rows<{ split: string | null }>("SELECT split FROM shares WHERE hash = ANY ($1)", [
    [...before, ...unsent].map(({ hash }) => Buffer.from(hash, "hex")),
  ]);
  expect(splits).toHaveLength(6);
  expect(new Set(splits.map(({ split }) => split)).size).toBe(1);
  expect(splits[0]?.split).not.toBeNull();
  // New splits have ids that no remembered one has.
  for (let more = 0; more < 5; more++) {
    const { coinbaserId, outputs } = await gateway.split(job.template.value, job.template.prevhash);
    expect(outputs.length).toBeGreaterThan(0);
    expect(ids).not.toContain(coinbaserId);
    ids.push(coinbaserId);
  }
  // Another gateway never gets this one's prime id.
  expect((await gatewayOf(pool)).primeId).not.toBe(primeId);
  expect(await storedHashes(pool)).toEqual([...early, ...before, ...unsent].map(({ hash }) => hash));
  expect(await checkBooks(pool.pool.database)).toEqual([]);
});

test("a second connection with the same key takes the session over at its first message, and shares count once over both", async () => {
  const pool = await home.start(node.rpc);
  const one = await gatewayOf(pool);
  const job = one.job(await template());
  const [sentByOne, resent, sentByTwo] = mine(job, { username: ALICE, count: 3 });
  expect(await one.submit(sentByOne!)).toBe("accepted");

  const two = await gatewayOf(pool, one.keys);
  expect(two.primeId).toBe(one.primeId);
  // Nothing from it yet: whoever replays a HELLO gets this far, and the first connection does not notice.
  expect(await one.submit(resent!)).toBe("accepted");
  two.adopt(job);
  expect(await two.submit(sentByOne!)).toBe(29);
  await one.closed;
  expect(await two.submitAll([sentByTwo!, resent!])).toEqual(["accepted", 29]);
  expect(await two.submit(sentByTwo!)).toBe(29);

  // A stranger can't hand in another gateway's work as its own: the prime id in it is not his.
  const stranger = await gatewayOf(pool);
  stranger.adopt(job);
  expect(await stranger.submit(mineOne(job, { username: BOB }))).toBe(26);
  expect(await stranger.submit(sentByOne!)).toBe(26);
  expect(await storedHashes(pool)).toEqual([sentByOne!, resent!, sentByTwo!].map(({ hash }) => hash));
});

test("a share stays a duplicate when the chain comes back to its parent", async () => {
  const pool = await home.start(node.rpc);
  const gateway = await gatewayOf(pool);
  const tip = (hash: string) => until(`tip ${hash}`, () => Buffer.from(pool.pool.status().tip!.hash).reverse().toString("hex") === hash);

  const [a] = await node.mine();
  await tip(a!);
  const onA = gateway.job(await template());
  const [before, later] = mine(onA, { username: ALICE, count: 2 });
  expect(await gateway.submit(before!)).toBe("accepted");

  // A rival of A becomes the tip, then A again.
  await node.invalidate(a!);
  const [b] = await node.mine();
  await tip(b!);
  const onB = gateway.job(await template());
  const other = mineOne(onB, { username: ALICE });
  expect(await gateway.submit(other)).toBe("accepted");
  await node.invalidate(b!);
  await node.reconsider(a!);
  await tip(a!);
  expect(await gateway.submitAll([before!, later!])).toEqual([29, "accepted"]);
  expect(await gateway.submit(later!)).toBe(29);

  // The same with nothing in memory: the database has one round per parent, for ever.
  const { primeId } = gateway;
  await pool.close();
  await gateway.closed;
  const again = await home.start(node.rpc);
  expect((await gateway.connect(again)).primeId).toBe(primeId);
  expect(await gateway.submitAll([before!, later!, mineOne(onA, { username: ALICE })])).toEqual([29, 29, "accepted"]);
  const rounds = await again.rows<{ prevhash: Buffer; shares: string }>(
    "SELECT r.prevhash, count(*) AS shares FROM shares s JOIN rounds r ON r.id = s.round GROUP BY r.prevhash ORDER BY min(s.position)",
  );
  expect(rounds.map(({ prevhash, shares }) => [Buffer.from(prevhash).reverse().toString("hex"), Number(shares)])).toEqual([
    [a, 3],
    [b, 1],
  ]);
  expect(await checkBooks(again.pool.database)).toEqual([]);
});
