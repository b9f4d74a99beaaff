/** A block that joined as a receipt, and whose session hands it in afterwards, on a real database. After every test the books look the same when read anew. */
import { pplns } from "@openprime/rewards";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ChainBlock } from "../../../src/ledger/index.js";
import { externalServer, OPERATOR, script } from "../support.js";
import { BEGIN, blockAfter, type Session, toPool, World } from "./world.js";

const server = await externalServer();

describe.skipIf(server === undefined)("a claim that comes after its block", () => {
  let world: World;
  let alice: Session;
  /** Pays the pool alone; its session had neither split nor share on its parent. */
  let block: ChainBlock;

  beforeEach(async () => {
    world = await World.make(server as string);
    await world.book.begin(BEGIN);
    alice = await world.session("alice");
    await world.mine(1, 3000n);
    await world.mine(2, 1000n);
    block = blockAfter(BEGIN, { outputs: [toPool(10_000n)], primeId: alice.primeId });
  });
  afterEach(async () => {
    expect(await world.check()).toEqual([]);
    const before = world.shown();
    await world.reopen();
    expect(world.shown()).toEqual(before);
    await world.close();
  });

  const balances = async (): Promise<bigint[]> => [await world.balance(1), await world.balance(2), await world.balance(OPERATOR)];
  const kinds = async (of = block): Promise<string[]> =>
    (await world.rows<{ kind: string }>("SELECT kind FROM entries WHERE block = $1 ORDER BY id", [Buffer.from(of.hash)])).map(
      ({ kind }) => kind,
    );
  const receipt = async (): Promise<void> => {
    expect(await world.book.connect(block)).toEqual({ outcome: "receipt", received: 10_000n, paid: 0n, claimed: false });
  };
  const PAID = { outcome: "paid", received: 10_000n, paid: 0n, claimed: true };

  test("takes the receipt back and books the block, once", async () => {
    await receipt();
    await world.connect({});
    const settled: number[] = [];
    world.book.onSettled((number) => settled.push(number));
    expect(await world.book.claimedReceipts()).toEqual([]);
    expect(await world.book.attribute(block)).toMatchObject({ outcome: "receipt" });
    await world.claim(block, alice, undefined);
    expect(await world.book.claimedReceipts()).toEqual([{ height: 101, hash: block.hash }]);
    expect(await balances()).toEqual([0n, 0n, 0n]);

    expect(await world.book.attribute(block)).toEqual(PAID);
    expect(await balances()).toEqual([7500n, 2500n, 0n]);
    expect(await kinds()).toEqual(["receipt", "reversal", "block"]);
    expect(await world.blocks.find(block.hash)).toMatchObject({ life: "paid", sessionId: alice.id, pin: 2n, height: 101 });
    expect(world.cursor.height).toBe(102);
    expect(settled).toEqual([1]);
    const [settlement] = await world.settlements();
    expect(settlement).toMatchObject({ kind: "settlement", block: { hash: block.hash, height: 101 }, pin: 2n, received: 10_000n });
    expect(settlement?.entries.map(({ id, kind, amounts }) => [id, kind, amounts])).toEqual([
      [1n, "receipt", []],
      [2n, "reversal", []],
    ]);

    expect(await world.book.claimedReceipts()).toEqual([]);
    expect(await world.book.attribute(block)).toBeUndefined();
    expect(await kinds()).toHaveLength(3);
    expect(settled).toEqual([1]);
  });

  test("changes nothing when the block is no block of the session that handed it in", async () => {
    const thief = await world.session("thief");
    await receipt();
    await world.claim(block, thief, undefined);
    expect(await world.book.attribute(block)).toEqual({ outcome: "receipt", received: 10_000n, paid: 0n, claimed: false });
    expect(await kinds()).toEqual(["receipt"]);
    expect((await world.blocks.find(block.hash))?.life).toBe("foreign");
    // The coinbase's own session comes last.
    await world.claim(block, alice, undefined);
    expect(await world.book.attribute(block)).toEqual(PAID);
    expect(await world.blocks.find(block.hash)).toMatchObject({ life: "paid", sessionId: alice.id });
  });

  test("may come while its block is off the chain, and its block may leave and come again", async () => {
    await receipt();
    await world.book.disconnect();
    await world.claim(block, alice, undefined);
    expect(await world.book.claimedReceipts()).toEqual([]);
    expect(await world.book.attribute(block)).toBeUndefined();
    const other = blockAfter(BEGIN, { salt: "theirs" });
    await world.book.connect(other);
    expect(await world.book.attribute(block)).toBeUndefined();
    await world.book.disconnect();
    expect(await world.book.connect(block)).toEqual(PAID);
    expect(await balances()).toEqual([7500n, 2500n, 0n]);
    expect(await kinds()).toEqual(["receipt", "reversal", "block"]);
  });

  test("is undone with its block, and done again as it was", async () => {
    await receipt();
    await world.claim(block, alice, undefined);
    await world.book.attribute(block);
    await world.mine(2, 4000n);
    expect(await world.book.disconnect()).toEqual({ reversed: 1, poolBlock: true });
    expect(await balances()).toEqual([0n, 0n, 0n]);
    expect(await world.book.connect(block)).toEqual(PAID);
    expect(await balances()).toEqual([7500n, 2500n, 0n]);
    expect(await kinds()).toEqual(["receipt", "reversal", "block", "reversal", "block"]);
    expect((await world.settlements()).map(({ kind }) => kind)).toEqual(["settlement", "reversal", "settlement"]);
  });

  test("pays by the log as it was when the pool saw the block, however late it comes", async () => {
    await receipt();
    await world.log.openSegment(block.hash);
    await world.mine(2, 4000n);
    await world.claim(block, alice, undefined);
    expect((await world.rows<{ pin: string }>("SELECT pin FROM block_claims"))[0]?.pin).toBe("3");
    await world.book.attribute(block);
    expect((await world.settlements())[0]).toMatchObject({ pin: 2n, window: { lastSegment: 1, logWeight: 4000n } });
    expect(await balances()).toEqual([7500n, 2500n, 0n]);
  });

  test("pays by the log as it was at a later block, where the pool saw both at once", async () => {
    await receipt();
    await world.connect({});
    await world.log.openSegment(world.cursor.hash);
    await world.mine(2, 4000n);
    await world.claim(block, alice, undefined);
    await world.book.attribute(block);
    expect((await world.settlements())[0]).toMatchObject({ pin: 2n });
  });

  test("of old: its part matures in its turn, and whoever earned later keeps the height of that", async () => {
    await receipt();
    await world.connect({ outputs: [toPool(500n)], primeId: 77 });
    const later = blockAfter(world.cursor, { outputs: [toPool(4000n)], primeId: alice.primeId });
    await world.claim(later, alice, undefined);
    await world.book.connect(later);
    while (world.cursor.height < block.height + 98) await world.connect({});
    await world.claim(block, alice, undefined);
    expect((await world.book.attribute(block))?.outcome).toBe("paid");
    expect((await world.blocks.find(block.hash))?.life).toBe("paid");
    await world.connect({});
    expect((await world.blocks.find(block.hash))?.life).toBe("mature");
    const account = await world.accountId(script(1));
    expect(world.book.latest().balances.get(account)).toMatchObject({ balance: 10_500n, lastEarned: 103 });
    await world.book.disconnect();
    expect((await world.blocks.find(block.hash))?.life).toBe("paid");
  });

  test("of a block that is mature by then", async () => {
    await receipt();
    while (world.cursor.height < block.height + 99) await world.connect({});
    await world.claim(block, alice, undefined);
    await world.book.attribute(block);
    expect((await world.blocks.find(block.hash))?.life).toBe("mature");
  });

  test("takes its place among the blocks that a scheme counts by height", async () => {
    world.scheme = pplns({ blocks: 2 });
    await world.reopen();
    await receipt();
    const weights: bigint[] = [];
    const found = async (): Promise<ChainBlock> => {
      await world.mine(1, 1000n);
      weights.push(5000n + 1000n * BigInt(weights.length));
      const one = blockAfter(world.cursor, { outputs: [toPool(1000n)], primeId: alice.primeId });
      await world.claim(one, alice, undefined);
      await world.book.connect(one);
      return one;
    };
    await found();
    expect(world.book.latest().blockWeights).toEqual(weights);
    await world.claim(block, alice, undefined, 2n);
    await world.book.attribute(block);
    expect(world.book.latest().blockWeights).toEqual([4000n, ...weights]);
    await found();
    const last = await found();
    expect(world.book.latest().blockWeights).toEqual(weights.slice(-2));
    const settlements = await world.settlements();
    expect(settlements.map(({ block: { height }, window }) => [height, window.blockWeights])).toEqual([
      [102, []],
      [101, []],
      [103, [4000n, 5000n]],
      [104, [5000n, 6000n]],
    ]);
    await world.book.disconnect(last);
    expect(world.book.latest().blockWeights).toEqual([5000n, 6000n]);
  });

  test("breaks anywhere: the books are whole, and it can be done again", async () => {
    let broken = 0;
    for (let statements = 1; ; statements++) {
      const one = blockAfter(world.cursor, { outputs: [toPool(8000n)], primeId: alice.primeId });
      await world.book.connect(one);
      await world.claim(one, alice, undefined, 2n);
      world.cutAfter(statements);
      const done = await world.book.attribute(one).then(
        () => true,
        () => false,
      );
      const cut = world.cutAfter(undefined);
      expect(await world.check()).toEqual([]);
      await world.reopen();
      for (const { hash } of await world.book.claimedReceipts()) expect(hash).toEqual(one.hash);
      await world.book.attribute(one);
      expect(await kinds(one)).toEqual(["receipt", "reversal", "block"]);
      expect(await world.book.claimedReceipts()).toEqual([]);
      if (!cut) {
        expect(done).toBe(true);
        break;
      }
      broken++;
    }
    expect(broken).toBeGreaterThan(10);
    expect(await world.settlements()).toHaveLength(broken + 1);
    expect(await balances()).toEqual([6000n * BigInt(broken + 1), 2000n * BigInt(broken + 1), 0n]);
  });
});
