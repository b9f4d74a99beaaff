/** Found blocks and what sessions say of them. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Blocks, type Database, openDatabase, ShareLog } from "../../../src/ledger/index.js";
import { externalServer, hash, MemoryLogger, OPERATOR, script, type TestDatabase, testDatabase } from "../support.js";

const server = await externalServer();
const VALUE = 312_500_000n;

describe.skipIf(server === undefined)("found blocks", () => {
  let home: TestDatabase;
  let database: Database;
  let blocks: Blocks;
  beforeAll(async () => {
    home = await testDatabase("external", server);
    database = await openDatabase(home.options, { log: new MemoryLogger() });
    await (await ShareLog.open(database, { operatorScript: OPERATOR })).close();
    blocks = new Blocks(database, () => 1_790_000_000_000);
  });
  afterAll(async () => {
    await database.close();
    await home.remove();
  });

  const block = {
    hash: hash("block"),
    header: new Uint8Array(80).fill(7),
    coinbase: Uint8Array.from([1, 2, 3]),
    parent: { hash: hash("parent") },
    height: 840_001,
    coinbaseValue: VALUE,
    transactionCount: 12,
    sessionId: 1n,
    splitId: undefined,
    pin: 9n,
    username: Uint8Array.from([0xff, 0x00]),
  };

  test("a block is recorded once and keeps its outcome", async () => {
    expect(await blocks.setOutcome(block.hash, "submitted")).toBe(false);
    expect(await blocks.record(block)).toBe(true);
    expect(await blocks.record(block)).toBe(false);
    expect(await blocks.setOutcome(block.hash, "accepted", "by the node")).toBe(true);
    expect(await blocks.setOutcome(block.hash, "refused", "duplicate")).toBe(true);
    expect(await blocks.find(block.hash)).toMatchObject({
      status: "accepted",
      outcome: "by the node",
      life: "found",
      coinbaseValue: VALUE,
      splitId: undefined,
      pin: 9n,
      height: 840_001,
      transactionCount: 12,
    });
    expect(await blocks.find(hash("no block"))).toBeUndefined();
    expect(await blocks.recent(5)).toHaveLength(1);
  });

  test("what its gateway claimed of it may be more than a column holds: it is recorded all the same", async () => {
    const claimed = { ...block, hash: hash("lie"), height: 0xffffffff, coinbaseValue: 2n ** 64n - 1n, transactionCount: 0xffffffff };
    expect(await blocks.record(claimed)).toBe(true);
    expect(await blocks.find(claimed.hash)).toMatchObject({
      height: 2 ** 31 - 1,
      coinbaseValue: 2n ** 63n - 1n,
      transactionCount: 2 ** 31 - 1,
    });
  });

  test("each session that hands a block in has a claim of its own, with its finder's account", async () => {
    const twice = { ...block, hash: hash("twice") };
    const finder = { script: script("finder"), address: "bc1qfinder" };
    expect(await blocks.record({ ...twice, sessionId: 5n, splitId: 3n })).toBe(true);
    expect(await blocks.record({ ...twice, sessionId: 6n, finder, pin: 10n })).toBe(false);
    expect(await blocks.record({ ...twice, sessionId: 6n, finder, pin: 99n })).toBe(false);
    const { rows } = await database.pool.query(
      `SELECT c.session::int, c.split::int, c.pin::int, a.address, a.kind FROM block_claims c LEFT JOIN accounts a ON a.id = c.finder
       WHERE block = $1 ORDER BY session`,
      [Buffer.from(twice.hash)],
    );
    expect(rows).toEqual([
      { session: 5, split: 3, pin: 9, address: null, kind: null },
      { session: 6, split: null, pin: 10, address: "bc1qfinder", kind: "miner" },
    ]);
    expect(await blocks.find(twice.hash)).toMatchObject({ sessionId: 5n, splitId: 3n });
  });
});
