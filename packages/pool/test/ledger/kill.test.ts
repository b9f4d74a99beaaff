/**
 * kill -9 during load, with real processes: the pool, the database, and both. Afterwards no acknowledged share is missing, none is there twice,
 * and the sums are right. Shares near the end of each life are sent again in the next, as gateways do.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { bookCounts, checkBooks, openDatabase } from "../../src/ledger/index.js";
import { hash, MemoryLogger, temporaryDirectory, until } from "./support.js";

const APPENDER = fileURLToPath(new URL("./appender.mjs", import.meta.url));
const BUILT = fileURLToPath(new URL("../../dist/ledger/index.js", import.meta.url));

let home: { path: string; remove: () => void };
const children: ChildProcess[] = [];
beforeEach(() => {
  home = temporaryDirectory();
});
afterEach(() => {
  for (const child of children.splice(0)) if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
  home.remove();
});

/** One life of the pool. */
class Appender {
  readonly acknowledged: number[] = [];
  readonly outcomes = new Map<string, number>();
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  #said = "";

  constructor(first: number) {
    const child = spawn(process.execPath, [APPENDER, JSON.stringify({ embedded: { dataDir: home.path } }), String(first)], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    children.push(child);
    child.stderr?.on("data", (text) => {
      this.#said += text;
    });
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      const [number, outcome] = line.split(" ");
      if (outcome === undefined) return;
      this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
      // Both mean: the share is in the books.
      if (outcome === "committed" || outcome === "duplicate") this.acknowledged.push(Number(number));
    });
    this.ended = new Promise((done) => child.once("close", (code, signal) => done(String(signal ?? code))));
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Waits for so many acknowledgements more. */
  async progress(count: number): Promise<void> {
    const goal = this.acknowledged.length + count;
    await until(() => this.acknowledged.length >= goal || this.#child.exitCode !== null, `${count} acknowledgements`, 60_000);
    expect(this.acknowledged.length, this.#said).toBeGreaterThanOrEqual(goal);
  }
}

const postmaster = () => Number(readFileSync(join(home.path, "cluster", "postmaster.pid"), "utf8").split("\n")[0]);

test("no acknowledged share is lost and none counts twice, whatever is killed", { timeout: 180_000 }, async () => {
  expect(existsSync(BUILT), `${BUILT} is missing: run npm test, which builds first`).toBe(true);
  const acknowledged = new Set<number>();
  let next = 0;
  const live = async (act: (appender: Appender) => Promise<string>, expected: string) => {
    const appender = new Appender(Math.max(0, next - 100));
    await appender.progress(1500);
    expect(await act(appender)).toBe(expected);
    for (const number of appender.acknowledged) acknowledged.add(number);
    expect(appender.outcomes.get("failed")).toBeUndefined();
    // What was sent again is known: it was acknowledged before the kill, or committed without an answer.
    if (next > 0) expect(appender.outcomes.get("duplicate")).toBeGreaterThanOrEqual(100);
    next = Math.max(...acknowledged) + 1;
  };

  await live(async (pool) => {
    pool.kill("SIGKILL");
    return pool.ended;
  }, "SIGKILL");
  // The pool's database lives on and the next pool goes on with it.
  const orphan = postmaster();
  await live(async (pool) => {
    expect(postmaster()).toBe(orphan);
    process.kill(orphan, "SIGKILL");
    await pool.progress(1500);
    expect(postmaster()).not.toBe(orphan);
    process.kill(postmaster(), "SIGKILL");
    pool.kill("SIGKILL");
    return pool.ended;
  }, "SIGKILL");
  await live(async (pool) => {
    pool.kill("SIGTERM");
    return pool.ended;
  }, "0");

  const database = await openDatabase({ embedded: { dataDir: home.path } }, { log: new MemoryLogger() });
  try {
    expect(await checkBooks(database)).toEqual([]);
    const { rows } = await database.pool.query<{ hash: Buffer; n: number }>("SELECT hash, count(*)::int AS n FROM shares GROUP BY hash");
    expect(rows.filter(({ n }) => n !== 1)).toEqual([]);
    const stored = new Set(rows.map((row) => row.hash.toString("hex")));
    const missing = [...acknowledged].filter((number) => !stored.has(Buffer.from(hash(`share ${number}`)).toString("hex")));
    expect(missing).toEqual([]);
    const counts = await bookCounts(database);
    expect(counts.shares).toBe(BigInt(rows.length));
    expect(counts.weight).toBe(16n * BigInt(rows.length));
    expect(acknowledged.size).toBeGreaterThan(5000);
  } finally {
    await database.close();
  }
});
