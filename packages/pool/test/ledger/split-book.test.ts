/** Splits over the durable log, sessions and blocks, on the embedded database. */
import { type Scheme, tides } from "@openprime/rewards";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  Blocks,
  checkBooks,
  type Database,
  type LoggedShare,
  openDatabase,
  Sessions,
  ShareLog,
  SplitBook,
  type SplitBookModules,
  type SplitBookOptions,
} from "../../src/ledger/index.js";
import { append, hash, MemoryLogger, OPERATOR, script, share, temporaryDirectory, until } from "./support.js";

const PARENT = hash("tip");
const VALUE = 312_500_000n;

describe("split book", () => {
  const home = temporaryDirectory();
  const logger = new MemoryLogger();
  let database: Database;
  let log: ShareLog;
  let now = 1_790_000_000_000;
  let size: bigint | undefined = 1_000_000n;

  beforeAll(async () => {
    database = await openDatabase({ embedded: { dataDir: home.path } }, { log: logger });
    log = await ShareLog.open(database, { operatorScript: OPERATOR });
  });
  afterAll(async () => {
    await log.close();
    await database.close();
    home.remove();
  });

  const open = (options: Partial<SplitBookOptions> = {}, modules: Partial<SplitBookModules> = {}) =>
    SplitBook.open(
      { dust: 546n, ...options },
      {
        log,
        scheme: tides(),
        windowSize: () => size,
        maxValue: () => 10n * VALUE,
        payee: () => ({ dustLimit: 294n, legacySigops: false }),
        now: () => now,
        logger,
        ...modules,
      },
    );
  const addShares = async (label: string, count: number, changes: (i: number) => Partial<LoggedShare> = () => ({})) => {
    await Promise.all(
      Array.from({ length: count }, (_, i) =>
        append(log, share(`${label} ${i}`, { prevhash: PARENT, account: script(i % 7), feePpm: 10_000 * (i % 2), ...changes(i) })),
      ),
    );
  };
  const request = (value = VALUE, coinbaserId = 1) => ({ sessionId: 99n, coinbaserId, value, prevhash: PARENT });
  let book: SplitBook;

  test("an empty log, an unknown parent, and values out of bounds give an empty split that is not stored", async () => {
    book = await open();
    const empty = { id: 0n, outputs: [] };
    expect(book.offer(request())).toMatchObject({ ...empty, position: log.head() });
    await addShares("first", 50);
    size = undefined;
    expect(book.offer(request())).toMatchObject(empty);
    size = 1_000_000n;
    expect(book.offer(request(0n))).toMatchObject(empty);
    expect(book.offer(request(10n * VALUE + 1n))).toMatchObject(empty);
    expect(log.nextSplitId()).toBe(1n);
    expect(book.offer(request(10n * VALUE)).outputs.length).toBe(7);
  });

  test("the split is the scheme's, largest first, pinned to the committed head, and stored", async () => {
    await addShares("operator", 5, () => ({ account: OPERATOR }));
    await addShares("big", 20, () => ({ account: script(3) }));
    now += 2000;
    const offered = book.offer(request(VALUE, 200));
    const earnings = book.earnings(VALUE, PARENT);
    expect(offered.position).toBe(log.head());
    expect(offered.outputs[0]?.script).toEqual(script(3));
    expect(offered.outputs.some(({ script: to }) => Buffer.compare(to, OPERATOR) === 0)).toBe(false);
    expect(earnings?.accounts.length).toBe(8);
    expect((earnings?.fee ?? 0n) + (earnings?.amounts.reduce((sum, amount) => sum + amount, 0n) ?? 0n)).toBe(VALUE);
    const values = offered.outputs.map(({ value }) => value);
    expect(values).toEqual([...values].sort((a, b) => Number(b - a)));
    await log.exclusive("wait for the commit", async () => undefined);
    const { rows } = await database.pool.query("SELECT session, coinbaser_id, position, value, prevhash FROM splits WHERE id = $1", [
      offered.id,
    ]);
    expect(rows).toEqual([
      { session: "99", coinbaser_id: 200, position: String(offered.position), value: String(VALUE), prevhash: Buffer.from(PARENT) },
    ]);
  });

  test("one moment, one split: same outputs and position for every gateway, ids of their own; later shares count after a second", async () => {
    const first = book.offer(request());
    await addShares("later", 30, () => ({ account: script("newcomer") }));
    const again = book.offer({ ...request(), sessionId: 2n });
    expect(again).toMatchObject({ position: first.position, outputs: first.outputs, id: first.id + 1n });
    now += 1001;
    const fresh = book.offer(request());
    expect(fresh.position).toBe(log.head());
    expect(fresh.outputs.some(({ script: to }) => Buffer.compare(to, script("newcomer")) === 0)).toBe(true);
  });

  test("a split is committed before a share that was made from it", async () => {
    now += 2000;
    const offered = book.offer(request());
    await append(log, share("made from it", { splitId: offered.id, pin: offered.position }));
    const { rows } = await database.pool.query(
      "SELECT count(*)::int AS n FROM shares s JOIN splits p ON p.id = s.split WHERE s.hash = $1",
      [Buffer.from(share("made from it").hash)],
    );
    expect(rows).toEqual([{ n: 1 }]);
  });

  test("a restart rebuilds the same numbers, whatever the window", async () => {
    for (let tip = 0; tip < 6; tip++) {
      await log.openSegment(hash(`tip ${tip}`));
      await addShares(`restart ${tip}`, 25, (i) => ({
        weight: 2n ** BigInt(i % 12),
        prevhash: hash(`tip ${tip}`),
        tentative: i % 5 === 0,
      }));
    }
    await log.voidTentative(hash("tip 2"));
    await log.voidTentative(hash("tip 5"));
    expect(await checkBooks(database)).toEqual([]);
    const sizes = [1n, 100n, 1000n, 9999n, 12_345n, 50_000n, 10_000_000n];
    const before = sizes.map((units) => book.weigh(units));
    now += 2000;
    const splitBefore = book.preview(VALUE, PARENT);
    await log.close();
    await database.close();
    database = await openDatabase({ embedded: { dataDir: home.path } }, { log: logger });
    log = await ShareLog.open(database, { operatorScript: OPERATOR });
    book = await open();
    expect(sizes.map((units) => book.weigh(units))).toEqual(before);
    expect(book.preview(VALUE, PARENT)).toEqual(splitBefore);
    expect(log.nextSplitId()).toBeGreaterThan(1n);
  });

  test("a window that reaches back past memory gets an empty split and then, read again, the right one", async () => {
    const small = await open({}, { windowSize: () => size });
    size = 10n;
    // A small window keeps little in memory...
    for (let tip = 0; tip < 3; tip++) {
      await log.openSegment(hash(`forget ${tip}`));
      await addShares(`forget ${tip}`, 20);
      now += 2000;
      small.offer(request());
    }
    size = 50_000n;
    now += 2000;
    // ...so a larger one is not answered from a part of the log.
    expect(small.offer(request())).toMatchObject({ id: 0n, outputs: [] });
    expect(logger.lines.at(-1)?.message).toContain("past what is in memory");
    await until(() => small.weigh(50_000n).complete, "older segments are read");
    const fresh = await open();
    expect(small.weigh(50_000n)).toEqual(fresh.weigh(50_000n));
    expect(small.preview(VALUE, PARENT)).toEqual(fresh.preview(VALUE, PARENT));
    expect(small.preview(VALUE, PARENT).length).toBeGreaterThan(0);
  });

  test("a window that shrinks for a moment lets nothing go that the one before it needs", async () => {
    size = 50_000n;
    const steady = await open({}, { windowSize: () => size });
    const before = steady.preview(VALUE, PARENT);
    size = 10n;
    expect(steady.preview(VALUE, PARENT).length).toBeGreaterThan(0);
    size = 50_000n;
    expect(steady.preview(VALUE, PARENT)).toEqual(before);
  });

  test("a snapshot may not be kept longer than five minutes", async () => {
    await expect(async () => open({ snapshotMs: 300_001 })).rejects.toThrow(RangeError);
  });

  test("a scheme that fails is the caller's to hear of", async () => {
    const scheme: Scheme = {
      ...tides(),
      earned: () => {
        throw new RangeError("no");
      },
    };
    const broken = await open({}, { scheme });
    expect(() => broken.offer(request())).toThrow("no");
  });

  test("a session is its gateway's for ever, with a prime id of its own and its recent splits", async () => {
    const sessions = new Sessions(database, () => now);
    const [a, b, again] = [
      await sessions.open(hash("gateway a"), "v1"),
      await sessions.open(hash("gateway b"), "v\0"),
      await sessions.open(hash("gateway a"), "v2"),
    ];
    expect(a.primeId).toBeGreaterThan(0);
    expect(b.primeId).not.toBe(a.primeId);
    expect(again).toEqual(a);
    // Both connections of one new gateway at once: one session.
    const both = await Promise.all([sessions.open(hash("gateway c"), "v"), sessions.open(hash("gateway c"), "v")]);
    expect(both[0]).toEqual(both[1]);
    size = 1_000_000n;
    now += 2000;
    const offers = [1, 2, 3].map((coinbaserId) =>
      book.offer({ sessionId: a.id, coinbaserId, value: VALUE + BigInt(coinbaserId), prevhash: PARENT }),
    );
    await log.exclusive("wait for the commit", async () => undefined);
    const { splits } = await sessions.open(hash("gateway a"), "v2");
    expect(splits.map(({ id, coinbaserId, value, position }) => ({ id, coinbaserId, value, position }))).toEqual(
      offers.map(({ id, coinbaserId, value, position }) => ({ id, coinbaserId, value, position })),
    );
    expect(splits[0]?.outputs.map(({ script: to, value }) => [value, to])).toEqual(
      offers[0]?.outputs.map(({ script: to, value }) => [value, to]),
    );
    now += 600_001;
    expect((await sessions.open(hash("gateway a"), "v2")).splits).toEqual([]);
  });

  test("prime ids end at 2^32 - 1 with a clear error, and never begin again", async () => {
    const sessions = new Sessions(database, () => now);
    await database.pool.query("SELECT setval('prime_ids', 4294967294)");
    expect((await sessions.open(hash("gateway last"), "")).primeId).toBe(4_294_967_295);
    await expect(sessions.open(hash("gateway none"), "")).rejects.toMatchObject({ code: "ledger.primeIdsExhausted" });
  });

  test("a block is recorded once, keeps its outcome, and is found again until the node has answered", async () => {
    const blocks = new Blocks(database, () => now);
    const block = {
      hash: hash("block"),
      header: new Uint8Array(80).fill(7),
      coinbase: Uint8Array.from([1, 2, 3]),
      parent: { hash: PARENT },
      height: 840_001,
      coinbaseValue: VALUE,
      transactionCount: 12,
      sessionId: 1n,
      splitId: undefined,
      pin: 9n,
      username: Uint8Array.from([0xff, 0x00]),
    };
    expect(await blocks.record(block)).toBe(true);
    expect(await blocks.record(block)).toBe(false);
    expect(await blocks.open()).toEqual([{ hash: block.hash, raw: undefined }]);
    await blocks.setRaw(block.hash, Uint8Array.from([9, 9]));
    expect(await blocks.open()).toEqual([{ hash: block.hash, raw: Uint8Array.from([9, 9]) }]);
    await blocks.setOutcome(block.hash, "accepted");
    await blocks.setOutcome(block.hash, "refused", "duplicate");
    expect(await blocks.open()).toEqual([]);
    expect(await blocks.find(block.hash)).toMatchObject({
      status: "accepted",
      outcome: undefined,
      coinbaseValue: VALUE,
      splitId: undefined,
      pin: 9n,
      height: 840_001,
    });
    expect(await blocks.find(hash("no block"))).toBeUndefined();
    expect(await blocks.recent(5)).toHaveLength(1);
    // What its gateway claimed of it may be more than a column holds: the block is recorded all the same.
    const claimed = { ...block, hash: hash("lie"), height: 0xffffffff, coinbaseValue: 2n ** 64n - 1n, transactionCount: 0xffffffff };
    expect(await blocks.record(claimed)).toBe(true);
    expect(await blocks.find(claimed.hash)).toMatchObject({
      height: 2 ** 31 - 1,
      coinbaseValue: 2n ** 63n - 1n,
      transactionCount: 2 ** 31 - 1,
    });
  });

  test("the check of the books names what is wrong", async () => {
    expect(await checkBooks(database)).toEqual([]);
    await database.pool.query(
      "UPDATE segment_weights SET weight = weight + 1 WHERE (segment, account, worker) = (SELECT segment, account, worker FROM segment_weights LIMIT 1)",
    );
    await database.pool.query("UPDATE voids SET weight = weight + 1 WHERE position = (SELECT max(position) FROM voids)");
    await database.pool.query("UPDATE shares SET position = 1000000 WHERE position = 1");
    const differences = await checkBooks(database);
    expect(new Set(differences.map(({ kind }) => kind))).toEqual(new Set(["sums", "void", "position"]));
  });
});
