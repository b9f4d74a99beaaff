import { addressToScript, NETWORKS, NodeClient, parseCoinbase } from "@openprime/bitcoin";
import type { JobAnnouncement } from "@openprime/datum";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { minerAddress } from "../../src/gateway/addresses.js";
import { finishCoinbase } from "../../src/gateway/coinbase.js";
import type { SimulatedGatewayOptions } from "../../src/gateway/options.js";
import { SimulatedGateway } from "../../src/gateway/simulated-gateway.js";
import { Hasher } from "../../src/mining/hasher.js";
import { RegtestNode } from "../../src/node/regtest-node.js";
import { MINI_POOL_SCRIPT, MINI_POOL_TAG, MiniPool, type MiniPoolBehaviour, type MiniShare } from "../mini-pool.js";

let node: RegtestNode;
let hasher: Hasher;
const cleanup: (() => Promise<void>)[] = [];

beforeAll(async () => {
  node = await RegtestNode.start({ bits: 0x1e7fffff });
  hasher = new Hasher((error) => {
    throw error;
  });
  await node.send(5);
});
afterAll(async () => {
  await node.stop();
  await hasher.close();
});
afterEach(async () => {
  for (const stop of cleanup.splice(0).reverse()) await stop();
});

const payee = minerAddress("split", 0);

async function start(
  behaviour: MiniPoolBehaviour,
  options: Partial<SimulatedGatewayOptions> = {},
): Promise<{ pool: MiniPool; gateway: SimulatedGateway }> {
  const pool = await MiniPool.start(behaviour);
  cleanup.push(() => pool.stop());
  const gateway = await SimulatedGateway.start(
    {
      name: "test",
      pool: { host: "127.0.0.1", port: pool.port, publicKey: pool.publicKey },
      node: node.rpc,
      miners: [1, 2, 3, 4, 5].map((kind, i) => ({
        username: `${minerAddress("test", i)}.rig${i}`,
        hashrate: 200,
        kind: kind as 1 | 2 | 3 | 4 | 5,
      })),
      timeScale: 40,
      ...options,
    },
    { hasher },
  );
  cleanup.push(() => gateway.stop());
  return { pool, gateway };
}

const splitOf = (value: bigint) => [
  { value: value / 2n, script: addressToScript(payee, NETWORKS.regtest) },
  { value: value / 4n, script: addressToScript(minerAddress("split", 1), NETWORKS.regtest) },
];

describe("a gateway on a pool", () => {
  it("handshakes, is configured, asks for splits and sends shares that hash right, of every kind of coinbase", async () => {
    const { pool, gateway } = await start({ split: splitOf });
    const kinds = new Set<number>();
    await pool.until(() => {
      for (const { share } of pool.shares) kinds.add(share.coinbaseId);
      return [1, 2, 3, 4, 5, 0xff].every((kind) => kinds.has(kind));
    });
    expect(pool.orphanShares).toBe(0);
    expect(pool.shares.every((share) => share.meetsTarget)).toBe(true);
    expect(new Set(pool.shares.map((one) => Buffer.from(one.hash).toString("hex"))).size).toBe(pool.shares.length);
    expect(pool.hellos[0]!.version).toContain("v0.4.1-beta/");
    const figures = await gateway.until((now) => now.shares.accepted > 20);
    expect(figures.connected).toBe(true);
    expect(figures.primeId).toBe(77);
    expect(figures.shares.rejected).toBe(0);
    expect(figures.shares.unknownResponses).toBe(0);
    expect(figures.coinbasers.outputs).toBe(2);

    const paying = pool.shares.find((one) => one.share.coinbaseId === 3 && one.job.coinbaserId === 5)!;
    const coinbase = parseCoinbase(
      finishCoinbase(paying.coinbase, paying.share.extranonce, {
        targetByteIndex: paying.job.targetByteIndex,
        targetByte: paying.share.targetByte,
        quickdiff: paying.share.quickdiff,
      }),
    );
    const value = paying.job.coinbaseValue;
    expect(coinbase.outputs.slice(0, 3).map((output) => output.value)).toEqual([value / 2n, value / 4n, value - value / 2n - value / 4n]);
    expect(coinbase.outputs[2]!.script).toEqual(MINI_POOL_SCRIPT);
    const emptyWork = pool.shares.find((one) => one.share.subsidyOnly)!;
    expect(emptyWork.share.coinbaseId).toBe(0xff);
    expect(emptyWork.coinbase.coinbaseId).toBe(0xff);
  });

  it("mines on coinbase 0 while no split comes", async () => {
    const { pool, gateway } = await start({ split: () => undefined }, { timeouts: { coinbaserMs: 50 } });
    await gateway.until((now) => now.coinbasers.missed > 1 && now.shares.accepted > 10);
    expect(pool.shares.every(({ share }) => share.coinbaseId === 0 || share.coinbaseId === 0xff)).toBe(true);
  });

  it("sends sections once for each job and coinbase, and again after a reconnect with the same key", async () => {
    const { pool, gateway } = await start({ split: splitOf }, { timeScale: 400 });
    await gateway.until((now) => now.shares.accepted > 30);
    gateway.cut();
    await gateway.until((now) => now.connections === 2 && now.connected);
    await pool.until(() => pool.hellos.length === 2);
    const before = pool.shares.length;
    await pool.until(() => pool.shares.length > before + 30);
    expect(pool.orphanShares).toBe(0);
    expect(pool.hellos[1]!.longTermSignKey).toEqual(pool.hellos[0]!.longTermSignKey);
    expect(pool.hellos[1]!.sessionSignKey).not.toEqual(pool.hellos[0]!.sessionSignKey);
  });

  // The node's blocks come when they come: a job may be replaced between the question and the answer, as in life; then it is asked again.
  it("answers the pool's questions about a job's transactions", { retry: 3, timeout: 20_000 }, async () => {
    const { pool } = await start({ split: splitOf });
    const known = () => pool.shares.find(({ share, job }) => !share.subsidyOnly && job.transactionCount > 1);
    await pool.until(() => known() !== undefined);
    const { share, job } = known()!;
    pool.send({ type: "shortIdsRequest", jobId: share.jobId });
    pool.send({ type: "transactionsByIndexRequest", jobId: share.jobId, indices: [1, 0] });
    pool.send({ type: "fullSetRequest", jobId: share.jobId });
    pool.send({ type: "transactionsByIndexRequest", jobId: share.jobId, indices: [16_000] });
    const replies = () => pool.messages.filter((message) => message.type !== "coinbaserRequest");
    await pool.until(() => replies().length === 4);
    const [ids, some, all, badIndex] = replies();
    expect(ids).toMatchObject({ type: "shortIds", jobId: share.jobId });
    if (ids?.type !== "shortIds" || some?.type !== "transactionsByIndex" || all?.type !== "fullSet") throw new Error("wrong replies");
    expect(ids.ids.length).toBe(all.transactions.length * 6);
    expect(all.transactions.length).toBeGreaterThanOrEqual(job.transactionCount);
    expect(some.transactions).toEqual([all.transactions[1], all.transactions[0]]);
    expect(badIndex).toMatchObject({ type: "transactionsByIndex", error: "badRequest" });
  });

  it("leaves a pool that says nothing, and one that accepts nothing", async () => {
    const silent = await start({ judge: () => undefined, split: () => undefined }, { timeouts: { silenceMs: 200, coinbaserMs: 50 } });
    const left = await silent.gateway.until((now) => now.lastClosed !== undefined);
    expect(left.lastClosed).toMatch(/nothing heard/);
    const strict = await start({ judge: () => ({ status: "rejected", reason: 30 }) }, { timeouts: { acceptanceMs: 300 } });
    const refused = await strict.gateway.until((now) => now.lastClosed !== undefined);
    expect(refused.lastClosed).toMatch(/no share accepted/);
    expect(refused.shares.reasons[30]).toBeGreaterThan(0);
  });

  it("counts tentative answers as taken, and answers to no share as unknown", async () => {
    const { pool, gateway } = await start({ judge: () => ({ status: "tentative", reason: 0 }) });
    await gateway.until((now) => now.shares.tentative > 3);
    pool.send({ type: "shareResponse", status: "accepted", reason: 0, nonce: 1, targetByte: 63, jobId: 7 });
    await gateway.until((now) => now.shares.unknownResponses === 1);
  });
});

describe("difficulty", () => {
  it("never goes under the pool's minimum", async () => {
    const { pool } = await start({ minimumDifficulty: 8n });
    await pool.until(() => pool.shares.length > 10);
    expect(Math.min(...pool.shares.map(({ share }) => share.targetByte))).toBe(3);
  });

  it("takes another minimum in mid-session", async () => {
    const { pool } = await start({});
    await pool.until(() => pool.shares.some(({ share }) => share.targetByte < 9));
    pool.send({ type: "configuration", payoutScript: MINI_POOL_SCRIPT, primeId: 77, tag: MINI_POOL_TAG, minimumDifficulty: 512n });
    await pool.until(() => pool.shares.some(({ share }) => share.targetByte >= 9));
  });

  // An ordinary job can take the quickdiff work's place before its first share, as in life; then there is no second jump.
  it("jumps by quickdiff work for a miner that is far too fast", { retry: 3, timeout: 20_000 }, async () => {
    // So fast that it finds a share of the new difficulty long before the next ordinary job takes its place.
    const { pool } = await start({}, { miners: [{ username: payee, hashrate: 200_000, kind: 3 }], timeScale: 5 });
    await pool.until(() => pool.shares.some(({ share }) => share.quickdiff));
    const quick = pool.shares.find(({ share }) => share.quickdiff)!;
    expect(quick.meetsTarget).toBe(true);
    expect(quick.share.targetByte).toBeGreaterThan(1);
  });
});

describe("blocks", () => {
  it("come to the gateway's own node and as a share, and bring new work", async () => {
    const { pool, gateway } = await start(
      { split: splitOf, minimumDifficulty: 16_384n },
      { miners: [{ username: payee, hashrate: 300_000, kind: 4 }] },
    );
    const before = (await node.tip()).height;
    const figures = await gateway.until((now) => now.blocks.submitted > 0 && now.shares.accepted > 0);
    await pool.until(() => pool.shares.some(({ share }) => share.isBlock));
    expect((await node.tip()).height).toBeGreaterThan(before);
    const client = new NodeClient(node.rpc);
    cleanup.push(() => client.close());
    const header = await client.blockHeader(figures.blocks.hashes[0]!);
    expect(header.confirmations).toBeGreaterThan(0);
  });

  it("are left to the pool when asked", async () => {
    const { pool, gateway } = await start(
      { minimumDifficulty: 16_384n },
      { miners: [{ username: payee, hashrate: 300_000, kind: 4 }], submitBlocks: false },
    );
    const before = await node.tip();
    await pool.until(() => pool.shares.some(({ share }) => share.isBlock));
    expect(gateway.snapshot().blocks.submitted).toBe(0);
    expect(await node.tip()).toEqual(before);
  });

  it("of others bring subsidy-only work on the new tip", async () => {
    const { pool } = await start({});
    await pool.until(() => pool.shares.length > 0);
    await node.mine();
    const { height } = await node.tip();
    await pool.until(() => pool.shares.some(({ share, job }) => share.subsidyOnly && job.height === height + 1));
  });
});

describe("misbehaviours", () => {
  it("bend the coinbase", async () => {
    const { pool } = await start({}, { misbehaviours: ["badPayee", "wrongTag", "wrongPrimeId", "duplicates", "garbageUsername"] });
    await pool.until(() => pool.shares.length > 4);
    const { coinbase, job } = pool.shares[0]!;
    const text = Buffer.from(coinbase.coinb1).toString("latin1");
    expect(text).toContain("not this pool");
    expect(Buffer.from(coinbase.coinb1).readUInt32LE(job.targetByteIndex + 3)).toBe(76);
    expect(Buffer.from(coinbase.coinb2).includes(Buffer.from(MINI_POOL_SCRIPT))).toBe(false);
    const hashes = pool.shares.map((one) => Buffer.from(one.hash).toString("hex"));
    expect(new Set(hashes).size).toBeLessThan(hashes.length);
  });

  it("stay on an old tip", async () => {
    const { pool, gateway } = await start({}, { misbehaviours: ["staleWork"] });
    await pool.until(() => pool.shares.length > 0);
    const old = gateway.snapshot().height;
    await node.mine();
    const before = pool.shares.length;
    await pool.until(() => pool.shares.length > before + 20);
    expect(pool.shares.every(({ job }) => job.height === old)).toBe(true);
  });
});

describe("faults", () => {
  const full = ({ share, job }: MiniShare): boolean => !share.subsidyOnly && job.transactionCount > 1;

  it("are in the jobs from the moment they are asked for until they are mended, and the shares are good", { timeout: 20_000 }, async () => {
    await node.send(5);
    const { pool, gateway } = await start({ split: splitOf });
    const subsidy = 5_000_000_000n;
    const overpays = (seen: MiniShare): boolean => seen.job.coinbaseValue >= subsidy + 100_000_000n;
    await pool.until(() => pool.shares.some(full));
    expect(pool.shares.some(overpays)).toBe(false);
    gateway.break("overpaying");
    await pool.until(() => pool.shares.some((seen) => full(seen) && overpays(seen)));
    gateway.break(undefined);
    const before = pool.shares.length;
    await pool.until(() => pool.shares.slice(before).some((seen) => full(seen) && !overpays(seen)));
    expect(pool.shares.every(({ meetsTarget }) => meetsTarget)).toBe(true);
  });

  it("of the template show another set than the job's", async () => {
    await node.send(5);
    const { pool } = await start({}, { fault: "missingTransaction" });
    await pool.until(() => pool.shares.some(full));
    const { share, job } = pool.shares.find(full)!;
    pool.send({ type: "shortIdsRequest", jobId: share.jobId });
    const reply = () => pool.messages.find((message) => message.type === "shortIds");
    await pool.until(() => reply() !== undefined);
    expect(reply()!.ids).toHaveLength((job.transactionCount - 1) * 6);
  });

  it("of the answers are silence, lateness and errors", async () => {
    const { pool, gateway } = await start({}, { fault: "neverAnswers", lateMs: 50 });
    await pool.until(() => pool.shares.length > 0);
    const [{ share }] = pool.shares as [MiniShare];
    const ask = (): void => pool.send({ type: "fullSetRequest", jobId: share.jobId });
    const replies = () => pool.messages.filter(({ type }) => type === "fullSet");
    ask();
    await gateway.until(({ validations }) => validations === 1);
    gateway.break("answersError");
    ask();
    await pool.until(() => replies().length === 1);
    expect(replies()[0]).toMatchObject({ error: "noTemplate" });
    gateway.break("answersLate");
    const asked = performance.now();
    ask();
    await pool.until(() => replies().length === 2);
    expect(performance.now() - asked).toBeGreaterThan(40);
    expect(replies()[1]).not.toHaveProperty("error");
  });
});

describe("a gateway whose node is cut off", () => {
  it("mines on what it has, and leaves its blocks to the pool until the node is back", { timeout: 20_000 }, async () => {
    const { pool, gateway } = await start({ minimumDifficulty: 16_384n }, { miners: [{ username: payee, hashrate: 300_000, kind: 4 }] });
    await gateway.until(({ jobs }) => jobs > 1);
    gateway.cutNode();
    const before = gateway.snapshot().blocks;
    const figures = await gateway.until(({ blocks }) => blocks.found > before.found);
    await pool.until(() => pool.shares.some(({ share }) => share.isBlock));
    expect(figures.blocks.submitted).toBe(before.submitted);
    const { height } = gateway.snapshot();
    await node.mine();
    gateway.restoreNode();
    await pool.until(() => pool.shares.some(({ job }) => job.height > height!));
  });
});

describe("announcements", () => {
  it("tell of a job and its coinbases before its first share, when asked", async () => {
    const { pool } = await start({ split: splitOf }, { announceJobs: true });
    const announced = () => pool.messages.filter((message) => message.type === "jobAnnouncement");
    await pool.until(() => pool.shares.some(({ job }) => job.coinbaserId === 5));
    const { share, job } = pool.shares.find((seen) => seen.job.coinbaserId === 5)!;
    const kindsOf = ({ coinbases }: JobAnnouncement): number[] => coinbases.map(({ coinbaseId }) => coinbaseId);
    // Work on a new block is told of twice: as it is at first, and with the split.
    expect(kindsOf(announced()[0]!)).toEqual([0, 0xff]);
    const whole = announced().find((message) => message.jobId === share.jobId && message.job.coinbaserId === 5)!;
    expect(whole.job).toEqual(job);
    expect(kindsOf(whole)).toEqual([0, 1, 2, 3, 4, 5]);
  });
});
