/**
 * The soak: a really running pool under thousands of gateways for as long as wanted, and the memory that it takes. Every gateway holds eight jobs
 * of two coinbases each, made from splits of hundreds of accounts, and goes on with new jobs and shares. It ends with the check of the books.
 */
import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { NodeClient } from "@openprime/bitcoin";
import { SimulatorError } from "../errors.js";
import { type LoadWork, runLoad } from "../load/load.js";
import { RegtestNode } from "../node/regtest-node.js";
import { soakUsernames } from "./accounts.js";
import type { MemorySample, Pace, SoakLoadOptions, SoakLoadReport } from "./messages.js";
import { SoakPool } from "./pool.js";
import { type SoakReport, spread } from "./report.js";

export interface SoakOptions {
  readonly gateways: number;
  /** Payees of each split. */
  readonly accounts: number;
  /** Of steady state, after every gateway holds its eight jobs. */
  readonly minutes: number;
  readonly pace: Pace;
  /** Processes that the gateways are divided over. */
  readonly processes: number;
  /** New connections a second. */
  readonly connectsPerSecond: number;
  /** Count what is alive per gateway, by full collections before, after and at the end; the memory told besides is then smaller than in life. */
  readonly countBytes: boolean;
  readonly say: (line: string) => void;
}

/** Out of a CPU's reach: no share is a block. */
const HARD_BITS = 0x1b00ffff;
/** Of a full block. */
const BRANCHES = 12;
const SHARES_PER_ACCOUNT = 10;
const LOOK_MS = 500;
const TELL_MS = 30_000;
const MIB = 1024 * 1024;

const processFile = fileURLToPath(new URL("../../dist/soak/load-process.js", import.meta.url));

/** Runs it. @throws SimulatorError when the pool ends, or a process of the load */
export async function soak(options: SoakOptions, signal: AbortSignal): Promise<SoakReport> {
  const { gateways, accounts, say } = options;
  const dir = mkdtempSync(join(tmpdir(), "openprime-soak-"));
  const stops: (() => unknown)[] = [() => rmSync(dir, { recursive: true, force: true })];
  try {
    const node = await RegtestNode.start({ bits: HARD_BITS });
    stops.push(() => node.stop());
    const pool = await SoakPool.start(dir, node.rpc, gateways);
    stops.push(() => pool.stop());
    const work = await loadWork(node);
    say(`${accounts} accounts mine, so that the split has them`);
    const seeded = await runLoad({
      ...pool.place,
      work,
      coinbaseKind: 0,
      shares: accounts * SHARES_PER_ACCOUNT,
      usernames: soakUsernames(accounts),
    });
    const before = options.countBytes ? await pool.alive() : undefined;
    say(`${gateways} gateways connect and make their first eight jobs`);
    const load = new SoakLoad(options, { ...pool.place, work });
    stops.push(() => load.kill());
    const started = performance.now();
    await load.until(({ filled }) => filled >= gateways, { pool, signal, say });
    const fillSeconds = (performance.now() - started) / 1000;
    const filled = options.countBytes ? await pool.alive() : undefined;
    say(`all jobs are held after ${fillSeconds.toFixed(0)} s; ${options.minutes} minutes of steady state`);
    const from = pool.samples.length;
    load.clearLatencies();
    const end = performance.now() + options.minutes * 60_000;
    await load.until(() => performance.now() >= end, { pool, signal, say });
    const after = options.countBytes ? await pool.alive() : undefined;
    const shares = await load.finish();
    const steady = pool.samples.slice(from);
    say("the pool stops, and its books are checked");
    const ended = await pool.stop();
    if (ended !== "exit 0") throw new SimulatorError("loadFailed", `the pool should end by itself with 0, it was ${ended}`);
    const books = await pool.checkBooks().then(lastLine, (error: Error) => error.message);
    const perGateway = (bytes: number | undefined): number | undefined =>
      bytes === undefined || before === undefined ? undefined : Math.round((bytes - before) / gateways);
    return {
      gateways,
      accounts,
      outputs: shares.outputs,
      jobs: shares.jobs,
      withoutSplit: shares.withoutSplit,
      fillSeconds,
      steadySeconds: options.minutes * 60,
      memory: {
        rss: spread(steady.map(({ rss }) => rss)),
        heapUsed: spread(steady.map(({ heapUsed }) => heapUsed)),
        external: spread(steady.map(({ external }) => external)),
        peakRss: Math.max(...pool.samples.map(({ rss }) => rss)),
        quarters: quarters(steady),
        perGateway: { filled: perGateway(filled), end: perGateway(after) },
      },
      shares: {
        sent: shares.sent,
        accepted: shares.accepted,
        tentative: shares.tentative,
        refused: shares.refused,
        lost: shares.lost,
        disconnects: shares.disconnects,
        seeded: seeded.accepted,
      },
      latency: load.latency(),
      warnings: Object.fromEntries(pool.warnings),
      books,
      booksAgree: books.startsWith("The books agree"),
    };
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

interface Watch {
  readonly pool: SoakPool;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/** All gateways, in their processes. */
class SoakLoad {
  readonly #children: ChildProcess[] = [];
  readonly #reports: (SoakLoadReport | undefined)[] = [];
  readonly #ends: Promise<void>[] = [];
  #latencies: number[] = [];
  #finishing = false;
  #failed: string | undefined;

  constructor(options: SoakOptions, common: Pick<SoakLoadOptions, "host" | "port" | "poolPublicKey" | "work">) {
    const { gateways, processes, accounts, pace } = options;
    for (let index = 0; index < processes; index++) {
      const first = Math.floor((gateways * index) / processes);
      const count = Math.floor((gateways * (index + 1)) / processes) - first;
      const connectsPerSecond = options.connectsPerSecond / processes;
      const own: SoakLoadOptions = { ...common, first, gateways: count, accounts, pace, connectsPerSecond };
      const child = fork(processFile, [JSON.stringify(own)], { execArgv: [], stdio: ["ignore", "ignore", "inherit", "ipc"] });
      child.on("message", (report: SoakLoadReport) => {
        this.#reports[index] = report;
        for (const latency of report.latencies) this.#latencies.push(latency);
      });
      this.#ends.push(
        new Promise((resolve) =>
          child.once("exit", (code) => {
            if (!this.#finishing) this.#failed = `a process of the load ended: ${code}`;
            resolve();
          }),
        ),
      );
      this.#children.push(child);
    }
  }

  async until(reached: (sum: SoakLoadReport) => boolean, { pool, signal, say }: Watch): Promise<void> {
    let told = performance.now();
    while (!reached(this.sum())) {
      pool.check();
      signal.throwIfAborted();
      if (this.#failed !== undefined) throw new SimulatorError("loadFailed", this.#failed);
      if (performance.now() - told >= TELL_MS) {
        told = performance.now();
        say(state(this.sum(), pool.samples.at(-1)));
      }
      await sleep(LOOK_MS);
    }
  }

  sum(): SoakLoadReport {
    const reports = this.#reports.filter((report) => report !== undefined);
    const total = (of: (report: SoakLoadReport) => number): number => reports.reduce((sum, report) => sum + of(report), 0);
    const refused: Record<number, number> = {};
    for (const report of reports) {
      for (const [reason, count] of Object.entries(report.refused)) refused[Number(reason)] = (refused[Number(reason)] ?? 0) + count;
    }
    return {
      connected: total((one) => one.connected),
      filled: total((one) => one.filled),
      jobs: total((one) => one.jobs),
      withoutSplit: total((one) => one.withoutSplit),
      sent: total((one) => one.sent),
      accepted: total((one) => one.accepted),
      tentative: total((one) => one.tentative),
      lost: total((one) => one.lost),
      disconnects: total((one) => one.disconnects),
      outputs: Math.max(0, ...reports.map((one) => one.outputs)),
      refused,
      latencies: [],
    };
  }

  clearLatencies(): void {
    this.#latencies = [];
  }

  latency(): SoakReport["latency"] {
    const sorted = this.#latencies.sort((a, b) => a - b);
    const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
    return { answers: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
  }

  /** No more shares; what waits is answered. @returns the sums */
  async finish(): Promise<SoakLoadReport> {
    this.#finishing = true;
    for (const child of this.#children) child.send("finish");
    await Promise.all(this.#ends);
    return this.sum();
  }

  kill(): void {
    this.#finishing = true;
    for (const child of this.#children) child.kill("SIGKILL");
  }
}

function state(sum: SoakLoadReport, memory: MemorySample | undefined): string {
  const refused = Object.entries(sum.refused).map(([reason, count]) => `${reason}: ${count}`);
  return [
    `${sum.connected} connected, ${sum.jobs} jobs, ${sum.accepted} shares accepted, refused ${refused.join(", ") || "none"}`,
    `${sum.disconnects} disconnects, RSS ${((memory?.rss ?? 0) / MIB).toFixed(0)} MiB`,
  ].join(", ");
}

/** Medians of the four quarters of the time, bytes: a leak shows as a slope. */
function quarters(samples: readonly MemorySample[]): SoakReport["memory"]["quarters"] {
  const size = Math.ceil(samples.length / 4);
  return [0, 1, 2, 3].map((part) => {
    const own = samples.slice(part * size, (part + 1) * size);
    return {
      rss: spread(own.map(({ rss }) => rss)).median,
      heapUsed: spread(own.map(({ heapUsed }) => heapUsed)).median,
      external: spread(own.map(({ external }) => external)).median,
    };
  });
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) ?? "";
}

async function loadWork(node: RegtestNode): Promise<LoadWork> {
  const client = new NodeClient(node.rpc);
  const template = await client.blockTemplate();
  await client.close();
  return {
    prevhash: Buffer.from(template.previousblockhash, "hex").reverse().toString("hex"),
    height: template.height,
    nbits: template.bits,
    version: template.version,
    ntime: Math.floor(Date.now() / 1000),
    value: template.coinbasevalue.toString(),
    transactionCount: 2 ** BRANCHES - 1,
    branches: randomBytes(BRANCHES * 32).toString("hex"),
    witnessCommitment: `6a24aa21a9ed${randomBytes(32).toString("hex")}`,
  };
}
