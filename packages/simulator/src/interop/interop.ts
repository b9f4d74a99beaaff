/** A real gateway against the pool for a while, and what came of it. */
import { accessSync, constants, existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addressToScript, NETWORKS, NodeClient, scriptToAddress } from "@openprime/bitcoin";
import { rejectReasonName } from "@openprime/datum";
import { SimulatorError } from "../errors.js";
import { minerScript } from "../gateway/addresses.js";
import { BlockGate } from "./block-gate.js";
import { type GatewayLog, type InteropGateway, startGateway } from "./gateway.js";
import { type NodePair, startBitcoindPair, startSimulatedPair } from "./node-pair.js";
import { type InteropPool, startPool } from "./pool.js";
import type { Command } from "./processes.js";
import { StratumMiner } from "./stratum-miner.js";
import { countTemplates, describeTemplates, type TemplateCounts, templateProblems } from "./templates.js";

export interface InteropOptions {
  /** Path of a `datum_gateway` binary. */
  readonly gateway: string;
  /** Path of a `bitcoind`; the simulator's node otherwise. */
  readonly bitcoind: string | undefined;
  readonly minutes: number;
  /** The `openprime` command. */
  readonly pool: Command;
  /** Hashing threads, a stratum connection each. */
  readonly threads: number;
  /** Compact target of blocks of the simulator's node. */
  readonly bits: number;
  /** Zero bits that the gateway asks of a share's hash: 32, or less for one whose check has been relaxed. */
  readonly zeroBits: number;
  readonly say: (line: string) => void;
}

export interface InteropReport {
  readonly node: string;
  readonly minutes: number;
  readonly gateway: GatewayLog;
  /** Times that it came back after its first handshake. */
  readonly reconnects: number;
  readonly miners: { readonly submitted: number; readonly accepted: number; readonly refused: number; readonly hashesPerSecond: number };
  readonly poolWarnings: readonly string[];
  /** What the pool made of the gateway's templates. */
  readonly templates: TemplateCounts;
  /** On bitcoind: blocks that the network has although the gateway's own node took none. */
  readonly blocksByPool: number | undefined;
  /** Last words of the pool's check of its books, and of the audit of what it published. */
  readonly books: string;
  readonly settlements: string;
  /** What is not as it should be; empty when all is well. */
  readonly problems: readonly string[];
}

/** User agents by which a gateway picks the kind of coinbase: 2 (any), 4, 3, 5. */
const USER_AGENTS = ["cpuminer/openprime", "xminer-1.0/openprime", "whatsminer/v1.0/openprime", "Antminer S21/openprime"];
const DIFFICULTY_ONE = 0xffffn << 208n;
/**
 * Transactions that come up in the course of a run, and how many of them the pool's node is not told of: few are asked for one by one, many
 * together. Then it begins again.
 */
const FEED = [
  { known: 300, unknown: 0 },
  { known: 30, unknown: 10 },
  { known: 0, unknown: 400 },
] as const;
const FEED_SECONDS = 15;
/** Parts of a bitcoind run: no block reaches a node (block-gate.ts) up to the first; up to the second only those that the pool hands in. */
const GATED_PART = 0.6;
const POOL_PART = 0.8;
/** Under so many, a miner at full speed would drown the gateway in shares. */
const FEW_ZERO_BITS = 24;
const EASY_SHARES_PER_SECOND = 5;

/** `tb1…` spelling of a simulated miner's script: the only one that a gateway takes. */
function testnetAddress(index: number): string {
  const address = scriptToAddress(minerScript("interop", index * 5), NETWORKS.testnet);
  if (address === undefined) throw new SimulatorError("interopFailed", "no address for the miners");
  addressToScript(address, NETWORKS.regtest);
  return address;
}

/** What is missing before anything can start, in words; undefined when nothing is. */
export function missing(options: Pick<InteropOptions, "gateway" | "bitcoind">): string | undefined {
  if (!existsSync(options.gateway)) {
    return [
      `there is no gateway at ${options.gateway}.`,
      "Get the source of datum_gateway (github.com/OCEAN-xyz/datum_gateway), install what it needs (CMake, pkgconf and the development",
      "files of libcurl, jansson, libsodium and libmicrohttpd), build it as its README says, outside this repository, and give the path of",
      "the program: npm run interop -- --gateway /path/to/datum_gateway",
    ].join("\n");
  }
  if (options.bitcoind !== undefined && !existsSync(options.bitcoind)) {
    return `there is no bitcoind at ${options.bitcoind}. Leave --bitcoind out to use the simulator's own node.`;
  }
  for (const program of [options.gateway, options.bitcoind]) {
    if (program !== undefined && !isProgram(program)) return `${program} is not a program that may be run here.`;
  }
  return undefined;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * Runs everything for the time asked, then stops it.
 *
 * @throws SimulatorError `interopMissing` or `interopFailed`
 */
export async function interop(options: InteropOptions, signal: AbortSignal): Promise<InteropReport> {
  const lacking = missing(options);
  if (lacking !== undefined) throw new SimulatorError("interopMissing", lacking);
  const dir = mkdtempSync(join(tmpdir(), "openprime-interop-"));
  const running: { stop(): Promise<void> }[] = [];
  try {
    options.say("starting the nodes");
    const node = await (options.bitcoind === undefined
      ? startSimulatedPair(options.bits)
      : startBitcoindPair(options.bitcoind, join(dir, "node")));
    running.push(node);
    const gates = await Promise.all((options.bitcoind === undefined ? [] : [node.gateways, node.pools]).map((rpc) => BlockGate.start(rpc)));
    running.push(...gates);
    const [gateways = node.gateways, pools = node.pools] = gates.map(({ rpc }) => rpc);
    const network = new NodeClient(node.gateways);
    running.push({ stop: () => network.close() });
    options.say(`starting the pool on ${node.description}`);
    const pool = await startPool(options.pool, join(dir, "pool"), { pools, poolsZmq: node.poolsZmq });
    running.push(pool);
    options.say(`starting the gateway (pool key ${pool.publicKey.slice(0, 16)}…)`);
    const gateway = await startGateway(
      { binary: options.gateway, node: gateways, pool, poolAddress: testnetAddress(0) },
      join(dir, "gateway"),
    );
    running.push(gateway);
    const miners = Array.from({ length: options.threads }, (_, i) => {
      const miner = new StratumMiner(
        {
          port: gateway.stratumPort,
          username: `${testnetAddress(i + 1)}.rig${i + 1}`,
          userAgent: USER_AGENTS[i % USER_AGENTS.length]!,
          difficultyOne: DIFFICULTY_ONE << BigInt(32 - options.zeroBits),
          hashrate: options.zeroBits < FEW_ZERO_BITS ? EASY_SHARES_PER_SECOND * 2 ** options.zeroBits : 0,
        },
        (error) => options.say(`hashing thread: ${error.message}`),
      );
      running.push(miner);
      return miner;
    });
    return await watch(options, signal, { node, network, gates, pool, gateway, miners });
  } finally {
    for (const one of running.reverse()) await one.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

interface Running {
  readonly node: NodePair;
  /** The gateway's node, past its gate. */
  readonly network: NodeClient;
  /** The gateway's and the pool's, on bitcoind. */
  readonly gates: readonly BlockGate[];
  readonly pool: InteropPool;
  readonly gateway: InteropGateway;
  readonly miners: readonly StratumMiner[];
}

async function watch(options: InteropOptions, signal: AbortSignal, running: Running): Promise<InteropReport> {
  const start = performance.now();
  const elapsed = (): number => (performance.now() - start) / 1000;
  let told = 0;
  let fed = 0;
  const [gatewaysGate, poolsGate] = running.gates;
  const through = new PoolBlocks(running.network);
  while (elapsed() < options.minutes * 60 && !signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    // Ctrl-C goes to the programs as well: from here on they may end.
    if (signal.aborted) break;
    for (const one of [running.node, running.pool, running.gateway]) one.check();
    const part = elapsed() / (options.minutes * 60);
    if (poolsGate?.isOpen === false && part > GATED_PART) {
      await through.begin();
      poolsGate.open();
      options.say("the gateway's own node gets no block from it, the pool's does");
    } else if (gatewaysGate?.isOpen === false && part > POOL_PART) {
      await through.end();
      gatewaysGate.open();
      options.say("both take blocks");
    }
    if (elapsed() >= fed * FEED_SECONDS) {
      const { known, unknown } = FEED[fed % FEED.length]!;
      fed += 1;
      await running.node.send(known, unknown);
    }
    if (elapsed() - told < 30) continue;
    told = elapsed();
    const { log } = running.gateway;
    options.say(
      `${Math.round(told)} s: ${log.accepted} accepted, ${log.rejected} refused, ${log.unknownResponses} unknown, ${log.drops.length} drops`,
    );
  }
  await through.end();
  const total = { submitted: 0, accepted: 0, refused: 0 };
  let hashes = 0;
  for (const miner of running.miners) {
    total.submitted += miner.figures.submitted;
    total.accepted += miner.figures.accepted;
    total.refused += miner.figures.refused;
    hashes += await miner.hashes();
  }
  const log = structuredClone(running.gateway.log);
  options.say("checking the books and what the pool published");
  const { books, settlements, problem } = await audit(running.pool);
  const templates = countTemplates(await running.pool.templates());
  return {
    node: running.node.description,
    minutes: elapsed() / 60,
    gateway: log,
    reconnects: Math.max(0, log.handshakes - 1),
    miners: { ...total, hashesPerSecond: Math.round(hashes / elapsed()) },
    poolWarnings: [...running.pool.warnings],
    templates,
    blocksByPool: through.count,
    books,
    settlements,
    problems: [
      ...problems(log),
      ...templateProblems(templates),
      ...(through.count === 0 ? ["no block reached the network through the pool alone"] : []),
      ...problem,
    ],
  };
}

/** Blocks that come to the network while the gateway's own node takes none from it. */
class PoolBlocks {
  /** Undefined before there was such a time. */
  count: number | undefined;
  #from: number | undefined;

  constructor(private readonly network: NodeClient) {}

  async begin(): Promise<void> {
    this.#from = (await this.network.blockchainInfo()).blocks;
  }

  async end(): Promise<void> {
    if (this.#from === undefined || this.count !== undefined) return;
    this.count = (await this.network.blockchainInfo()).blocks - this.#from;
  }
}

async function audit(pool: InteropPool): Promise<{ books: string; settlements: string; problem: string[] }> {
  const last = (text: string): string => text.trim().split("\n").at(-1) ?? "";
  try {
    const said = await pool.audit();
    return { books: last(said.books), settlements: last(said.settlements), problem: [] };
  } catch (error) {
    return { books: "", settlements: "", problem: [error instanceof Error ? error.message : String(error)] };
  }
}

function problems(log: GatewayLog): string[] {
  const found: string[] = [];
  if (log.accepted === 0) found.push("no share was accepted: run longer, a share takes 2^32 hashes on average");
  if (log.rejected > 0) found.push(`${log.rejected} shares were refused${byReason(log.reasons)}`);
  if (log.unknownResponses > 0) found.push(`${log.unknownResponses} share responses were unknown to the gateway`);
  if (log.unknownCommands > 0) found.push(`${log.unknownCommands} commands were unknown to the gateway`);
  if (log.coinbaserTimeouts > 0) found.push(`${log.coinbaserTimeouts} splits did not come in time`);
  if (log.handshakes > 1) found.push(`the gateway reconnected ${log.handshakes - 1} times`);
  if (log.accepted > 1 && !log.coinbaserOutputs.some((count) => count > 0))
    found.push("no split had an output, though shares were accepted");
  return found;
}

/** The report as lines for people. */
export function describeReport(report: InteropReport): string {
  const { gateway, miners } = report;
  return [
    `node             ${report.node}`,
    `time             ${report.minutes.toFixed(1)} minutes, ${miners.hashesPerSecond.toLocaleString("en")} hashes/s`,
    `handshakes       ${gateway.handshakes} (${report.reconnects} reconnects), greeting "${gateway.motd ?? ""}"`,
    ...gateway.drops.slice(-5).map((line) => `                 ${line}`),
    `configuration    tag "${gateway.tag ?? ""}", prime id ${gateway.primeId ?? "none"}, minimum difficulty ${gateway.minimumDifficulty ?? "none"}`,
    `                 payout script ${gateway.payoutScript ?? "none"}`,
    `coinbaser        ${gateway.coinbaserOutputs.length} splits, outputs of the last ones: ${gateway.coinbaserOutputs.slice(-10).join(" ") || "none"}; ${gateway.coinbaserTimeouts} late`,
    `shares           ${gateway.accepted} accepted, ${gateway.rejected} refused${byReason(gateway.reasons)}, ${gateway.unknownResponses} unknown responses`,
    `at the gateway   ${miners.submitted} submitted by the miners, ${miners.accepted} taken, ${miners.refused} refused`,
    `blocks           ${gateway.blocksFound} found, ${gateway.blocksTaken} taken by the node`,
    ...(report.blocksByPool === undefined ? [] : [`                 ${report.blocksByPool} came to the network through the pool alone`]),
    `templates        ${describeTemplates(report.templates)}`,
    `books            ${report.books}`,
    `settlements      ${report.settlements}`,
    `pool warnings    ${report.poolWarnings.length}`,
    ...report.poolWarnings.slice(-5).map((line) => `                 ${warningText(line)}`),
    report.problems.length === 0 ? "all is well" : `PROBLEMS\n${report.problems.map((line) => `  - ${line}`).join("\n")}`,
  ].join("\n");
}

/** ` (stale 12, duplicate 3)`; "" for none. */
function byReason(reasons: readonly number[]): string {
  const counts = new Map<number, number>();
  for (const code of reasons) counts.set(code, (counts.get(code) ?? 0) + 1);
  const words = [...counts].map(([code, count]) => `${rejectReasonName(code) ?? code} ${count}`);
  return words.length === 0 ? "" : ` (${words.join(", ")})`;
}

/** A line of the pool's JSON log, for people. */
function warningText(line: string): string {
  const { level: _, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const rest = Object.entries(fields).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
  return `${new Date(Number(time)).toISOString().slice(11, 19)} ${String(msg)}${rest.join("")}`;
}
