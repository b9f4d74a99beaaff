/**
 * The pool restarted again and again under load, by SIGTERM and by kill -9, with real processes and real gateways on the wire. Nothing is refused
 * because of it, no acknowledged share is lost and none doubled; prime ids, pins and minimums stay; the books agree.
 *
 * OPENPRIME_RESTARTS sets how many restarts each test makes (6 and 3 by default; 20 and more for a long run).
 */
import { type AddressInfo, createServer } from "node:net";
import { NodeClient } from "@openprime/bitcoin";
import { mine, minerAddress, RegtestNode, readTemplate, type Template, WireGateway } from "@openprime/simulator";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { bookCounts, checkBooks, openDatabase } from "../../src/ledger/index.js";
import { MemoryLogger } from "../ledger/support.js";
import type { Command } from "./support/command.js";
import { LoadedGateway } from "./support/loaded-gateway.js";
import { PoolFolder } from "./support/pool-folder.js";
import { until } from "./support/until.js";

/** Of Node's inside: a socket that is bound and that nobody accepts on. */
interface TcpWrap {
  readonly constants: { readonly SERVER: number };
  readonly TCP: new (
    type: number,
  ) => { readonly fd: number; bind(host: string, port: number): number; getsockname(out: { port: number }): number; close(): void };
}

const asked = Number(process.env.OPENPRIME_RESTARTS);
const GRACEFUL = asked || 6;
const MIXED = asked || 3;
/** Per restart, far more than it takes on a busy machine. */
const RESTART_MS = 20_000;
const GATEWAYS = 3;
/** Answers of each gateway between two restarts. */
const PACE = 60;
/** Where the minimum goes at once under such a load. */
const CEILING = 4n;

let node: RegtestNode;
let template: Template;
beforeAll(async () => {
  // Bits out of reach: no share is a block, and every job is on one parent to the end.
  node = await RegtestNode.start({ bits: 0x1b00ffff });
  await node.send(5);
  const client = new NodeClient(node.rpc);
  template = readTemplate(await client.blockTemplate());
  await client.close();
});
afterAll(() => node.stop());

/** Free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

class Scene {
  readonly gateways = Array.from({ length: GATEWAYS }, (_, number) => new LoadedGateway(number, template));
  /** Works all the time on one job without a split: what that is pinned to must never move. */
  readonly pinned = new LoadedGateway(GATEWAYS, template, true);
  readonly all = [...this.gateways, this.pinned];
  pool!: Command;

  constructor(
    readonly folder: PoolFolder,
    private readonly apiPort: number,
  ) {}

  static async start(): Promise<Scene> {
    const folder = await PoolFolder.init(node.rpc);
    folder.set("minimumDifficultyCeiling", String(CEILING));
    folder.set("gatewaySharesPerMinute", "20");
    const scene = new Scene(folder, await freePort());
    onTestFinished(() => Promise.all(scene.all.map(({ connected, gateway }) => connected && gateway.close())).then(() => undefined));
    await scene.serve(scene.next());
    return scene;
  }

  /** One more pool on the same books, with the same port for its API. */
  next(): Command {
    return this.folder.serve({ OPENPRIME_API_PORT: String(this.apiPort) });
  }

  /** Everybody connects to that pool and finds the minimum that it was told last. */
  async serve(pool: Command): Promise<void> {
    this.pool = pool;
    const place = await pool.listening();
    await Promise.all(
      this.all.map(async (one) => {
        const before = one.primeId === 0 ? undefined : one.gateway.configuration.minimumDifficulty;
        await one.connect(place);
        if (before !== undefined) expect(one.gateway.configuration.minimumDifficulty).toBe(before);
      }),
    );
  }

  /** So many answers more, of every gateway. */
  async progress(count = PACE): Promise<void> {
    const goals = this.all.map(({ answers }) => answers + count);
    await until(
      `${count} answers`,
      () => {
        if (this.pool.end !== undefined) throw new Error(`the pool ended (${this.pool.end}):\n${this.pool.stderr.slice(-3000)}`);
        return this.all.every(({ answers }, index) => answers >= goals[index]!);
      },
      60_000,
    );
  }

  /** The minimum is raised once the first shares have been counted for some seconds; it is to stay so. */
  async minimumRaised(): Promise<void> {
    await until("raised minimums", () => this.all.every(({ gateway }) => gateway.configuration.minimumDifficulty === CEILING), 60_000);
  }

  async terminate(pool = this.pool): Promise<void> {
    pool.kill("SIGTERM");
    expect(await pool.ended, pool.stderr.slice(-3000)).toBe(0);
    await this.cutOff();
    // They were told, after the last answer.
    for (const { gateway } of this.all) expect(gateway.told.at(-1)).toContain("The pool stops now");
  }

  async killed(): Promise<void> {
    this.pool.kill("SIGKILL");
    expect(await this.pool.ended).toBe("SIGKILL");
    await this.cutOff();
  }

  cutOff(): Promise<unknown> {
    return until("the end of all connections", () => this.all.every(({ connected }) => !connected));
  }

  /** What every gateway was told against what the books say. */
  async settle(): Promise<void> {
    await Promise.all(this.all.map((gateway) => gateway.finish()));
    this.pool.kill("SIGTERM");
    expect(await this.pool.ended, this.pool.stderr.slice(-3000)).toBe(0);
    for (const gateway of this.all) {
      expect(gateway.refused).toEqual([]);
      expect(gateway.twice).toEqual([]);
      expect(gateway.unanswered).toBe(0);
      expect(gateway.acknowledged.size).toBe(gateway.sent.size);
    }
    const database = await openDatabase({ embedded: { dataDir: this.folder.dataDir } }, { log: new MemoryLogger() });
    try {
      expect(await checkBooks(database)).toEqual([]);
      const sent = new Set(this.all.flatMap((gateway) => [...gateway.sent.keys()]));
      const { rows } = await database.pool.query<{ hash: Buffer }>("SELECT hash FROM shares");
      expect(rows).toHaveLength(sent.size);
      expect(rows.filter(({ hash }) => !sent.has(hash.toString("hex")))).toEqual([]);
      expect(await bookCounts(database)).toMatchObject({ sessions: BigInt(this.all.length) });
      const pins = await database.pool.query<{ pin: string; split: string | null; shares: string }>(
        "SELECT s.pin, s.split, count(*) AS shares FROM shares s JOIN sessions e ON e.id = s.session WHERE e.prime_id = $1 GROUP BY s.pin, s.split",
        [this.pinned.primeId],
      );
      // One job, one pin, whatever came in between.
      expect(pins.rows).toEqual([{ pin: expect.any(String), split: null, shares: String(this.pinned.sent.size) }]);
      const others = await database.pool.query("SELECT 1 FROM shares WHERE split IS NOT NULL LIMIT 1");
      expect(others.rowCount).toBe(1);
    } finally {
      await database.close();
    }
  }
}

test(`${GRACEFUL} restarts by SIGTERM: nothing is refused, lost, doubled or pinned anew`, {
  timeout: 120_000 + GRACEFUL * RESTART_MS,
}, async () => {
  const scene = await Scene.start();
  await scene.progress();
  await scene.minimumRaised();
  const gaps: number[] = [];
  for (let restart = 0; restart < GRACEFUL; restart++) {
    await scene.progress();
    const before = scene.pool;
    // Every other time the next pool is there before the last one has gone, as at an upgrade: it waits its turn.
    const early = restart % 2 === 0 ? scene.next() : undefined;
    if (early !== undefined) await early.said("the API's port is taken");
    const asked = performance.now();
    await scene.terminate(before);
    const next = early ?? scene.next();
    await scene.serve(next);
    gaps.push(performance.now() - asked);
  }
  await scene.progress();
  await scene.settle();
  // Whatever had been read was answered before the end: not one share was committed without its gateway hearing of it.
  expect(scene.all.map(({ lostAnswers }) => lostAnswers)).toEqual(scene.all.map(() => 0));
  gaps.sort((a, b) => a - b);
  console.info(`${GRACEFUL} restarts: from SIGTERM to all gateways at work again ${gaps[gaps.length >> 1]?.toFixed(0)} ms (median)`);
});

test(`${MIXED} restarts, by SIGTERM and by kill -9 in turn`, { timeout: 120_000 + MIXED * RESTART_MS }, async () => {
  const scene = await Scene.start();
  await scene.progress();
  await scene.minimumRaised();
  // What is told is in the books a second later.
  for (let restart = 0; restart < MIXED; restart++) {
    await scene.progress();
    if (restart % 3 === 2) await scene.terminate();
    else await scene.killed();
    await scene.serve(scene.next());
  }
  await scene.progress();
  await scene.settle();
});

test("a pool that was handed its socket keeps who comes while it is away waiting", { timeout: 120_000 }, async () => {
  const folder = await PoolFolder.init(node.rpc);
  // As systemd does: the socket is ours, and the pool gets it as its third descriptor. A server of Node's would take connections in itself.
  const { TCP, constants } = (process as unknown as { binding(name: string): TcpWrap }).binding("tcp_wrap");
  const socket = new TCP(constants.SERVER);
  onTestFinished(() => socket.close());
  expect(socket.bind("127.0.0.1", 0)).toBe(0);
  const bound = { port: 0 };
  socket.getsockname(bound);
  const { port } = bound;
  const { fd } = socket;
  const first = folder.serve({}, undefined, fd);
  const place = await first.listening();
  expect(place.port).toBe(port);
  const gateway = await WireGateway.connect(place);
  const { primeId } = gateway;
  first.kill("SIGTERM");
  expect(await first.ended, first.stderr.slice(-3000)).toBe(0);
  await gateway.closed;
  // Nobody is there to take it in, and it is not refused.
  const back = gateway.connect(place);
  const second = folder.serve({}, undefined, fd);
  await second.listening();
  expect((await back).primeId).toBe(primeId);
  expect(await gateway.submitAll(mine(gateway.job(template), { username: minerAddress("socket", 0), count: 2 }))).toEqual([
    "accepted",
    "accepted",
  ]);
  await gateway.close();
  second.kill("SIGTERM");
  expect(await second.ended).toBe(0);
});
