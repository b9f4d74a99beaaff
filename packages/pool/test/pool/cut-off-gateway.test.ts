/** A gateway whose own node is gone, on a pool whose node has never seen some of its transactions. What the pool's nodes do: nodes.test.ts. */
import { NodeClient, parseBlock } from "@openprime/bitcoin";
import { encodePublicKey } from "@openprime/datum";
import { minerAddress, type NodePair, SimulatedGateway, startSimulatedPair } from "@openprime/simulator";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkBooks } from "../../src/ledger/index.js";
import { PoolHome, type RunningPool } from "./support/running-pool.js";
import { until } from "./support/until.js";

/** 512 hashes a block. */
const BITS = 0x1f7fffff;
const MINER = `${minerAddress("cut off", 0)}.rig`;

/** Neither node hears of the other's blocks: what comes to the pool's comes from the pool. */
let pair: NodePair;
let gateways: NodeClient;
let pools: NodeClient;
let home: PoolHome;
let pool: RunningPool;

beforeAll(async () => {
  pair = await startSimulatedPair(BITS);
  gateways = new NodeClient(pair.gateways);
  pools = new NodeClient(pair.pools);
  home = await PoolHome.make("external");
  pool = await home.start(pair.pools, { templates: { check: "always" } });
});
afterAll(async () => {
  await home.remove();
  for (const client of [gateways, pools]) await client.close();
  await pair.stop();
});

test("a gateway whose node is cut off has its blocks sent by the pool, with all their transactions", async () => {
  await pair.send(20, 10);
  const gateway = await SimulatedGateway.start({
    name: "cut off",
    pool: { ...pool.pool.address, publicKey: encodePublicKey(home.keys) },
    node: pair.gateways,
    timeScale: 60,
    miners: [{ username: MINER, hashrate: 200, kind: 4 }],
  });
  try {
    // It has its first template, and from now on its node is neither asked for another nor told of a block.
    const { template } = await until("its first work", () => gateway.work);
    gateway.cutNode();
    const { blocks } = await gateway.until((now) => now.blocks.found > 0 && now.shares.waiting === 0);
    gateway.rest();
    const hash = blocks.hashes[0]!;
    const record = await until("the block's record", async () => {
      const known = await pool.pool.blocks.find(Buffer.from(hash, "hex").reverse());
      return known?.status === "accepted" && known;
    });
    expect(blocks.submitted).toBe(0);
    await expect(gateways.blockHeader(hash)).rejects.toMatchObject({ notFound: true });
    // Now and then it is found in the first moment, on work without transactions.
    expect(template.transactions).toHaveLength(30);
    expect([0, 30]).toContain(record.transactionCount);
    expect(parseBlock(await pools.rawBlock(hash)).transactions).toHaveLength(1 + record.transactionCount!);
  } finally {
    await gateway.stop();
  }
  expect(await checkBooks(pool.pool.database)).toEqual([]);
});
