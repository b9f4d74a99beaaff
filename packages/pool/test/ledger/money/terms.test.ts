/** A block is divided by the terms it was made under, and one that joins again as it was the first time, on a real database. */
import { perShare, pplns, type Scheme, solo, tides } from "@openprime/rewards";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { externalServer, OPERATOR, script } from "../support.js";
import { BEGIN, blockAfter, output, type Session, toPool, World } from "./world.js";

const server = await externalServer();

describe.skipIf(server === undefined)("the terms of a block", () => {
  let world: World;
  let alice: Session;

  beforeEach(async () => {
    world = await World.make(server as string);
    await world.book.begin(BEGIN);
    alice = await world.session("alice");
    await world.mine(1, 3000n);
    await world.mine(2, 1000n);
  });
  afterEach(async () => {
    expect(await world.check()).toEqual([]);
    await world.close();
  });

  const outputs = [output(script(1), 7500n), output(script(2), 2500n)];
  const balances = async (): Promise<bigint[]> => [await world.balance(1), await world.balance(2), await world.balance(OPERATOR)];
  const restartAs = async (scheme: Scheme): Promise<void> => {
    world.scheme = scheme;
    await world.restart();
  };

  test("a split of before the operator changed the scheme is divided by the scheme it was offered under", async () => {
    const split = await world.offer(alice, BEGIN.hash, 10_000n, outputs);
    await restartAs(perShare("fpps"));
    const block = blockAfter(BEGIN, { outputs, primeId: alice.primeId });
    await world.claim(block, alice, split);
    await world.book.connect(block);
    expect(await balances()).toEqual([0n, 0n, 0n]);
    expect((await world.settlements())[0]).toMatchObject({ scheme: tides().options, window: { size: 8000n, weight: 4000n } });
  });

  test("a block that was claimed for work without a split is divided by the scheme of then", async () => {
    const block = blockAfter(BEGIN, { outputs: [toPool(10_000n)], primeId: alice.primeId });
    await world.claim(block, alice, undefined);
    await restartAs(solo());
    await world.book.connect(block);
    expect(await balances()).toEqual([7500n, 2500n, 0n]);
  });

  test.each([perShare("fpps"), solo(), pplns({ blocks: 2 })])(
    "a reorganisation under $name changes nothing that was settled before it",
    async (scheme) => {
      const split = await world.offer(alice, BEGIN.hash, 10_000n, outputs);
      const block = blockAfter(BEGIN, { outputs, primeId: alice.primeId });
      await world.claim(block, alice, split);
      await world.book.connect(block);
      // As if it were a block of old, whose split's scheme the books don't say.
      await world.rows("UPDATE splits SET scheme = NULL");
      await restartAs(scheme);
      await world.book.disconnect();
      await world.book.connect(block);
      expect(await balances()).toEqual([0n, 0n, 0n]);
      const [first, , again] = await world.settlements();
      const { number: _, previous: __, root: ___, ...facts } = first ?? { number: 0, previous: 0, root: 0 };
      expect(again).toMatchObject({ ...facts, number: 3 });
      expect((await world.blocks.find(block.hash))?.splitId).toBe(split.id);
    },
  );

  test("blocks that a scheme counts are the same after it was another's turn", async () => {
    await restartAs(pplns({ blocks: 1 }));
    const one = blockAfter(BEGIN, { outputs: [toPool(10_000n)], primeId: alice.primeId });
    await world.claim(one, alice, undefined);
    await world.book.connect(one);
    await world.log.openSegment(undefined);
    await world.mine(2, 1000n);
    const two = blockAfter(one, { outputs: [toPool(20_000n)], primeId: alice.primeId });
    await world.claim(two, alice, undefined);
    await restartAs(tides());
    await world.book.connect(two);
    expect(await balances()).toEqual([7500n, 22_500n, 0n]);
    expect((await world.settlements())[1]?.window).toMatchObject({ size: 1000n, blockWeights: [4000n] });
    await world.book.disconnect();
    await world.book.connect(two);
    expect(await balances()).toEqual([7500n, 22_500n, 0n]);
  });

  test("a block comes back after the shares of its window were dropped", async () => {
    const split = await world.offer(alice, BEGIN.hash, 10_000n, outputs.slice(0, 1));
    await world.mine(3, 5000n);
    await world.log.openSegment(undefined);
    const block = blockAfter(BEGIN, { outputs: [...outputs.slice(0, 1), toPool(2500n)], primeId: alice.primeId });
    await world.claim(block, alice, split);
    await world.book.connect(block);
    const before = await balances();
    await world.rows("DELETE FROM shares");
    await world.book.disconnect();
    await world.book.connect(block);
    expect(await balances()).toEqual(before);
    expect(before).toEqual([0n, 2500n, 0n]);
  });

  test("shares that are in the archive are found there, for the window and for the pin of work that nobody claimed", async () => {
    await world.mine(1, 1000n, { sessionId: alice.id, prevhash: BEGIN.hash, pin: 2n });
    await world.log.openSegment(undefined);
    await world.rows("CREATE TABLE archive_of_all PARTITION OF share_archive DEFAULT");
    await world.rows("INSERT INTO share_archive SELECT * FROM shares");
    await world.rows("DELETE FROM shares");
    await world.rows("UPDATE rounds SET compacted_at = now()");
    await world.connect({ outputs: [toPool(10_000n)], primeId: alice.primeId });
    expect(await balances()).toEqual([7500n, 2500n, 0n]);
  });
});
