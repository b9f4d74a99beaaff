/** Templates on a real database: their rows, and shares taken back with them, whenever the pool or the database goes away. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { Registry } from "prom-client";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  checkBooks,
  type Database,
  LogFiles,
  openDatabase,
  Retention,
  recentTemplates,
  ShareLog,
  TemplateBook,
  type TemplateBookOptions,
  type TemplateRecord,
  type TemplateVerdict,
} from "../../../src/ledger/index.js";
import { decodeLogLine, logFile } from "../../../src/proofs/index.js";
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
  until,
} from "../support.js";

const server = await externalServer();
const NOW = 1_790_000_000_000;
const PARENT = hash("parent 1");

let home: TestDatabase;
let logger: MemoryLogger;
let database: Database;
let shareLog: ShareLog;
let book: TemplateBook;
let metrics: Registry;

beforeEach(async () => {
  home = await testDatabase(server === undefined ? "embedded" : "external", server);
  logger = new MemoryLogger();
  database = await openDatabase(home.options, { log: logger });
  shareLog = await ShareLog.open(database, { operatorScript: OPERATOR, gatherMs: 0 });
  await openBook();
});
afterEach(async () => {
  await book.close();
  await shareLog.close();
  await database.close();
  await home.remove();
});

async function openBook(options: TemplateBookOptions = {}): Promise<void> {
  metrics = new Registry();
  book = await TemplateBook.open({ database, shareLog, log: logger, metrics, now: () => NOW }, { gatherMs: 1, ...options });
}

/** As a pool that is killed: what it had in memory is gone. */
async function restart(): Promise<void> {
  await shareLog.close();
  await database.close();
  database = await openDatabase(home.options, { log: logger });
  shareLog = await ShareLog.open(database, { operatorScript: OPERATOR, gatherMs: 0 });
  await openBook();
}

const record = (id: bigint, changes: Partial<TemplateRecord> = {}): TemplateRecord => ({
  id,
  sessionId: 1n,
  prevhash: PARENT,
  height: 840_000,
  value: 312_500_000n,
  transactions: 4000,
  weight: 3_990_000,
  size: 1_600_000,
  sigops: 12_000,
  openedAt: NOW,
  ...changes,
});
const verdict = (state: TemplateVerdict["state"], changes: Partial<TemplateVerdict> = {}): TemplateVerdict => ({
  state,
  path: "byIndex",
  code: state === "sound" ? undefined : "merkleMismatch",
  detail: state === "sound" ? undefined : "its branches lead elsewhere",
  fees: 7n,
  own: undefined,
  judgedAt: NOW + 900,
  ...changes,
});
const states = async () => (await recentTemplates(database)).map(({ id, verdict: one }) => [id, one?.state]);
const lost = async () =>
  Object.fromEntries(
    (await metrics.getSingleMetric("openprime_template_rows_lost_total")?.get())?.values.map((v) => [v.labels.why, v.value]) ?? [],
  );
/** Seeds of the shares that are credited, of those appended by `add`. */
const credited = async () =>
  (
    await database.pool.query<{ name: string }>(
      `SELECT w.name FROM shares s JOIN workers w ON w.id = s.worker
       WHERE NOT EXISTS (SELECT FROM voids v WHERE v.round = s.round AND v.hash = s.hash) ORDER BY s.position`,
    )
  ).rows.map(({ name }) => name);
const add = (name: string, templateId?: bigint, changes: Parameters<typeof share>[1] = {}) =>
  append(shareLog, share(name, { worker: name, templateId, ...changes }));

test("templates are written with their verdicts, as they were told", async () => {
  await database.pool.query("INSERT INTO sessions (gateway_key, prime_id, version) VALUES ($1, 77, 'test')", [Buffer.alloc(32, 1)]);
  const own = {
    value: 312_500_100n,
    transactions: 4100,
    weight: 3_992_000,
    lacks: { transactions: 120, fees: 300n },
    extra: { transactions: 20, fees: 0n },
  };
  const records = Array.from({ length: 5 }, (_, i) => record(book.nextId(), i === 4 ? { sessionId: 99n } : {}));
  const verdicts = [
    verdict("sound", { path: "shortIds", own }),
    verdict("unsound", { detail: "nul \0 and \u{1f600}\ud800" }),
    verdict("unjudged", { path: undefined, fees: undefined }),
    undefined,
    verdict("sound", { path: "known", fees: 2n ** 64n }),
  ];
  for (const one of records) book.opened(one);
  for (const [i, one] of verdicts.entries()) if (one !== undefined) book.judged((records[i] as TemplateRecord).id, one);
  await book.close();
  const stored = await recentTemplates(database);
  const expected = records.map((one, i) => ({
    ...one,
    gatewayKey: i === 4 ? undefined : new Uint8Array(32).fill(1),
    verdict: verdicts[i],
  }));
  // What the books can't hold is held as nearly as they can.
  Object.assign(expected[1]?.verdict as object, { detail: "nul  and \u{1f600}\ufffd" });
  Object.assign(expected[4]?.verdict as object, { fees: 2n ** 63n - 1n });
  expect(stored).toEqual(expected.reverse());
  expect((await recentTemplates(database, 2)).map(({ id }) => id)).toEqual(stored.slice(0, 2).map(({ id }) => id));
  expect(await recentTemplates(database, 9, new Uint8Array(32).fill(1))).toEqual(stored.slice(1));
  expect(await recentTemplates(database, 9, new Uint8Array(32).fill(2))).toEqual([]);
  expect(await lost()).toEqual({});
});

test("claims that no column holds are held as the largest", async () => {
  const id = book.nextId();
  book.opened(record(id, { height: 0xffff_ffff, transactions: 0xffff_ffff, value: 2n ** 64n - 1n, weight: 2 ** 53 - 1 }));
  await book.close();
  expect(await recentTemplates(database)).toMatchObject([
    { height: 2 ** 31 - 1, transactions: 2 ** 31 - 1, value: 2n ** 63n - 1n, weight: 2 ** 53 - 1 },
  ]);
});

test("a number is never given out again, however little was written, and those left without a verdict are unjudged", async () => {
  const first = [book.nextId(), book.nextId()];
  book.opened(record(first[0] as bigint));
  await book.close();
  await restart();
  const second = book.nextId();
  expect(new Set([...first, second]).size).toBe(3);
  expect(first[0]).toBeGreaterThan(0n);
  expect(second).toBeGreaterThan(first[1] as bigint);
  const [left] = await recentTemplates(database);
  expect(left).toMatchObject({ id: first[0], verdict: { state: "unjudged", code: "interrupted", path: undefined, judgedAt: NOW } });
});

test("shares of a template are taken back once; others stay, and those that come late follow", async () => {
  const [bad, good] = [book.nextId(), book.nextId()];
  book.opened(record(bad));
  book.opened(record(good));
  await Promise.all([add("a", bad), add("b", good), add("c"), add("d", bad, { account: script(2), weight: 2n ** 63n })]);
  const heard: [number, bigint][] = [];
  shareLog.follow({
    segmentOpened: () => undefined,
    shareCommitted: () => undefined,
    shareVoided: (segment, _account, weight) => heard.push([segment, weight]),
  });
  const head = shareLog.head();
  book.judged(bad, verdict("unsound"));
  book.judged(good, verdict("sound"));
  expect(await book.voidShares(bad)).toBe(2);
  expect(shareLog.head()).toBe(head + 2n);
  expect(heard).toEqual([
    [shareLog.segment, 1024n],
    [shareLog.segment, 2n ** 63n],
  ]);
  expect(await states()).toEqual([
    [good, "sound"],
    [bad, "unsound"],
  ]);
  expect(await book.voidShares(bad)).toBe(0);
  expect(await add("a", bad)).toBe("duplicate");
  expect(await add("late", bad)).toBe("committed");
  expect(await add("later", bad)).toBe("committed");
  await shareLog.exclusive("after the late voids", async () => undefined);
  expect(await credited()).toEqual(["b", "c"]);
  expect(heard.length).toBe(4);
  // A write that was left on a broken connection may come after the verdict.
  book.opened(record(bad));
  await book.close();
  expect((await states())[1]).toEqual([bad, "unsound"]);
  expect(await checkBooks(database, { full: true })).toEqual([]);
});

test("shares that wait in the queue at the verdict are taken back with the others", async () => {
  const bad = book.nextId();
  book.opened(record(bad));
  book.judged(bad, verdict("unsound"));
  const before = Array.from({ length: 20 }, (_, i) => add(`before ${i}`, bad));
  const voided = book.voidShares(bad);
  const after = Array.from({ length: 20 }, (_, i) => add(`after ${i}`, bad));
  await Promise.all([...before, ...after]);
  expect(await voided).toBeGreaterThanOrEqual(20);
  await shareLog.exclusive("after the late voids", async () => undefined);
  expect(await credited()).toEqual([]);
  expect(await checkBooks(database, { full: true })).toEqual([]);
});

test("killed between the verdict and the voids, or between a late share and its void, the next start finishes", async () => {
  const [bad, pending] = [book.nextId(), book.nextId()];
  for (const id of [bad, pending]) book.opened(record(id));
  await Promise.all([add("a", bad), add("b", pending), add("c")]);
  book.judged(bad, verdict("unsound"));
  await book.close();
  await restart();
  expect(await credited()).toEqual(["b", "c"]);
  expect(logger.lines.filter(({ message }) => message.includes("left from before"))).toMatchObject([
    { level: "warn", fields: { voided: 1 } },
  ]);
  // This log does not know yet that the template is unsound, as if it had been killed before the void.
  await database.pool.query("UPDATE shares SET template = $1 WHERE worker = (SELECT id FROM workers WHERE name = 'c')", [String(bad)]);
  await restart();
  expect(await credited()).toEqual(["b"]);
  await restart();
  expect((await database.pool.query("SELECT count(*)::int AS n FROM voids")).rows).toEqual([{ n: 2 }]);
  expect(await checkBooks(database, { full: true })).toEqual([]);
});

test("a database that goes away loses neither verdict nor voids", async () => {
  const bad = book.nextId();
  book.opened(record(bad));
  await add("a", bad);
  await add("b");
  const cut = () =>
    database.pool.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND query NOT LIKE '%advisory%'",
    );
  book.judged(bad, verdict("unsound"));
  const [voided] = await Promise.all([book.voidShares(bad), cut(), cut()]);
  expect(voided).toBe(1);
  expect(await states()).toEqual([[bad, "unsound"]]);
  expect(await credited()).toEqual(["b"]);
});

test("too many rows are lost, counted and told once; a verdict makes up for a lost row, and what takes shares back is never lost", async () => {
  await book.close();
  await openBook({ maxQueue: 2, gatherMs: 3_600_000 });
  const ids = Array.from({ length: 5 }, () => book.nextId());
  for (const id of ids) book.opened(record(id));
  book.judged(ids[1] as bigint, verdict("sound"));
  expect(await lost()).toEqual({ overflow: 3 });
  expect(logger.lines.filter(({ message }) => message.includes("too many templates")).length).toBe(1);
  await add("a", ids[4]);
  book.judged(ids[4] as bigint, verdict("unsound"));
  expect(await book.voidShares(ids[4] as bigint)).toBe(1);
  book.judged(ids[3] as bigint, verdict("sound"));
  await book.close();
  expect(await states()).toEqual([
    [ids[4], "unsound"],
    [ids[3], "sound"],
    [ids[1], "sound"],
    [ids[0], undefined],
  ]);
  book.judged(ids[2] as bigint, verdict("sound"));
  book.judged(123n, verdict("sound"));
  expect(await lost()).toEqual({ overflow: 3, closed: 1, forgotten: 1 });
});

test("a row that the database refuses does not take its neighbours along", async () => {
  const ids = Array.from({ length: 5 }, () => book.nextId());
  for (const [i, id] of ids.entries()) book.opened(record(id, i === 2 ? { prevhash: new Uint8Array(31) } : {}));
  await book.close();
  expect((await states()).map(([id]) => id)).toEqual([ids[4], ids[3], ids[1], ids[0]]);
  expect(await lost()).toEqual({ refused: 1 });
  expect(logger.lines.at(-1)).toMatchObject({ level: "error", fields: { rows: 1 } });
});

test("a book that was closed loses the voids to the next start, and says so", async () => {
  const bad = book.nextId();
  book.opened(record(bad));
  await add("a", bad);
  book.judged(bad, verdict("unsound"));
  await book.close();
  await shareLog.close();
  await expect(book.voidShares(bad)).rejects.toMatchObject({ code: "ledger.closed" });
  await restart();
  expect(await credited()).toEqual([]);
});

test("unknown parents and unsound templates disturb each other in no order, and a share is taken back once", async () => {
  const parents = [hash("parent a"), hash("parent b")];
  let round = 0;
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant("share" as const),
        parent: fc.nat(1),
        tentative: fc.boolean(),
        template: fc.option(fc.nat(3)),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("unsound" as const), template: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("confirm" as const, "unknown" as const), parent: fc.nat(1) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("tip" as const) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      round++;
      const prevhashes = parents.map((parent) => hash(`${round} ${Buffer.from(parent).toString("hex")}`));
      // A template lies on one parent: even ones on the first.
      const ids = Array.from({ length: 4 }, () => book.nextId());
      for (const [i, id] of ids.entries()) book.opened(record(id, { prevhash: prevhashes[i % 2] as Uint8Array }));
      const unsound = new Set<number>();
      const expected = new Map<string, { tentative: boolean; parent: number; template: number | null; gone: boolean }>();
      for (const [i, one] of steps.entries()) {
        if (one.kind === "share") {
          const template = one.template;
          const parent = template === null ? one.parent : template % 2;
          const name = `${round}.${i}`;
          expected.set(name, { tentative: one.tentative, parent, template, gone: template !== null && unsound.has(template) });
          const templateId = template === null ? undefined : ids[template];
          await add(name, templateId, { tentative: one.tentative, prevhash: prevhashes[parent] as Uint8Array });
        } else if (one.kind === "unsound") {
          book.judged(ids[one.template] as bigint, verdict("unsound"));
          await book.voidShares(ids[one.template] as bigint);
          unsound.add(one.template);
          for (const entry of expected.values()) if (entry.template === one.template) entry.gone = true;
        } else if (one.kind === "tip") await shareLog.openSegment(hash(`tip ${round} ${i}`));
        else {
          const prevhash = prevhashes[one.parent] as Uint8Array;
          // Late voids come first: a share that is taken back stays tentative for ever.
          if (one.kind === "confirm") await shareLog.confirmRound(prevhash, 840_000);
          else await shareLog.voidTentative(prevhash);
          for (const entry of expected.values()) {
            if (entry.parent !== one.parent || !entry.tentative || entry.gone) continue;
            if (one.kind === "confirm") entry.tentative = false;
            else entry.gone = true;
          }
        }
      }
      await shareLog.exclusive("after the late voids", async () => undefined);
      const mine = (await credited()).filter((name) => expected.has(name));
      expect(mine).toEqual([...expected].filter(([, { gone }]) => !gone).map(([name]) => name));
    }),
    { numRuns: 25 },
  );
  expect(await checkBooks(database, { full: true })).toEqual([]);
});

test("what is taken back for its template is published with the reason, and published again as the same text", async () => {
  const folder = temporaryDirectory();
  try {
    const bad = book.nextId();
    book.opened(record(bad));
    await Promise.all([add("a", bad), add("b", undefined, { tentative: true })]);
    book.judged(bad, verdict("unsound"));
    await book.voidShares(bad);
    await shareLog.voidTentative(PARENT);
    const segment = await shareLog.openSegment(hash("tip"));
    const files = () => new LogFiles({ dir: folder.path, network: "regtest" }, { database, logger });
    const first = await files().exportUpTo(segment - 1);
    const lines = gunzipSync(readFileSync(join(folder.path, logFile(segment - 1))))
      .toString()
      .trimEnd()
      .split("\n");
    const voids = lines.map((line, i) => decodeLogLine(line, i + 1)).filter(({ kind }) => kind === "void");
    expect(voids).toMatchObject([
      { hash: hash("share a"), reason: "template" },
      { hash: hash("share b"), reason: "parent" },
    ]);
    await database.pool.query("UPDATE segments SET log_hash = NULL");
    expect(await files().exportUpTo(segment - 1)).toEqual(first);
  } finally {
    folder.remove();
  }
});

test("rows older than a week, or than the operator says, go", async () => {
  const day = 86_400_000;
  const ages = [0, 6.9, 7.1, 29, 31];
  for (const age of ages) book.opened(record(book.nextId(), { openedAt: NOW - age * day }));
  await book.close();
  await shareLog.openSegment(PARENT);
  await database.pool.query("INSERT INTO chain (height, hash) VALUES (1, $1)", [Buffer.from(PARENT)]);
  const run = (keepTemplates?: number) =>
    new Retention({ keep: "rounds", ...(keepTemplates !== undefined && { keepTemplates }) }, { database, logger, now: () => NOW }).run();
  const left = async () => (await recentTemplates(database)).map(({ openedAt }) => (NOW - openedAt) / day).sort((a, b) => a - b);
  await run(30);
  expect(await left()).toEqual([0, 6.9, 7.1, 29]);
  await run();
  expect(await left()).toEqual([0, 6.9]);
});

test("a round waits for the voids of its unsound templates before it is compacted", async () => {
  const folder = temporaryDirectory();
  try {
    const bad = book.nextId();
    book.opened(record(bad));
    await add("a", bad);
    book.judged(bad, verdict("unsound"));
    await book.close();
    const segment = await shareLog.openSegment(hash("tip"));
    await database.pool.query("INSERT INTO chain (height, hash) VALUES (1, $1)", [Buffer.from(hash("tip"))]);
    await new LogFiles({ dir: folder.path, network: "regtest" }, { database, logger }).exportUpTo(segment - 1);
    const run = () => new Retention({ keep: "forever", minAgeMs: -(10 ** 12), newestTips: 1 }, { database, logger, now: () => NOW }).run();
    expect(await run()).toMatchObject({ compacted: 0, kept: 1 });
    await restart();
    expect(await run()).toMatchObject({ compacted: 1, kept: 0 });
    expect((await database.pool.query("SELECT template FROM share_archive")).rows).toEqual([{ template: String(bad) }]);
    expect(await checkBooks(database, { full: true })).toEqual([]);
  } finally {
    folder.remove();
  }
});

test("rows are written in the background", async () => {
  const ids = Array.from({ length: 1200 }, () => book.nextId());
  for (const id of ids) {
    book.opened(record(id));
    book.judged(id, verdict("sound"));
  }
  let written = 0;
  await until(() => {
    void recentTemplates(database, 9999).then((stored) => {
      written = stored.filter((one) => one.verdict?.state === "sound").length;
    });
    return written === ids.length;
  }, "all templates are written");
});
