/** The share log on a real database, the embedded one and, where there is one, the operator's own. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  type AppendOutcome,
  accountWeights,
  bookCounts,
  checkBooks,
  type Database,
  openDatabase,
  ShareLog,
  type ShareLogOptions,
} from "../../src/ledger/index.js";
import {
  administer,
  append,
  externalServer,
  hash,
  MemoryLogger,
  OPERATOR,
  script,
  share,
  type TestDatabase,
  testDatabase,
  until,
} from "./support.js";

const server = await externalServer();

describe.each(["embedded", "external"] as const)("share log on the %s database", (kind) => {
  describe.skipIf(kind === "external" && server === undefined)("with a server", () => {
    let home: TestDatabase;
    let database: Database;
    let log: ShareLog | undefined;

    beforeAll(async () => {
      home = await testDatabase(kind, server);
      database = await openDatabase(home.options, { log: new MemoryLogger() });
    });
    afterEach(async () => {
      await log?.close();
      log = undefined;
      expect(await checkBooks(database)).toEqual([]);
    });
    afterAll(async () => {
      await database?.close();
      await home?.remove();
    });

    const open = async (options: Partial<ShareLogOptions> = {}): Promise<ShareLog> => {
      log = await ShareLog.open(database, { operatorScript: OPERATOR, ...options });
      return log;
    };
    const rows = async (sql: string, parameters: unknown[] = []) => (await database.pool.query(sql, parameters)).rows;

    test("a share is stored as it came", async () => {
      const entry = share("stored", {
        prevhash: hash("parent stored"),
        weight: 2n ** 63n,
        targetByte: 63,
        splitId: 7n,
        pin: 5n,
        tentative: true,
        coinbaseId: 255,
      });
      const before = (await open()).head();
      expect(await append(log as ShareLog, entry)).toBe("committed");
      const [row] = await rows(
        `SELECT s.*, r.prevhash, a.script, a.address, w.name, extract(epoch FROM received_at) * 1000 AS ms
         FROM shares s JOIN rounds r ON r.id = s.round JOIN accounts a ON a.id = s.account JOIN workers w ON w.id = s.worker WHERE s.hash = $1`,
        [Buffer.from(entry.hash)],
      );
      expect(row).toMatchObject({
        position: String(before + 1n),
        session: "1",
        split: "7",
        pin: "5",
        ntime: "4000000000",
        fee_ppm: 10_000,
        height: 840_000,
        target_byte: 63,
        coinbase_id: 255,
        tentative: true,
        weight: String(2n ** 63n),
        address: "bc1qminer",
        name: "rig",
      });
      expect(Uint8Array.from(row.hash)).toEqual(entry.hash);
      expect(Uint8Array.from(row.prevhash)).toEqual(entry.prevhash);
      expect(Uint8Array.from(row.script)).toEqual(entry.account);
      expect(Number(row.ms)).toBe(entry.receivedAt);
    });

    test("a hash counts once in its round: within a batch, in a later batch, after a restart; another round is another share", async () => {
      await open();
      const twice = share("twice");
      const outcomes = await Promise.all(
        [twice, twice, share("other"), { ...twice, account: script(9) }].map((entry) => append(log as ShareLog, entry)),
      );
      expect(outcomes).toEqual(["committed", "duplicate", "committed", "duplicate"]);
      expect(await append(log as ShareLog, twice)).toBe("duplicate");
      await log?.close();
      await open();
      expect(await append(log as ShareLog, twice)).toBe("duplicate");
      expect(await append(log as ShareLog, { ...twice, prevhash: hash("parent 2") })).toBe("committed");
    });

    test("positions rise in the order of appending, and head() is the last committed one", async () => {
      await open({ maxBatch: 7 });
      const start = (log as ShareLog).head();
      const entries = Array.from({ length: 50 }, (_, i) => share(`order ${i}`, { prevhash: hash("parent order") }));
      const heads: bigint[] = [];
      await Promise.all(entries.map((entry) => append(log as ShareLog, entry).then(() => heads.push((log as ShareLog).head()))));
      const stored = await rows("SELECT hash FROM shares JOIN rounds r ON r.id = round WHERE prevhash = $1 ORDER BY position", [
        Buffer.from(hash("parent order")),
      ]);
      expect(stored.map((row) => Buffer.from(row.hash).toString("hex"))).toEqual(
        entries.map((entry) => Buffer.from(entry.hash).toString("hex")),
      );
      expect((log as ShareLog).head()).toBe(start + 50n);
      expect(heads).toEqual([...heads].sort((a, b) => Number(a - b)));
      await log?.close();
      expect((await open()).head()).toBe(start + 50n);
    });

    test("sums hold what was inserted, by account and worker, for two spellings of an address too", async () => {
      await open();
      const account = script("sums");
      const outcomes = await Promise.all(
        Array.from({ length: 40 }, (_, i) =>
          append(
            log as ShareLog,
            share(`sum ${i % 30}`, {
              prevhash: hash("parent sums"),
              account: Uint8Array.from(account),
              address: i % 2 ? "BC1QSUMS" : "bc1qsums",
              worker: `w${i % 3}`,
              weight: 2n ** 62n,
              feePpm: i % 2 ? 0 : 20_000,
            }),
          ),
        ),
      );
      expect(outcomes.filter((outcome) => outcome === "committed")).toHaveLength(30);
      const total = (await accountWeights(database)).find((entry) => Buffer.compare(entry.script, account) === 0);
      expect(total).toMatchObject({ shares: 30n, weight: 30n * 2n ** 62n, feeWeight: 15n * 20_000n * 2n ** 62n, operator: false });
      const [workers] = await rows("SELECT count(*)::int AS n FROM workers WHERE account = $1", [total?.account]);
      expect(workers.n).toBe(3);
    });

    test("a full queue refuses, and takes again when it has drained", async () => {
      await open({ maxQueue: 3, maxBatch: 2 });
      const outcomes: AppendOutcome[] = [];
      const taken = Array.from({ length: 5 }, (_, i) => (log as ShareLog).append(share(`full ${i}`), (outcome) => outcomes.push(outcome)));
      expect(taken).toEqual([true, true, true, false, false]);
      await until(() => outcomes.length === 3, "the queue drains");
      expect(await append(log as ShareLog, share("full again"))).toBe("committed");
    });

    test("closing commits what is queued, and then takes nothing", async () => {
      const closing = await open();
      const outcomes = Promise.all(Array.from({ length: 2500 }, (_, i) => append(closing, share(`closing ${i}`))));
      await closing.close();
      expect(new Set(await outcomes)).toEqual(new Set(["committed"]));
      expect(closing.state).toBe("closed");
      expect(closing.append(share("late"), () => undefined)).toBe(false);
      await expect(closing.openSegment(undefined)).rejects.toMatchObject({ code: "ledger.closed" });
    });

    test("no split is taken while the database hangs: it could be lost after it was given away", async () => {
      const hanging = await open({ splitPatienceMs: 20 });
      const split = () => ({
        ...{ id: hanging.nextSplitId(), sessionId: 1n, coinbaserId: 1, value: 9n, prevhash: hash("parent"), outputs: [] },
        ...{ position: 0n, offeredAt: Date.now(), finder: undefined, feePpm: 0, scheme: undefined },
      });
      expect(hanging.appendSplit(split())).toBe(true);
      const client = await database.connect();
      try {
        await client.query("BEGIN");
        await client.query("LOCK TABLE splits IN ACCESS EXCLUSIVE MODE");
        const before = hanging.nextSplitId();
        await until(() => !hanging.appendSplit(split()), "a split that is not taken");
        const given = hanging.nextSplitId() - before;
        await client.query("COMMIT");
        await until(() => hanging.waiting === 0 && hanging.appendSplit(split()), "the log's return");
        await hanging.close();
        expect(await rows("SELECT count(*)::int AS count FROM splits WHERE id >= $1", [String(before)])).toEqual([
          { count: Number(given) + 1 },
        ]);
      } finally {
        await client.end();
      }
    });

    test("a segment is opened in the order of the queue", async () => {
      await open();
      const before = append(log as ShareLog, share("before the tip"));
      const first = (log as ShareLog).segment;
      const opened = (log as ShareLog).openSegment(hash("new tip"));
      const after = append(log as ShareLog, share("after the tip"));
      expect([await before, await opened, await after]).toEqual(["committed", first + 1, "committed"]);
      const segmentOf = async (seed: string) =>
        (await rows("SELECT segment FROM shares WHERE hash = $1", [Buffer.from(share(seed).hash)]))[0]?.segment;
      expect(await segmentOf("before the tip")).toBe(first);
      expect(await segmentOf("after the tip")).toBe(first + 1);
      await log?.close();
      expect((await open()).segment).toBe(first + 1);
    });

    test("a segment that is cut goes on, on its tip and with its figures, after a restart too; one that is not open is left alone", async () => {
      await open();
      const heard: unknown[] = [];
      const follow = () =>
        log?.follow({
          segmentOpened: (segment, worth) => heard.push([segment, worth]),
          shareCommitted: () => undefined,
          shareVoided: () => undefined,
        });
      follow();
      const worth = { bits: 0x170331db, subsidy: 312_500_000n, averageFees: 2n ** 53n };
      const tip = hash("cut tip").slice();
      const first = (await log?.openSegment(tip, worth)) as number;
      tip.fill(0);
      const before = append(log as ShareLog, share("before the cut"));
      const cuts = [log?.cutSegment(first), log?.cutSegment(first)];
      const after = append(log as ShareLog, share("after the cut"));
      expect(await Promise.all([before, ...cuts, after])).toEqual(["committed", first + 1, first + 1, "committed"]);
      await log?.close();
      await open();
      follow();
      expect(log?.prevhash).toEqual(Buffer.from(hash("cut tip")));
      expect(await log?.cutSegment(first)).toBe(first + 1);
      expect(await log?.cutSegment(first + 1)).toBe(first + 2);
      expect(heard).toEqual([first, first + 1, first + 2].map((id) => [id, worth]));
      const stored = await rows("SELECT * FROM segments WHERE id >= $1 ORDER BY id", [first]);
      for (const row of stored) {
        expect(row).toMatchObject({ prevhash: Buffer.from(hash("cut tip")), bits: String(worth.bits), subsidy: String(worth.subsidy) });
        expect(row.average_fees).toBe(String(worth.averageFees));
      }
      expect(stored.map(({ after_position }) => BigInt(after_position) - BigInt(stored[0].after_position))).toEqual([0n, 1n, 2n]);
      const segments = await rows("SELECT segment FROM shares WHERE hash = ANY ($1) ORDER BY position", [
        ["before the cut", "after the cut"].map((seed) => Buffer.from(share(seed).hash)),
      ]);
      expect(segments).toEqual([{ segment: first }, { segment: first + 1 }]);
      // A tip that came first has ended the segment already; and what is not known of a tip stays unknown.
      const next = log?.openSegment(hash("cut tip 2"), { bits: 1 });
      expect(await log?.cutSegment(first + 2)).toBe(await next);
      await log?.openSegment(undefined);
      await log?.cutSegment(first + 4);
      const plain = "SELECT prevhash, bits, subsidy, average_fees FROM segments WHERE id > $1 ORDER BY id";
      const none = { prevhash: null, bits: null, subsidy: null, average_fees: null };
      expect(await rows(plain, [first + 2])).toEqual([{ ...none, prevhash: Buffer.from(hash("cut tip 2")), bits: "1" }, none, none]);
      await log?.close();
      expect((await open()).prevhash).toBeUndefined();
    });

    test("tentative shares are taken back once, by entries of the log; confirmed ones stay", async () => {
      await open();
      const prevhash = hash("parent tentative");
      const account = script("tentative");
      const entries = Array.from({ length: 5 }, (_, i) => share(`tentative ${i}`, { prevhash, account, tentative: i < 3 }));
      await Promise.all(entries.map((entry) => append(log as ShareLog, entry)));
      await log?.openSegment(prevhash);
      const head = (log as ShareLog).head();
      expect(await log?.voidTentative(prevhash)).toBe(3);
      expect((log as ShareLog).head()).toBe(head + 3n);
      expect(await log?.voidTentative(prevhash)).toBe(0);
      expect(await log?.voidTentative(hash("no such parent"))).toBe(0);
      const weight = async () => (await accountWeights(database)).find((entry) => Buffer.compare(entry.script, account) === 0)?.weight;
      expect(await weight()).toBe(2n * 1024n);
      // What was taken back stays a duplicate, and what comes later can be taken back later.
      expect(await append(log as ShareLog, entries[0] as (typeof entries)[0])).toBe("duplicate");
      await append(log as ShareLog, share("tentative late", { prevhash, account, tentative: true }));
      expect(await log?.confirmRound(prevhash, 840_000)).toBe(1);
      expect(await log?.voidTentative(prevhash)).toBe(0);
      expect(await weight()).toBe(3n * 1024n);
      expect(await log?.confirmRound(hash("no such parent"), 1)).toBe(0);
    });

    test("a listener that throws does not keep the others from their answer", async () => {
      await open();
      (log as ShareLog).append(share("thrower"), () => {
        throw new Error("listener");
      });
      expect(await append(log as ShareLog, share("after thrower"))).toBe("committed");
    });

    test("an operation that is wrong in itself rejects, and the log goes on", async () => {
      await open();
      await expect((log as ShareLog).exclusive("nonsense", (client) => client.query("SELECT nonsense"))).rejects.toMatchObject({
        code: "42703",
      });
      await expect(
        (log as ShareLog).exclusive("bug", () => {
          throw new TypeError("a bug");
        }),
      ).rejects.toThrow("a bug");
      expect(await append(log as ShareLog, share("after nonsense"))).toBe("committed");
    });

    test("a share that the database can't hold is answered failed, its neighbours are not, and the log goes on", async () => {
      await open();
      const outcomes = await Promise.all(
        Array.from({ length: 30 }, (_, i) => append(log as ShareLog, share(`poison ${i}`, { worker: i === 11 ? "a\0b" : `p${i % 2}` }))),
      );
      expect(outcomes.map((outcome, i) => [i, outcome]).filter(([, outcome]) => outcome !== "committed")).toEqual([[11, "failed"]]);
      expect(await append(log as ShareLog, share("good", { worker: "a\u{10ffff}b" }))).toBe("committed");
    });

    test("a share that can't even be written down for the database does not take its neighbours along either", async () => {
      await open();
      await append(log as ShareLog, share("height known"));
      const outcomes = await Promise.all(
        Array.from({ length: 30 }, (_, i) => append(log as ShareLog, share(`height ${i}`, i === 11 ? { height: 0xffffffff } : {}))),
      );
      expect(outcomes.map((outcome, i) => [i, outcome]).filter(([, outcome]) => outcome !== "committed")).toEqual([[11, "failed"]]);
      expect(await append(log as ShareLog, share("height good"))).toBe("committed");
    });

    test("a round is confirmed for the shares that gave its height; the others can be taken back", async () => {
      await open();
      const prevhash = hash("parent height");
      const account = script("height");
      const entries = [840_000, 840_000, 840_007].map((height, i) => share(`h ${i}`, { prevhash, account, height, tentative: true }));
      await Promise.all(entries.map((entry) => append(log as ShareLog, entry)));
      expect(await log?.confirmRound(prevhash, 840_000)).toBe(2);
      expect(await log?.voidTentative(prevhash)).toBe(1);
      expect(
        (await rows("SELECT height FROM shares WHERE round = (SELECT id FROM rounds WHERE prevhash = $1) AND tentative", [prevhash])).map(
          ({ height }) => height,
        ),
      ).toEqual([840_007]);
    });

    test("connections that are cut are made again, and nothing is lost or doubled", async () => {
      const logger = database.log as MemoryLogger;
      await open({ gatherMs: 0, maxBatch: 20 });
      const outcomes: AppendOutcome[] = [];
      const total = 3000;
      let sent = 0;
      const feed = () => {
        for (let i = 0; i < 20 && sent < total; i++) {
          const entry = share(`cut ${sent++}`, { prevhash: hash("parent cut") });
          if (!(log as ShareLog).append(entry, (outcome) => outcomes.push(outcome))) throw new Error("full");
        }
        if (sent < total) setImmediate(feed);
      };
      feed();
      for (let i = 0; i < 5; i++) {
        await until(() => outcomes.length > (i * total) / 6, "progress");
        await rows(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%INSERT INTO shares%'",
        );
      }
      await until(() => outcomes.length === total, "all answers");
      expect(new Set(outcomes)).toEqual(new Set(["committed"]));
      const [{ n }] = await rows("SELECT count(*)::int AS n FROM shares JOIN rounds r ON r.id = round WHERE prevhash = $1", [
        Buffer.from(hash("parent cut")),
      ]);
      expect(n).toBe(total);
      expect(logger.lines.some(({ message }) => message.includes("waits for the database"))).toBe(true);
    });

    test("counts", async () => {
      await open();
      const before = await bookCounts(database);
      await append(log as ShareLog, share("counted", { account: script("counted"), weight: 4096n, prevhash: hash("parent counted") }));
      const after = await bookCounts(database);
      expect(after).toEqual({
        ...before,
        shares: before.shares + 1n,
        weight: before.weight + 4096n,
        accounts: before.accounts + 1n,
        workers: before.workers + 1n,
        rounds: before.rounds + 1n,
        position: before.position + 1n,
      });
    });
  });
});

describe.skipIf(server === undefined)("two writers", () => {
  test("a writer whose epoch is over changes nothing, and hears that it is out", async () => {
    const home = await testDatabase("external", server);
    const log = new MemoryLogger();
    const database = await openDatabase(home.options, { log });
    try {
      const shareLog = await ShareLog.open(database, { operatorScript: OPERATOR });
      expect(await append(shareLog, share("mine"))).toBe("committed");
      const fatal = new Promise((resolve) => database.once("fatal", resolve));
      await administer((home.options as { url: string }).url, "UPDATE openprime.log_state SET epoch = epoch + 1");
      expect(await append(shareLog, share("too late"))).toBe("failed");
      expect(await fatal).toMatchObject({ code: "ledger.fenced" });
      expect(shareLog.state).toBe("failed");
      expect(shareLog.append(share("later still"), () => undefined)).toBe(false);
      expect((await bookCounts(database)).shares).toBe(1n);
      expect(await checkBooks(database)).toEqual([]);
      await shareLog.close();
    } finally {
      await database.close();
      await home.remove();
    }
  });
});
