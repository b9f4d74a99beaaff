/** Splits over the durable log, sessions and blocks, on the embedded database. */
import { EMPTY_WINDOW, perShare, type Scheme, solo, tides, type WindowWeights } from "@openprime/rewards";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import {
  checkBooks,
  type Database,
  findSplit,
  type LoggedShare,
  openDatabase,
  Sessions,
  ShareLog,
  SplitBook,
  type SplitBookModules,
  type SplitBookOptions,
} from "../../src/ledger/index.js";
import { FakeBalances } from "./fake-balances.js";
import { append, hash, MemoryLogger, OPERATOR, script, share, temporaryDirectory, until } from "./support.js";

const PARENT = hash("tip");
const VALUE = 312_500_000n;
const DIFFICULTY_ONE = 10n ** 60n;

/** Earns like TIDES; the window is as large as the target says. */
const windowed: Scheme = { ...tides(), window: { kind: "difficulty", size: ({ difficultyOne, target }) => difficultyOne / target } };
/** The scheme, and a look at each window that it divides over. */
const watched = (scheme: Scheme, look: (window: WindowWeights) => void): Scheme => ({
  ...scheme,
  earned: (block, window, only) => {
    look(window);
    return scheme.earned(block, window, only);
  },
});

describe("split book", () => {
  const home = temporaryDirectory();
  const logger = new MemoryLogger();
  let database: Database;
  let log: ShareLog;
  let now = 1_790_000_000_000;
  let size: bigint | undefined = 1_000_000n;
  /** Nobody's: no parent of these tests is the followed tip unless a test says so. */
  let balances = new FakeBalances(hash("no tip"));

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
      { dust: 546n, threshold: 546n, inactiveBlocks: 1000, mode: "direct", feePpm: 20_000, ...options },
      {
        log,
        scheme: windowed,
        balances,
        targets: () => (size === undefined ? undefined : { difficultyOne: DIFFICULTY_ONE, target: DIFFICULTY_ONE / size }),
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
    const outputs = offered.outputs.map(({ script: to, value }) => ({ script: to, value }));
    expect(await findSplit(database, offered.id)).toEqual({
      ...offered,
      outputs,
      sessionId: 99n,
      finder: undefined,
      feePpm: 20_000,
      scheme: { name: "tides", multiplier: 8n },
      offeredAt: now,
    });
    expect(await findSplit(database, offered.id + 1n)).toBeUndefined();
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

  test("a split is given out for five minutes at most, even while no share comes", async () => {
    const weighed = new Set<WindowWeights>();
    const scheme = watched(windowed, (window) => weighed.add(window));
    const steady = await open({ snapshotMs: 60_000 }, { scheme });
    steady.offer(request());
    now += 300_000;
    steady.offer(request());
    expect(weighed.size).toBe(1);
    now += 1;
    steady.offer(request());
    expect(weighed.size).toBe(2);
    await addShares("moves on", 1);
    now += 60_000;
    steady.offer(request());
    expect(weighed.size).toBe(2);
    now += 1;
    expect(steady.offer(request()).position).toBe(log.head());
    expect(weighed.size).toBe(3);
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
    const small = await open();
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

  describe("balances", () => {
    const accountOf = (name: string | number) => log.directory.accountOf(script(name))?.id as number;
    const paidTo = (rows: readonly { script: Uint8Array; value: bigint }[], name: string | number) =>
      rows.find(({ script: to }) => Buffer.compare(to, script(name)) === 0)?.value;

    beforeAll(() => {
      size = 1_000_000n;
    });
    beforeEach(() => {
      now += 2000;
      balances = new FakeBalances(PARENT);
    });
    afterAll(() => {
      balances = new FakeBalances(hash("no tip"));
    });

    test("are paid on top of the earning, on their own chain only", async () => {
      const own = await open();
      const plain = own.preview(VALUE, PARENT);
      balances.set(accountOf(1), { balance: 5_000_000n });
      balances.set(accountOf(2), { balance: -1000n });
      const [first, second] = [paidTo(plain, 1) as bigint, paidTo(plain, 2) as bigint];
      const rows = own.preview(VALUE + 5_000_000n, PARENT);
      const elsewhere = own.preview(VALUE + 5_000_000n, hash("another tip"));
      expect(paidTo(rows, 1)).toBe((paidTo(elsewhere, 1) as bigint) + 5_000_000n);
      expect(paidTo(rows, 2)).toBe((paidTo(elsewhere, 2) as bigint) - 1000n);
      expect(own.preview(VALUE, hash("another tip"))).toEqual(plain);
      expect(paidTo(own.preview(VALUE, PARENT), 1)).toBe(first + 5_000_000n);
      expect(paidTo(own.preview(VALUE, PARENT), 2)).toBe(second - 1000n);
    });

    test("a new tip or a new entry never meets rows of the one before it, at the same moment and for the same value", async () => {
      const own = await open();
      balances.set(accountOf(1), { balance: 7_000_000n });
      const before = own.offer(request());
      // The block that paid it joined the chain.
      balances.set(accountOf(1), { balance: 0n });
      const after = own.offer(request());
      expect(paidTo(before.outputs, 1)).toBe((paidTo(after.outputs, 1) as bigint) + 7_000_000n);
      balances.set(accountOf(1), { balance: 9_000_000n });
      balances.tip = hash("next");
      expect(own.offer(request()).outputs).toEqual(after.outputs);
      const next = own.offer({ ...request(), prevhash: hash("next") });
      expect(paidTo(next.outputs, 1)).toBe((paidTo(after.outputs, 1) as bigint) + 9_000_000n);
      // And back again, by a reorg that took no entry.
      balances.tip = PARENT;
      expect(own.offer(request()).outputs).toEqual(next.outputs);
    });

    test("thresholds: the pool's, an account's own, and the dust floors under both", async () => {
      const own = await open({ threshold: 40_000_000n }, { payee: () => ({ dustLimit: 10_000n, legacySigops: false }) });
      const all = new Map((await open()).preview(VALUE, PARENT).map((row) => [row.account, row.value]));
      const expected = (least: (account: number) => bigint) => [...all].filter(([id, value]) => value >= least(id)).map(([id]) => id);
      const paid = (rows: readonly { account: number }[]) => new Set(rows.map(({ account }) => account));
      expect(paid(own.preview(VALUE, PARENT))).toEqual(new Set(expected(() => 40_000_000n)));
      const [small = 0] = expected((id) => ((all.get(id) as bigint) < 40_000_000n ? 0n : VALUE));
      balances.thresholds.set(small, 1n);
      now += 300_001;
      expect(paid(own.preview(VALUE, PARENT))).toEqual(new Set(expected((id) => (id === small ? 1n : 40_000_000n))));
      // Its own threshold holds where the balances don't; an earning under the script's dust limit is no output.
      expect(paid(own.preview(VALUE, hash("another tip"))).has(small)).toBe(true);
      const part = ((9_999n * VALUE) / (all.get(small) as bigint)) as bigint;
      expect(paid(own.preview(part, PARENT)).has(small)).toBe(false);
      expect(paid(own.preview(part * 2n, PARENT)).has(small)).toBe(true);
    });

    test("an account that is gone for long is paid from the dust floor on", async () => {
      await append(log, share("gone", { account: script("gone"), prevhash: PARENT, tentative: true, height: 1 }));
      await append(log, share("mouse", { account: script("mouse"), prevhash: PARENT, tentative: true, height: 1 }));
      await log.voidTentative(PARENT);
      const own = await open({ threshold: 1_000_000n, inactiveBlocks: 100, dust: 600n });
      balances.height = 1000;
      const at = (balance: bigint, lastEarned: number | undefined, name: string | number = "gone") => {
        balances.set(accountOf(name), { balance, lastEarned });
        return paidTo(own.preview(VALUE + 2_000_000n, PARENT), name);
      };
      // The block that is asked for has height 1001.
      expect(at(999_999n, 902)).toBeUndefined();
      expect(at(999_999n, 901)).toBe(999_999n);
      expect(at(600n, 1)).toBe(600n);
      expect(at(599n, 1)).toBeUndefined();
      expect(at(999_999n, undefined)).toBeUndefined();
      expect(at(1_000_000n, undefined)).toBe(1_000_000n);
      balances.set(accountOf("gone"), { balance: 0n });
      // In the window: its threshold holds, however long ago a block was found.
      const [working] = own.weigh(1_000_000n).accounts;
      balances.thresholds.set(working as number, 10n * VALUE);
      balances.set(working as number, { balance: 5_000_000n, lastEarned: 1 });
      expect(own.preview(VALUE, PARENT).some(({ account }) => account === working)).toBe(false);
    });

    test("accounts that are not in memory are read before a split leaves them out", async () => {
      const stranger = await database.pool.query<{ id: number }>(
        "INSERT INTO accounts (script, kind, address) VALUES ($1, 'miner', '') RETURNING id",
        [Buffer.from(script("stranger"))],
      );
      const own = await open();
      balances.set(stranger.rows[0]?.id as number, { balance: 3_000_000n });
      expect(own.offer(request())).toMatchObject({ id: 0n, outputs: [] });
      await until(() => own.preview(VALUE + 3_000_000n, PARENT).length > 0, "the account is read");
      expect(paidTo(own.preview(VALUE + 3_000_000n, PARENT), "stranger")).toBe(3_000_000n);
      balances.set(accountOf("stranger"), { balance: 4_000_000n });
      expect(paidTo(own.offer(request(VALUE + 4_000_000n)).outputs, "stranger")).toBe(4_000_000n);
    });

    test("what the pool's own script is owed is never an output", async () => {
      balances.set(log.directory.accountOf(OPERATOR)?.id as number, { balance: 50_000_000n });
      const rows = (await open()).preview(VALUE + 50_000_000n, PARENT);
      expect(rows.length).toBeGreaterThan(0);
      expect(rows.some(({ script: to }) => Buffer.compare(to, OPERATOR) === 0)).toBe(false);
    });

    test("coinbase: pool. Nobody is paid, and the work is pinned to the head", async () => {
      balances.set(accountOf(1), { balance: 5_000_000n });
      const own = await open({ mode: "pool" });
      const before = log.nextSplitId();
      expect(own.offer(request())).toMatchObject({ id: 0n, outputs: [], position: log.head() });
      expect(own.preview(VALUE, PARENT)).toEqual([]);
      expect(own.earnings(VALUE, PARENT)?.accounts.length).toBeGreaterThan(0);
      expect(log.nextSplitId()).toBe(before);
    });

    test("the finder's split: his own, with the fee, and stored as his; none for a stranger", async () => {
      const own = await open({ feePpm: 15_000 }, { scheme: solo() });
      expect(own.offer(request()).outputs).toEqual([]);
      expect(own.offer({ ...request(), finder: script("nobody yet") }).outputs).toEqual([]);
      expect(own.earnings(VALUE, PARENT)).toBeUndefined();
      const [one, two] = [1, 2].map((name) => own.offer({ ...request(), finder: script(name) }));
      expect(one?.outputs.map(({ script: to, value }) => [to, value])).toEqual([[script(1), (VALUE * 985n) / 1000n]]);
      expect(two?.outputs.map(({ script: to, value }) => [to, value])).toEqual([[script(2), (VALUE * 985n) / 1000n]]);
      expect(one?.position).toBe(log.head());
      expect(own.preview(VALUE, PARENT, script(2))).toEqual(two?.outputs);
      expect(own.earnings(VALUE, PARENT, script(2))).toMatchObject({ fee: (VALUE * 15n) / 1000n, accounts: [accountOf(2)] });
      await log.exclusive("wait for the commit", async () => undefined);
      expect(await findSplit(database, two?.id as bigint)).toMatchObject({ finder: accountOf(2), feePpm: 15_000 });
    });

    test("shares that are paid one by one: a block pays balances alone", async () => {
      const own = await open({ threshold: 100_000n }, { scheme: perShare("pps") });
      expect(own.offer(request()).outputs).toEqual([]);
      balances.set(accountOf(1), { balance: 100_000n });
      balances.set(accountOf(2), { balance: 99_999n });
      expect(own.offer(request()).outputs.map(({ script: to, value }) => [to, value])).toEqual([[script(1), 100_000n]]);
      expect(own.offer({ ...request(), prevhash: hash("another tip") }).outputs).toEqual([]);
    });

    test("a window that counts blocks reaches back to their pins, follows shares and voids, and a restart weighs the same", async () => {
      const seen: WindowWeights[] = [];
      const scheme = watched({ ...windowed, window: { kind: "blocks", count: 2 } }, (window) => seen.push(window));
      const weighed = (window: WindowWeights | undefined) => (window === undefined ? undefined : window.totalWeight / window.denominator);
      const total = async () => BigInt((await database.pool.query("SELECT sum(weight) AS w FROM segment_weights")).rows[0].w);
      const own = await open({}, { scheme });
      const start = await total();
      own.preview(VALUE, PARENT);
      // Fewer blocks than it counts: the whole log.
      expect(weighed(seen.at(-1))).toBe(start);
      balances.blockWeights = [10n, start - 5000n, start];
      balances.entry();
      await addShares("since", 3, () => ({ tentative: true, weight: 2048n }));
      now += 2000;
      own.preview(VALUE, PARENT);
      expect(weighed(seen.at(-1))).toBe(5000n + 3n * 2048n);
      // The same for a parent that the books don't follow.
      own.preview(VALUE, hash("another tip"));
      expect(weighed(seen.at(-1))).toBe(5000n + 3n * 2048n);
      expect(await log.voidTentative(PARENT)).toBe(3);
      const rows = own.preview(VALUE, PARENT);
      expect(weighed(seen.at(-1))).toBe(5000n);
      expect((await open({}, { scheme })).preview(VALUE, PARENT)).toEqual(rows);
      expect(await total()).toBe(start);
    });

    test("shares of segments that are paid one by one are in no window, followed or read, before or after they are taken back", async () => {
      const worth = { bits: 1, subsidy: 1n, averageFees: 0n };
      const blocks: Scheme = { ...windowed, window: { kind: "blocks", count: 2 } };
      balances.blockWeights = [0n, 0n];
      const [own, counting] = [await open(), await open({}, { scheme: blocks })];
      const sizes = [1n, 1000n, 30_000n, 10n ** 9n];
      const seen = (one: SplitBook) => [...sizes.map((units) => one.weigh(units)), one.earnings(VALUE, hash("elsewhere"))];
      const before = [seen(own), seen(counting)];
      await log.openSegment(hash("paid 1"), worth);
      await addShares("paid 1", 9, (i) => ({ prevhash: hash(`paid ${i % 2}`), tentative: true, account: script(`paid ${i}`) }));
      // One that is opened while such a segment is open, and one that reads it.
      const during = await open();
      await log.openSegment(hash("paid 2"), worth);
      await addShares("paid 2", 3, () => ({ account: script("paid") }));
      expect(await log.voidTentative(hash("paid 0"))).toBe(5);
      now += 2000;
      expect([seen(own), seen(counting)]).toEqual(before);
      expect(seen(during)).toEqual(before[0]);
      await log.openSegment(hash("not paid"));
      await addShares("not paid", 3, () => ({ account: script("not paid") }));
      expect(await log.voidTentative(hash("paid 1"))).toBe(4);
      now += 2000;
      const after = [seen(own), seen(counting)];
      expect(after).not.toEqual(before);
      expect([seen(during), seen(await open())]).toEqual([after[0], after[0]]);
      expect(seen(await open({}, { scheme: blocks }))).toEqual(after[1]);
      expect(logger.lines.filter(({ level }) => level === "error")).toEqual([]);
    });
  });

  test("a window that shrinks for a moment lets nothing go that the one before it needs", async () => {
    size = 50_000n;
    const steady = await open();
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
      ...windowed,
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

test("a log of segments that are paid one by one is an empty window, however many there are", async () => {
  const home = temporaryDirectory();
  const logger = new MemoryLogger();
  const database = await openDatabase({ embedded: { dataDir: home.path } }, { log: logger });
  const log = await ShareLog.open(database, { operatorScript: OPERATOR });
  const open = () =>
    SplitBook.open(
      { dust: 546n, threshold: 546n, inactiveBlocks: 1000, mode: "direct", feePpm: 0 },
      {
        ...{ log, logger, scheme: windowed, balances: new FakeBalances(hash("no tip")), now: () => 0 },
        targets: () => ({ difficultyOne: DIFFICULTY_ONE, target: DIFFICULTY_ONE / 10_000n }),
        maxValue: () => 10n * VALUE,
        payee: () => ({ dustLimit: 294n, legacySigops: false }),
      },
    );
  await database.pool.query("UPDATE segments SET bits = 1, subsidy = 1, average_fees = 0");
  for (let i = 0; i < 130; i++) await log.openSegment(hash("paid"), { bits: 1, subsidy: 1n, averageFees: 0n });
  await append(log, share("paid"));
  const followed = await open();
  expect(followed.weigh(10_000n)).toEqual(EMPTY_WINDOW);
  // More than one read of segments that count, the last of them full.
  for (let i = 0; i < 256; i++) await log.openSegment(hash("tip"));
  await append(log, share("counts"));
  for (const book of [followed, await open()]) {
    expect(book.weigh(10_000n)).toMatchObject({ totalWeight: 1024n, complete: true });
    expect(book.preview(VALUE, PARENT).map(({ value }) => value)).toEqual([VALUE - VALUE / 100n]);
  }
  await log.close();
  await database.close();
  home.remove();
});

describe("the end of a segment", () => {
  const home = temporaryDirectory();
  const logger = new MemoryLogger();
  let database: Database;
  let log: ShareLog;
  let count = 0;

  beforeAll(async () => {
    database = await openDatabase({ embedded: { dataDir: home.path } }, { log: logger });
  });
  beforeEach(async () => {
    logger.lines.length = 0;
    log = await ShareLog.open(database, { operatorScript: OPERATOR });
  });
  afterEach(async () => {
    await log.close();
    vi.restoreAllMocks();
  });
  afterAll(async () => {
    await database.close();
    home.remove();
  });

  const open = (size: () => bigint | undefined, scheme: Scheme = windowed) =>
    SplitBook.open(
      { dust: 546n, threshold: 546n, inactiveBlocks: 1000, mode: "direct", feePpm: 0 },
      {
        log,
        scheme,
        balances: new FakeBalances(hash("no tip")),
        targets: () => {
          const units = size();
          return units === undefined ? undefined : { difficultyOne: DIFFICULTY_ONE, target: DIFFICULTY_ONE / units };
        },
        maxValue: () => 10n * VALUE,
        payee: () => ({ dustLimit: 294n, legacySigops: false }),
        now: () => 0,
        logger,
      },
    );
  const mine = (shares: number, weight: bigint) =>
    Promise.all(
      Array.from({ length: shares }, () => append(log, share(`end ${count++}`, { prevhash: PARENT, account: script(count % 5), weight }))),
    );
  const settled = () => log.exclusive("wait", async () => undefined);

  test("comes with the tip, or when it weighs its part of the window and has shares enough; asked for once, however long that takes", async () => {
    const first = await log.openSegment(hash("end tip 1"));
    const book = await open(() => 512n * 5000n);
    const cut = vi.spyOn(log, "cutSegment");
    await mine(4095, 10n);
    expect(book.weigh(10n ** 12n).totalWeight).toBeGreaterThan(5000n);
    expect(cut).not.toHaveBeenCalled();
    // All these are queued before the segment can end.
    await mine(5000, 1n);
    await settled();
    expect(cut.mock.calls).toEqual([[first]]);
    expect(log.segment).toBe(first + 1);
    // Shares enough, too little weight.
    await mine(4999, 1n);
    await settled();
    expect(log.segment).toBe(first + 1);
    await mine(1, 1n);
    await settled();
    expect(log.segment).toBe(first + 2);
    expect(log.prevhash).toEqual(hash("end tip 1"));
    // The tip ends one too, and counting begins again.
    await mine(4000, 10n);
    await log.openSegment(hash("end tip 2"));
    await mine(4000, 10n);
    await settled();
    expect(log.segment).toBe(first + 3);
    expect(await checkBooks(database)).toEqual([]);
  });

  test("after a restart what the open segment weighs is known, and the window of cut segments weighs the same", async () => {
    const first = await log.openSegment(hash("end tip 3"));
    let book = await open(() => 512n * 20_000n);
    await mine(4000, 4n);
    const sizes = [10n, 9_999n, 16_000n, 30_001n, 60_000n];
    const before = sizes.map((size) => book.weigh(size));
    await log.close();
    log = await ShareLog.open(database, { operatorScript: OPERATOR });
    book = await open(() => 512n * 20_000n);
    expect(sizes.map((size) => book.weigh(size))).toEqual(before);
    await mine(4096, 1n);
    await settled();
    expect(log.segment).toBe(first + 1);
    expect(log.prevhash).toEqual(Buffer.from(hash("end tip 3")));
  });

  test("comes with the tip alone where the window counts blocks, where there is none, and where its size is not known", async () => {
    await log.openSegment(hash("end tip 4"));
    const cut = vi.spyOn(log, "cutSegment");
    await open(() => 8n, { ...windowed, window: { kind: "blocks", count: 2 } });
    await open(() => 8n, solo());
    await open(() => 8n, perShare("pps"));
    await open(() => undefined);
    await mine(4200, 1n);
    expect(cut).not.toHaveBeenCalled();
  });

  test("that fails is told, and asked for again after as many shares more", async () => {
    const first = await log.openSegment(hash("end tip 5"));
    await open(() => 8n);
    const cut = vi.spyOn(log, "cutSegment").mockRejectedValueOnce(new Error("no luck"));
    await mine(8100, 1n);
    expect(cut).toHaveBeenCalledTimes(1);
    expect(logger.lines.filter(({ level }) => level === "error")).toEqual([
      { level: "error", fields: { segment: first, error: "no luck" }, message: "cutting a segment of the share log failed" },
    ]);
    // The rest of the batch that asked is counted before the failure is heard of.
    await mine(1200, 1n);
    await settled();
    expect(cut).toHaveBeenCalledTimes(2);
    expect(log.segment).toBe(first + 1);
  });
});
