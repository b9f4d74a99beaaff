/** Log files on a real database: their text, their links, and what happens when files or the pool are lost in between. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Database, LogFiles, openDatabase, Publisher, ShareLog } from "../../../src/ledger/index.js";
import { decodeLogLine, type LogEnd, type LogEntry, type LogHeader, logFile } from "../../../src/proofs/index.js";
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

const server = await externalServer();

let home: TestDatabase;
let folder: { path: string; remove: () => void };
let database: Database;
let log: ShareLog;
let logger: MemoryLogger;

beforeEach(async () => {
  home = await testDatabase(server === undefined ? "embedded" : "external", server);
  folder = temporaryDirectory();
  logger = new MemoryLogger();
  database = await openDatabase(home.options, { log: logger });
  log = await ShareLog.open(database, { operatorScript: OPERATOR });
});
afterEach(async () => {
  await log.close();
  await database.close();
  await home.remove();
  folder.remove();
});

const files = () => new LogFiles({ dir: folder.path, network: "regtest" }, { database, logger });
const textOf = (segment: number) => gunzipSync(readFileSync(join(folder.path, logFile(segment)))).toString();
const sha256 = (text: string) => new Uint8Array(createHash("sha256").update(text).digest());

function read(segment: number): { header: LogHeader; entries: LogEntry[]; end: LogEnd } {
  const texts = textOf(segment).split("\n");
  expect(texts.pop()).toBe("");
  const lines = texts.map((text, i) => decodeLogLine(text, i + 1));
  return { header: lines[0] as LogHeader, entries: lines.slice(1, -1) as LogEntry[], end: lines.at(-1) as LogEnd };
}

/** Three closed segments: shares of two rounds with a duplicate between them; a share taken back in the next segment; nothing. */
async function threeSegments(): Promise<void> {
  await database.pool.query("INSERT INTO sessions (gateway_key, prime_id, version) VALUES ($1, 77, 'test')", [Buffer.alloc(32, 1)]);
  await append(log, share("a", { worker: 'a "rig"\u2028 é\u{1f600}', splitId: 7n, pin: 0n }));
  await append(log, share("b", { prevhash: hash("parent 2"), tentative: true, account: script(2), weight: 2n ** 63n, sessionId: 99n }));
  await append(log, share("a"));
  await log.openSegment(hash("tip 2"));
  await append(log, share("c"));
  await log.voidTentative(hash("parent 2"));
  await append(log, share("c"));
  await log.openSegment(hash("tip 3"));
  await log.openSegment(hash("tip 4"));
}

test("each closed segment is one file with all of its entries, and names the hash of the file before it", async () => {
  await threeSegments();
  const logs = files();
  expect(await logs.exportUpTo(2)).toEqual(sha256(textOf(2)));
  expect(existsSync(join(folder.path, logFile(3)))).toBe(false);
  expect(await logs.exportUpTo(4)).toBeUndefined();
  expect(readdirSync(join(folder.path, "log")).sort()).toEqual(["00000001.ndjson.gz", "00000002.ndjson.gz", "00000003.ndjson.gz"]);

  const [first, second, third] = [read(1), read(2), read(3)];
  expect(first.header).toEqual({
    kind: "header",
    network: "regtest",
    segment: 1,
    prevhash: undefined,
    after: 0n,
    previous: new Uint8Array(32),
    perShare: false,
  });
  const common = {
    kind: "share",
    time: 1_790_000_000_123,
    height: 840_000,
    feePpm: 10_000,
    pin: 0n,
    targetByte: 10,
    coinbaseId: 3,
    ntime: 4_000_000_000,
  };
  expect(first.entries).toEqual([
    {
      ...common,
      position: 1n,
      hash: hash("share a"),
      prevhash: hash("parent 1"),
      script: script(1),
      worker: 'a "rig"\u2028 é\u{1f600}',
      weight: 1024n,
      split: 7n,
      primeId: 77,
    },
    {
      ...common,
      position: 2n,
      hash: hash("share b"),
      prevhash: hash("parent 2"),
      script: script(2),
      worker: "rig",
      weight: 2n ** 63n,
      split: undefined,
      primeId: 0,
    },
  ]);
  // The share that came twice used up position 3.
  expect(first.end).toEqual({ kind: "end", last: 3n, shares: 2, voids: 0 });
  expect(second.header).toMatchObject({ segment: 2, prevhash: hash("tip 2"), after: 3n, previous: sha256(textOf(1)) });
  expect(second.entries).toEqual([
    expect.objectContaining({ kind: "share", position: 4n, hash: hash("share c") }),
    {
      kind: "void",
      position: 5n,
      share: 2n,
      hash: hash("share b"),
      script: script(2),
      weight: 2n ** 63n,
      feePpm: 10_000,
      segment: 1,
      reason: "parent",
    },
  ]);
  expect(second.end).toEqual({ kind: "end", last: 6n, shares: 1, voids: 1 });
  expect(third).toMatchObject({ header: { after: 6n, previous: sha256(textOf(2)) }, entries: [], end: { last: 6n, shares: 0, voids: 0 } });
});

test("a pool that was killed before the hash was stored writes the same bytes again", async () => {
  await threeSegments();
  await files().catchUp();
  const before = [1, 2, 3].map((segment) => readFileSync(join(folder.path, logFile(segment))));
  await database.pool.query("UPDATE segments SET log_hash = NULL WHERE id >= 2");
  // What decides about a tentative share is no part of the text.
  await database.pool.query("UPDATE shares SET tentative = NOT tentative");
  rmSync(join(folder.path, logFile(3)));
  writeFileSync(join(folder.path, `${logFile(3)}.part`), "half a fi");
  await files().catchUp();
  expect([1, 2, 3].map((segment) => readFileSync(join(folder.path, logFile(segment))))).toEqual(before);
  expect(existsSync(join(folder.path, `${logFile(3)}.part`))).toBe(false);
});

test("a file that is missing at start is written again; not when it would say something else", async () => {
  await threeSegments();
  await files().catchUp();
  const text = textOf(2);
  rmSync(join(folder.path, "log"), { recursive: true });
  await database.pool.query("UPDATE shares SET weight = weight + 1 WHERE hash = $1", [Buffer.from(hash("share a"))]);
  await files().catchUp();
  expect(textOf(2)).toBe(text);
  expect(
    readdirSync(join(folder.path, "log"))
      .filter((name) => !name.endsWith(".part"))
      .sort(),
  ).toEqual(["00000002.ndjson.gz", "00000003.ndjson.gz"]);
  expect(logger.lines.filter(({ level }) => level === "error")).toEqual([
    expect.objectContaining({ fields: expect.objectContaining({ code: "ledger.logChanged", segment: 1 }) }),
  ]);
});

test("a file that can't be made again is told, and the others are published", async () => {
  await threeSegments();
  await files().catchUp();
  rmSync(join(folder.path, logFile(1)));
  await database.pool.query(
    `INSERT INTO round_sums SELECT round, segment, account, worker, count(*), sum(weight), sum(weight * fee_ppm) FROM shares
     WHERE segment = 1 GROUP BY 1, 2, 3, 4`,
  );
  await log.openSegment(hash("tip 5"));
  await files().catchUp();
  expect(existsSync(join(folder.path, logFile(1)))).toBe(false);
  expect(existsSync(join(folder.path, logFile(4)))).toBe(true);
  expect(logger.lines.filter(({ level }) => level === "error")).toEqual([
    expect.objectContaining({ fields: expect.objectContaining({ segments: 1, first: 1, last: 1 }) }),
  ]);
});

test("thousands of shares in many batches come out in order, and the event loop goes on meanwhile", async () => {
  const count = 6000;
  await Promise.all(
    Array.from({ length: count }, (_, i) => append(log, share(i, { worker: `w${i % 10}`, prevhash: hash(`parent ${i % 3}`) }))),
  );
  await log.openSegment(hash("tip 2"));
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 1);
  await files().exportUpTo(1);
  clearInterval(timer);
  const { entries, end } = read(1);
  expect(end.shares).toBe(count);
  expect(entries.map(({ position }) => position)).toEqual(Array.from({ length: count }, (_, i) => BigInt(i + 1)));
  // Far above what one piece takes: machines that test are shared. All at once would take longer.
  expect(longest).toBeLessThan(150);
});

test("the publisher writes a segment's file when the next one opens, tells what fails, and is quiet once stopped", async () => {
  const publisher = new Publisher({ dir: folder.path, network: "regtest" }, { database, logger });
  log.follow(publisher);
  await append(log, share("published"));
  mkdirSync(join(folder.path, "log"));
  mkdirSync(join(folder.path, `${logFile(1)}.part`));
  await log.openSegment(hash("tip 2"));
  await publisher.catchUp();
  expect(logger.lines.some(({ level, message }) => level === "error" && message.includes("publishing failed"))).toBe(true);
  rmSync(join(folder.path, `${logFile(1)}.part`), { recursive: true });
  await log.openSegment(hash("tip 3"));
  await publisher.catchUp();
  expect(read(1).end.shares).toBe(1);
  expect(read(2).end.shares).toBe(0);
  await publisher.stop();
  await log.openSegment(hash("tip 4"));
  await publisher.catchUp();
  expect(existsSync(join(folder.path, logFile(3)))).toBe(false);
  await expect(publisher.logs.exportUpTo(3)).rejects.toMatchObject({ code: "ledger.closed" });
});

test("a log file of books that were lost is set aside, not overwritten without a word", async () => {
  await threeSegments();
  await files().exportUpTo(1);
  mkdirSync(join(folder.path, "log"), { recursive: true });
  writeFileSync(join(folder.path, logFile(2)), "of the lost books");
  await files().catchUp();
  const kept = readdirSync(join(folder.path, "log")).filter((name) => name.includes(".replaced-"));
  expect(kept).toEqual([expect.stringMatching(/^00000002\.ndjson\.gz\.replaced-\d+$/)]);
  expect(readFileSync(join(folder.path, "log", kept[0] as string), "utf8")).toBe("of the lost books");
  expect(read(2).header.segment).toBe(2);
  expect(logger.lines.filter(({ level }) => level === "error")).toHaveLength(1);
});

test("a folder that can't be written does not hold a settlement up for ever", async () => {
  await threeSegments();
  writeFileSync(join(folder.path, "log"), "a file where the folder should be");
  const logs = files();
  for (const _ of [1, 2]) await expect(logs.hashForSettlement(2)).rejects.toMatchObject({ code: "ledger.publishFailed" });
  expect(await logs.hashForSettlement(2)).toBeUndefined();
  expect(logger.lines.filter(({ level }) => level === "error")).toHaveLength(1);
  rmSync(join(folder.path, "log"));
  expect(await logs.hashForSettlement(2)).toEqual(sha256(textOf(2)));
});

test("the file of a segment whose shares are paid one by one says so", async () => {
  await log.openSegment(hash("tip 1"), { bits: 0x207fffff, subsidy: 1n, averageFees: 0n });
  await append(log, share("paid"));
  await log.openSegment(hash("tip 2"), { bits: 0x207fffff });
  await append(log, share("not paid"));
  await log.openSegment(hash("tip 3"));
  await files().exportUpTo(3);
  expect([1, 2, 3].map((segment) => read(segment).header.perShare)).toEqual([false, true, false]);
});
