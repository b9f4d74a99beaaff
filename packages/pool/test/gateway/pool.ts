/** A gateway server on a free port, with the real judge and everything behind it held by the test. */

import { ShareProver } from "@openprime/bitcoin";
import { type DatumCrypto, encodePublicKey, generateLongTermKeys, type LongTermKeys, loadCrypto } from "@openprime/datum";
import { Registry } from "prom-client";
import { expect, vi } from "vitest";
import {
  type CommitOutcome,
  type GatewayLimits,
  GatewayServer,
  type GatewayServerModules,
  type GatewayServerOptions,
  type OpenedSession,
  type SavedSession,
} from "../../src/gateway/index.js";
import {
  type BlockCandidate,
  type ChainView,
  type JudgedShare,
  type OfferedSplit,
  type Parent,
  ShareJudge,
  type TemplateDesk,
} from "../../src/work/index.js";
import { type LogLines, logLines } from "../chain/log-lines.js";
import { MINER_SCRIPT, NETWORK, POOL_SCRIPT, TAG } from "./work.js";

export const crypto: DatumCrypto = await loadCrypto();

/** A chain that stands still until the test moves it. */
export class StillChain implements ChainView {
  reachable = true;
  current: Parent = this.parentOf(Buffer.alloc(32, 0xc4), 100);
  readonly others = new Map<string, Parent>();

  parentOf(hash: Uint8Array, height: number): Parent {
    return { hash, state: "tip", height, childBits: 0x1b00ffff, medianTime: 1_500_000_000, staleSince: undefined };
  }

  tip(): Parent {
    return this.current;
  }

  known(hash: Uint8Array): Parent | undefined {
    return Buffer.compare(hash, this.current.hash) === 0 ? this.current : this.others.get(Buffer.from(hash).toString("hex"));
  }

  parent(hash: Uint8Array, claimedHeight: number): Parent {
    if (Buffer.compare(hash, this.current.hash) === 0) return this.current;
    const name = Buffer.from(hash).toString("hex");
    let parent = this.others.get(name);
    if (parent === undefined) {
      parent = { hash, state: "unknown", height: claimedHeight, childBits: undefined, medianTime: undefined, staleSince: undefined };
      this.others.set(name, parent);
    }
    return parent;
  }
}

export class TestPool {
  readonly chain = new StillChain();
  /** Everything that came to the rooms behind, in order. */
  readonly events: string[] = [];
  readonly appended: JudgedShare[] = [];
  /** Shares that wait for `commit`, when `holding`. */
  readonly held: ((outcome: CommitOutcome) => void)[] = [];
  readonly opened: string[] = [];
  readonly saves: (readonly SavedSession[])[] = [];
  readonly blocks: { candidate: BlockCandidate; fetch: () => Promise<readonly Uint8Array[]> }[] = [];
  holding = false;
  full = false;
  outcome: CommitOutcome = "committed";
  splitSize = 2;
  splitFails = false;
  /** What the books answer to the next sessions; by default a new id and no splits. */
  nextSession: (() => Promise<OpenedSession>) | undefined;
  readonly logs: LogLines = logLines();
  readonly registry = new Registry();
  readonly #sessions = new Map<string, OpenedSession>();
  server!: GatewayServer;
  host = "";
  port = 0;

  private constructor(readonly keys: LongTermKeys) {}

  static async start(
    limits: Partial<GatewayLimits> = {},
    change: {
      keys?: LongTermKeys;
      host?: string;
      options?: Partial<GatewayServerOptions>;
      modules?: Partial<GatewayServerModules>;
      templates?: TemplateDesk;
    } = {},
  ): Promise<TestPool> {
    const pool = new TestPool(change.keys ?? generateLongTermKeys(crypto));
    const judge = new ShareJudge(
      {
        network: NETWORK,
        payoutScript: POOL_SCRIPT,
        tag: TAG,
        feePpm: 0,
        staleGraceMs: 1000,
        limits: { accountsPerSession: 100, workersPerSession: 100 },
      },
      { chain: pool.chain, prover: await ShareProver.create(), templates: change.templates, now: Date.now },
    );
    pool.server = new GatewayServer(
      {
        host: change.host ?? "127.0.0.1",
        port: 0,
        payoutScript: POOL_SCRIPT,
        tag: TAG,
        minimumDifficulty: 1n,
        motd: "hello from the test",
        limits,
        ...change.options,
      },
      {
        crypto,
        longTermKeys: [pool.keys],
        judge,
        sink: { append: (share, done) => pool.#append(share, done) },
        splits: { offer: (request) => pool.#offer(request) },
        blocks: {
          found: (candidate, fetch) => {
            pool.events.push("block");
            pool.blocks.push({ candidate, fetch });
          },
        },
        sessions: {
          open: (key, _version, onNew) => pool.#open(Buffer.from(key).toString("hex"), onNew),
          save: async (sessions) => {
            pool.saves.push(sessions);
          },
        },
        head: () => 17n,
        log: pool.logs.log,
        metrics: pool.registry,
        now: Date.now,
        ...change.modules,
      },
    );
    const bound = await pool.server.listen();
    pool.host = bound.host;
    pool.port = bound.port;
    return pool;
  }

  get publicKey(): string {
    return encodePublicKey(this.keys);
  }

  /** The books know that gateway. @param key hex */
  know(key: string, session: OpenedSession): void {
    this.#sessions.set(key, session);
  }

  /** Ends the transactions of the shares held so far. */
  commit(outcome: CommitOutcome = "committed"): void {
    for (const done of this.held.splice(0)) done(outcome);
  }

  /** A metric's value; 0 when it was never touched. */
  async metric(name: string, labels: Record<string, string> = {}): Promise<number> {
    const found = await this.registry.getSingleMetric(name)?.get();
    if (found === undefined) throw new Error(`no metric ${name}`);
    return found.values
      .filter((value) => Object.entries(labels).every(([label, text]) => String((value.labels as Record<string, unknown>)[label]) === text))
      .reduce((sum, value) => sum + value.value, 0);
  }

  /** The lines about closed connections, of one reason. */
  closings(reason: string): Record<string, unknown>[] {
    return this.logs.saying("connection closed").filter((line) => line.reason === reason);
  }

  #append(share: JudgedShare, done: (outcome: CommitOutcome) => void): boolean {
    if (this.full) return false;
    this.events.push("append");
    this.appended.push(share);
    if (this.holding) this.held.push(done);
    else setImmediate(() => done(this.outcome));
    return true;
  }

  #offer(request: { coinbaserId: number; value: bigint; prevhash: Uint8Array }): OfferedSplit {
    if (this.splitFails) throw new Error("no snapshot");
    const outputs = Array.from({ length: this.splitSize }, (_, index) => ({ value: BigInt(1000 + index), script: MINER_SCRIPT }));
    return { id: 5n, position: 16n, outputs, ...request };
  }

  async #open(key: string, onNew: () => void): Promise<OpenedSession> {
    this.opened.push(key);
    const next = this.nextSession;
    if (next !== undefined) return next();
    let session = this.#sessions.get(key);
    if (session === undefined) {
      onNew();
      session = { id: BigInt(this.#sessions.size + 1), primeId: 0xabc00001 + this.#sessions.size, splits: [] };
      this.#sessions.set(key, session);
    }
    return session;
  }
}

export const until = (check: () => void | Promise<void>): Promise<void> => vi.waitFor(check, { timeout: 10_000, interval: 2 });

export async function untilMetric(pool: TestPool, name: string, labels: Record<string, string>, value: number): Promise<void> {
  await until(async () => expect(await pool.metric(name, labels)).toBe(value));
}
