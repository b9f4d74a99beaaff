/**
 * kill -9 during compaction, with a real process, while shares are appended: afterwards the books are right, every acknowledged share counts once, the
 * published log has it, and what was compacted takes no share again.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type AppendOutcome,
  bookCounts,
  checkBooks,
  type Database,
  LogFiles,
  openDatabase,
  Retention,
  ShareLog,
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
import { followTo } from "./old-rounds.js";

const COMPACTOR = fileURLToPath(new URL("./compactor.mjs", import.meta.url));
const BUILT = fileURLToPath(new URL("../../../dist/ledger/retention/index.js", import.meta.url));
const LIVES = 6;
const SHARES_AT_ONCE = 40;
/** Closed segments without a file, at most. */
const BACKLOG = 12;
const server = await externalServer();

let home: TestDatabase;
let folder: { path: string; remove: () => void };
let database: Database;
let log: ShareLog;
let child: ChildProcess | undefined;
beforeEach(async () => {
  home = await testDatabase(server === undefined ? "embedded" : "external", server);
  folder = temporaryDirectory();
  database = await openDatabase(home.options, { log: new MemoryLogger() });
  log = await ShareLog.open(database, { operatorScript: OPERATOR, gatherMs: 1 });
});
afterEach(async () => {
  child?.kill("SIGKILL");
  await log.close();
  await database.close();
  await home.remove();
  folder.remove();
});

/** Share `n`, of the given round. */
const shareOf = (n: number, round: number) =>
  share(n, {
    prevhash: hash(`parent ${round}`),
    account: script(n % 5),
    worker: `w${n % 3}`,
    feePpm: n % 4,
    weight: BigInt(1 + (n % 7)),
    receivedAt: Date.now(),
  });

/** Appends shares without end, with a new tip for every few, until it is stopped. Answers the round of each share. */
function feed(): { stop: () => Promise<number[]> } {
  let stopping = false;
  const done = (async () => {
    const rounds: number[] = [];
    for (let round = 0; !stopping; ) {
      const outcomes: Promise<AppendOutcome>[] = [];
      for (let i = 0; i < SHARES_AT_ONCE; i++) outcomes.push(append(log, shareOf(rounds.push(round) - 1, round)));
      expect(new Set(await Promise.all(outcomes))).toEqual(new Set(["committed"]));
      const { rows } = await database.pool.query<{ n: number }>("SELECT count(*)::int AS n FROM segments WHERE log_hash IS NULL");
      // Tips don't come faster than they can be worked on, or the compactor would be busy with files alone.
      if ((rows[0]?.n ?? 0) > BACKLOG) {
        await new Promise((next) => setTimeout(next, 10));
        continue;
      }
      const tip = hash(`parent ${++round}`);
      await followTo(database, tip, await log.openSegment(tip));
    }
    return rounds;
  })();
  return {
    stop: () => {
      stopping = true;
      return done;
    },
  };
}

/** One life of the compactor: it is killed while it works on the rounds that piled up before it came. */
async function live(keep: string, afterMs: number): Promise<void> {
  let said = "";
  let due: number | undefined;
  child = spawn(process.execPath, [COMPACTOR, JSON.stringify(home.options), folder.path, keep], { stdio: ["ignore", "pipe", "pipe"] });
  const one = child;
  one.stderr?.on("data", (text) => {
    said += text;
  });
  const ended = new Promise<string>((resolve) => one.once("close", (code, signal) => resolve(String(signal ?? code))));
  createInterface({ input: one.stdout as NodeJS.ReadableStream }).once("line", () => {
    due = performance.now() + afterMs;
  });
  await until(() => performance.now() >= (due ?? Number.POSITIVE_INFINITY) || one.exitCode !== null, "the time to kill it");
  one.kill("SIGKILL");
  expect(await ended, said).toBe("SIGKILL");
}

describe.each(["rounds", "30"])("keep %s", (keep) => {
  test("killed while it compacts, it changes no sum and loses no share", { timeout: 60_000 }, async () => {
    expect(existsSync(BUILT), `${BUILT} is missing: run npm test, which builds first`).toBe(true);
    const feeding = feed();
    for (let life = 0; life < LIVES; life++) {
      await live(keep, Math.random() * 100);
      expect(await checkBooks(database, { full: true })).toEqual([]);
    }
    const rounds = await feeding.stop();
    const total = rounds.length;
    const tip = hash("the last tip");
    await followTo(database, tip, await log.openSegment(tip));
    const logger = new MemoryLogger();
    const files = new LogFiles({ dir: folder.path, network: "regtest" }, { database, logger });
    await files.catchUp();
    await new Retention(
      { keep: keep === "rounds" ? keep : 30, minAgeMs: -3_600_000, newestTips: 2 },
      { database, logger, now: Date.now },
    ).run();
    expect(logger.lines.filter(({ level }) => level !== "info")).toEqual([]);
    expect(await checkBooks(database, { full: true })).toEqual([]);
    expect(await checkBooks(database)).toEqual([]);

    const counts = await bookCounts(database);
    expect(counts.shares).toBe(BigInt(total));
    const weight = Array.from({ length: total }, (_, n) => BigInt(1 + (n % 7))).reduce((sum, one) => sum + one, 0n);
    expect(counts.weight).toBe(weight);
    const { rows } = await database.pool.query<{ raw: number; summed: number; archived: number; gone: number }>(
      `SELECT (SELECT count(*) FROM shares)::int AS raw, (SELECT coalesce(sum(shares), 0) FROM round_sums)::int AS summed,
         (SELECT count(*) FROM share_archive)::int AS archived, (SELECT count(*) FROM rounds WHERE compacted_at IS NOT NULL)::int AS gone`,
    );
    const row = rows[0] as (typeof rows)[0];
    expect(row.raw + row.summed).toBe(total);
    expect(row.archived).toBe(keep === "rounds" ? 0 : row.summed);
    expect(row.gone).toBeGreaterThan(LIVES);

    const published: string[] = [];
    for (let segment = 1; segment < log.segment; segment++) {
      const text = gunzipSync(readFileSync(join(folder.path, logFile(segment)))).toString();
      for (const line of text
        .trimEnd()
        .split("\n")
        .map((one) => decodeLogLine(one)))
        if (line.kind === "share") published.push(Buffer.from(line.hash).toString("hex"));
    }
    expect(published).toEqual(Array.from({ length: total }, (_, n) => Buffer.from(hash(`share ${n}`)).toString("hex")));

    const firsts = rounds.flatMap((round, n) => (round === rounds[n - 1] ? [] : [shareOf(n, round)]));
    const again = await Promise.all(firsts.map((one) => append(log, one)));
    expect(again.filter((outcome) => outcome === "committed")).toEqual([]);
    expect(again.filter((outcome) => outcome === "failed")).toHaveLength(row.gone);
    expect((await bookCounts(database)).weight).toBe(weight);
  });
});
