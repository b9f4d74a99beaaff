/** One run: a pool under load, faults by a seeded schedule, and the books at the end. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BlockHeaderInfo, NodeClient } from "@openprime/bitcoin";
import { blockOf, FaultyProxy, type MinedShare, Random, RegtestNode, readTemplate, type Template } from "@openprime/simulator";
import { checkMoney, checkShares } from "./books.js";
import { type Fault, FaultRefused, faults, type Stage } from "./faults.js";
import { LoadedGateway } from "./loaded-gateway.js";
import { JumpyClock, Namespace, SmallDisk } from "./machine.js";
import { PoolProcess } from "./pool-process.js";

export interface FaultOptions {
  /** Times that every fault is thrown. */
  readonly rounds: number;
  readonly seed: number;
  readonly gateways: number;
  /** Only these faults. */
  readonly only?: readonly string[];
  /** With what needs root. */
  readonly privileged: boolean;
}

export interface FaultReport {
  readonly seed: number;
  readonly seconds: number;
  /** Each fault thrown: how long until every gateway had shares acknowledged again, milliseconds. */
  readonly thrown: readonly { readonly fault: string; readonly recoveredMs: number }[];
  readonly skipped: Readonly<Record<string, string>>;
  readonly shares: {
    readonly sent: number;
    readonly acknowledged: number;
    readonly inBooks: number;
    readonly lostAnswers: number;
    readonly refusedForNow: number;
    readonly stale: number;
  };
  readonly blocks: { readonly found: number; readonly onChain: number; readonly orphaned: number };
  readonly connections: number;
  /** Errors that the pool logged, by their words. */
  readonly errors: Readonly<Record<string, number>>;
  readonly findings: readonly string[];
}

/** 512 hashes a block. */
const BITS = 0x1f7fffff;
const POLL_MS = 250;
/** Shares that each gateway must have acknowledged after a fault, and how long that may take. */
const PROGRESS = 5;
const RECOVER_MS = 90_000;
/** How long a block that was found in quiet times may take to the node. */
const OUT_MS = 20_000;

export async function runFaults(options: FaultOptions, say: (line: string) => void): Promise<FaultReport> {
  const run = new FaultRun(options, say);
  // Whoever breaks it off is left no namespace and no mount either.
  const broken = (): void => void run.clear().finally(() => process.exit(1));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, broken);
  try {
    await run.start();
    await run.fire();
    return await run.report();
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, broken);
    await run.clear();
  }
}

class FaultRun {
  readonly #dir = mkdtempSync(join(tmpdir(), "openprime-faults-"));
  readonly #random: Random;
  readonly #started = performance.now();
  readonly #findings: string[] = [];
  readonly #thrown: { fault: string; recoveredMs: number }[] = [];
  readonly #skipped: Record<string, string> = {};
  readonly #blocks: { readonly share: MinedShare; readonly during: string; readonly own: string }[] = [];
  #node!: RegtestNode;
  #client!: NodeClient;
  #stage!: Stage;
  #databaseDir = "";
  #gateways: LoadedGateway[] = [];
  #template!: Template;
  #poll: NodeJS.Timeout | undefined;

  constructor(
    private readonly options: FaultOptions,
    private readonly say: (line: string) => void,
  ) {
    this.#random = new Random(options.seed);
  }

  async start(): Promise<void> {
    const { privileged, gateways } = this.options;
    const without = "left out (--unprivileged)";
    const namespace = privileged ? Namespace.make() : without;
    const disk = privileged ? SmallDisk.make(join(this.#dir, "disk")) : without;
    const clock = JumpyClock.make(join(this.#dir, "clock"));
    const host = typeof namespace === "string" ? "127.0.0.1" : namespace.host;
    this.#node = await RegtestNode.start({ bits: BITS });
    this.#client = new NodeClient(this.#node.rpc);
    const upstream = new URL(this.#node.rpc.url);
    const node = await FaultyProxy.start(() => ({ host: upstream.hostname, port: Number(upstream.port) }), host);
    this.#databaseDir = typeof disk === "string" ? join(this.#dir, "books") : join(disk.dir, "books");
    const pool = await PoolProcess.make({
      dir: this.#dir,
      node: { ...this.#node.rpc, url: `http://${node.host}:${node.port}/` },
      host: typeof namespace === "string" ? "127.0.0.1" : namespace.pool,
      databaseDir: this.#databaseDir,
      prefix: typeof namespace === "string" ? [] : namespace.prefix,
      env: typeof clock === "string" ? {} : clock.env,
      config: { split: { threshold: 100_000_000 } },
    });
    const lines = await Promise.all(Array.from({ length: gateways }, () => FaultyProxy.start(() => pool.place)));
    this.#stage = { pool, node, lines, random: this.#random, namespace, disk, clock };
    await pool.start();
    await this.#look();
    this.#poll = setInterval(() => void this.#look().catch(() => undefined), POLL_MS);
    this.#gateways = lines.map(
      ({ host: near, port }, number) =>
        new LoadedGateway(
          number,
          () => ({ host: near, port, publicKey: pool.place.publicKey }),
          () => this.#template,
        ),
    );
    for (const gateway of this.#gateways) gateway.start();
    await this.#progress("the start");
  }

  /** The node's tip: gateways have nodes of their own, which no fault reaches. */
  async #look(): Promise<void> {
    const template = readTemplate(await this.#client.blockTemplate());
    const moved = this.#template !== undefined && Buffer.compare(this.#template.prevhash, template.prevhash) !== 0;
    this.#template = template;
    if (moved) await Promise.all(this.#gateways.map((gateway) => gateway.renew()));
  }

  async fire(): Promise<void> {
    for (let round = 0; round < this.options.rounds; round++) {
      const left = faults(this.#stage).filter(({ name }) => this.options.only?.includes(name) ?? true);
      while (left.length > 0) {
        const [fault] = left.splice(this.#random.below(left.length), 1) as [Fault];
        if (fault.skipped === undefined) await this.#throw(fault);
        else this.#skip(fault, fault.skipped);
      }
    }
  }

  async #throw(fault: Fault): Promise<void> {
    try {
      await fault.begin();
    } catch (error) {
      if (!(error instanceof FaultRefused)) throw error;
      this.#skip(fault, error.message);
      return;
    }
    // A block in the middle of it; an outside block makes it worse now and then.
    if (fault.ms > 0) {
      await Promise.race([this.#find(fault.name), pause(fault.ms)]);
      if (this.#random.below(3) === 0) await this.#node.mine(1);
      await pause(fault.ms);
    }
    await fault.end();
    const ended = performance.now();
    await this.#progress(fault.name);
    const recoveredMs = Math.round(performance.now() - ended);
    this.#thrown.push({ fault: fault.name, recoveredMs });
    this.say(`${fault.name}: ${recoveredMs} ms until every gateway had ${PROGRESS} shares more`);
    await this.#find(`after ${fault.name}`);
    await this.#known();
    if (this.#random.below(4) === 0) await this.#reorganise();
  }

  #skip(fault: Fault, why: string): void {
    if (this.#skipped[fault.name] === undefined) this.say(`SKIPPED: ${fault.name}: ${why}`);
    this.#skipped[fault.name] = why;
  }

  async #find(during: string): Promise<void> {
    const found = await this.#random.pick(this.#gateways).block();
    if (found === undefined) return;
    // A gateway gives its block to its own node too; here only where the pool can't have heard of it for sure.
    const own = found.answered
      ? "left to the pool"
      : `told ${await this.#client.submitBlock(blockOf(found.share)).catch(String)} by the node`;
    this.#blocks.push({ ...found, during, own });
  }

  /** The last block is out before the next fault: a pool that is killed within the same moments leaves it to its gateway's own node. */
  async #known(): Promise<void> {
    const last = this.#blocks.at(-1);
    const deadline = performance.now() + OUT_MS;
    while (last !== undefined && performance.now() < deadline) {
      if ((await this.#header(last.share)) !== undefined) return;
      await pause(20);
    }
  }

  #header({ hash }: MinedShare): Promise<BlockHeaderInfo | undefined> {
    return this.#client.blockHeader(Buffer.from(hash, "hex").reverse().toString("hex")).catch(() => undefined);
  }

  async #reorganise(): Promise<void> {
    const { height } = await this.#node.tip();
    const depth = 1 + this.#random.below(3);
    await this.#node.branch(height - depth, depth + 1);
    await this.#progress(`a reorganisation of ${depth}`);
  }

  /** Every gateway gets on. */
  async #progress(after: string): Promise<void> {
    const goals = this.#gateways.map(({ acknowledged }) => acknowledged.size + PROGRESS);
    const deadline = performance.now() + RECOVER_MS;
    while (this.#gateways.some(({ acknowledged }, index) => acknowledged.size < (goals[index] as number))) {
      if (this.#stage.pool.pid === undefined) throw new Error(`the pool has ended after ${after}:\n${this.#stage.pool.lastWords}`);
      if (performance.now() > deadline) {
        this.#findings.push(`no recovery from ${after} within ${RECOVER_MS} ms`);
        this.say(`FINDING: no recovery from ${after}; the pool's last words:\n${this.#stage.pool.lastWords}`);
        return;
      }
      await pause(20);
    }
  }

  async report(): Promise<FaultReport> {
    const { pool } = this.#stage;
    await Promise.all(this.#gateways.map((gateway) => gateway.finish()));
    clearInterval(this.#poll);
    const blocks = await this.#checkBlocks();
    this.#findings.push(...(await checkMoney(pool, this.#dir, this.#client, this.#node.rpc)));
    const end = await pool.kill("SIGTERM");
    if (end !== "exit 0") this.#findings.push(`the pool did not end well: ${end}\n${pool.lastWords}`);
    const { rows, wrong } = await checkShares(this.#databaseDir, this.#gateways);
    this.#findings.push(...wrong, ...this.#gateways.flatMap(({ findings }) => findings));
    const sum = (of: (gateway: LoadedGateway) => number): number => this.#gateways.reduce((total, gateway) => total + of(gateway), 0);
    return {
      seed: this.options.seed,
      seconds: (performance.now() - this.#started) / 1000,
      thrown: this.#thrown,
      skipped: this.#skipped,
      shares: {
        sent: sum(({ sent }) => sent.size),
        acknowledged: sum(({ acknowledged }) => acknowledged.size),
        inBooks: rows,
        lostAnswers: sum(({ counts }) => counts.lostAnswers),
        refusedForNow: sum(({ counts }) => counts.notNow),
        stale: sum(({ counts }) => counts.stale),
      },
      blocks,
      connections: sum(({ counts }) => counts.connections),
      errors: Object.fromEntries(pool.errors),
      findings: this.#findings,
    };
  }

  /** Each block that was found is known to the node: on the chain, or orphaned. */
  async #checkBlocks(): Promise<FaultReport["blocks"]> {
    const { pool } = this.#stage;
    const counts = { found: this.#blocks.length, onChain: 0, orphaned: 0 };
    for (const { share, during, own } of this.#blocks) {
      const name = Buffer.from(share.hash, "hex").reverse().toString("hex");
      const header = await this.#header(share);
      if (header === undefined)
        this.#findings.push([`the block ${name} (${during}, ${own}) is not known to the node`, ...pool.said(name)].join("\n"));
      else if ((await this.#client.blockHash(header.height).catch(() => "")) === name) counts.onChain += 1;
      else counts.orphaned += 1;
    }
    return counts;
  }

  /** Leaves nothing: no process, no mount, no namespace. */
  async clear(): Promise<void> {
    clearInterval(this.#poll);
    const stage = this.#stage as Stage | undefined;
    const server = stage?.pool.postmaster;
    await stage?.pool.kill("SIGKILL");
    // A pool that was killed leaves its database's server.
    if (server !== undefined) {
      try {
        process.kill(server, "SIGKILL");
      } catch {
        // It ended with its pool.
      }
    }
    for (const proxy of [...(stage?.lines ?? []), ...(stage === undefined ? [] : [stage.node])]) await proxy.close();
    await (this.#client as NodeClient | undefined)?.close();
    await (this.#node as RegtestNode | undefined)?.stop();
    if (stage !== undefined && typeof stage.disk !== "string") stage.disk.remove();
    if (stage !== undefined && typeof stage.namespace !== "string") stage.namespace.remove();
    rmSync(this.#dir, { recursive: true, force: true, maxRetries: 10 });
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
