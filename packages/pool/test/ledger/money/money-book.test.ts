/** The life of a block in the books, on a real database. After every test the books are opened anew and must look the same. */
import { createScheme, solo } from "@openprime/rewards";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { poolScripts } from "../../../src/ledger/index.js";
import { externalServer, hash, OPERATOR, script } from "../support.js";
import { BEGIN, blockAfter, output, type Session, toPool, World } from "./world.js";

const server = await externalServer();

describe.skipIf(server === undefined)("the money books", () => {
  let world: World;
  let alice: Session;

  beforeEach(async () => {
    world = await World.make(server as string);
    await world.book.begin(BEGIN);
    alice = await world.session("alice");
  });
  afterEach(async () => {
    expect(await world.check()).toEqual([]);
    const before = world.shown();
    await world.reopen();
    expect(world.shown()).toEqual(before);
    await world.close();
  });

  /** Shares of 3 : 1 for the accounts 1 and 2; the window of 8000 is never full. */
  const mine = async (): Promise<void> => {
    await world.mine(1, 3000n);
    await world.mine(2, 1000n);
  };

  test("what the coinbase pays directly is earned and paid at once", async () => {
    await mine();
    const outputs = [output(script(1), 7500n), output(script(2), 2500n)];
    const split = await world.offer(alice, BEGIN.hash, 10_000n, outputs);
    const block = blockAfter(BEGIN, { outputs: [...outputs, output(Uint8Array.of(0x6a), 0n)], primeId: alice.primeId });
    await world.claim(block, alice, split);
    expect(await world.book.connect(block)).toEqual({ outcome: "paid", received: 0n, paid: 10_000n, claimed: true });
    expect([await world.balance(1), await world.balance(2)]).toEqual([0n, 0n]);
    expect(await world.blocks.find(block.hash)).toMatchObject({ life: "paid", pin: split.position, splitId: split.id, height: 101 });
    const [settlement] = await world.settlements();
    expect(settlement).toMatchObject({
      number: 1,
      kind: "settlement",
      previous: new Uint8Array(32),
      network: "regtest",
      value: 10_000n,
      received: 0n,
    });
    expect(settlement?.split).toMatchObject({ id: split.id, outputs });
    expect(settlement?.window).toMatchObject({
      size: 8000n,
      weight: 4000n,
      denominator: 1n,
      firstSegment: 1,
      lastSegment: 1,
      logWeight: 4000n,
    });
    expect(settlement?.lines.map(({ script: to, weight, earned, paid, balance }) => [to, weight, earned, paid, balance])).toEqual(
      [
        [script(1), 3000n, 7500n, 7500n, 0n],
        [script(2), 1000n, 2500n, 2500n, 0n],
      ].sort(([a], [b]) => Buffer.compare(a as Uint8Array, b as Uint8Array)),
    );
  });

  test("a block that pays the pool alone is owed to the miners; part of a split leaves the rest owed", async () => {
    await world.mine(1, 3000n, { feePpm: 100_000 });
    await world.mine(2, 1000n, { feePpm: 100_000 });
    const all = blockAfter(BEGIN, { outputs: [toPool(10_000n)], primeId: alice.primeId });
    await world.claim(all, alice, undefined);
    expect(await world.book.connect(all)).toEqual({ outcome: "paid", received: 10_000n, paid: 0n, claimed: true });
    expect([await world.balance(1), await world.balance(2), await world.balance(OPERATOR)]).toEqual([6750n, 2250n, 1000n]);
    const split = await world.offer(alice, world.cursor.hash, 20_000n, [output(script(1), 16_000n), output(script(2), 4000n)]);
    const part = blockAfter(world.cursor, { outputs: [output(script(2), 4000n), toPool(16_000n)], primeId: alice.primeId });
    await world.claim(part, alice, split);
    expect(await world.book.connect(part)).toMatchObject({ outcome: "paid", received: 16_000n, paid: 4000n });
    expect([await world.balance(1), await world.balance(2)]).toEqual([6750n + 13_500n, 2250n + 500n]);
    const [first, second] = await world.settlements();
    expect(second).toMatchObject({ number: 2, pin: 2n });
    const rows = await world.rows<{ hash: Buffer; previous: Buffer }>("SELECT hash, previous FROM settlements ORDER BY number");
    expect(Buffer.from(second?.previous ?? [])).toEqual(rows[0]?.hash);
    expect(rows[1]?.previous).toEqual(rows[0]?.hash);
    expect(first?.lines.find(({ script: to }) => Buffer.compare(to, OPERATOR) === 0)).toMatchObject({
      fee: 1000n,
      balance: 1000n,
      before: 0n,
    });
  });

  test("two blocks in a row do not pay a balance twice: it belongs to the block that the books stand at", async () => {
    await mine();
    const first = blockAfter(BEGIN, { outputs: [toPool(8000n)], primeId: alice.primeId });
    await world.claim(first, alice, undefined);
    await world.book.connect(first);
    const account = await world.accountId(script(1));
    expect(world.book.view(first.hash)?.balances.get(account)).toEqual({ balance: 6000n, dueSince: 1n, lastEarned: 101 });
    // Balance and earning of the next block.
    const outputs = [output(script(1), 12_000n)];
    const split = await world.offer(alice, first.hash, 16_000n, outputs);
    const second = blockAfter(first, { outputs: [...outputs, toPool(4000n)], primeId: alice.primeId });
    await world.claim(second, alice, split);
    expect(world.book.view(second.hash)).toBeUndefined();
    await world.book.connect(second);
    expect(world.book.view(first.hash)).toBeUndefined();
    expect(world.book.view(second.hash)?.balances.get(account)).toEqual({ balance: 6000n, dueSince: 1n, lastEarned: 102 });
    expect(world.book.latest().height).toBe(102);
    // The split for the block before was made of the same balance; a block made of it competes with the second and never follows it.
    const late = blockAfter(second, { outputs: [...outputs, toPool(4000n)], primeId: alice.primeId });
    expect(await world.book.connect(late)).toMatchObject({ outcome: "receipt", received: 4000n });
  });

  test("a reorganisation takes back block after block, and a block that comes again is booked again", async () => {
    await mine();
    const split = await world.offer(alice, BEGIN.hash, 10_000n, [output(script(1), 7000n)]);
    const first = blockAfter(BEGIN, { outputs: [output(script(1), 7000n), toPool(3000n)], primeId: alice.primeId });
    await world.claim(first, alice, split);
    await world.book.connect(first);
    const afterFirst = world.shown();
    const second = blockAfter(first, { outputs: [toPool(500n)], primeId: 77 });
    await world.book.connect(second);
    const third = blockAfter(second, { outputs: [toPool(9000n)], primeId: alice.primeId });
    await world.claim(third, alice, undefined);
    await world.book.connect(third);
    expect(await world.book.disconnect()).toEqual({ reversed: 1, poolBlock: true });
    expect(await world.check()).toEqual([]);
    expect(await world.book.disconnect(second)).toEqual({ reversed: 1, poolBlock: false });
    expect(world.shown().balances).toEqual(afterFirst.balances);
    expect(await world.book.disconnect(first)).toEqual({ reversed: 1, poolBlock: true });
    expect(world.cursor).toEqual(BEGIN);
    expect([await world.balance(1), await world.balance(2)]).toEqual([0n, 0n]);
    expect((await world.blocks.find(first.hash))?.life).toBe("orphaned");
    expect(await world.rows("SELECT * FROM coins")).toEqual([]);
    await expect(world.book.disconnect()).rejects.toMatchObject({ code: "ledger.chainBelowStart" });

    await world.book.connect(blockAfter(BEGIN, { salt: "theirs" }));
    await world.book.disconnect();
    expect(await world.book.connect(first)).toMatchObject({ outcome: "paid", received: 3000n, paid: 7000n });
    expect([await world.balance(1), await world.balance(2)]).toEqual([500n, 2500n]);
    expect((await world.blocks.find(first.hash))?.life).toBe("paid");
    expect(
      (await world.rows<{ key: string }>("SELECT key FROM entries WHERE kind = 'block' ORDER BY id")).map(({ key }) =>
        key.split(":").at(-1),
      ),
    ).toEqual(["1", "1", "2"]);
    const settlements = await world.settlements();
    expect(settlements.map(({ kind, block }) => [kind, block.height])).toEqual([
      ["settlement", 101],
      ["settlement", 103],
      ["reversal", 103],
      ["reversal", 101],
      ["settlement", 101],
    ]);
    const [one, , , back] = settlements;
    expect(back?.lines.map(({ earned, fee, paid, weight }) => [weight, -earned, -fee, -paid])).toEqual(
      one?.lines.map(({ earned, fee, paid, weight }) => [weight, earned, fee, paid]),
    );
    expect(back?.window).toEqual(one?.window);
  });

  test("a block is divided by the terms that it was made under, and as before when it joins again, though the pool has others by then", async () => {
    await mine();
    const outputs = [output(script(1), 5000n), output(script(2), 2000n)];
    await world.offer(alice, BEGIN.hash, 10_000n, outputs);
    const first = blockAfter(BEGIN, { outputs: [...outputs, toPool(3000n)], primeId: alice.primeId });
    await world.offer(alice, first.hash, 10_000n, outputs);
    const second = blockAfter(first, { outputs: [...outputs, toPool(3000n)], primeId: alice.primeId });
    await world.book.connect(first);
    const balances = async () => [await world.balance(1), await world.balance(2), await world.balance(OPERATOR)];
    const once = await balances();
    await world.book.close();
    world.book = await world.openBook(createScheme({ name: "fpps" }));
    // Made under the terms before, joins after.
    await world.book.connect(second);
    expect(await balances()).toEqual(once.map((balance) => 2n * balance));
    await world.book.disconnect(second);
    await world.book.disconnect(first);
    expect(await balances()).toEqual([0n, 0n, 0n]);
    // Its single shares are gone meanwhile.
    await world.rows("DELETE FROM shares");
    await world.book.connect(first);
    expect(await balances()).toEqual(once);
    const settlements = await world.settlements();
    expect(settlements.map(({ scheme }) => scheme.name)).toEqual(["tides", "tides", "tides", "tides", "tides"]);
    expect(settlements[4]?.lines.map(({ weight, earned }) => [weight, earned])).toEqual(
      settlements[0]?.lines.map(({ weight, earned }) => [weight, earned]),
    );
  });

  test("every document carries on from the one before", async () => {
    await mine();
    await world.connect({ outputs: [toPool(7n)] });
    const found = blockAfter(world.cursor, { outputs: [toPool(8000n)], primeId: alice.primeId });
    await world.claim(found, alice, undefined);
    await world.book.connect(found);
    const coin = { txid: found.coinbase.txid, vout: 0 };
    await world.connect({ transactions: [{ txid: hash("payout"), spends: [coin], outputs: [output(script(1), 2500n), toPool(5000n)] }] });
    const next = blockAfter(world.cursor, { outputs: [toPool(4000n)], primeId: alice.primeId });
    await world.claim(next, alice, undefined);
    await world.book.connect(next);
    await world.book.disconnect(next);
    const documents = await world.settlements();
    expect(documents).toHaveLength(3);
    expect(documents.map(({ entries }) => entries.map(({ kind }) => kind))).toEqual([["receipt"], ["spend"], []]);
    const balances = new Map<string, bigint>();
    for (const { lines, entries } of documents) {
      const carry = (to: Uint8Array, amount: bigint) =>
        balances.set(Buffer.from(to).toString("hex"), (balances.get(Buffer.from(to).toString("hex")) ?? 0n) + amount);
      for (const { amounts } of entries) for (const { script: to, amount } of amounts) carry(to, amount);
      for (const { script: to, before, earned, fee, paid, balance } of lines) {
        expect(balances.get(Buffer.from(to).toString("hex")) ?? 0n).toBe(before);
        expect(before + earned + fee - paid).toBe(balance);
        carry(to, balance - before);
      }
    }
  });

  test("receipts belong to nobody, and spends pay out what is owed and no more", async () => {
    await mine();
    const found = blockAfter(BEGIN, { outputs: [toPool(8000n)], primeId: alice.primeId });
    await world.claim(found, alice, undefined);
    await world.book.connect(found);
    const gift = { txid: hash("gift"), spends: [], outputs: [output(script(9), 5n), toPool(300n), output(OPERATOR, 0n)] };
    expect(await world.connect({ transactions: [gift] })).toMatchObject({ outcome: "none" });
    expect(world.book.holds({ txid: gift.txid, vout: 1 })).toBe(true);
    expect(world.book.holds({ txid: gift.txid, vout: 2 })).toBe(false);
    // 2 is owed 2000 and gets 2600 in two outputs; 9 is owed nothing; 1 gets a part. In the same block the change is spent again.
    const payout = {
      txid: hash("payout"),
      spends: [
        { txid: found.coinbase.txid, vout: 0 },
        { txid: gift.txid, vout: 1 },
      ],
      outputs: [output(script(2), 1500n), output(script(9), 400n), output(script(2), 1100n), output(script(1), 1000n), toPool(4000n)],
    };
    const again = { txid: hash("again"), spends: [{ txid: payout.txid, vout: 4 }], outputs: [toPool(3990n)] };
    await world.connect({ transactions: [payout, again] });
    expect([await world.balance(1), await world.balance(2)]).toEqual([5000n, 0n]);
    expect(await world.balance(OPERATOR)).toBe(-(8300n - 4000n - 2000n - 1000n) - 10n);
    expect(await world.rows("SELECT value::int, height FROM coins WHERE spent_by IS NULL")).toEqual([{ value: 3990, height: 103 }]);
    expect(await world.check()).toEqual([]);
    expect(await world.book.disconnect()).toEqual({ reversed: 2, poolBlock: false });
    expect([await world.balance(1), await world.balance(2), await world.balance(OPERATOR)]).toEqual([6000n, 2000n, 0n]);
    expect(world.book.holds({ txid: gift.txid, vout: 1 })).toBe(true);
    expect(world.book.holds({ txid: payout.txid, vout: 4 })).toBe(false);
  });

  test("a payout beside a coinbase that pays the same balance: the account owes what it got twice, not the operator", async () => {
    await mine();
    const found = blockAfter(BEGIN, { outputs: [toPool(8000n)], primeId: alice.primeId });
    await world.claim(found, alice, undefined);
    await world.book.connect(found);
    const carried = [output(script(2), 4500n)];
    await world.offer(alice, found.hash, 10_000n, carried);
    const payout = {
      txid: hash("beside"),
      spends: [{ txid: found.coinbase.txid, vout: 0 }],
      outputs: [output(script(2), 2000n), toPool(6000n)],
    };
    const next = { outputs: [...carried, toPool(5500n)], primeId: alice.primeId, transactions: [payout] };
    expect(await world.connect(next)).toMatchObject({ outcome: "paid" });
    expect([await world.balance(1), await world.balance(2), await world.balance(OPERATOR)]).toEqual([13_500n, -2000n, 0n]);
  });

  test("a forged coinbase is a receipt, or nothing", async () => {
    await mine();
    const mallory = await world.session("mallory");
    const outputs = [output(script(1), 5000n), output(script(2), 2000n)];
    await world.offer(alice, BEGIN.hash, 10_000n, outputs);
    const forged = async (parts: Parameters<typeof blockAfter>[1]) => {
      const connected = await world.connect(parts ?? {});
      await world.book.disconnect();
      return connected.outcome;
    };
    const { primeId } = alice;
    expect(await forged({ outputs: [...outputs, toPool(3000n)], primeId })).toBe("paid");
    expect(await forged({ outputs: [output(script(1), 5001n), toPool(4999n)], primeId })).toBe("receipt");
    expect(await forged({ outputs: [...outputs.toReversed(), toPool(3000n)], primeId })).toBe("receipt");
    expect(await forged({ outputs: [...outputs, toPool(3000n)], primeId: mallory.primeId })).toBe("receipt");
    expect(await forged({ outputs: [...outputs, toPool(3000n)] })).toBe("receipt");
    expect(await forged({ outputs: [...outputs, toPool(2999n), output(script(66), 1n)], primeId })).toBe("receipt");
    expect(await forged({ outputs: [...outputs, toPool(3001n)], primeId })).toBe("receipt");
    expect(await forged({ outputs: [output(script(66), 10_000n)], primeId })).toBe("none");
    expect(await forged({ outputs: [toPool(10_001n)], primeId })).toBe("receipt");
    expect(await forged({ outputs: [toPool(10_000n)], primeId })).toBe("paid");
    // Another parent than the split's.
    await world.connect({});
    expect(await forged({ outputs: [...outputs, toPool(3000n)], primeId })).toBe("receipt");
  });

  test("a block whose share never came is known by its split, or by its session's shares", async () => {
    await mine();
    const outputs = [output(script(1), 5000n)];
    const split = await world.offer(alice, BEGIN.hash, 10_000n, outputs);
    await world.offer(alice, BEGIN.hash, 10_000n, outputs);
    const discovered = blockAfter(BEGIN, { outputs: [...outputs, toPool(5000n)], primeId: alice.primeId });
    expect(await world.book.connect(discovered)).toEqual({ outcome: "paid", received: 5000n, paid: 5000n, claimed: false });
    expect(await world.blocks.find(discovered.hash)).toMatchObject({
      sessionId: alice.id,
      splitId: split.id,
      status: "accepted",
      outcome: "discovered on the chain",
      life: "paid",
      transactionCount: undefined,
      coinbaseValue: 10_000n,
    });
    // Its share comes after all.
    await world.claim(discovered, alice, split);
    expect(await world.book.connect(discovered)).toEqual({ outcome: "paid", received: 5000n, paid: 5000n, claimed: true });
    // Shares for this parent tell of a job; the lowest pin counts.
    const bob = await world.session("bob");
    const prevhash = discovered.hash;
    const unknown = blockAfter(discovered, { outputs: [toPool(700n)], primeId: bob.primeId });
    expect((await world.book.connect(unknown)).outcome).toBe("receipt");
    await world.book.disconnect();
    await world.mine(3, 1000n, { prevhash, sessionId: bob.id, pin: 2n });
    await world.mine(3, 1000n, { prevhash, sessionId: bob.id, pin: 3n });
    expect((await world.book.connect(unknown)).outcome).toBe("paid");
    expect((await world.blocks.find(unknown.hash))?.pin).toBe(2n);
  });

  test("whoever hands a block in first, it is its coinbase's session's; a claim for a split chooses among those that fit", async () => {
    await mine();
    const thief = await world.session("thief");
    const outputs = [output(script(1), 5000n)];
    const early = await world.offer(alice, BEGIN.hash, 10_000n, outputs);
    await world.mine(2, 4000n);
    const late = await world.offer(alice, BEGIN.hash, 10_000n, outputs);
    const block = blockAfter(BEGIN, { outputs: [...outputs, toPool(5000n)], primeId: alice.primeId });
    await world.claim(block, thief, early);
    await world.claim(block, alice, late);
    await world.book.connect(block);
    expect(await world.blocks.find(block.hash)).toMatchObject({ sessionId: alice.id, splitId: late.id, pin: late.position });
    expect((await world.settlements())[0]).toMatchObject({ pin: late.position, finder: script(1) });
  });

  test("what a session hands in that is no block of the pool is foreign", async () => {
    const block = blockAfter(BEGIN, { outputs: [output(script(66), 10_000n)], primeId: alice.primeId });
    await world.claim(block, alice, undefined);
    expect(await world.book.connect(block)).toEqual({ outcome: "none", received: 0n, paid: 0n, claimed: false, lost: true });
    expect((await world.blocks.find(block.hash))?.life).toBe("foreign");
    expect(world.logger.lines).toContainEqual(
      expect.objectContaining({ level: "error", message: expect.stringContaining("was handed in") }),
    );
  });

  test("a block of a session that had splits for its parent, and that pays another, is told loudly", async () => {
    await mine();
    await world.offer(alice, BEGIN.hash, 10_000n, [output(script(1), 10_000n)]);
    const forged = { outputs: [output(script(66), 10_000n)], primeId: alice.primeId };
    expect(await world.connect(forged)).toMatchObject({ outcome: "none", lost: true });
    expect(world.logger.lines.filter(({ level }) => level === "error")).toHaveLength(1);
    expect(await world.connect({ ...forged, salt: "on a parent without a split" })).not.toHaveProperty("lost");
    expect(world.logger.lines.filter(({ level }) => level === "error")).toHaveLength(1);
  });

  test("a block whose row is written at the moment of its booking is paid", async () => {
    await mine();
    const outputs = [output(script(1), 10_000n)];
    await world.offer(alice, BEGIN.hash, 10_000n, outputs);
    const block = blockAfter(BEGIN, { outputs, primeId: alice.primeId });
    const other = await world.database.pool.connect();
    try {
      await other.query("BEGIN");
      await other.query(
        `INSERT INTO blocks (hash, prevhash, height, coinbase, coinbase_value, session, pin, username, found_at)
         VALUES ($1, $2, 101, '', 10000, $3, 0, 'miner', now())`,
        [Buffer.from(block.hash), Buffer.from(block.prevhash), String(alice.id)],
      );
      const connected = world.book.connect(block);
      await expect
        .poll(async () => (await world.rows("SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")).length, {
          timeout: 10_000,
        })
        .toBe(1);
      await other.query("COMMIT");
      expect(await connected).toMatchObject({ outcome: "paid" });
    } finally {
      other.release();
    }
    expect(await world.blocks.find(block.hash)).toMatchObject({ life: "paid", sessionId: alice.id, status: "found" });
  });

  test("the pool's part is spendable in the hundredth block after: mature when the ninety-ninth has joined", async () => {
    await mine();
    const found = blockAfter(BEGIN, { outputs: [toPool(8000n)], primeId: alice.primeId });
    await world.claim(found, alice, undefined);
    await world.book.connect(found);
    const life = async () => (await world.blocks.find(found.hash))?.life;
    for (let i = 0; i < 98; i++) await world.connect({});
    expect([world.cursor.height, await life()]).toEqual([199, "paid"]);
    await world.connect({});
    expect([world.cursor.height, await life()]).toEqual([200, "mature"]);
    await world.book.disconnect();
    expect(await life()).toBe("paid");
  });

  test("calls that are repeated change nothing and answer the same", async () => {
    await mine();
    await world.book.begin({ height: 7, hash: hash("elsewhere") });
    expect(world.cursor).toEqual(BEGIN);
    const found = blockAfter(BEGIN, { outputs: [toPool(8000n)], primeId: alice.primeId });
    await world.claim(found, alice, undefined);
    const answer = await world.book.connect(found);
    await world.reopen();
    expect(await world.book.connect(found)).toEqual(answer);
    const other = blockAfter(BEGIN, { salt: "other" });
    await expect(world.book.connect(other)).rejects.toMatchObject({ code: "ledger.chainOrder" });
    await expect(world.book.disconnect(other)).rejects.toMatchObject({ code: "ledger.chainOrder" });
    await expect(world.book.disconnect(BEGIN)).rejects.toMatchObject({ code: "ledger.chainOrder" });
    const back = await world.book.disconnect(found);
    expect(back).toEqual({ reversed: 1, poolBlock: true });
    expect(await world.book.disconnect(found)).toEqual(back);
    expect(world.cursor).toEqual(BEGIN);
    expect(await world.rows("SELECT id FROM entries")).toHaveLength(2);
    const account = await world.accountId(script(1));
    const credit = {
      key: "credit:1:1",
      kind: "credit" as const,
      segment: 1,
      postings: [
        { book: "balance" as const, account, reason: "credited" as const, amount: 5n },
        { book: "balance" as const, account: await world.accountId(OPERATOR), reason: "funded" as const, amount: -5n },
      ],
    };
    expect([await world.book.post(credit), await world.book.post(credit)]).toEqual([true, false]);
    expect([await world.balance(1), await world.balance(OPERATOR)]).toEqual([5n, -5n]);
  });

  test("a connection that breaks anywhere leaves the books whole, and the call can be repeated", async () => {
    await mine();
    const split = await world.offer(alice, BEGIN.hash, 8000n, [output(script(1), 6000n)]);
    const found = blockAfter(BEGIN, { outputs: [output(script(1), 6000n), toPool(2000n)], primeId: alice.primeId });
    await world.claim(found, alice, split);
    await world.mine(1);
    let broken = 0;
    // Each statement of a call in turn is the last one whose answer comes; COMMIT, done and unheard, among them.
    for (let statements = 1; ; statements++) {
      world.cutAfter(statements);
      const done = await world.book.connect(found).then(
        () => true,
        () => false,
      );
      if (world.cutAfter(undefined)) broken++;
      else {
        expect(done).toBe(true);
        break;
      }
      expect(await world.check()).toEqual([]);
      expect(await world.book.connect(found)).toMatchObject({ outcome: "paid", received: 2000n, paid: 6000n });
      world.cutAfter(statements);
      await world.book.disconnect(found).catch(() => undefined);
      world.cutAfter(undefined);
      expect(await world.check()).toEqual([]);
      expect(await world.book.disconnect(found)).toEqual({ reversed: 1, poolBlock: true });
      expect(world.cursor).toEqual(BEGIN);
    }
    expect(broken).toBeGreaterThan(10);
  });

  test("another pool that takes the database over ends the writing", async () => {
    await world.database.pool.query("UPDATE log_state SET epoch = epoch + 1");
    await expect(world.connect({})).rejects.toMatchObject({ code: "ledger.fenced" });
    expect(await world.rows("SELECT height FROM chain")).toHaveLength(1);
    await world.database.pool.query("UPDATE log_state SET epoch = epoch - 1");
    await world.restart();
  });

  test("the database refuses to change what was posted", async () => {
    await mine();
    const found = blockAfter(BEGIN, { outputs: [toPool(8000n)], primeId: alice.primeId });
    await world.claim(found, alice, undefined);
    await world.book.connect(found);
    for (const table of ["entries", "postings", "settlements"]) {
      const column = { entries: "key", postings: "reason", settlements: "kind" }[table];
      for (const sql of [`UPDATE ${table} SET ${column} = ${column}`, `DELETE FROM ${table}`, `TRUNCATE ${table} CASCADE`]) {
        await expect(world.rows(sql)).rejects.toThrow(`${table} is append-only`);
      }
    }
    await expect(
      world.rows(
        "INSERT INTO postings (entry, line, book, reason, amount) VALUES (1, 99, 'coins', 'received', 1), (1, 100, 'unattributed', 'received', -1)",
      ),
    ).rejects.toThrow("has its postings already");
    await expect(
      world.rows(
        `WITH e AS (INSERT INTO entries (id, key, kind, at) VALUES (99, 'k', 'spend', now()) RETURNING id)
         INSERT INTO postings (entry, line, book, reason, amount) SELECT id, 1, 'coins', 'spent', 5 FROM e`,
      ),
    ).rejects.toThrow("do not sum to zero");
  });

  test("thresholds: an account's own, since when it is due, and those that others set", async () => {
    await world.mine(1, 3000n);
    await world.mine(2, 1000n);
    const found = blockAfter(BEGIN, { outputs: [toPool(1600n)], primeId: alice.primeId });
    await world.claim(found, alice, undefined);
    await world.book.connect(found);
    const [one, two] = [await world.accountId(script(1)), await world.accountId(script(2))];
    const due = (account: number) => world.book.latest().balances.get(account)?.dueSince;
    expect([due(one), due(two)]).toEqual([1n, undefined]);
    await world.book.setThreshold(two, 400n);
    expect([due(two), world.book.latest().threshold(two)]).toEqual([1n, 400n]);
    await world.book.setThreshold(one, 5000n);
    expect(due(one)).toBeUndefined();
    await world.book.setThreshold(one, undefined);
    expect([due(one), world.book.latest().threshold(one)]).toEqual([1n, undefined]);
    await world.rows("INSERT INTO thresholds (account, threshold) VALUES ($1, 9000)", [one]);
    await world.connect({ outputs: [toPool(1n)] });
    expect([due(one), world.book.latest().threshold(one)]).toEqual([undefined, 9000n]);
    expect(world.book.latest().lastEntry).toBe(2n);
  });

  test("the payout script is rotated: old coins stay the pool's, the fee goes to the present script", async () => {
    await world.mine(1, 3000n, { feePpm: 100_000 });
    const found = blockAfter(BEGIN, { outputs: [toPool(10_000n)], primeId: alice.primeId });
    await world.claim(found, alice, undefined);
    await world.book.connect(found);
    const fresh = script("fresh");
    await world.restart(fresh);
    const scripts = await poolScripts(world.database);
    expect(scripts.map(({ script: one, retiredAt }) => [one, retiredAt === undefined])).toEqual([
      [OPERATOR, false],
      [fresh, true],
    ]);
    expect([world.book.isPoolScript(OPERATOR), world.book.isPoolScript(fresh), world.book.isPoolScript(script(1))]).toEqual([
      true,
      true,
      false,
    ]);
    const next = blockAfter(found, { outputs: [toPool(1000n), output(fresh, 9000n)], primeId: alice.primeId });
    await world.claim(next, alice, undefined);
    expect(await world.book.connect(next)).toMatchObject({ outcome: "paid", received: 10_000n });
    expect([await world.balance(OPERATOR), await world.balance(fresh)]).toEqual([1000n, 1000n]);
    expect((await world.settlements())[1]?.poolScripts).toEqual([OPERATOR, fresh].sort(Buffer.compare));
    await world.connect({
      transactions: [{ txid: hash("sweep"), spends: [{ txid: found.coinbase.txid, vout: 0 }], outputs: [output(fresh, 9900n)] }],
    });
    expect(await world.balance(fresh)).toBe(900n);
    await world.restart(OPERATOR);
    expect((await poolScripts(world.database)).map(({ retiredAt }) => retiredAt === undefined)).toEqual([true, false]);
  });

  test("listeners hear of a settlement after its commit", async () => {
    await mine();
    const heard: number[] = [];
    const end = world.book.onSettled((number) => heard.push(number));
    world.book.onSettled(() => {
      throw new Error("a listener's own fault");
    });
    world.logHash = hash("log file");
    const found = blockAfter(BEGIN, { outputs: [toPool(8000n)], primeId: alice.primeId });
    await world.claim(found, alice, undefined);
    await world.book.connect(found);
    await world.book.disconnect();
    end();
    await world.book.connect(found);
    expect(heard).toEqual([1, 2]);
    expect((await world.settlements())[0]?.window.logHash).toEqual(world.logHash);
  });
});

describe.skipIf(server === undefined)("schemes that do not look at the log", () => {
  test("solo pays whom the split was made for, less the fee of its time", async () => {
    const world = await World.make(server as string, solo());
    try {
      await world.book.begin(BEGIN);
      const session = await world.session("alice");
      await world.mine(1);
      const block = blockAfter(BEGIN, { outputs: [toPool(10_000n)], primeId: session.primeId });
      await world.claim(block, session, undefined);
      await world.book.connect(block);
      expect([await world.balance(1), await world.balance(OPERATOR)]).toEqual([9900n, 100n]);
      expect((await world.settlements())[0]).toMatchObject({
        feePpm: 10_000,
        finder: script(1),
        window: { size: 0n, weight: 0n, logWeight: 1000n },
      });
      expect(await world.check()).toEqual([]);
    } finally {
      await world.close();
    }
  });
});
