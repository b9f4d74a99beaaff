/**
 * `npm run bench`: shares through the whole path (socket, decrypt, judge, commit, answer), with small and large coinbases; and splits for one gateway
 * and for a thousand at once, from windows of few and of many accounts; and the short ids of a job looked for in a large mempool.
 *
 * The pool is this process and uses one core; database, node and load are processes of their own. Machines are shared and noisy: the prover
 * alone is measured in the same run, so that figures of two machines, or of two days, can be compared by their ratio to it.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { NETWORKS, ShareProver, scriptToAddress } from "@openprime/bitcoin";
import { encodePublicKey, generateLongTermKeys, loadCrypto } from "@openprime/datum";
import { type LoadOptions, type LoadReport, type LoadWork, minerScript, RegtestNode, runLoad } from "@openprime/simulator";
import { resolveConfig } from "../config/index.js";
import { createLogger } from "../log.js";
import { type Pool, type PoolModules, startPool } from "../pool.js";
import { askForSplits, Crowd } from "./coinbaser.js";
import { measureMempool } from "./mempool.js";
import { profileRooms, type RoomShares } from "./rooms.js";
import { fillWindow, measureSplitBook, type WindowOptions } from "./window.js";

/** Coinbase kinds whose budgets are 500, 6,500 and 16,000 bytes. */
const KINDS = [1, 3, 4] as const;
const ACCOUNTS = 480;
/** Of many parts of a second, so that a run is not over before the caches are warm. */
const SHARES = 60_000;
const BRANCHES = 12;
/** Fewer than a gateway's budget of messages holds: past it the pool reads slowly. */
const SPLIT_REQUESTS = 500;
/** A large pool: accounts in its window, and gateways that all ask at each new block. */
const MANY_ACCOUNTS = 10_000;
const MANY_GATEWAYS = 1000;
/** The first is told apart: code that has never run is slower than that of a pool that has been up for a minute. */
const CROWD_BLOCKS = 6;
/** Values of today's blocks; what the regtest node's coinbase would be worth makes no difference. */
const MANY_VALUE = 312_500_000n;
/** So small, satoshis, that a split is as long as it can be. */
const SMALL_THRESHOLD = 1000;
/** A full mempool of a usual node, and a full block. */
const MEMPOOL_TRANSACTIONS = 300_000;
const JOB_TRANSACTIONS = 4000;
const PROVER_RUNS = 50_000;
/** Out of a CPU's reach: the load finds no blocks. */
const HARD_BITS = 0x1b00ffff;

interface Line {
  readonly load: LoadReport;
  /** Shares per second of the pool's own processor time. */
  readonly perCpuSecond: number;
  readonly rooms: RoomShares;
}

const PARTS = { shares: benchShares, splits: benchCrowd, mempool: benchMempool };

/**
 * Measures and tells.
 *
 * @param names parts to run: shares, splits, mempool; all of them when empty
 * @throws Error for a name that no part has
 */
export async function bench(names: readonly string[], say: (line: string) => void): Promise<void> {
  const parts = Object.entries(PARTS).filter(([name]) => names.length === 0 || names.includes(name));
  const unknown = names.filter((name) => !(name in PARTS));
  if (unknown.length > 0) throw new Error(`bench: expected ${Object.keys(PARTS).join(", ")}, got ${unknown.join(", ")}`);
  const dir = mkdtempSync(join(tmpdir(), "openprime-bench-"));
  try {
    say(`OpenPrime bench: Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? "unknown processor"}`);
    for (const [, part] of parts) await part(dir, say);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function benchShares(dir: string, say: (line: string) => void): Promise<void> {
  const stops: (() => Promise<void>)[] = [];
  try {
    const node = await RegtestNode.start({ bits: HARD_BITS });
    stops.push(() => node.stop());
    const crypto = await loadCrypto();
    const keys = generateLongTermKeys(crypto);
    const pool = await openPool(join(dir, "small"), node, { crypto, longTermKeys: [keys] });
    stops.push(() => pool.close());
    const common = { ...pool.address, poolPublicKey: encodePublicKey(keys), work: await loadWork(pool) };
    say(`crypto: ${crypto.name}; database: embedded PostgreSQL, committed before each answer`);
    // Everybody has mined: the split is as long as a large coinbase is.
    await load({ ...common, coinbaseKind: 0, shares: ACCOUNTS * 10, usernames: usernames() });
    say(`prover alone, 500-byte coinbase and ${BRANCHES} branches: ${await proverRate()} shares/s`);
    for (const coinbaseKind of KINDS) {
      const options = { ...common, coinbaseKind, shares: SHARES, usernames: usernames() };
      say(describe(await measure(options)));
    }
    const { work } = common;
    const request = { value: BigInt(work.value), prevhash: Buffer.from(work.prevhash, "hex") };
    const asked = await askForSplits(crypto, { ...pool.address, publicKey: common.poolPublicKey }, request, SPLIT_REQUESTS);
    say(`splits of ${asked.outputs} outputs: answered in ${asked.median.toFixed(1)} ms (median), ${asked.p99.toFixed(1)} ms (99 %)`);
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

/** Splits from a window of many accounts: of the split book alone, and over the wire with real sessions. */
async function benchCrowd(dir: string, say: (line: string) => void): Promise<void> {
  const stops: (() => Promise<void> | void)[] = [];
  try {
    const node = await RegtestNode.start();
    stops.push(() => node.stop());
    const home = join(dir, "large");
    const window: WindowOptions = {
      dataDir: join(home, "books"),
      operatorScript: minerScript("pool", 0),
      accounts: MANY_ACCOUNTS,
      bits: node.bits,
      value: MANY_VALUE,
    };
    await fillWindow(window);
    const alone = await measureSplitBook(window, MANY_GATEWAYS);
    say(
      `window of ${MANY_ACCOUNTS} accounts, splits of ${alone.outputs} outputs: ${alone.median.toFixed(2)} ms (median), ` +
        `${alone.p99.toFixed(2)} ms (99 %); ${MANY_GATEWAYS} of different values after a new block: ${alone.crowd.toFixed(0)} ms`,
    );
    const crypto = await loadCrypto();
    const keys = generateLongTermKeys(crypto);
    const pool = await openPool(home, node, { crypto, longTermKeys: [keys] });
    stops.push(() => pool.close());
    const place = { ...pool.address, publicKey: encodePublicKey(keys) };
    const crowd = await Crowd.connect(place, MANY_GATEWAYS);
    stops.push(() => crowd.close());
    let outputs = 0;
    const last: number[] = [];
    for (let block = 0; block < CROWD_BLOCKS; block++) {
      const before = pool.status().tip?.hash;
      await node.mine(1);
      const answers = await crowd.ask(MANY_VALUE, await nextTip(pool, before));
      outputs = answers.outputs;
      last.push(answers.ms.at(-1) as number);
    }
    const [first = Number.NaN, ...later] = last;
    say(
      `over the wire, ${MANY_GATEWAYS} gateways at once after a new block, splits of ${outputs} outputs: the last answered in ` +
        `${median(later).toFixed(0)} ms (median of ${later.length} blocks), ${first.toFixed(0)} ms at the first block of a pool just started`,
    );
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

/** A job's transactions found in the mempool's own thread, while this one judges shares. */
async function benchMempool(_dir: string, say: (line: string) => void): Promise<void> {
  const figures = await measureMempool(MEMPOOL_TRANSACTIONS, JOB_TRANSACTIONS);
  say(
    `${JOB_TRANSACTIONS} short ids in a mempool of ${MEMPOOL_TRANSACTIONS}: ${figures.median.toFixed(1)} ms of one core (median of keys), ` +
      `${figures.longest.toFixed(1)} ms at most; answered in ${figures.answered.toFixed(1)} ms, ` +
      `the main thread held up for ${figures.delay.toFixed(1)} ms at most\n` +
      `  read from the node in ${figures.loadSeconds.toFixed(1)} s and ${figures.megabytes.toFixed(0)} MB, ` +
      `the main thread held up for ${figures.loadDelay.toFixed(1)} ms at most`,
  );
}

/** A pool on that node with its books in the folder. */
function openPool(dir: string, node: RegtestNode, modules: Pick<PoolModules, "crypto" | "longTermKeys">): Promise<Pool> {
  const config = resolveConfig(
    {
      network: "regtest",
      listen: { host: "127.0.0.1", port: 0, allow: "127.0.0.1" },
      pool: { payoutAddress: address("pool", 0), tag: "OpenPrime bench", minimumDifficulty: 1, minimumDifficultyCeiling: 1 },
      node: { ...node.rpc, pollSeconds: 0.1 },
      database: { dir: "books" },
      limits: { coinbaserPerMinute: 6000, sharesPerSecond: 1_000_000, kilobytesPerSecond: 1_000_000 },
      split: { threshold: SMALL_THRESHOLD },
      // The load's jobs have branches and no transactions behind them.
      templates: { check: "off" },
      api: { port: "off" },
    },
    dir,
  );
  return startPool(config, { ...modules, log: createLogger({ level: "error", format: "text" }, process.stderr) });
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

async function nextTip(pool: Pool, before: Uint8Array | undefined): Promise<Uint8Array> {
  for (;;) {
    const tip = pool.status().tip?.hash;
    if (tip !== undefined && (before === undefined || Buffer.compare(tip, before) !== 0)) return tip;
    await new Promise((next) => setImmediate(next));
  }
}

/** Once plainly for the figures, once under the profiler for the rooms. */
async function measure(options: LoadOptions): Promise<Line> {
  let before = process.cpuUsage();
  const report = await load(options, () => {
    before = process.cpuUsage();
  });
  const { user, system } = process.cpuUsage(before);
  const rooms = await profileRooms(async () => {
    await load(options);
  });
  return { load: report, perCpuSecond: report.accepted / ((user + system) / 1e6), rooms };
}

async function load(options: LoadOptions, onPrepared?: () => void): Promise<LoadReport> {
  const report = await runLoad(options, onPrepared);
  if (report.accepted !== options.shares) {
    throw new Error(`expected ${options.shares} accepted shares, got ${report.accepted} (refused: ${JSON.stringify(report.reasons)})`);
  }
  return report;
}

function describe({ load: report, perCpuSecond, rooms }: Line): string {
  const { p50, p99 } = report.latency;
  const parts = Object.entries(rooms).map(([room, part]) => `${room} ${(part * 100).toFixed(0)} %`);
  return [
    `coinbase of ${report.coinbaseBytes} bytes (${report.coinbaseOutputs} outputs): ${Math.round(report.sharesPerSecond)} shares/s,`,
    `${Math.round(perCpuSecond)} per second of the pool's processor time;`,
    `answered in ${p50.toFixed(0)} ms (median), ${p99.toFixed(0)} ms (99 %)\n  time: ${parts.join(", ")}`,
  ].join(" ");
}

async function loadWork(pool: Pool): Promise<LoadWork> {
  const template = await pool.node.blockTemplate();
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

function address(seed: string, index: number): string {
  const text = scriptToAddress(minerScript(seed, index), NETWORKS.regtest);
  if (text === undefined) throw new Error("a simulated miner has no address");
  return text;
}

/** Witness addresses only: a split of over 90 legacy ones would be cut. The simulator's kinds take turns, the first two are witness. */
function usernames(): string[] {
  return Array.from({ length: ACCOUNTS }, (_, i) => address("bench", Math.floor(i / 2) * 5 + (i % 2)));
}

async function proverRate(): Promise<number> {
  const prover = await ShareProver.create();
  const input = {
    coinb1: randomBytes(200),
    extranonce: randomBytes(12),
    coinb2: randomBytes(288),
    targetByteIndex: 60,
    targetByte: 0,
    quickdiff: false,
    branches: randomBytes(BRANCHES * 32),
    subsidyOnly: false,
    version: 0x20000000,
    prevhash: randomBytes(32),
    ntime: 1_795_000_000,
    nbits: HARD_BITS,
  };
  const started = performance.now();
  for (let nonce = 0; nonce < PROVER_RUNS; nonce++) prover.prove({ ...input, nonce });
  return Math.round((PROVER_RUNS / (performance.now() - started)) * 1000);
}
