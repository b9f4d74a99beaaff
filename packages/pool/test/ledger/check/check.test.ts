/** The check of the books: nothing to say of good books, and every kind of difference named. */
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { checkMoney, type Database, type MoneyCheck, type MoneyCheckOptions, openBooks, openDatabase } from "../../../src/ledger/index.js";
import { administer, externalServer, hash, MemoryLogger, OPERATOR, script, temporaryDatabase } from "../support.js";
import { BEGIN, BookWriter, blockHash, FakeChain, TIP, txid } from "./support.js";

const server = await externalServer();
const display = (id: Uint8Array): string => Buffer.from(id).reverse().toString("hex");

describe.skipIf(server === undefined)("the check of the books", () => {
  let template: { url: string; remove: () => Promise<void> };
  let copies = 0;
  let chain: FakeChain;
  let database: Database;
  let copy: string;
  const log = new MemoryLogger();

  beforeAll(async () => {
    template = await temporaryDatabase(server as string);
    const writer = await openDatabase({ url: template.url }, { log });
    await BookWriter.write(writer, new FakeChain());
    await writer.close();
  });
  afterAll(() => template.remove());

  beforeEach(async () => {
    const name = new URL(template.url).pathname.slice(1);
    copy = `${name}_${++copies}`;
    await administer(server as string, `CREATE DATABASE ${copy} TEMPLATE ${name}`);
    const url = new URL(template.url);
    url.pathname = `/${copy}`;
    database = await openBooks({ url: url.href }, { log });
    chain = await agreeing();
  });
  afterEach(async () => {
    await database.close();
    await administer(server as string, `DROP DATABASE ${copy} WITH (FORCE)`);
  });

  /** The chain that the books were written from. */
  const agreeing = async (): Promise<FakeChain> => {
    const made = new FakeChain();
    const outputs = (pool: bigint, ...paid: [number, bigint][]) => [
      { script: OPERATOR, value: pool },
      ...paid.map(([account, value]) => ({ script: script(account), value })),
      { script: Uint8Array.of(0x6a, 0), value: 0n },
    ];
    made.mine(103, blockHash(103), outputs(150n, [1, 600n], [2, 250n]));
    made.mine(105, blockHash(105), outputs(520n, [3, 480n]));
    made.mine(106, blockHash(106), outputs(77n));
    for (const [height, value] of [
      [105, 520n],
      [106, 77n],
    ] as const) {
      made.add({ txid: made.coinbaseOf(blockHash(height)).txid, vout: 0, script: OPERATOR, value, height });
    }
    made.add({ txid: txid("payout"), vout: 1, script: OPERATOR, value: 40n, height: 107 });
    return made;
  };

  const check = (options: MoneyCheckOptions = {}): Promise<MoneyCheck> =>
    checkMoney(database, chain, { pause: () => Promise.resolve(), ...options });

  /** Changes rows that the database lets nobody change. */
  const tamper = async (sql: string, parameters: unknown[] = []): Promise<void> => {
    const client = await database.connect();
    try {
      for (const table of ["entries", "postings", "settlements"]) await client.query(`ALTER TABLE ${table} DISABLE TRIGGER ALL`);
      await client.query(sql, parameters);
    } finally {
      await client.end();
    }
  };
  const kinds = ({ differences }: MoneyCheck): string[] => [...new Set(differences.map(({ kind }) => kind))].sort();
  const messages = ({ differences }: MoneyCheck): string => differences.map(({ message }) => message).join("\n");
  const account = async (one: Uint8Array): Promise<number> =>
    (await database.pool.query<{ id: number }>("SELECT id FROM accounts WHERE script = $1", [Buffer.from(one)])).rows[0]?.id as number;

  test("good books: no difference, no note, and the figures", async () => {
    expect(await check({ scan: true })).toEqual({
      differences: [],
      notes: [],
      figures: {
        height: TIP,
        entries: 6n,
        owed: 540n,
        negativeBalances: 0,
        operator: 20n,
        unattributed: 77n,
        holdings: 637n,
        mature: 40n,
        immature: 597n,
      },
    });
  });

  test("good books before they have begun", async () => {
    await tamper("DELETE FROM chain");
    await tamper("DELETE FROM settlements");
    await tamper("DELETE FROM postings");
    await tamper("DELETE FROM entries");
    await tamper("DELETE FROM coins");
    await tamper("DELETE FROM balances");
    await tamper("UPDATE money_state SET last_entry = 0, last_settlement = 0, settlement_hash = decode(repeat('00', 32), 'hex')");
    const result = await check({ scan: true });
    expect(result.differences).toEqual([]);
    expect(result.notes).toEqual(["the books have not begun to follow the chain"]);
    expect(result.figures.height).toBeUndefined();
  });

  test("a posting that was changed: sum, balance, settlement, and what is held", async () => {
    await tamper("UPDATE postings SET amount = amount + 7 WHERE entry = 1 AND reason = 'earned' AND amount = 600");
    const result = await check();
    expect(kinds(result)).toEqual(["balance", "earned", "entrySum"]);
    expect(messages(result)).toContain("the postings of entry 1 should sum to 0, they sum to 7");
    expect(messages(result)).toContain(`the postings of account ${await account(script(1))} sum to 507, its balance says 500`);
    expect(messages(result)).toMatch(
      /entry 1 and settlement 1 of block [0-9a-f]{64}: earned of script [0-9a-f]+ should be 600 .* the postings have 607/,
    );
  });

  test("an entry that was taken out", async () => {
    await tamper("DELETE FROM postings WHERE entry = 5");
    await tamper("DELETE FROM entries WHERE id = 5");
    const result = await check({ scan: true });
    expect(kinds(result)).toEqual(["booked", "coinSum", "entryGap", "holdings"]);
    expect(messages(result)).toContain("entry 5 is missing, the next one is 6");
    expect(messages(result)).toContain(
      `block ${display(blockHash(106))} at height 106 pays 77 to the pool and should have one entry, it has none`,
    );
    expect(messages(result)).toContain("the unspent coins of the pool come to 637, the book of coins says 560");
  });

  test("the last entry taken out: the counter tells", async () => {
    await tamper("UPDATE money_state SET last_entry = 7");
    const result = await check();
    expect(kinds(result)).toEqual(["entryGap"]);
    expect(messages(result)).toBe("the last entry should be 7, it is 6");
  });

  test("a reversal that is not its entry's negative", async () => {
    await tamper("UPDATE postings SET amount = -481 WHERE entry = 3 AND amount = -480");
    await tamper("UPDATE postings SET amount = amount + 1 WHERE entry = 3 AND book = 'coins'");
    const result = await check();
    expect(kinds(result)).toEqual(["balance", "coinSum", "earned", "reversal"]);
    expect(messages(result)).toMatch(
      /entry 3 takes back entry 2: book balance of account \d+, reason earned, should have -480, it has -481/,
    );
  });

  test("balances: a wrong sum, a due date to come, a height that it did not earn at", async () => {
    const [one, two, three] = [await account(script(1)), await account(script(2)), await account(script(3))];
    await tamper("UPDATE balances SET balance = balance + 5 WHERE account = $1", [one]);
    await tamper("UPDATE balances SET last_earned = 104 WHERE account = $1", [two]);
    await tamper("UPDATE balances SET due_since = 99 WHERE account = $1", [three]);
    const result = await check();
    expect(kinds(result)).toEqual(["balance", "dueSince", "holdings", "lastEarned"]);
    expect(messages(result)).toContain(`the postings of account ${one} sum to 500, its balance says 505`);
    expect(messages(result)).toContain(`account ${two} last earned at height 103 by the entries, its balance says 104`);
    expect(messages(result)).toContain(`account ${three} with balance 40 can't be due since entry 99`);
    expect(messages(result)).toContain("they come to 642 and the scripts hold 637");
  });

  test("the followed chain: a gap, a block of an entry that it lost, a block that the node does not have", async () => {
    await tamper("DELETE FROM chain WHERE height = 106");
    chain.hashes.set(104, blockHash(104, " other"));
    const result = await check();
    expect(kinds(result)).toEqual(["chain"]);
    expect(messages(result)).toContain("the followed chain should go on at height 106 after 105, it goes on at 107");
    expect(messages(result)).toContain(
      `entry 5 (receipt) is of block ${display(blockHash(106))} at height 106, which the followed chain does not have`,
    );
    expect(messages(result)).toContain(`the node's best chain has ${display(blockHash(104, " other"))} there`);
  });

  test("blocks of the pool are compared with the node however old they are", async () => {
    chain.hashes.set(103, blockHash(103, " other"));
    expect(messages(await check({ newestBlocks: 2 }))).toContain(`the books follow block ${display(blockHash(103))} at height 103`);
    chain.hashes.set(103, blockHash(103));
    chain.hashes.set(104, blockHash(104, " other"));
    expect(await check({ newestBlocks: 2 })).toMatchObject({ differences: [] });
  });

  test("a coinbase that paid other than the postings say", async () => {
    chain.mine(105, blockHash(105), [
      { script: OPERATOR, value: 500n },
      { script: script(3), value: 400n },
      { script: script(9), value: 100n },
    ]);
    chain.mine(106, blockHash(106), [{ script: OPERATOR, value: 78n }]);
    const result = await check();
    expect(kinds(result)).toEqual(["paid", "received"]);
    const hex = (one: Uint8Array): string => Buffer.from(one).toString("hex");
    const where = `entry 4: the coinbase of block ${display(blockHash(105))} pays`;
    expect(messages(result)).toContain(`${where} 500 to the pool, the postings have 520`);
    expect(messages(result)).toContain(`${where} 400 to script ${hex(script(3))}, the postings have 480`);
    expect(messages(result)).toContain(`${where} 100 to script ${hex(script(9))}, the postings have 0`);
    expect(messages(result)).toContain(
      `entry 5: the coinbase of block ${display(blockHash(106))} pays 78 to the pool, the postings have 77`,
    );
  });

  test("a miner's script that became the pool's later: what it was paid before stays paid", async () => {
    await tamper("INSERT INTO pool_scripts (script, account, since) SELECT script, id, '2099-01-01' FROM accounts WHERE script = $1", [
      Buffer.from(script(2)),
    ]);
    chain.mine(102, blockHash(102), [{ script: script(2), value: 5n }]);
    const result = await check({ scan: true });
    expect(result.differences).toEqual([]);
    expect(result.notes).toEqual([
      `block ${display(blockHash(102))} at height 102 pays 5 to the pool, from before the script was the pool's`,
    ]);
  });

  test("a block that is booked twice", async () => {
    await tamper(
      "INSERT INTO entries (id, key, kind, block, height, at) SELECT 7, 'again', 'receipt', block, height, at FROM entries WHERE id = 4",
    );
    await tamper("UPDATE money_state SET last_entry = 7");
    const result = await check();
    expect(kinds(result)).toEqual(["booked", "received"]);
    expect(messages(result)).toContain(`block ${display(blockHash(105))} at height 105 should have one entry, it has 2: 4, 7`);
  });

  test("settlements: changed, missing, unlinked, of another block", async () => {
    const { rows } = await database.pool.query<{ hash: Buffer }>("SELECT hash FROM settlements ORDER BY number");
    await tamper("UPDATE settlements SET document = $1 WHERE number = 1", [gzipSync("{}\n")]);
    await tamper("DELETE FROM settlements WHERE number = 2");
    await tamper("UPDATE settlements SET block = $1 WHERE number = 3", [Buffer.from(blockHash(1))]);
    await tamper("UPDATE settlements SET previous = $1 WHERE number = 4", [Buffer.from(hash("nothing"))]);
    const result = await check();
    expect(kinds(result)).toEqual(["settlement"]);
    expect(messages(result)).toContain(`settlement 1 should have the hash ${rows[0]?.hash.toString("hex")}, its document has`);
    expect(messages(result)).toMatch(/entry 2 \(block\) of block [0-9a-f]{64} should have a published settlement, it has none/);
    expect(messages(result)).toContain("settlement 3 should be the one after 1: those between are missing");
    expect(messages(result)).toMatch(/settlement 3 should be number, kind, block, height, pin and link 3, reversal/);
    expect(messages(result)).toContain(`settlement 4 should name ${rows[2]?.hash.toString("hex")} as the one before it`);
  });

  test("settlements: not gzip, and one more than there is", async () => {
    await tamper("UPDATE settlements SET document = 'x' WHERE number = 1");
    await tamper("UPDATE money_state SET last_settlement = 5, settlement_hash = $1", [Buffer.from(hash("fifth"))]);
    const result = await check();
    expect(kinds(result)).toEqual(["settlement"]);
    expect(messages(result)).toContain("settlement 1 should be a gzipped document, it can't be unpacked");
    expect(messages(result)).toContain("the last settlement should be 5, it is 4");
    expect(messages(result)).toContain(`the last settlement's hash should be ${Buffer.from(hash("fifth")).toString("hex")}`);
  });

  test("coins: gone, of another value, unknown to the books, spent in the books alone", async () => {
    const coin = (height: number) => ({ txid: chain.coinbaseOf(blockHash(height)).txid, vout: 0 });
    chain.spend(coin(105));
    chain.add({ ...coin(106), script: OPERATOR, value: 76n, height: 106 });
    chain.add({ txid: txid("gift"), vout: 3, script: OPERATOR, value: 9n, height: 108 });
    chain.add({ ...coin(103), script: OPERATOR, value: 150n, height: 103 });
    const result = await check();
    expect(kinds(result)).toEqual(["coin", "coinUnknown"]);
    expect(messages(result)).toContain(`coin ${display(coin(105).txid)}:0 should be unspent, at height 110 the node does not have it`);
    expect(messages(result)).toContain(`coin ${display(coin(106).txid)}:0 should have 77`);
    expect(messages(result)).toContain(`output ${display(txid("gift"))}:3 of 9 at height 108 unspent, the books do not know it`);
    expect(messages(result)).toContain(`in the books ${display(txid("payout"))} spends it`);
  });

  test("coins from before the books began, and above where they are, are no differences", async () => {
    chain.add({ txid: txid("old"), vout: 0, script: OPERATOR, value: 11n, height: BEGIN });
    chain.mine(TIP + 1, blockHash(TIP + 1), []);
    chain.add({ txid: txid("new"), vout: 0, script: OPERATOR, value: 12n, height: TIP + 1 });
    const result = await check();
    expect(result.differences).toEqual([]);
    expect(result.notes).toEqual([
      "the books are at height 110, 1 block behind the node",
      "the pool's scripts hold 11 from before the books began, which they leave out",
    ]);
  });

  test("a coin that may be spent in a block to come is a note, and so is a node that can't scan, has pruned, or is behind", async () => {
    chain.mine(TIP + 1, blockHash(TIP + 1), []);
    chain.spend({ txid: txid("payout"), vout: 1 });
    chain.scanRefusal = "no such method";
    chain.coinbases.delete(Buffer.from(blockHash(103)).toString("hex"));
    const result = await check();
    expect(result.differences).toEqual([]);
    expect(result.notes).toEqual([
      "the books are at height 110, 1 block behind the node",
      "the node does not have 1 block of the books any more (from height 103): not read again",
      `1 coin of the books may be spent in blocks that they have not come to: ${display(txid("payout"))}:1`,
      "unspent outputs of the pool's scripts that the books do not know were not looked for: no such method",
    ]);
    for (const height of [TIP + 1, TIP]) chain.hashes.delete(height);
    expect((await check()).notes[0]).toBe("the node is at height 109, 1 block behind the books");
  });

  test("somebody owes the pool, and the pool owes more than it holds", async () => {
    const two = await account(script(2));
    const operator = await account(OPERATOR);
    for (const [one, amount] of [
      [two, -30n],
      [operator, -102n],
      [await account(script(1)), 132n],
    ] as const) {
      await tamper(
        "INSERT INTO postings (entry, line, book, account, reason, amount) VALUES (6, 10 + $1::int4, 'balance', $1, 'withdrawn', $2)",
        [one, amount],
      );
      await tamper("UPDATE balances SET balance = balance + $2 WHERE account = $1", [one, amount]);
    }
    const result = await check();
    expect(kinds(result)).toEqual(["insolvent", "negativeBalance"]);
    expect(messages(result)).toMatch(new RegExp(`account ${two} .* owes the pool: its balance should be 0 or more, it is -30`));
    expect(messages(result)).toContain("the operator's balance with what is unattributed should be 0 or more, it is -5");
    expect(result.figures).toMatchObject({ owed: 672n, negativeBalances: 1, operator: -82n });
    expect(kinds(await check({ reserve: 5n }))).toEqual(["negativeBalance"]);
  });

  test("sums of shares that differ from the log are told too", async () => {
    await tamper("INSERT INTO segment_weights VALUES (1, 1, 1, 1, 5, 0)");
    const result = await check();
    expect(kinds(result)).toEqual(["shares"]);
    expect(messages(result)).toContain("share log: segment 1, account 1, worker 1");
  });

  test("what differs only until the books have caught up is not told", async () => {
    // The node has left block 110 for another; the pool follows while the check looks a second time.
    chain.hashes.set(TIP, blockHash(TIP, " other"));
    let pauses = 0;
    const pause = async (): Promise<void> => {
      pauses++;
      await database.pool.query("UPDATE chain SET hash = $1 WHERE height = $2", [Buffer.from(blockHash(TIP, " other")), TIP]);
    };
    expect(await check({ pause })).toMatchObject({ differences: [], notes: [] });
    expect(pauses).toBe(1);
  });

  test("a difference of the second look alone is left to the next check", async () => {
    chain.hashes.set(TIP, blockHash(TIP, " other"));
    const pause = async (): Promise<void> => {
      chain.hashes.set(TIP, blockHash(TIP));
      chain.spend({ txid: txid("payout"), vout: 1 });
    };
    expect(await check({ pause })).toMatchObject({ differences: [] });
    expect(kinds(await check())).toEqual(["coin"]);
  });

  test("writing goes on beside it, and what came after the snapshot does not matter", async () => {
    let written = false;
    chain.onTip = async () => {
      if (written) return;
      written = true;
      await database.pool.query("UPDATE balances SET balance = balance + 1");
    };
    expect(await check()).toMatchObject({ differences: [] });
    expect(written).toBe(true);
    expect(kinds(await check())).toContain("balance");
  });

  test("it is broken off by its signal, and by a node that can't be asked", async () => {
    await expect(check({ signal: AbortSignal.abort(new Error("stopped")) })).rejects.toThrow("stopped");
    chain.onTip = () => {
      throw new Error("no connection to the node");
    };
    await expect(check()).rejects.toThrow("no connection to the node");
    chain.onTip = undefined;
    expect(await check()).toMatchObject({ differences: [] });
  });
});
