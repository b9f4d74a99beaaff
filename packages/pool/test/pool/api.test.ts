/** The API of a real pool: it is there before the node is, names what is away, counts what happens, and is the last to go. */
import { NodeClient, reverseHex } from "@openprime/bitcoin";
import { mine, mineOne, minerAddress, RegtestNode, readTemplate, WireGateway } from "@openprime/simulator";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { type PoolStatusDocument, poolStatusDocument } from "../../src/api/index.js";
import { apiUrl } from "../../src/cli/api/url.js";
import { externalServer } from "../ledger/support.js";
import { DatabaseProxy } from "./support/database-proxy.js";
import { NodeProxy } from "./support/node-proxy.js";
import { PoolFolder } from "./support/pool-folder.js";
import { PoolHome } from "./support/running-pool.js";
import { until } from "./support/until.js";

let node: RegtestNode;
let client: NodeClient;
beforeAll(async () => {
  node = await RegtestNode.start({ bits: 0x1b00ffff });
  client = new NodeClient(node.rpc);
});
afterAll(async () => {
  await client.close();
  await node.stop();
});

interface Readiness {
  readonly ready: boolean;
  readonly failing: readonly string[];
  readonly parts: Readonly<Record<string, { readonly why?: string }>>;
}

class Api {
  constructor(readonly url: string) {}

  get(path: string): Promise<Response> {
    return fetch(`${this.url}${path}`);
  }

  async readiness(): Promise<Readiness> {
    return (await this.get("/readyz")).json() as Promise<Readiness>;
  }

  failing(...names: string[]): Promise<boolean> {
    return until(`only ${names.join(", ") || "nothing"} fails`, async () => {
      const { failing } = await this.readiness();
      return failing.length === names.length && names.every((name) => failing.includes(name));
    });
  }

  /** The value of one line of the metrics. */
  async figure(name: string): Promise<number> {
    const text = await (await this.get("/metrics")).text();
    const line = text.split("\n").find((one) => one.startsWith(`${name} `));
    if (line === undefined) throw new Error(`no figure ${name}`);
    return Number(line.slice(name.length + 1));
  }

  async status(): Promise<PoolStatusDocument> {
    return poolStatusDocument.parse(await (await this.get("/v1/status")).json());
  }
}

async function proxied(): Promise<NodeProxy> {
  const proxy = await NodeProxy.start(node.rpc);
  onTestFinished(() => proxy.close());
  return proxy;
}

test("the API is there while the pool waits for its node, and says so", async () => {
  const proxy = await proxied();
  proxy.cut();
  const folder = await PoolFolder.init(proxy.rpc);
  const serving = folder.serve();
  const { msg } = await serving.said("the API listens at ");
  const api = new Api(String(msg).slice("the API listens at ".length));
  await api.failing("node", "listener");
  expect((await api.get("/readyz")).status).toBe(503);
  expect((await api.get("/healthz")).status).toBe(200);
  expect(await api.status()).toMatchObject({ state: "starting", nodeReachable: false, gateways: { connected: 0 } });
  expect(await (await api.get("/metrics")).text()).toMatch(/^openprime_node_reachable 0$/m);
  proxy.restore();
  await api.failing();
  expect((await api.get("/readyz")).status).toBe(200);
  serving.kill("SIGTERM");
  expect(await serving.ended, serving.stderr).toBe(0);
  await expect(api.get("/healthz")).rejects.toThrow();
});

test("the API tells of gateways and shares, of a node that goes away, and of the pool's end", async () => {
  const proxy = await proxied();
  const home = await PoolHome.make("external");
  onTestFinished(() => home.remove());
  const pool = await home.start(proxy.rpc);
  const { host, port } = pool.pool.apiAddress!;
  const api = new Api(apiUrl(host, port));
  expect(await api.readiness()).toMatchObject({ ready: true, failing: [] });

  const gateway = await WireGateway.connect(pool);
  const template = readTemplate(await client.blockTemplate());
  const shares = mine(gateway.job(template), { username: `${minerAddress("api", 0)}.rig`, count: 3 });
  expect(await gateway.submitAll(shares)).toEqual(["accepted", "accepted", "accepted"]);
  expect(await gateway.submitAll(shares.slice(0, 1))).toEqual([29]);
  const status = await until("the shares are told", async () => {
    const told = await api.status();
    return told.shares.accepted === 3 && told.shares.refusedByReason["29"] === 1 && told;
  });
  expect(status).toMatchObject({
    state: "running",
    network: "regtest",
    gateways: { connected: 1, workers: 1 },
    nodeReachable: true,
    nodes: [{ state: "good", followed: true }],
    tip: { height: template.height - 1 },
    log: { position: "3", waiting: 0, state: "running" },
    split: { payees: 1 },
    blocks: { found: 0, accepted: 0, newest: [] },
  });
  expect(status.gateways.list).toMatchObject([{ accepted: 3, workers: [{ name: `${minerAddress("api", 0)}.rig`, accepted: 3 }] }]);
  expect(status.hashrate).toBeGreaterThan(0);
  const metrics = await (await api.get("/metrics")).text();
  for (const line of [
    'openprime_share_log_shares_total{outcome="committed"} 3',
    'openprime_share_log_state{state="running"} 1',
    "openprime_share_log_waiting 0",
    "openprime_share_log_lag_seconds 0",
    'openprime_shares_total{result="refused",reason="29"} 1',
  ])
    expect(metrics).toContain(`${line}\n`);
  expect(Number(/^openprime_hashrate_hashes_per_second (\S+)$/m.exec(metrics)?.[1])).toBeGreaterThan(0);

  proxy.cut();
  await api.failing("node");
  expect((await api.readiness()).parts.node?.why).toContain("no node can be followed: 127.0.0.1:");
  proxy.restore();
  await api.failing();

  const closing = pool.close();
  // The API goes last: what is asked before that is answered, and the pool is not ready from its first moment on.
  expect(await pool.pool.view.readiness()).toContainEqual({ name: "draining", ok: false, why: "the pool is stopping" });
  await closing;
  await expect(api.get("/healthz")).rejects.toThrow();
});

test("the API names books that are away, and keeps what they said last", async (context) => {
  const server = await externalServer();
  if (server === undefined) context.skip();
  const home = await PoolHome.make("external");
  onTestFinished(() => home.remove());
  const { database } = home.config(node.rpc);
  const proxy = await DatabaseProxy.start("url" in database ? database.url : "");
  onTestFinished(() => proxy.close());
  const pool = await home.start(node.rpc, { database: { url: proxy.url } });
  const { host, port } = pool.pool.apiAddress!;
  const api = new Api(apiUrl(host, port));
  await api.failing();
  expect(await api.status()).toMatchObject({ blocks: { found: 0 } });
  const gateway = await WireGateway.connect(pool);
  const [share] = mine(gateway.job(readTemplate(await client.blockTemplate())), { username: minerAddress("api", 0), count: 1 });
  proxy.cut();
  await api.failing("books");
  const answer = gateway.submit(share!);
  const waiting = await until("the share waits", async () => {
    const status = await api.status();
    return (status.log?.lagSeconds ?? 0) > 0 && status;
  });
  expect(waiting).toMatchObject({ state: "running", blocks: { found: 0 }, log: { state: "waiting", position: "0" } });
  const lag = await api.figure("openprime_share_log_lag_seconds");
  expect(await api.figure("openprime_share_log_lag_seconds")).toBeGreaterThan(lag);
  expect(await api.figure('openprime_share_log_state{state="waiting"}')).toBe(1);
  expect(await api.figure('openprime_ready{part="books"}')).toBe(0);
  proxy.restore();
  expect(await answer).toBe("accepted");
  await api.failing();
  expect(await api.figure("openprime_share_log_lag_seconds")).toBe(0);
  expect(await api.figure("openprime_share_log_interruptions_total")).toBeGreaterThan(0);
  expect(await api.figure("openprime_share_log_commit_seconds_count")).toBe(1);
});

test("a found block is counted on its whole way: to the node, in the books, to the published folder", async () => {
  const easy = await RegtestNode.start({ bits: 0x1f7fffff });
  onTestFinished(() => easy.stop());
  const home = await PoolHome.make("external");
  onTestFinished(() => home.remove());
  const pool = await home.start(easy.rpc);
  const { host, port } = pool.pool.apiAddress!;
  const api = new Api(apiUrl(host, port));
  expect(await api.figure('openprime_blocks_total{outcome="accepted"}')).toBe(0);
  const rpc = new NodeClient(easy.rpc);
  onTestFinished(() => rpc.close());
  const gateway = await WireGateway.connect(pool);
  const username = minerAddress("api", 0);
  const template = readTemplate(await rpc.blockTemplate());
  // A share comes first, so that there is somebody to split for.
  expect(await gateway.submitAll(mine(gateway.job(template), { username, count: 1 }))).toEqual(["accepted"]);
  const job = await until("a split", async () => {
    const made = await gateway.jobWithSplit(template);
    return made.coinbaserId !== 0 && made;
  });
  const block = mineOne(job, { username, block: true });
  expect(await gateway.submit(block)).toBe("accepted");
  const hash = reverseHex(Buffer.from(block.hash, "hex"));
  const told = await until("the block", async () => {
    const { blocks } = await api.status();
    return blocks?.newest[0]?.life === "paid" && blocks;
  });
  expect(told).toMatchObject({ found: 1, accepted: 1, newest: [{ hash, status: "accepted", value: "5000000000" }] });
  await until("the published settlement", async () => (await api.figure("openprime_books_blocks_behind")) === 0);
  for (const [name, least] of [
    ['openprime_blocks_total{outcome="accepted"}', 1],
    ["openprime_block_settle_seconds_count", 1],
    ['openprime_pool_blocks_total{life="paid"}', 1],
    ["openprime_books_block_seconds_count", 1],
    ["openprime_split_seconds_count", 1],
    ["openprime_window_accounts", 1],
    ["openprime_window_weight", 1],
    ['openprime_retention_runs_total{outcome="done"}', 1],
    ["openprime_retention_success_timestamp_seconds", 1_700_000_000],
    ["openprime_publish_success_timestamp_seconds", 1_700_000_000],
    ["openprime_chain_tip_timestamp_seconds", 1_700_000_000],
    ['openprime_disk_free_bytes{folder="published"}', 1],
    ["process_resident_memory_bytes", 1],
  ] as const) {
    expect(await until(name, async () => (await api.figure(name)) >= least)).toBe(true);
  }
  expect(await api.figure("openprime_blocks_in_hand")).toBe(0);
  expect(await api.figure("openprime_publish_failures_total")).toBe(0);
  // The log tells one block's way by its hash.
  const said = pool.logs.lines.filter((line) => line.hash === hash).map(({ msg }) => msg);
  for (const msg of ["block found", "block candidate", "found block settled", "a block of the pool has joined the best chain"]) {
    expect(said).toContain(msg);
  }
});

test("a pool without an API has none", async () => {
  const home = await PoolHome.make("external");
  onTestFinished(() => home.remove());
  const pool = await home.start(node.rpc, { api: { port: "off" } });
  expect(pool.pool.apiAddress).toBeUndefined();
  expect(await pool.pool.metrics.metrics()).toContain("openprime_build_info{");
});
