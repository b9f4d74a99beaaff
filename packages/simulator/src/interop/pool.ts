/** The pool under test, as its own process with a configuration of its own. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { minerAddress } from "../gateway/addresses.js";
import type { NodePair } from "./node-pair.js";
import { type Command, eventually, freePort, Program, run } from "./processes.js";

export interface InteropPool {
  readonly port: number;
  /** 128 hex digits. */
  readonly publicKey: string;
  /** Lines of the pool's log at level warn and above. */
  readonly warnings: readonly string[];
  check(): void;
  /** Holds the pool's books against the chain, then recomputes every settlement that it published. Answers what it says. @throws SimulatorError */
  audit(): Promise<{ readonly books: string; readonly settlements: string }>;
  /** What its `ledger templates` prints of all templates, JSON. @throws SimulatorError */
  templates(): Promise<string>;
  stop(): Promise<void>;
}

type PoolsNode = Pick<NodePair, "pools" | "poolsZmq">;

/** More than any run has jobs. */
const MOST_TEMPLATES = 100_000;
/** Level of a warning in the pool's JSON log. */
const WARN = 40;

/**
 * Makes keys and configuration with the pool's own `init`, then sets what a test on loopback needs.
 * All that the interop run knows of the configuration's format is here.
 */
async function writePoolConfig(pool: Command, dir: string, settings: { readonly node: PoolsNode; readonly port: number }): Promise<string> {
  const payoutAddress = minerAddress("interop pool", 0);
  await run({ file: pool.file, args: [...pool.args, "init", "--dir", dir, "--network", "regtest", "--payout-address", payoutAddress] });
  const file = join(dir, "openprime.yaml");
  const zmq = settings.node.poolsZmq;
  const config = {
    network: "regtest",
    listen: { host: "127.0.0.1", port: settings.port },
    pool: { payoutAddress, tag: "OpenPrime interop", minimumDifficulty: 1 },
    keys: { file: "openprime.keys.json" },
    node: { ...settings.node.pools, ...(zmq !== undefined && { zmqHashblock: zmq, zmqRawtx: zmq, zmqSequence: zmq }) },
    api: { port: "off" },
    log: { format: "json" },
  };
  // YAML takes JSON as it is.
  writeFileSync(file, JSON.stringify(config, null, 2), { mode: 0o600 });
  return file;
}

/** True when something listens on the port. */
async function listens(port: number): Promise<boolean> {
  const { createConnection } = await import("node:net");
  return new Promise((resolve) => {
    const socket = createConnection({ host: "127.0.0.1", port });
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

/** Starts the pool and waits until it listens. */
export async function startPool(pool: Command, dir: string, node: PoolsNode): Promise<InteropPool> {
  const port = await freePort();
  const config = await writePoolConfig(pool, dir, { node, port });
  const keys = await run({ file: pool.file, args: [...pool.args, "keys", "--config", config] });
  const publicKey = keys.trim().split("\n")[0]!;
  const warnings: string[] = [];
  const program = new Program("the pool", { file: pool.file, args: [...pool.args, "serve", "--config", config] }, (line) => {
    if (isWarning(line)) warnings.push(line);
  });
  try {
    await eventually("a listening pool", 60, async () => {
      program.check();
      return (await listens(port)) ? true : undefined;
    });
  } catch (error) {
    await program.stop();
    throw error;
  }
  const command = (...args: string[]): Promise<string> => run({ file: pool.file, args: [...pool.args, ...args] });
  const from = join(dir, "openprime-public");
  const { url, user, password } = node.pools;
  return {
    port,
    publicKey,
    warnings,
    check: () => program.check(),
    audit: async () => ({
      books: await command("ledger", "check", "--scan", "--config", config),
      settlements: await command("audit", "all", "--from", from, "--node", url, "--user", user, "--password", password),
    }),
    templates: () => command("ledger", "templates", "--json", "--limit", String(MOST_TEMPLATES), "--config", config),
    stop: () => program.stop(),
  };
}

function isWarning(line: string): boolean {
  try {
    return (JSON.parse(line) as { level?: number }).level! >= WARN;
  } catch {
    return false;
  }
}
