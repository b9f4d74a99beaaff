/**
 * Found blocks on their way from a gateway through the pool to a real node: with and without transactions, from a share that is refused, and
 * while the node is down. What comes out is held against the chain and the books.
 */
import { NodeClient, parseBlock, parseCoinbase, reverseHex } from "@openprime/bitcoin";
import { encodePublicKey } from "@openprime/datum";
import {
  type MinedShare,
  mine,
  mineOne,
  minerAddress,
  RegtestNode,
  readTemplate,
  SimulatedGateway,
  SUBSIDY_ONLY,
  type Template,
  WireGateway,
} from "@openprime/simulator";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { auditDemo } from "../../src/cli/demo/audit.js";
import { bookCounts, checkBooks } from "../../src/ledger/index.js";
import { NodeProxy } from "./support/node-proxy.js";
import { PoolHome, type RunningPool } from "./support/running-pool.js";
import { until } from "./support/until.js";

/** 512 hashes a block. */
const BITS = 0x1f7fffff;
const MINER = `${minerAddress("blocks", 0)}.rig`;

let node: RegtestNode;
let client: NodeClient;
let proxy: NodeProxy;
let home: PoolHome;
let pool: RunningPool;
let gateway: WireGateway;
let firstHeight = 0;
/** Milliseconds by which the pool's clock is ahead. */
let ahead = 0;

const startPool = (): Promise<RunningPool> =>
  home.start(proxy.rpc, { pool: { feePercent: 1 }, shares: { staleGraceSeconds: 0 } }, { now: () => Date.now() + ahead });

beforeAll(async () => {
  node = await RegtestNode.start({ bits: BITS });
  client = new NodeClient(node.rpc);
  home = await PoolHome.make("embedded");
});
afterAll(async () => {
  await home.remove();
  await client.close();
  await node.stop();
});
beforeEach(async () => {
  proxy = await NodeProxy.start(node.rpc);
  firstHeight = (await node.tip()).height;
  pool = await startPool();
  gateway = await WireGateway.connect(pool);
});
afterEach(async () => {
  if (gateway.connected) await gateway.close();
  await pool.close();
  await proxy.close();
});

const template = async (): Promise<Template> => readTemplate(await client.blockTemplate());
const display = (share: MinedShare): string => reverseHex(Buffer.from(share.hash, "hex"));
const onChain = (share: MinedShare) => until(`block ${display(share)} as the tip`, async () => (await node.tip()).hash === display(share));
/** Ends after the grace of what was the tip before, which is no time at all: the next millisecond. */
const poolSees = async (share: MinedShare): Promise<void> => {
  await until("the pool's tip", () => reverseHex(pool.pool.status().tip!.hash) === display(share));
  ahead += 1;
};

/** The record of a block, once the node has answered for it. */
const settled = (share: MinedShare) =>
  until(`the outcome of ${display(share)}`, async () => {
    const record = await pool.pool.blocks.find(Buffer.from(share.hash, "hex"));
    return record !== undefined && (record.status === "accepted" || record.status === "refused") && record;
  });

const audit = (acknowledged: number) =>
  auditDemo({
    pool: pool.pool,
    network: pool.config.network,
    payoutScript: pool.config.pool.payoutScript,
    tag: pool.config.pool.tagBytes,
    firstHeight,
    acknowledged,
  });

/** A job that pays somebody, and transactions to go with it. */
async function jobWithPayees(transactions: number) {
  expect(await gateway.submitAll(mine(gateway.job(await template()), { username: MINER, count: 2 }))).toEqual(["accepted", "accepted"]);
  if (transactions > 0) await node.send(transactions);
  return until("a split with somebody to pay", async () => {
    const job = await gateway.jobWithSplit(await template());
    return job.coinbaserId !== 0 && job;
  });
}

test("a block with transactions reaches the node through the pool alone, and pays the split", async () => {
  const job = await jobWithPayees(5);
  expect(job.template.transactions.length).toBeGreaterThanOrEqual(5);
  const block = mineOne(job, { username: MINER, kind: 4, block: true });
  expect(await gateway.submit(block)).toBe("accepted");
  await onChain(block);
  expect(gateway.fullSetRequests).toEqual([job.slot]);
  const record = await settled(block);
  expect(record).toMatchObject({ status: "accepted", transactionCount: job.template.transactions.length, height: job.template.height });
  expect(record.splitId).toBeGreaterThan(0n);

  const mined = parseBlock(await client.rawBlock(display(block)));
  expect(mined.transactions).toHaveLength(1 + job.template.transactions.length);
  const { outputs } = parseCoinbase(mined.transactions[0]);
  const [payee, rest] = outputs;
  // One miner has all the work, so the split is 99 % of the value for it and 1 % for the pool, to the satoshi.
  const fee = job.template.value / 100n;
  expect(payee).toMatchObject({ value: job.template.value - fee });
  expect(rest?.value).toBe(fee);
  expect(Buffer.from(rest!.script)).toEqual(Buffer.from(pool.config.pool.payoutScript));
  const { blocks, differences } = await audit(3);
  expect(differences).toEqual([]);
  expect(blocks.find(({ hash }) => hash === display(block))).toMatchObject({ onChain: true, payees: 1, paid: job.template.value - fee });
});

test("a block without transactions is put together from the share alone", async () => {
  await node.send(3);
  const job = gateway.job(await template());
  expect(job.template.transactions.length).toBeGreaterThanOrEqual(3);
  gateway.answersQuestions = false;
  const block = mineOne(job, { username: MINER, kind: SUBSIDY_ONLY, block: true });
  expect(await gateway.submit(block)).toBe("accepted");
  await onChain(block);
  expect(await settled(block)).toMatchObject({ status: "accepted", transactionCount: 0, coinbaseValue: job.template.subsidy });
  expect(gateway.fullSetRequests).toEqual([]);
  expect(parseBlock(await client.rawBlock(display(block))).transactions).toHaveLength(1);
  expect((await audit(1)).differences).toEqual([]);
});

test("a share that is refused, and its block", async () => {
  const job = await jobWithPayees(2);
  const block = mineOne(job, { username: "not an address", kind: 4, block: true });
  expect(await gateway.submit(block)).toBe(14);
  await onChain(block);
  expect(await settled(block)).toMatchObject({ status: "accepted", transactionCount: job.template.transactions.length });
  await poolSees(block);

  // Stale work, too: the node decides which of two blocks on one parent stands, not the pool.
  const rival = mineOne(job, { username: MINER, kind: 4, block: true });
  const stale = mineOne(job, { username: MINER, kind: 4 });
  expect(await gateway.submit(stale)).toBe(25);
  expect(await gateway.submit(rival)).toBe(25);
  const outcome = await settled(rival);
  // bcoin answers null for a valid block of a branch too.
  expect(outcome.status).toBe("accepted");
  expect((await client.blockHeader(display(rival))).hash).toBe(display(rival));
  expect((await node.tip()).hash).toBe(display(block));
  expect(await checkBooks(pool.pool.database)).toEqual([]);
});

test("a block that is found while the node is down is handed over when it is back, and meanwhile nothing is stale", async () => {
  const job = await jobWithPayees(4);
  proxy.cut();
  await until("the loss of the node", () => !pool.pool.status().nodeReachable);
  const block = mineOne(job, { username: MINER, kind: 4, block: true });
  expect(await gateway.submit(block)).toBe("accepted");
  await until("a try to submit", () => pool.logs.saying("a found block is not submitted yet").length > 0);
  // Work goes on, on what is still the tip for all the pool knows.
  const others = mine(job, { username: MINER, kind: 4, count: 5 });
  expect(new Set(await gateway.submitAll(others))).toEqual(new Set(["accepted"]));
  expect((await node.tip()).hash).not.toBe(display(block));
  expect((await pool.pool.blocks.find(Buffer.from(block.hash, "hex")))?.status).toBe("found");

  proxy.restore();
  await onChain(block);
  expect(await settled(block)).toMatchObject({ status: "accepted" });
  await poolSees(block);
  expect(await gateway.submit(mineOne(job, { username: MINER, kind: 4 }))).toBe(25);
  expect((await audit(8)).differences).toEqual([]);
});

test("a block that is found while the node is down outlives a restart of the pool", async () => {
  const job = await jobWithPayees(2);
  proxy.cut();
  await until("the loss of the node", () => !pool.pool.status().nodeReachable);
  const block = mineOne(job, { username: MINER, kind: 4, block: true });
  expect(await gateway.submit(block)).toBe("accepted");
  await until("a try to submit", () => pool.logs.saying("a found block is not submitted yet").length > 0);
  await pool.close();
  expect((await node.tip()).hash).not.toBe(display(block));

  // The gateway is gone with the transactions: the pool has what it needs.
  proxy.restore();
  pool = await startPool();
  await onChain(block);
  expect(await settled(block)).toMatchObject({ status: "accepted" });
  expect((await audit(3)).differences).toEqual([]);
});

test("a simulated gateway's blocks, with and without transactions, come to the chain through the pool and pay what they should", async () => {
  await node.feed(20);
  const simulated = await SimulatedGateway.start({
    name: "through the pool",
    pool: { ...pool.pool.address, publicKey: encodePublicKey(home.keys) },
    node: node.rpc,
    timeScale: 60,
    submitBlocks: false,
    // About three blocks a second between them.
    miners: [1, 2, 3, 5].map((kind, index) => ({
      username: `${minerAddress("blocks", index)}.rig`,
      hashrate: 400,
      kind: kind as 1 | 2 | 3 | 5,
    })),
  });
  try {
    const figures = await simulated.until(
      ({ blocks, validations, shares }) => blocks.found >= 6 && validations > 0 && shares.accepted > 50,
    );
    expect(figures.blocks.submitted).toBe(0);
    await until("blocks of both kinds", async () => {
      const records = await pool.pool.blocks.recent(100);
      const accepted = records.filter(({ height, status }) => height > firstHeight && status === "accepted");
      return (
        accepted.some(({ transactionCount = 0 }) => transactionCount > 0) && accepted.some(({ transactionCount }) => transactionCount === 0)
      );
    });
    await node.feed(0);
    simulated.rest();
    const end = await simulated.until(({ shares }) => shares.waiting === 0);
    await pool.pool.submitter.idle();
    const { differences, blocks } = await audit(end.shares.accepted + end.shares.tentative);
    expect(differences).toEqual([]);
    const own = blocks.filter(({ height }) => height > firstHeight);
    expect(own.filter((block) => block.onChain).length).toBeGreaterThanOrEqual(2);
    expect(own.some((block) => block.onChain && block.payees > 0)).toBe(true);
    expect(end.shares.unknownResponses).toBe(0);
    // Nothing that this gateway does is wrong, but work can come late where blocks follow each other within a second.
    expect(Object.keys(end.shares.reasons).filter((reason) => reason !== "25")).toEqual([]);
    expect((await bookCounts(pool.pool.database)).shares).toBeGreaterThanOrEqual(BigInt(end.shares.accepted));
  } finally {
    await simulated.stop();
  }
});
