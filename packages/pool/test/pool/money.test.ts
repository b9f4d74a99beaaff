/**
 * The life of a block, one thing at a time: found or discovered, paid, orphaned at any depth, paid again; two in a row, on a stale parent, while node or
 * database are away, and with a restart in the middle of each. Every satoshi is expected by name, from the weights of the shares. At the end of each
 * test the books agree with the chain, and everybody can recompute every settlement.
 */
import { reverseHex } from "@openprime/bitcoin";
import { mine, SUBSIDY_ONLY } from "@openprime/simulator";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { bookCounts } from "../../src/ledger/index.js";
import { externalServer } from "../ledger/support.js";
import { DatabaseProxy } from "./support/database-proxy.js";
import {
  type Amounts,
  COIN,
  emptyTemplate,
  type FoundBlock,
  MoneyChain,
  MoneyScene,
  negated,
  parts,
  SCRIPTS,
} from "./support/money-scene.js";
import type { Settings } from "./support/running-pool.js";
import { until } from "./support/until.js";

const server = await externalServer();

/** The fee is a twentieth, so that a coinbase has room for what is carried; who earns less than a coin carries it. */
const SETTINGS: Settings = { pool: { feePercent: 5 }, split: { threshold: Number(COIN) } };
const feeOf = (value: bigint): bigint => value / 20n;
const netOf = (value: bigint): bigint => value - feeOf(value);

let chain: MoneyChain;
let scene: MoneyScene;

beforeAll(async () => {
  chain = await MoneyChain.start();
});
afterAll(async () => {
  await chain.stop();
});
afterEach(async () => {
  await scene.remove();
});

const open = async (...more: [settings?: Settings, modules?: Parameters<typeof MoneyScene.open>[2]]): Promise<void> => {
  scene = await MoneyScene.open(chain, more[0] ?? SETTINGS, more[1]);
};

/** A first block: alice has 128 of 130 parts of the work and is paid, bob's two parts are carried. Afterwards the log has 129 and 2. */
async function firstBlock(): Promise<{ block: FoundBlock; carried: bigint }> {
  await scene.work({ alice: [7], bob: [1] });
  const block = await scene.find();
  return { block, carried: parts(netOf(block.value), { alice: 128, bob: 2 }).bob };
}

test("a block pays directly what is over its threshold; what is carried is paid by a later one", async () => {
  await open();
  await chain.node.send(3);
  const { block, carried } = await firstBlock();
  const { alice, bob } = parts(netOf(block.value), { alice: 128, bob: 2 });
  expect(block.value).toBeGreaterThan(50n * COIN);
  expect(bob).toBeLessThan(COIN);
  expect(await scene.coinbase(block)).toEqual({ alice, pool: block.value - alice });
  expect(await scene.entries(block)).toEqual([
    {
      kind: "block",
      postings: {
        "earned alice": alice,
        "earned bob": bob,
        "paid alice": -alice,
        "fee pool": feeOf(block.value),
        "received coins": alice - block.value,
      },
    },
  ]);
  expect(await scene.balances()).toEqual({ bob: carried, pool: feeOf(block.value) });
  expect(await scene.record(block)).toMatchObject({ life: "paid", status: "accepted" });

  await chain.node.send(2);
  const second = await scene.find();
  const earned = parts(netOf(second.value), { alice: 129, bob: 2 });
  const toBob = carried + earned.bob;
  expect(await scene.coinbase(second)).toEqual({ alice: earned.alice, bob: toBob, pool: feeOf(second.value) - carried });
  expect(await scene.balances()).toEqual({ pool: feeOf(block.value) + feeOf(second.value) });
  const figures = await scene.clean(2);
  expect(figures).toMatchObject({ owed: 0n, unattributed: 0n, operator: figures.holdings });
});

test.each([false, true])("of blocks in a row none pays a balance again (with a restart: %s)", async (restart) => {
  await open();
  const { block: first, carried } = await firstBlock();
  await scene.work({ bob: [4] });
  const other = await scene.connect();
  const ours = await scene.split();
  // The other gateway's node has the block, ours has not.
  await chain.proxy.hold();
  const second = scene.mineBlock(ours);
  expect(await scene.gateway.submit(second.share)).toBe("accepted");
  await scene.isTip(second);
  const theirs = await scene.split(other);
  const third = scene.mineBlock(theirs);
  expect(await other.submit(third.share)).toBe("tentative");
  await scene.isTip(third);
  if (restart) await scene.restart(async () => chain.proxy.release());
  else chain.proxy.release();
  await scene.followed();
  const fourth = await scene.find();

  const earned = [
    parts(netOf(second.value), { alice: 129, bob: 18 }),
    parts(netOf(third.value), { alice: 130, bob: 18 }),
    parts(netOf(fourth.value), { alice: 131, bob: 18 }),
  ] as const;
  expect(await scene.coinbase(second)).toMatchObject({ alice: earned[0].alice, bob: earned[0].bob + carried });
  expect(await scene.coinbase(third)).toMatchObject(earned[1]);
  expect(await scene.coinbase(fourth)).toMatchObject(earned[2]);
  const fees = [first, second, third, fourth].reduce((sum, { value }) => sum + feeOf(value), 0n);
  expect(await scene.balances()).toEqual({ pool: fees });
  expect((await scene.clean(4)).holdings).toBe(fees);
});

test.each([false, true])("a block on a stale parent wins by a reorganisation (with a restart: %s)", async (restart) => {
  await open();
  const { block: first, carried } = await firstBlock();
  await scene.work({ bob: [4] });
  const before = await scene.balances();
  // Two gateways, one parent: both coinbases pay bob's balance.
  const other = await scene.connect();
  const [ours, theirs] = [await scene.split(), await scene.split(other)];
  const winner = await scene.find({ job: ours });
  const late = scene.mineBlock(theirs, "carol");
  expect(await other.submit(late.share)).toBe(25);
  await until("the stale block's record", async () => (await scene.record(late)).status === "accepted");
  const { alice, bob } = parts(netOf(winner.value), { alice: 129, bob: 18 });
  for (const one of [winner, late]) expect(await scene.coinbase(one)).toMatchObject({ alice, bob: bob + carried });
  expect([await scene.life(winner), await scene.life(late)]).toEqual(["paid", "found"]);
  const paid = { pool: feeOf(first.value) + feeOf(winner.value) };
  expect(await scene.balances()).toEqual(paid);

  const { height } = await chain.node.tip();
  const overtake = () => scene.strangers(late.hash, height, 1);
  if (restart) await scene.restart(overtake);
  else await overtake();
  await scene.followed();
  expect([await scene.life(winner), await scene.life(late)]).toEqual(["orphaned", "paid"]);
  expect(await scene.balances()).toEqual(paid);
  const [entry, reversal] = await scene.entries(winner);
  expect(reversal).toEqual({ kind: "reversal", postings: negated(entry!.postings) });
  expect(await scene.entries(late)).toEqual([{ kind: "block", postings: entry!.postings }]);
  expect(before).toEqual({ bob: carried, pool: feeOf(first.value) });
  await scene.clean(4);
});

describe("a reorganisation", () => {
  test.each([
    [1, false],
    [3, false],
    [1, true],
    [3, true],
  ])("takes %i blocks of the pool away, and brings them back (with restarts: %s)", async (depth, restart) => {
    await open();
    const { block: first } = await firstBlock();
    const before = await scene.balances();
    const fork = await chain.node.tip();
    const blocks: FoundBlock[] = [];
    for (let i = 0; i < depth; i++) blocks.push(await scene.find({ way: i === 1 ? "node" : "share" }));
    const after = await scene.balances();
    const entries = await Promise.all(blocks.map((block) => scene.entries(block)));
    const meanwhile = async (work: () => Promise<unknown>): Promise<void> => {
      if (restart) await scene.restart(work);
      else await work();
      await scene.followed();
    };

    await meanwhile(() => chain.node.branch(fork.height, depth + 1));
    expect(await scene.balances()).toEqual(before);
    for (const [i, block] of blocks.entries()) {
      expect(await scene.life(block)).toBe("orphaned");
      const [paid, reversal] = await scene.entries(block);
      expect([paid]).toEqual(entries[i]);
      expect(reversal).toEqual({ kind: "reversal", postings: negated(paid!.postings) });
    }
    expect((await scene.coins()).map(({ txid }) => reverseHex(txid))).toHaveLength(1);

    await meanwhile(() => scene.strangers(blocks[depth - 1]!.hash, fork.height + depth, 2));
    expect(await scene.balances()).toEqual(after);
    for (const block of blocks) {
      expect(await scene.life(block)).toBe("paid");
      const [paid, , again] = await scene.entries(block);
      expect(again).toEqual(paid);
    }
    // The next block goes on from there, as if nothing had been.
    const next = await scene.find();
    const paidToBob = [first, ...blocks, next].map(async (block) => (await scene.coinbase(block)).bob ?? 0n);
    const owedToBob = (await scene.balances()).bob ?? 0n;
    let earned = 0n;
    for (const block of [first, ...blocks, next]) earned += (await scene.entries(block))[0]!.postings["earned bob"] ?? 0n;
    expect((await Promise.all(paidToBob)).reduce((sum, value) => sum + value, owedToBob)).toBe(earned);
    await scene.clean(2 + 3 * depth);
  });

  test("a node that falls back takes the books with it, and up again", async () => {
    await open(SETTINGS, { fallenBackMs: 0 });
    await firstBlock();
    const before = await scene.balances();
    const block = await scene.find();
    const after = await scene.balances();
    expect(after).not.toEqual(before);
    for (let round = 0; round < 2; round++) {
      await chain.node.invalidate(reverseHex(block.hash));
      await scene.followed();
      expect(await scene.balances()).toEqual(before);
      await chain.node.reconsider(reverseHex(block.hash));
      await scene.followed();
      expect(await scene.balances()).toEqual(after);
    }
    await scene.clean(6);
  });
});

describe("a block whose share never arrives", () => {
  test.each([false, true])("is its session's, by its split (while the pool is down: %s)", async (down) => {
    await open();
    const { carried } = await firstBlock();
    const other = await scene.connect();
    const job = await scene.split(other);
    await scene.split();
    const block = scene.mineBlock(job, "carol");
    if (down) await scene.restart(() => scene.giveToNode(block));
    else await scene.giveToNode(block);
    await scene.followed();
    const [split] = await scene.pool.rows<{ id: string; session: string; position: string }>(
      "SELECT s.id, s.session, s.position FROM splits s JOIN sessions o ON o.id = s.session WHERE o.prime_id = $1",
      [other.primeId],
    );
    expect(await scene.record(block)).toMatchObject({
      life: "paid",
      outcome: "discovered on the chain",
      splitId: BigInt(split!.id),
      sessionId: BigInt(split!.session),
      pin: BigInt(split!.position),
    });
    const earned = parts(netOf(block.value), { alice: 129, bob: 2 });
    expect(await scene.coinbase(block)).toMatchObject({ alice: earned.alice, bob: earned.bob + carried });
    expect((await scene.entries(block))[0]!.postings).toMatchObject({ "earned alice": earned.alice, "earned bob": earned.bob });
    expect((await scene.balances()).bob).toBeUndefined();
    // It comes after all: nothing happens twice.
    expect([25, "accepted", "tentative"]).toContain(await other.submit(block.share));
    await until(
      "the claim",
      async () => (await scene.pool.rows("SELECT FROM block_claims WHERE block = $1", [Buffer.from(block.hash)])).length === 1,
    );
    expect(await scene.entries(block)).toHaveLength(1);
    await scene.clean(2);
  });

  test("is its session's by shares on its parent, pinned to the first job that the pool knows", async () => {
    await open();
    await firstBlock();
    const before = await scene.pool.pool.status().position;
    const job = scene.gateway.job(await scene.template());
    expect(await scene.gateway.submit(mine(job, { username: "", targetByte: 0, count: 1 })[0]!)).not.toBe("accepted");
    await scene.work({ carol: [6] });
    await scene.work({ carol: [6] });
    const block = await scene.find({ job, kind: 0, way: "node" });
    // Carol's work came after that job.
    const earned = parts(netOf(block.value), { alice: 129, bob: 2 });
    expect(await scene.record(block)).toMatchObject({ life: "paid", splitId: undefined, pin: before });
    expect(await scene.coinbase(block)).toEqual({ pool: block.value });
    expect((await scene.entries(block))[0]!.postings).toEqual({
      "earned alice": earned.alice,
      "earned bob": earned.bob,
      "fee pool": feeOf(block.value),
      "received coins": -block.value,
    });
    await scene.clean(2);
  });

  test.each([false, true])("is nobody's when it pays the pool and nothing tells of its job (while the pool is down: %s)", async (down) => {
    await open();
    const { block: first } = await firstBlock();
    const before = await scene.balances();
    const block = scene.mineBlock(scene.gateway.job(await scene.template()), "alice", 0);
    if (down) await scene.restart(() => scene.giveToNode(block));
    else await scene.giveToNode(block);
    await scene.followed();
    expect(await scene.entries(block)).toEqual([
      { kind: "receipt", postings: { "received coins": -block.value, "received unattributed": block.value } },
    ]);
    expect(await scene.balances()).toEqual(before);
    const toPool = (await scene.coinbase(first)).pool!;
    expect(await scene.clean(1)).toMatchObject({ unattributed: block.value, holdings: block.value + toPool });
  });
});

describe("a block that was nobody's, and whose share comes after all", () => {
  const postings = (block: FoundBlock): Amounts => ({ "received coins": -block.value, "received unattributed": block.value });
  let block: FoundBlock;
  let before: Amounts;

  beforeEach(async () => {
    await open();
    await firstBlock();
    before = await scene.balances();
    block = scene.mineBlock(scene.gateway.job(await scene.template()), "alice", 0);
  });

  async function isBooked(kinds: readonly string[]): Promise<void> {
    await until("the block's entries", async () => (await scene.entries(block)).length === kinds.length);
    const entries = await scene.entries(block);
    expect(entries.map(({ kind }) => kind)).toEqual(kinds);
    const earned = parts(netOf(block.value), { alice: 129, bob: 2 });
    expect(entries.at(-1)!.postings).toEqual({
      "earned alice": earned.alice,
      "earned bob": earned.bob,
      "fee pool": feeOf(block.value),
      "received coins": -block.value,
    });
    expect(await scene.balances()).toEqual({
      alice: (before.alice ?? 0n) + earned.alice,
      bob: before.bob! + earned.bob,
      pool: before.pool! + feeOf(block.value),
    });
    expect(await scene.life(block)).toBe("paid");
    expect(await scene.clean(2)).toMatchObject({ unattributed: 0n });
  }

  const claim = async (): Promise<void> => {
    expect([25, "accepted", "tentative"]).toContain(await scene.gateway.submit(block.share));
  };

  test.each([false, true])("is its session's, and the receipt is reversed (with a restart and work in between: %s)", async (later) => {
    await scene.giveToNode(block);
    await scene.followed();
    expect(await scene.entries(block)).toEqual([{ kind: "receipt", postings: postings(block) }]);
    if (later) {
      // Work that the pool took after it had the block earns nothing of it.
      await scene.work({ carol: [6] });
      await scene.restart(() => scene.strangers(block.hash, block.share.work.job.template.height, 1));
      await scene.followed();
    }
    await claim();
    await isBooked(["receipt", "reversal", "block"]);
    expect((await scene.entries(block))[1]).toEqual({ kind: "reversal", postings: negated(postings(block)) });
  });

  test("is its session's at the next start, if the pool was killed when it had the claim", async () => {
    await scene.giveToNode(block);
    await scene.followed();
    await scene.pool.rows(
      `INSERT INTO block_claims (block, session, pin, found_at)
       SELECT $1, id, (SELECT position FROM log_state), now() FROM sessions WHERE prime_id = $2`,
      [Buffer.from(block.hash), scene.gateway.primeId],
    );
    expect(await scene.entries(block)).toHaveLength(1);
    await scene.restart();
    await isBooked(["receipt", "reversal", "block"]);
  });

  test("takes its place among the blocks that the scheme counts, though later ones are booked", async () => {
    await scene.restart(undefined, { scheme: { name: "pplns" }, pplns: { blocks: 2 } });
    const { height } = await chain.node.tip();
    await scene.giveToNode(block);
    await scene.followed();
    await scene.work({ carol: [3] });
    const after = await scene.find();
    await claim();
    await until("the block's entries", async () => (await scene.entries(block)).length === 3);
    await scene.find();
    await scene.clean(4);
    // The block above it joins again as it was divided then.
    const { hash } = await chain.node.tip();
    await chain.node.branch(height + 1, 3);
    await scene.followed();
    expect(await scene.life(after)).toBe("orphaned");
    expect(await scene.life(block)).toBe("paid");
    await scene.strangers(Uint8Array.from(Buffer.from(hash, "hex").reverse()), height + 3, 2);
    await scene.followed();
    expect(await scene.life(after)).toBe("paid");
    await scene.clean(8);
  });

  test("is its session's when it joins again, if the chain had left it by then", async () => {
    const { height } = await chain.node.tip();
    await scene.giveToNode(block);
    await scene.followed();
    await chain.node.branch(height, 2);
    await scene.followed();
    await claim();
    await scene.record(block);
    expect((await scene.entries(block)).map(({ kind }) => kind)).toEqual(["receipt", "reversal"]);
    expect(await scene.balances()).toEqual(before);
    await scene.strangers(block.hash, height + 1, 2);
    await scene.followed();
    await isBooked(["receipt", "reversal", "block"]);
  });
});

test("a stranger's coinbase that pays the pool is a receipt, and is taken back with its block", async () => {
  await open();
  const { block: first } = await firstBlock();
  const before = await scene.balances();
  const { height } = await chain.node.tip();
  const gift = scene.mineBlock(scene.strangersJob(await scene.template(), SCRIPTS.pool), "alice", 0);
  await scene.giveToNode(gift);
  await scene.followed();
  const postings: Amounts = { "received coins": -gift.value, "received unattributed": gift.value };
  expect(await scene.entries(gift)).toEqual([{ kind: "receipt", postings }]);
  expect(await scene.balances()).toEqual(before);
  expect(await scene.clean(1)).toMatchObject({ unattributed: gift.value });
  // A split that was never offered to it pays nobody: with alice's own script in it, it is still no block of the pool.
  const copy = scene.mineBlock(scene.strangersJob(emptyTemplate(await scene.template(), gift.hash, height + 2), SCRIPTS.alice), "alice", 0);
  await scene.giveToNode(copy);
  await scene.followed();
  expect(await scene.entries(copy)).toEqual([]);

  await chain.node.branch(height, 3);
  await scene.followed();
  expect(await scene.entries(gift)).toEqual([
    { kind: "receipt", postings },
    { kind: "reversal", postings: negated(postings) },
  ]);
  expect(await scene.clean(1)).toMatchObject({ unattributed: 0n, holdings: (await scene.coinbase(first)).pool! });
});

describe("a block that is found while the node is away", () => {
  test.each([false, true])("is handed over and booked when it is back (with a restart: %s)", async (restart) => {
    await open();
    const { block: first, carried } = await firstBlock();
    await scene.work({ bob: [4] });
    const block = scene.mineBlock(await scene.split(), "bob");
    chain.proxy.cut();
    await until("the loss of the node", () => !scene.pool.pool.status().nodeReachable);
    expect(await scene.gateway.submit(block.share)).toBe("accepted");
    expect((await scene.record(block)).life).toBe("found");
    const back = async (): Promise<void> => chain.proxy.restore();
    if (restart) await scene.restart(back);
    else await back();
    await scene.isTip(block);
    await scene.followed();
    const earned = parts(netOf(block.value), { alice: 129, bob: 18 });
    expect(await scene.coinbase(block)).toMatchObject({ alice: earned.alice, bob: earned.bob + carried });
    expect(await scene.record(block)).toMatchObject({ life: "paid", status: "accepted" });
    expect(await scene.balances()).toEqual({ pool: feeOf(first.value) + feeOf(block.value) });
    await scene.clean(2);
  });

  test("is booked with its claim when the gateway's own node had it first", async () => {
    await open();
    await firstBlock();
    const block = scene.mineBlock(await scene.split(), "bob", SUBSIDY_ONLY);
    chain.proxy.cut();
    await until("the loss of the node", () => !scene.pool.pool.status().nodeReachable);
    await scene.giveToNode(block);
    await chain.node.mine(2);
    expect(await scene.gateway.submit(block.share)).toBe("accepted");
    chain.proxy.restore();
    await scene.followed();
    const earned = parts(netOf(block.value), { alice: 129, bob: 2 });
    expect((await scene.entries(block))[0]!.postings).toMatchObject({ "earned alice": earned.alice, "earned bob": earned.bob });
    expect(await scene.pool.rows("SELECT FROM block_claims WHERE block = $1 AND split IS NULL", [Buffer.from(block.hash)])).toHaveLength(1);
    await scene.clean(2);
  });
});

describe.skipIf(server === undefined)("a block that is found while the database is down", () => {
  let proxy: DatabaseProxy;
  let first: FoundBlock;
  let carried: bigint;

  /** The scene's own database, reached through something that can be cut. */
  async function openThroughProxy(): Promise<void> {
    await open();
    const { database } = scene.pool.config;
    proxy = await DatabaseProxy.start("url" in database ? database.url : "");
    await scene.restart(undefined, { database: { url: proxy.url } });
    ({ block: first, carried } = await firstBlock());
    await scene.work({ bob: [4] });
  }
  afterEach(async () => {
    // A pool that was left without its database learns that another one has it, and gives up.
    proxy.restore();
    await scene.remove();
    await proxy.close();
  });

  /** The pool never sees its database again: as after a crash, another one takes its place. */
  async function replace(): Promise<void> {
    await scene.gateway.close();
    await scene.start();
    await scene.gateway.connect(scene.pool);
  }

  async function isBooked(block: FoundBlock): Promise<void> {
    await scene.isTip(block);
    await scene.followed();
    const earned = parts(netOf(block.value), { alice: 129, bob: 18 });
    expect(await scene.coinbase(block)).toMatchObject({ alice: earned.alice, bob: earned.bob + carried });
    expect((await scene.entries(block)).map(({ kind }) => kind)).toEqual(["block"]);
    expect(await scene.balances()).toEqual({ pool: feeOf(first.value) + feeOf(block.value) });
    expect(await scene.record(block)).toMatchObject({ life: "paid", status: "accepted" });
    await scene.clean(2);
  }

  const claims = (block: FoundBlock) =>
    scene.pool.rows<{ split: string | null }>("SELECT split FROM block_claims WHERE block = $1", [Buffer.from(block.hash)]);

  test.each([false, true])("is on the chain at once, and in the books when it is back (with a restart: %s)", async (restart) => {
    await openThroughProxy();
    const { splits } = await bookCounts(scene.pool.pool.database);
    const block = scene.mineBlock(await scene.split(), "bob");
    await until("the split in the books", async () => (await bookCounts(scene.pool.pool.database)).splits > splits);
    proxy.cut();
    const answer = scene.gateway.submit(block.share);
    await scene.isTip(block);
    if (restart) await replace();
    else proxy.restore();
    expect(await answer).toBe(restart ? "lost" : "accepted");
    await isBooked(block);
    if (!restart) await until("the claim", async () => (await claims(block)).length === 1);
  });

  test("gets nobody a split while it is away: one that is lost would make its block a stranger's", async () => {
    await openThroughProxy();
    const coinbaserId = async (): Promise<number> => (await scene.split()).coinbaserId;
    expect(await coinbaserId()).toBeGreaterThan(0);
    proxy.cut();
    await until("an empty split", async () => (await coinbaserId()) === 0);
    proxy.restore();
    await until("a split again", async () => (await coinbaserId()) > 0);
    await scene.clean(1);
  });
});
