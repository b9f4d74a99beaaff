/**
 * Who is paid, how, and by what: work without a split, coinbases that pay the pool alone, the schemes, a payout address that changes, and payouts from the
 * pool's own coins with a real wallet's transaction. Every satoshi is expected by name; at the end of each test the books agree with the chain, and
 * everybody can recompute every settlement.
 */
import { NETWORKS, reverseHex, scriptToAddress, sha256 } from "@openprime/bitcoin";
import { mine, mineOne, SUBSIDY_ONLY } from "@openprime/simulator";
import { p2wpkh, Transaction } from "@scure/btc-signer";
import { pubECDSA } from "@scure/btc-signer/utils.js";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { payouts } from "../../src/cli/ledger/owed.js";
import { accountBalances, matureHoldings } from "../../src/ledger/index.js";
import { ADDRESSES, COIN, type FoundBlock, MoneyChain, MoneyScene, nameOf, negated, parts } from "./support/money-scene.js";
import type { Settings } from "./support/running-pool.js";
import { until } from "./support/until.js";

const SUBSIDY = 50n * COIN;

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

const lastSplit = async (): Promise<{ id: bigint; finder: number | null } | undefined> => {
  const [row] = await scene.pool.rows<{ id: string; finder: number | null }>("SELECT id, finder FROM splits ORDER BY id DESC LIMIT 1");
  return row === undefined ? undefined : { id: BigInt(row.id), finder: row.finder };
};

test.each([0, SUBSIDY_ONLY] as const)(
  "work of kind %i pays the pool alone: everything is carried, and paid by the next block",
  async (kind) => {
    // Half of each block is the fee: so the second block has room for two blocks' earnings.
    scene = await MoneyScene.open(chain, { pool: { feePercent: 50 } });
    await chain.node.send(2);
    const template = await scene.template();
    expect(template.value).toBeGreaterThan(SUBSIDY);
    await scene.work({ alice: [6], bob: [5], carol: [5, 0] });
    const first = await scene.find({ kind, job: scene.gateway.job(template) });
    expect(first.value).toBe(kind === 0 ? template.value : SUBSIDY);
    const fee = first.value / 2n;
    const earned = parts(first.value - fee, { alice: 64, bob: 32, carol: 33 });
    expect(await scene.coinbase(first)).toEqual({ pool: first.value });
    expect(await scene.balances()).toEqual({ ...earned, pool: fee });
    expect((await scene.entries(first))[0]?.postings).toEqual({
      "earned alice": earned.alice,
      "earned bob": earned.bob,
      "earned carol": earned.carol,
      "fee pool": fee,
      "received coins": -first.value,
    });
    expect(await scene.record(first)).toMatchObject({ splitId: undefined, life: "paid" });

    // A block without transactions has left those of the template to the next.
    await chain.node.mine(1);
    await scene.followed();
    const second = await scene.find();
    const fees = second.value / 2n;
    const more = parts(second.value - fees, { alice: 65, bob: 32, carol: 33 });
    const due = { alice: earned.alice + more.alice, bob: earned.bob + more.bob, carol: earned.carol + more.carol };
    const owed = due.alice + due.bob + due.carol;
    const left = owed > second.value ? owed - second.value : 0n;
    const paid = await scene.coinbase(second);
    expect(paid.alice! + paid.bob! + paid.carol!).toBe(owed - left);
    const balances = Object.entries(due).flatMap(([name, amount]) =>
      amount === paid[name] ? [] : [[name, amount - paid[name]!] as const],
    );
    expect(await scene.balances()).toEqual({ ...Object.fromEntries(balances), pool: fee + fees });
    // Those few satoshis are the fees of the first block's transactions.
    expect(left).toBeLessThanOrEqual(first.value - SUBSIDY);
    await scene.clean(2);
  },
);

test("where coinbases pay the pool, everything is owed", async () => {
  scene = await MoneyScene.open(chain, { pool: { feePercent: 1, coinbase: "pool" } });
  await scene.work({ alice: [4], bob: [3] });
  const blocks = [await scene.find(), await scene.find({ by: "bob" })] as const;
  for (const block of blocks) expect(await scene.coinbase(block)).toEqual({ pool: block.value });
  const first = parts(SUBSIDY - SUBSIDY / 100n, { alice: 16, bob: 8 });
  const second = parts(SUBSIDY - SUBSIDY / 100n, { alice: 17, bob: 8 });
  expect(await scene.balances()).toEqual({ alice: first.alice + second.alice, bob: first.bob + second.bob, pool: SUBSIDY / 50n });
  expect(await lastSplit()).toBeUndefined();
  expect(await scene.clean(2)).toMatchObject({ holdings: 2n * SUBSIDY });
});

test("solo: the split pays the account of the gateway, and it earns the block whoever is named as its finder", async () => {
  scene = await MoneyScene.open(chain, { scheme: { name: "solo" }, pool: { feePercent: 2 } });
  await scene.work({ bob: [7, 7], alice: [0] });
  const fee = SUBSIDY / 50n;
  for (const way of ["share", "node"] as const) {
    // Alice had the last share.
    const job = await scene.split();
    const block = await scene.find({ job, by: "carol", way });
    expect(await scene.coinbase(block)).toEqual({ alice: SUBSIDY - fee, pool: fee });
    expect((await scene.entries(block))[0]?.postings).toEqual({
      "earned alice": SUBSIDY - fee,
      "paid alice": fee - SUBSIDY,
      "fee pool": fee,
      "received coins": -fee,
    });
    await scene.work({ alice: [0] });
  }
  expect((await lastSplit())?.finder).not.toBeNull();
  // Without a split it is whose share found it.
  const carried = await scene.find({ kind: 0, by: "carol", job: scene.gateway.job(await scene.template()) });
  expect(await scene.coinbase(carried)).toEqual({ pool: SUBSIDY });
  expect(await scene.balances()).toEqual({ carol: SUBSIDY - fee, pool: 3n * fee });
  await scene.clean(3);
});

test("pplns: the window reaches back to the work of the block before the last", async () => {
  scene = await MoneyScene.open(chain, { scheme: { name: "pplns" }, pplns: { blocks: 2 } });
  // Found by the gateway's own node, so that no block's share is work too.
  const find = async (): Promise<FoundBlock> => scene.find({ way: "node" });
  await scene.work({ alice: [4] });
  const first = await find();
  expect(await scene.coinbase(first)).toEqual({ alice: SUBSIDY });
  await scene.work({ bob: [4] });
  const second = await find();
  expect(await scene.coinbase(second)).toEqual(parts(SUBSIDY, { alice: 16, bob: 16 }));
  await scene.work({ carol: [3] });
  const third = await find();
  // Alice's work lies before the pin of the block before the last.
  expect(await scene.coinbase(third)).toEqual(parts(SUBSIDY, { bob: 16, carol: 8 }));
  // When the last two leave the chain, the window is longer again.
  const { height } = await chain.node.tip();
  await chain.node.branch(height - 2, 3);
  await scene.followed();
  const again = await find();
  expect(await scene.coinbase(again)).toEqual(parts(SUBSIDY, { alice: 16, bob: 16, carol: 8 }));
  await scene.clean(6);
});

test("a scheme that changes, and changes back: each share is paid one by one or by blocks, never both", async () => {
  const pps: Settings = { scheme: { name: "pps", reserve: 20n * COIN } };
  const tides: Settings = { scheme: { name: "tides" } };
  scene = await MoneyScene.open(chain, { ...pps, pool: { feePercent: 1 } });
  const worth = (weight: bigint): bigint => (weight * SUBSIDY * 99n) / (256n * 100n);
  const net = (value: bigint): bigint => value - value / 100n;
  const posted = async (reason: string): Promise<Record<string, bigint>> => {
    const rows = await scene.pool.rows<{ script: Buffer; amount: string }>(
      "SELECT a.script, sum(p.amount) AS amount FROM postings p JOIN accounts a ON a.id = p.account WHERE p.reason = $1 GROUP BY 1",
      [reason],
    );
    return Object.fromEntries(rows.map(({ script, amount }) => [nameOf(script), BigInt(amount)]));
  };
  const credits = (count: number) =>
    until(`${count} credits`, async () => (await scene.pool.rows("SELECT FROM entries WHERE kind = 'credit'")).length === count);

  await scene.work({ alice: [4], bob: [3] });
  // Their segment is open when the pool stops: what is due for it is posted by a pool that pays by blocks.
  await scene.restart(undefined, tides);
  await credits(1);
  await scene.work({ carol: [3] });
  const first = await scene.find();
  expect(await posted("earned")).toEqual({ carol: net(first.value) });
  // Its coinbase pays what shares were credited too; bob's part does not fit.
  expect(await scene.coinbase(first)).toEqual({ alice: worth(16n), carol: first.value - worth(16n) });

  await scene.restart(undefined, pps);
  await scene.work({ bob: [2] });
  const job = scene.gateway.job(await scene.template());
  const second = await scene.find({ kind: 0, job, by: "carol" });
  expect((await scene.entries(second))[0]?.postings).toEqual({ "fee pool": second.value, "received coins": -second.value });
  await scene.work({ alice: [0] });

  // Carol's work of before counts again, and alice's share that found the first block.
  await scene.restart(undefined, tides);
  await credits(3);
  const third = await scene.find({ kind: 0, job: scene.gateway.job(await scene.template()) });
  const earned = parts(net(third.value), { alice: 1, carol: 8 });
  expect(await posted("earned")).toEqual({ alice: earned.alice, carol: net(first.value) + earned.carol });
  expect(await posted("credited")).toEqual({
    alice: worth(16n) + worth(1n),
    bob: worth(8n) + worth(4n),
    carol: worth(1n),
  });
  await scene.clean(3);
});

test("pps: shares are refused when the reserve runs out, and taken again after a found block", async () => {
  const reserve = COIN;
  scene = await MoneyScene.open(chain, { scheme: { name: "pps", reserve }, pool: { feePercent: 1 } });
  // A share of difficulty one finds one block in 256.
  const worth = (weight: bigint): bigint => (weight * SUBSIDY * 99n) / (256n * 100n);
  const job = await scene.split();
  expect(job.coinbaserId).toBe(0);
  const answers = [];
  for (const share of mine(job, { username: ADDRESSES.alice, count: 8 })) answers.push(await scene.gateway.submit(share));
  const taken = BigInt(answers.filter((answer) => answer === "accepted").length);
  // The margin is a twentieth of the reserve: the share that reaches it is the last.
  expect(worth(taken)).toBeGreaterThanOrEqual(reserve - reserve / 20n);
  expect(worth(taken - 1n)).toBeLessThan(reserve - reserve / 20n);
  expect(answers.slice(Number(taken))).toEqual(new Array(8 - Number(taken)).fill(answers.at(-1)));
  expect(answers.at(-1)).not.toBe("accepted");
  expect(scene.pool.logs.saying("no share is accepted until the pool has funds again")).toHaveLength(1);

  // The block counts, its share does not.
  const block = scene.mineBlock(job, "bob");
  expect(await scene.gateway.submit(block.share)).toBe(answers.at(-1));
  await scene.isTip(block);
  await scene.followed();
  await until("shares are taken", () => scene.pool.logs.saying("the pool has funds again").length > 0);
  await scene.work({ carol: [0] });
  await chain.node.mine(1);
  await scene.followed();
  const paid = { alice: worth(taken), carol: worth(1n) };
  await until("the credits", async () => (await scene.pool.rows("SELECT FROM entries WHERE kind = 'credit'")).length === 2);
  expect(await scene.balances()).toEqual({ ...paid, pool: SUBSIDY - paid.alice - paid.carol });
  expect((await scene.entries(block))[0]?.postings).toEqual({ "fee pool": SUBSIDY, "received coins": -SUBSIDY });

  // The next block's coinbase pays what the shares have earned.
  const next = await scene.find();
  expect(await scene.coinbase(next)).toEqual({ ...paid, pool: SUBSIDY - paid.alice - paid.carol });
  await scene.clean(2);
});

test("a payout address that has changed: work for the old one is good for a while, and its blocks are the pool's", async () => {
  scene = await MoneyScene.open(chain, { pool: { feePercent: 1 } });
  await scene.work({ alice: [4], bob: [3] });
  const old = await scene.split();
  await scene.restart(undefined, { pool: { feePercent: 1, payoutAddress: ADDRESSES.later } });
  expect(await scene.gateway.submit(mineOne(old, { username: ADDRESSES.bob, kind: 4, targetByte: 3 }))).toBe("accepted");
  const first = await scene.find({ job: old });
  const fee = SUBSIDY / 100n;
  expect(await scene.coinbase(first)).toEqual({ ...parts(SUBSIDY - fee, { alice: 16, bob: 8 }), pool: fee });
  const second = await scene.find();
  expect(await scene.coinbase(second)).toEqual({ ...parts(SUBSIDY - fee, { alice: 17, bob: 16 }), later: fee });
  // Both fees are the income of the operator's present account; the coins are of both scripts.
  expect(await scene.balances()).toEqual({ later: 2n * fee });
  expect((await scene.coins()).map(({ name, value }) => [name, value])).toEqual([
    ["pool", fee],
    ["later", fee],
  ]);
  // The old one again: what it took in between is still the pool's.
  await scene.restart();
  const third = await scene.find();
  expect((await scene.coinbase(third)).pool).toBe(fee);
  expect(await scene.clean(3)).toMatchObject({ operator: 3n * fee, holdings: 3n * fee });
});

describe("a payout from the pool's own coins", () => {
  const secret = sha256(new TextEncoder().encode("the pool's key in this test"));
  const own = p2wpkh(pubECDSA(secret));
  const payoutAddress = scriptToAddress(own.script, NETWORKS.regtest)!;
  const ownName = Buffer.from(own.script).toString("hex");
  const FEE = 1_234n;

  test("is booked from the chain: balances go to zero, change is the pool's, the network's fee is the operator's", async () => {
    scene = await MoneyScene.open(chain, {
      pool: { feePercent: 1, coinbase: "pool", payoutAddress },
      split: { threshold: Number(COIN) },
    });
    await scene.work({ alice: [7], bob: [6], carol: [1] });
    const block = await scene.find();
    const fee = SUBSIDY / 100n;
    const { alice, bob, carol } = parts(SUBSIDY - fee, { alice: 128, bob: 64, carol: 2 });
    expect(carol).toBeLessThan(COIN);
    expect(await scene.balances()).toEqual({ alice, bob, carol, [ownName]: fee });
    const { database } = scene.pool.pool;
    const due = async () => payouts(await accountBalances(database), COIN, await matureHoldings(database));

    await chain.node.mine(98);
    await scene.followed();
    expect(await due()).toMatchObject({ payable: [], waiting: [{ balance: alice }, { balance: bob }] });
    expect(await scene.life(block)).toBe("paid");
    await chain.node.mine(1);
    await scene.followed();
    expect(await scene.life(block)).toBe("mature");
    const { payable, waiting } = await due();
    expect(payable.map(({ balance }) => balance)).toEqual([alice, bob]);
    expect(waiting).toEqual([]);

    const [coin] = await scene.coins();
    const change = coin!.value - alice - bob - FEE;
    const transaction = new Transaction();
    transaction.addInput({
      txid: reverseHex(coin!.txid),
      index: coin!.vout,
      witnessUtxo: { script: own.script, amount: coin!.value },
    });
    for (const { script, balance } of payable) transaction.addOutput({ script, amount: balance });
    transaction.addOutput({ script: own.script, amount: change });
    transaction.sign(secret);
    transaction.finalize();
    expect(await chain.client.call("sendrawtransaction", [transaction.hex])).toBe(transaction.id);
    // Nothing is booked before the chain has it.
    expect(await scene.balances()).toMatchObject({ alice, bob });
    const [mined] = await chain.node.mine(1);
    await scene.followed();

    const spent = {
      "spent coins": SUBSIDY,
      "received coins": -change,
      "withdrawn alice": -alice,
      "withdrawn bob": -bob,
      [`withdrawn ${ownName}`]: -FEE,
    };
    const spend = { hash: Uint8Array.from(Buffer.from(mined!, "hex").reverse()) };
    expect(await scene.entries(spend)).toEqual([{ kind: "spend", postings: spent }]);
    const paid = { carol, [ownName]: fee - FEE };
    expect(await scene.balances()).toEqual(paid);
    expect(await scene.coins()).toMatchObject([{ name: ownName, value: change, coinbase: false, vout: 2 }]);
    expect((await due()).payable).toEqual([]);

    // It leaves the chain, and comes again with another block.
    const { height } = await chain.node.tip();
    await chain.node.branch(height - 1, 2);
    await scene.followed();
    expect(await scene.entries(spend)).toEqual([
      { kind: "spend", postings: spent },
      { kind: "reversal", postings: negated(spent) },
    ]);
    expect(await scene.balances()).toEqual({ alice, bob, carol, [ownName]: fee });
    await chain.node.mine(1);
    await scene.followed();
    expect(await scene.balances()).toEqual(paid);
    expect(await scene.clean(1)).toMatchObject({ owed: carol, holdings: change, mature: change });
  });
});
