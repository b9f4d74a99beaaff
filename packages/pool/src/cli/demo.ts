/** `openprime demo`: a Bitcoin node, the pool, gateways and miners on this machine, working together for real on a private chain. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { addressToScript, NETWORKS } from "@openprime/bitcoin";
import { type DatumCrypto, encodePublicKey, generateLongTermKeys, type LongTermKeys, loadCrypto } from "@openprime/datum";
import type { RegtestNode, SimulatedGateway } from "@openprime/simulator";
import type { Logger } from "pino";
import { apiUrl } from "./api/url.js";
import { type Config, resolveConfig } from "./config/index.js";
import { auditDemo } from "./demo/audit.js";
import { type DemoReport, demoReport, reportJson } from "./demo/report.js";
import { summary } from "./demo/summary.js";
import { CliError, codeOf } from "./errors.js";
import { hashesPerDifficulty } from "./figures.js";
import type { CommandIo } from "./io.js";
import { liveTable } from "./live-table.js";
import { createLogger } from "./log.js";
import { type Pool, startPool } from "./pool.js";
import { Screen } from "./screen.js";

export interface DemoOptions {
  /** Ends by itself after so many seconds of mining; runs until asked to end otherwise. */
  readonly seconds?: number;
  /** Prints one JSON object and nothing else on stdout. */
  readonly json?: boolean;
  /** Keeps the books there; a temporary folder otherwise. */
  readonly dir?: string;
}

const GATEWAYS = 3;
/** Hash rates of each gateway's miners: an uneven dozen, so that the split has something to show. */
const RATES = [400, 800, 1600, 3200] as const;
const KINDS = [1, 2, 3, 4, 5] as const;
/** A run of known length is given this many blocks to expect: none at all comes once in 160,000 runs. */
const EXPECTED_BLOCKS = 12;
/** Otherwise a block every so often, seconds. */
const BLOCK_SECONDS = 6;
/** Jobs and variable difficulty go this many times faster than life, so that hundreds of shares lie between two blocks. */
const TIME_SCALE = 60;
const FEE_PERCENT = 1;
const SETTLE_MS = 10_000;

/**
 * Runs the demo.
 *
 * @returns 0 when a block was found, paid its split, and the books agree with the chain. Somebody who ends a demo of no set length early
 *   has not asked for a block: then 0 when the books agree
 */
export async function demo(options: DemoOptions, io: CommandIo): Promise<number> {
  const simulator = await loadSimulator();
  const say = (line: string): void => void io.stderr.write(`demo: ${line}\n`);
  const dir = options.dir === undefined ? mkdtempSync(join(tmpdir(), "openprime-demo-")) : resolve(options.dir);
  mkdirSync(dir, { recursive: true });
  const log = createLogger({ level: options.json === true ? "warn" : "error", format: "text" }, io.stderr);
  const crypto = await loadCrypto();
  const keys = generateLongTermKeys(crypto);
  const stops: (() => Promise<void>)[] = [];
  try {
    say("starting a Bitcoin node on a private chain");
    const total = GATEWAYS * RATES.reduce((sum, rate) => sum + rate, 0);
    const blockSeconds = options.seconds === undefined ? BLOCK_SECONDS : options.seconds / EXPECTED_BLOCKS;
    const node = await simulator.RegtestNode.start({ bits: simulator.bitsForHashes(total * blockSeconds), transactionsPerSecond: 3 });
    stops.push(() => node.stop());
    const firstHeight = (await node.tip()).height;
    say("starting the pool with its own database");
    const config = demoConfig(dir, node, simulator.minerAddress("pool", 0));
    const pool = await startPool(config, { crypto, longTermKeys: [keys], log });
    stops.push(() => pool.close());
    const api = pool.apiAddress;
    if (api !== undefined)
      say(`metrics at ${apiUrl(api.host, api.port)}/metrics, and the same table by: openprime top --url ${apiUrl(api.host, api.port)}`);
    say(`starting ${GATEWAYS} gateways with ${GATEWAYS * RATES.length} miners`);
    const hasher = new simulator.Hasher((error) => log.error({ err: error }, "the hashing thread ended"));
    stops.push(() => hasher.close());
    const gateways = await startGateways(simulator, { pool, node, keys, crypto, hasher, log });
    stops.push(async () => {
      for (const gateway of gateways) await gateway.stop();
    });
    const started = performance.now();
    await watch(pool, options, io, started);
    const seconds = Math.round(performance.now() - started) / 1000;
    say("stopping the miners and checking the books against the chain");
    const report = await settle({ pool, config, gateways, firstHeight, seconds });
    if (options.json === true) io.stdout.write(`${reportJson(report)}\n`);
    else io.stdout.write(`${summary(report).join("\n")}\n`);
    const asked = options.seconds !== undefined || options.json === true;
    return report.ok || (!asked && report.books.differences.length === 0) ? 0 : 1;
  } finally {
    for (const stop of stops.reverse()) await stop();
    if (options.dir === undefined) rmSync(dir, { recursive: true, force: true });
  }
}

/** The simulator is for development and the demo; what operators install does not have it. */
async function loadSimulator(): Promise<typeof import("@openprime/simulator")> {
  try {
    return await import("@openprime/simulator");
  } catch (error) {
    if (codeOf(error) !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new CliError(
      "simulatorMissing",
      "the demo needs the simulator (@openprime/simulator), which is not installed",
      "run it from a clone of the repository: npm run demo",
      { cause: error },
    );
  }
}

function demoConfig(dir: string, node: RegtestNode, payoutAddress: string): Config {
  return resolveConfig(
    {
      network: "regtest",
      listen: { host: "127.0.0.1", port: 0 },
      pool: { payoutAddress, tag: "OpenPrime demo", feePercent: FEE_PERCENT, minimumDifficulty: 16, minimumDifficultyCeiling: 16 },
      keys: { file: "keys.json" },
      node: { ...node.rpc, pollSeconds: 0.2 },
      database: { dir: "books" },
      // Time runs faster here, and so do the gateways' requests.
      limits: { coinbaserPerMinute: 6000 },
      api: { port: 0 },
    },
    dir,
  );
}

interface GatewayParts {
  readonly pool: Pool;
  readonly node: RegtestNode;
  readonly keys: LongTermKeys;
  readonly crypto: DatumCrypto;
  readonly hasher: import("@openprime/simulator").Hasher;
  readonly log: Logger;
}

function startGateways(simulator: typeof import("@openprime/simulator"), parts: GatewayParts): Promise<SimulatedGateway[]> {
  const { pool, node, keys, crypto, hasher, log } = parts;
  const starts = Array.from({ length: GATEWAYS }, (_, number) =>
    simulator.SimulatedGateway.start(
      {
        name: `gateway ${number + 1}`,
        pool: { ...pool.address, publicKey: encodePublicKey(keys) },
        node: node.rpc,
        uniqueId: number + 1,
        timeScale: TIME_SCALE,
        // One gateway leaves its blocks to the pool, so that the pool's own way to the node is seen to work.
        submitBlocks: number > 0,
        miners: RATES.map((hashrate, miner) => ({
          username: `${simulator.minerAddress("demo", number * RATES.length + miner)}.rig${miner + 1}`,
          hashrate,
          kind: KINDS[(number * RATES.length + miner) % KINDS.length] ?? 2,
        })),
      },
      { hasher, crypto, log: (line) => log.debug({ gateway: number + 1 }, line) },
    ),
  );
  return Promise.all(starts);
}

/** Shows the table until the time is over or somebody asks to end. */
async function watch(pool: Pool, options: DemoOptions, io: CommandIo, started: number): Promise<void> {
  const screen = new Screen(io.stdout);
  let ended = false;
  const show = async (): Promise<void> => {
    const status = await pool.view.status();
    if (ended) return;
    const seconds = Math.floor((performance.now() - started) / 1000);
    screen.show(liveTable(status, `OpenPrime demo, ${seconds} s`, screen.size));
  };
  if (options.json !== true) screen.clear();
  await new Promise<void>((resolve, reject) => {
    const end = (): void => {
      ended = true;
      clearTimeout(timer);
      clearInterval(table);
      resolve();
    };
    const timer = options.seconds === undefined ? undefined : setTimeout(end, options.seconds * 1000);
    const table = options.json === true ? undefined : setInterval(() => show().catch(reject), screen.terminal ? 1000 : 5000);
    if (io.signal.aborted) end();
    else io.signal.addEventListener("abort", end, { once: true });
  });
}

/** Miners rest, every share on its way is answered, every block settled; then the books are held against the chain. */
async function settle(parts: {
  readonly pool: Pool;
  readonly config: Config;
  readonly gateways: readonly SimulatedGateway[];
  readonly firstHeight: number;
  readonly seconds: number;
}): Promise<DemoReport> {
  const { pool, config, gateways, firstHeight, seconds } = parts;
  for (const gateway of gateways) gateway.rest();
  const answered = Promise.all(gateways.map((gateway) => gateway.until(({ shares }) => shares.waiting === 0)));
  await Promise.race([answered, new Promise((resolve) => setTimeout(resolve, SETTLE_MS).unref())]);
  await pool.submitter.idle();
  const figures = gateways.map((gateway) => gateway.snapshot());
  const sum = (pick: (shares: (typeof figures)[number]["shares"]) => number): number =>
    figures.reduce((total, { shares }) => total + pick(shares), 0);
  const byReason: Record<number, number> = {};
  for (const { shares } of figures) {
    for (const [code, count] of Object.entries(shares.reasons)) byReason[Number(code)] = (byReason[Number(code)] ?? 0) + count;
  }
  const weight = figures.flatMap(({ miners }) => miners).reduce((total, { acceptedDifficulty }) => total + acceptedDifficulty, 0);
  const shares = {
    accepted: sum(({ accepted }) => accepted),
    tentative: sum(({ tentative }) => tentative),
    refused: sum(({ rejected }) => rejected),
    byReason,
    unknownResponses: sum(({ unknownResponses }) => unknownResponses),
  };
  const audit = await auditDemo({
    pool,
    network: NETWORKS.regtest,
    payoutScript: addressToScript(config.pool.payoutAddress, NETWORKS.regtest),
    tag: config.pool.tagBytes,
    firstHeight,
    acknowledged: shares.accepted + shares.tentative,
  });
  const hashrate = Math.round((weight * hashesPerDifficulty(config.network)) / seconds);
  const miners = figures.reduce((total, gateway) => total + gateway.miners.length, 0);
  return demoReport({ seconds, gateways: gateways.length, miners, hashrate, shares }, audit, pool.presentSplit());
}
