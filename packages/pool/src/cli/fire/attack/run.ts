/**
 * One run: a pool, a gateway that does nothing wrong, and a hostile process that pushes one limit after the other. The good gateway measures its
 * own answers, beside a quiet time in the same run.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NodeClient } from "@openprime/bitcoin";
import { ATTACKS, type AttackTally, RegtestNode, readTemplate, runAttack } from "@openprime/simulator";
import { checkShares } from "../faults/books.js";
import { PoolProcess } from "../faults/pool-process.js";
import { type Counters, difference, readCounters } from "./counters.js";
import { GoodGateway, type Latencies } from "./good-gateway.js";

export interface AttackOptions {
  /** Of each attack, and of the quiet time. */
  readonly seconds: number;
  readonly only?: readonly string[];
}

export interface AttackRow {
  readonly attack: string;
  readonly what: string;
  readonly attacker: AttackTally | undefined;
  readonly good: Latencies;
  /** Counters of the pool that moved, refusals and guards. */
  readonly guards: Counters;
  /** Megabytes, before and after. */
  readonly rss: readonly [before: number, after: number];
}

export interface AttackReport {
  readonly seconds: number;
  readonly rows: readonly AttackRow[];
  readonly findings: readonly string[];
  readonly goodShares: number;
  readonly inBooks: number;
}

/** Bits out of reach: no share is a block but the attacker's false ones. */
const BITS = 0x1b00ffff;
/** First octets of the attackers' networks on the loopback interface; each attack has one of its own, so that no ban is another's. */
const FIRST_NETWORK = 20;

export async function runAttacks(options: AttackOptions, say: (line: string) => void): Promise<AttackReport> {
  const dir = mkdtempSync(join(tmpdir(), "openprime-attack-"));
  const node = await RegtestNode.start({ bits: BITS });
  const client = new NodeClient(node.rpc);
  const api = await freePort();
  let pool: PoolProcess | undefined;
  try {
    await node.send(5);
    const template = readTemplate(await client.blockTemplate());
    const config = { api: { host: "127.0.0.1", port: api } };
    pool = await PoolProcess.make({ dir, node: node.rpc, host: "127.0.0.1", databaseDir: join(dir, "books"), prefix: [], env: {}, config });
    await pool.start();
    const good = new GoodGateway(pool.place, template);
    await good.start();
    const rows: AttackRow[] = [];
    const measure = async (attack: string, what: string, work: () => Promise<AttackTally | undefined>): Promise<void> => {
      const [before, rssBefore] = [await readCounters(api), rss(pool as PoolProcess)];
      good.begin();
      const attacker = await work();
      const latencies = good.end();
      const row = {
        attack,
        what,
        attacker,
        good: latencies,
        guards: difference(before, await readCounters(api)),
        rss: [rssBefore, rss(pool as PoolProcess)] as const,
      };
      rows.push(row);
      say(`${attack}: good gateway p99 ${latencies.p99.toFixed(0)} ms of ${latencies.shares} shares`);
    };
    const quiet = (): Promise<undefined> => new Promise((resolve) => setTimeout(() => resolve(undefined), options.seconds * 1000));
    // The first shares of a pool are slower than all later ones.
    await good.warm();
    await measure("(quiet)", "nobody attacks", quiet);
    for (const [index, { name, what }] of ATTACKS.entries()) {
      if (options.only !== undefined && !options.only.includes(name)) continue;
      const order = { attack: name, place: pool.place, node: node.rpc, seconds: options.seconds, network: `127.${FIRST_NETWORK + index}` };
      await measure(name, what, () => runAttack(order));
      if (pool.pid === undefined) throw new Error(`the pool ended under "${name}":\n${pool.lastWords}`);
    }
    await measure("(quiet again)", "nobody attacks", quiet);
    await good.stop();
    const findings = [...good.findings];
    const check = await pool.command("ledger", "check", "--config", pool.configFile);
    if (check.code !== 0) findings.push(`ledger check (${check.code}): ${check.out.slice(-1000)}`);
    for (const [words, count] of pool.errors) findings.push(`the pool logged an error ${count} times: ${words}`);
    const end = await pool.kill("SIGTERM");
    if (end !== "exit 0") findings.push(`the pool did not end well: ${end}\n${pool.lastWords}`);
    const { rows: inBooks, wrong } = await checkShares(join(dir, "books"), [good], true);
    return { seconds: options.seconds, rows, findings: [...findings, ...wrong], goodShares: good.acknowledged.size, inBooks };
  } finally {
    await pool?.kill("SIGKILL");
    await client.close();
    await node.stop();
    rmSync(dir, { recursive: true, force: true, maxRetries: 10 });
  }
}

/** Resident memory of the pool, megabytes; 0 where the system does not tell. */
function rss({ pid }: PoolProcess): number {
  try {
    const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Math.round(Number(kilobytes ?? 0) / 1024);
  } catch {
    return 0;
  }
}

async function freePort(): Promise<number> {
  const { createServer } = await import("node:net");
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}
