/** Work on an old block of the chain, which the node has had for long and the pool was never told of: worth nothing, whatever it claims. */
import { fromReverseHex, NodeClient } from "@openprime/bitcoin";
import { mine, mineOne, minerAddress, newKeys, RegtestNode, readTemplate, WireGateway } from "@openprime/simulator";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { bookCounts, checkBooks } from "../../src/ledger/index.js";
import { NodeProxy } from "./support/node-proxy.js";
import { PoolHome } from "./support/running-pool.js";
import { until } from "./support/until.js";

const MINER = `${minerAddress("old parents", 0)}.rig`;

let node: RegtestNode;
let client: NodeClient;
let proxy: NodeProxy;
let home: PoolHome;

beforeAll(async () => {
  node = await RegtestNode.start({ bits: 0x1f7fffff });
  client = new NodeClient(node.rpc);
  for (let i = 0; i < 5; i++) await node.mine();
});
afterAll(async () => {
  await client.close();
  await node.stop();
});
beforeEach(async () => {
  proxy = await NodeProxy.start(node.rpc);
  home = await PoolHome.make("external");
});
afterEach(async () => {
  await home.remove();
  await proxy.close();
});

test("is stale by its height, and taken back when it had claimed another", async () => {
  const pool = await home.start(proxy.rpc);
  const gateway = await WireGateway.connect(pool, { keys: newKeys() });
  const real = readTemplate(await client.blockTemplate());
  const height = real.height - 4;
  const onOld = { ...real, prevhash: fromReverseHex(await client.blockHash(height - 1)) };
  await proxy.hold();
  expect(await gateway.submit(mineOne(gateway.job({ ...onOld, height }), { username: MINER }))).toBe(25);
  // Before the node is asked nobody can know better.
  const lies = mine(gateway.job(onOld), { username: MINER, count: 4 });
  expect(new Set(await gateway.submitAll(lies))).toEqual(new Set(["tentative"]));
  proxy.release();
  await until("the voids", async () => (await bookCounts(pool.pool.database)).voids === 4n);
  expect(await bookCounts(pool.pool.database)).toMatchObject({ shares: 0n, weight: 0n });
  expect(pool.pool.presentSplit()).toEqual([]);
  expect(await gateway.submit(mineOne(gateway.job(onOld), { username: MINER }))).toBe(26);
  expect(await gateway.submit(mineOne(gateway.job(real), { username: MINER }))).toBe("accepted");
  expect(await checkBooks(pool.pool.database)).toEqual([]);
  await gateway.close();
});
