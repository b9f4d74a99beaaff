/** Retention on a real database: what is compacted and what is not, that no sum changes, that nothing is credited twice, and that nobody waits. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  accountWeights,
  checkBooks,
  type Database,
  LogFiles,
  openDatabase,
  Retention,
  type RetentionOptions,
  ShareLog,
} from "../../../src/ledger/index.js";
import { logFile } from "../../../src/proofs/index.js";
import {
  append,
  externalServer,
  hash,
  MemoryLogger,
  OPERATOR,
  script,
  share,
  type TestDatabase,
  temporaryDirectory,
  testDatabase,
} from "../support.js";
import { followTo, newTip } from "./old-rounds.js";

const DAY = 86_400_000;
const server = await externalServer();

let home: TestDatabase;
let folder: { path: string; remove: () => void };
let database: Database;
let log: ShareLog;
let logger: MemoryLogger;
/** Two days after the shares came. */
let now: number;

beforeEach(async () => {
  home = await testDatabase(server === undefined ? "embedded" : "external", server);
  folder = temporaryDirectory();
  logger = new MemoryLogger();
  now = Date.now() + 2 * DAY;
  database = await openDatabase(home.options, { log: logger });
  log = await ShareLog.open(database, { operatorScript: OPERATOR });
});
afterEach(async () => {
  await log.close();
  await database.close();
  await home.remove();
  folder.remove();
});

const retention = (options: Partial<RetentionOptions> = {}) =>
  new Retention({ keep: "rounds", newestTips: 1, ...options }, { database, logger, now: () => now });
const count = async (sql: string): Promise<number> =>
  (await database.pool.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${sql}`)).rows[0]?.n ?? 0;
const sums = async () => (await database.pool.query("SELECT * FROM segment_weights ORDER BY segment, account, worker")).rows;
const tables = () => count("pg_inherits WHERE inhparent = 'shares'::regclass");

/** Shares of two rounds over three closed segments, some taken back; all old. */
async function oldRounds(): Promise<void> {
  for (let i = 0; i < 60; i++) {
    const prevhash = hash(`parent ${1 + (i % 2)}`);
    await append(log, share(i, { prevhash, account: script(i % 3), worker: `w${i % 5}`, feePpm: i % 7, tentative: i % 2 === 1 && i < 20 }));
    if (i === 20 || i === 40) await newTip(database, log, folder.path);
    if (i === 45) await log.voidTentative(hash("parent 2"));
  }
  await newTip(database, log, folder.path);
}

test("old rounds become sums, and no sum changes", async () => {
  await oldRounds();
  const before = await sums();
  const totals = await accountWeights(database);
  expect(await retention().run()).toEqual({ compacted: 2, kept: 0, busy: 0, failed: 0 });
  expect(await tables()).toBe(0);
  expect(await count("shares")).toBe(0);
  expect(await count("share_archive")).toBe(0);
  expect(await sums()).toEqual(before);
  expect(await accountWeights(database)).toEqual(totals);
  const [row] = (await database.pool.query("SELECT sum(shares)::int AS shares, sum(weight)::int AS weight FROM round_sums")).rows;
  expect(row).toEqual({ shares: 60, weight: 60 * 1024 });
  expect(await checkBooks(database)).toEqual([]);
  expect(await checkBooks(database, { full: true })).toEqual([]);
  expect(await retention().run()).toEqual({ compacted: 0, kept: 0, busy: 0, failed: 0 });
});

test("splits older than a week go, but not one that a block was made from, nor the newest", async () => {
  await oldRounds();
  const offer = (offeredAt: number) => {
    const id = log.nextSplitId();
    log.appendSplit({
      ...{ id, sessionId: 1n, coinbaserId: 1, value: 9n, prevhash: hash("parent"), outputs: [], position: 0n },
      ...{ offeredAt, finder: undefined, feePpm: 0, scheme: undefined },
    });
    return id;
  };
  const old = now - 8 * DAY;
  const ids = [offer(old), offer(old), offer(now - 6 * DAY), offer(old)];
  await log.exclusive("waiting for the splits", () => Promise.resolve());
  await database.pool.query("INSERT INTO block_claims (block, session, split, pin, found_at) VALUES ($1, 1, $2, 0, now())", [
    Buffer.from(hash("block")),
    String(ids[1]),
  ]);
  await retention().run();
  const { rows } = await database.pool.query<{ id: string }>("SELECT id FROM splits ORDER BY id");
  expect(rows.map(({ id }) => BigInt(id))).toEqual(ids.slice(1));
});

test("checks see a sum of a compacted round, a sum of the log and a share that are not as they were", async () => {
  await oldRounds();
  await append(log, share("young", { prevhash: hash("parent 3") }));
  await newTip(database, log, folder.path);
  await append(log, share("open", { prevhash: hash("parent 4") }));
  now = Date.now();
  await retention({ minAgeMs: -DAY, newestTips: 0 }).run();
  expect(await tables()).toBe(1);
  expect(await checkBooks(database)).toEqual([]);
  const damage = async (sql: string, back: string, full: number, quick: number) => {
    await database.pool.query(sql);
    expect((await checkBooks(database, { full: true })).length, sql).toBe(full);
    expect((await checkBooks(database)).length, sql).toBe(quick);
    await database.pool.query(back);
  };
  await damage(
    "UPDATE round_sums SET weight = weight + 1 WHERE (segment, account, worker) IN (SELECT segment, account, worker FROM round_sums LIMIT 1)",
    "UPDATE round_sums SET weight = weight - 1 WHERE weight::bigint % 1024 = 1",
    1,
    1,
  );
  await damage(
    "UPDATE segment_weights SET shares = shares + 1 WHERE segment = 5",
    "UPDATE segment_weights SET shares = shares - 1 WHERE segment = 5",
    1,
    1,
  );
  await damage("UPDATE shares SET weight = weight + 1", "UPDATE shares SET weight = weight - 1", 1, 1);
  expect(await checkBooks(database, { full: true })).toEqual([]);
});

test("a quick check passes over published segments that still have shares", async () => {
  await oldRounds();
  await database.pool.query("UPDATE shares SET weight = weight + 1 WHERE NOT tentative");
  expect(await checkBooks(database)).toEqual([]);
  expect((await checkBooks(database, { full: true })).length).toBeGreaterThan(0);
});

test("nothing is taken for a round that was compacted: not by a writer that knows it, nor by one that asks anew", async () => {
  await oldRounds();
  await retention().run();
  const before = await sums();
  expect(await append(log, share(0))).toBe("failed");
  await log.close();
  log = await ShareLog.open(database, { operatorScript: OPERATOR });
  const outcomes = await Promise.all(
    [share(0), share("new", { prevhash: hash("parent 9") }), share("late")].map((one) => append(log, one)),
  );
  expect(outcomes).toEqual(["failed", "committed", "failed"]);
  expect(logger.lines.some(({ fields }) => String(fields.error).includes("is compacted: work on its parent is stale for ever"))).toBe(true);
  expect(await tables()).toBe(1);
  expect((await sums()).filter(({ segment }) => segment < 4)).toEqual(before);
  expect(await log.voidTentative(hash("parent 2"))).toBe(0);
  expect(await log.confirmRound(hash("parent 2"), 840_000)).toBe(0);
  expect(await checkBooks(database, { full: true })).toEqual([]);
});

test("a round that was closed when the pool was killed takes nothing, keeps its shares, and is gone on with", async () => {
  await oldRounds();
  const [{ id }] = (await database.pool.query<{ id: number }>("SELECT id FROM rounds WHERE prevhash = $1", [Buffer.from(hash("parent 1"))]))
    .rows as [{ id: number }];
  await database.pool.query(`ALTER TABLE shares_${id} ADD CONSTRAINT round_is_compacted CHECK (false) NOT VALID`);
  expect(await append(log, share("late"))).toBe("failed");
  expect(await append(log, share(0))).not.toBe("committed");
  expect(await count("shares")).toBe(60);
  expect(await retention().run()).toMatchObject({ compacted: 2 });
  expect(await checkBooks(database, { full: true })).toEqual([]);
});

test.each<[string, () => Promise<unknown>, () => Promise<unknown>]>([
  ["it is young", async () => (now -= 1.5 * DAY), async () => (now += 1.5 * DAY)],
  [
    "a share came late",
    () =>
      database.pool.query("UPDATE shares SET received_at = $1 WHERE hash IN ($2, $3)", [
        new Date(now),
        Buffer.from(hash("share 0")),
        Buffer.from(hash("share 25")),
      ]),
    () => database.pool.query("UPDATE shares SET received_at = $1", [new Date(now - 3 * DAY)]),
  ],
  [
    "a log file is not written",
    () => database.pool.query("UPDATE segments SET log_hash = NULL WHERE id = 2"),
    () => new LogFiles({ dir: folder.path, network: "regtest" }, { database, logger }).exportUpTo(2),
  ],
  [
    "a share is undecided",
    () =>
      database.pool.query("UPDATE shares SET tentative = true WHERE hash IN ($1, $2)", [
        Buffer.from(hash("share 0")),
        Buffer.from(hash("share 25")),
      ]),
    () => database.pool.query("UPDATE shares SET tentative = false"),
  ],
  [
    "it is the parent of a new segment",
    () =>
      database.pool.query(
        "UPDATE segments SET prevhash = (SELECT r.prevhash FROM rounds r WHERE r.id = 4 - segments.id) WHERE id IN (2, 3)",
      ),
    () => database.pool.query("UPDATE segments SET prevhash = NULL WHERE id IN (2, 3)"),
  ],
  [
    "the books are behind the chain",
    () => database.pool.query("UPDATE chain SET height = -height"),
    () => database.pool.query("UPDATE chain SET height = -height"),
  ],
  [
    "a block waits that pays by a pin in its segments",
    () =>
      database.pool.query(
        `INSERT INTO blocks (hash, prevhash, height, header, coinbase, coinbase_value, transaction_count, session, pin, username, status, found_at)
         VALUES ($1, $1, 1, $2, '', 0, 1, 1, 50, '', 'accepted', $3)`,
        [Buffer.from(hash("block")), Buffer.alloc(80), new Date(now)],
      ),
    () => database.pool.query("UPDATE blocks SET life = 'paid'"),
  ],
])("a round keeps its shares while %s", async (_, speakFor, release) => {
  await oldRounds();
  await speakFor();
  const patient = retention({ newestTips: 3 });
  expect((await patient.run()).compacted).toBe(0);
  expect(await count("shares")).toBe(60);
  expect(await append(log, share("still taken"))).toBe("committed");
  await database.pool.query("DELETE FROM shares WHERE hash = $1", [Buffer.from(hash("share still taken"))]);
  await release();
  expect((await patient.run()).compacted).toBe(2);
});

test("rounds on the newest tips keep their shares, however many segments a tip has", async () => {
  for (const tip of [1, 2, 3]) {
    const segment = await log.openSegment(hash(`tip ${tip}`));
    await append(log, share(tip, { prevhash: hash(`tip ${tip}`) }));
    const last = await log.cutSegment(await log.cutSegment(segment));
    await followTo(database, hash(`tip ${tip}`), tip);
    await new LogFiles({ dir: folder.path, network: "regtest" }, { database, logger }).exportUpTo(last - 1);
  }
  expect(await retention({ newestTips: 3 }).run()).toMatchObject({ compacted: 0, kept: 0 });
  expect(await retention({ newestTips: 2 }).run()).toMatchObject({ compacted: 1, kept: 0 });
  expect((await database.pool.query("SELECT hash FROM shares ORDER BY position")).rows.map((row) => row.hash)).toEqual(
    [2, 3].map((seed) => Buffer.from(share(seed).hash)),
  );
});

test("shares are kept for days, in partitions by day, and then dropped", async () => {
  const day = Date.UTC(2026, 5, 1);
  now = day + 3 * DAY;
  for (const [i, at] of [day - 1, day, day + DAY - 1, day + DAY].entries()) await append(log, share(i, { receivedAt: at }));
  await newTip(database, log, folder.path);
  await database.pool.query("UPDATE rounds SET created_at = $1", [new Date(day)]);
  const keep = retention({ keep: 3 });
  const text = () => gunzipSync(readFileSync(join(folder.path, logFile(1)))).toString();
  const published = text();
  expect(await keep.run()).toMatchObject({ compacted: 1 });
  const partitions = async () =>
    (
      await database.pool.query(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'share_archive'::regclass ORDER BY 1",
      )
    ).rows.map(({ name }) => name);
  // The day before has ended three days ago.
  expect(await partitions()).toEqual(["share_archive_20260601", "share_archive_20260602"]);
  expect(await count("share_archive")).toBe(3);
  now += DAY;
  await keep.run();
  expect(await partitions()).toEqual(["share_archive_20260602"]);
  await retention({ keep: "forever" }).run();
  expect(await count("share_archive")).toBe(1);
  await retention({ keep: "rounds" }).run();
  expect(await partitions()).toEqual([]);
  expect(await checkBooks(database, { full: true })).toEqual([]);
  expect(text()).toBe(published);
});

test("a lost log file comes back from archived shares", async () => {
  await oldRounds();
  const text = () => [1, 2, 3].map((segment) => gunzipSync(readFileSync(join(folder.path, logFile(segment)))).toString());
  const published = text();
  expect(await retention({ keep: "forever" }).run()).toMatchObject({ compacted: 2 });
  expect(await count("share_archive")).toBe(60);
  rmSync(join(folder.path, "log"), { recursive: true });
  await new LogFiles({ dir: folder.path, network: "regtest" }, { database, logger }).catchUp();
  expect(text()).toEqual(published);
});

test("shares are committed while a reader keeps a round from being dropped, and it is dropped after that", async () => {
  await oldRounds();
  const reader = await database.connect();
  await reader.query("BEGIN");
  await reader.query("SELECT count(*) FROM shares");
  const running = retention().run();
  let slowest = 0;
  for (let i = 0; i < 40; i++) {
    const start = performance.now();
    expect(await append(log, share(`meanwhile ${i}`, { prevhash: hash("parent 3") }))).toBe("committed");
    slowest = Math.max(slowest, performance.now() - start);
    await new Promise((next) => setTimeout(next, 10));
  }
  // The reader is in the way all this time, which nobody but the compaction may feel.
  expect(await count("shares WHERE round IN (SELECT id FROM rounds WHERE compacted_at IS NULL)")).toBe(100);
  expect(slowest).toBeLessThan(1000);
  await reader.query("COMMIT");
  await reader.end();
  expect(await running).toMatchObject({ compacted: 2 });
  expect(await checkBooks(database, { full: true })).toEqual([]);
});

test("it runs at start and then in its interval, tells failures, and stops", async () => {
  await oldRounds();
  const waits: number[] = [];
  let wake: (() => void) | undefined;
  const retained = new Retention(
    { keep: "rounds", newestTips: 1, intervalMs: 1234 },
    {
      database,
      logger,
      now: () => now,
      wait: (ms, signal) =>
        new Promise((resolve, reject) => {
          waits.push(ms);
          wake = () => resolve(undefined);
          signal.addEventListener("abort", () => reject(signal.reason));
        }),
    },
  );
  const waited = async (times: number) => {
    while (waits.length < times) await new Promise((next) => setTimeout(next, 5));
  };
  await database.pool.query("ALTER TABLE round_sums RENAME TO elsewhere");
  retained.start();
  await waited(1);
  expect(logger.lines.filter(({ message }) => message === "a round can't be compacted")).toHaveLength(2);
  expect(await count("shares")).toBe(60);
  await database.pool.query("ALTER TABLE elsewhere RENAME TO round_sums");
  wake?.();
  await waited(2);
  expect(await count("shares")).toBe(0);
  expect(waits).toEqual([1234, 1234]);
  await retained.stop();
});
