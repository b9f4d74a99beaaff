import { chmodSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { generateSessionKeys, loadCrypto, PoolChannel } from "@openprime/datum";
import pg from "pg";
import { describe, expect, it } from "vitest";
import { resolveConfig } from "../../src/cli/config/index.js";
import { checkApi } from "../../src/cli/doctor/api.js";
import { doctor } from "../../src/cli/doctor/doctor.js";
import { checkListener } from "../../src/cli/doctor/listener.js";
import { checkClock, checkCrypto, checkDisk, checkNodeVersion, checkProver, checkPublished } from "../../src/cli/doctor/machine.js";
import { type Check, checkLines } from "../../src/cli/doctor/report.js";
import { checkBitcoinNode, checkBitcoinNodes, checkDatabase, checkZmq, serverVerdict } from "../../src/cli/doctor/services.js";
import { WHAT_TO_DO } from "../../src/cli/errors.js";
import { createKeyFile, type PoolKey } from "../../src/cli/keys.js";
import { startApi } from "../api/support.js";
import { ADDRESS, capture, closedPort, folder, listening } from "./support.js";

const crypto = await loadCrypto();
const NOW = Date.UTC(2026, 10, 22);

const keyIn = (dir: string): PoolKey =>
  createKeyFile(join(dir, "openprime.keys.json"), crypto, (count) => new Uint8Array(count).fill(7), new Date(NOW));

/** A node that answers these methods; anything else is an RPC error, as of a node without a template. */
async function node(answers: Readonly<Record<string, unknown>>, status = 200): Promise<ReturnType<typeof resolveConfig>> {
  const server = createHttpServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += String(chunk);
    });
    request.on("end", () => {
      const { id, method } = JSON.parse(body) as { id: number; method: string };
      const known = Object.hasOwn(answers, method);
      const error = known ? null : { code: -9, message: "no peers" };
      response.writeHead(known ? status : 500, { "content-type": "application/json" });
      response.end(status === 401 ? "" : JSON.stringify({ id, result: known ? answers[method] : null, error }));
    });
  });
  const port = await listening(server);
  return resolveConfig(
    { pool: { payoutAddress: ADDRESS }, node: { url: `http://127.0.0.1:${port}`, user: "u", password: "hunter2" } },
    "/",
  );
}

const CHAIN = {
  chain: "main",
  blocks: 900_000,
  headers: 900_000,
  bestblockhash: "00".repeat(32),
  difficulty: 1,
  mediantime: NOW / 1000 - 3600,
  initialblockdownload: false,
};
const template = (curtime: number) => ({
  version: 0x20000000,
  previousblockhash: "00".repeat(32),
  transactions: [],
  coinbasevalue: 312_500_000,
  mintime: 0,
  curtime,
  bits: "1d00ffff",
  height: 900_001,
  sizelimit: 4_000_000,
  weightlimit: 4_000_000,
  sigoplimit: 80_000,
});

describe("checkNodeVersion", () => {
  it.each([
    ["18.20.0", "FAIL"],
    ["20.0.0", "OK"],
    ["21.1.0", "WARN"],
    ["22.1.0", "OK"],
    ["24.1.0", "OK"],
    ["26.0.0", "WARN"],
  ])("%s is %s", (version, status) => expect(checkNodeVersion(version).status).toBe(status));
});

describe("native code", () => {
  it("tells which cryptography runs", async () => {
    expect((await checkCrypto()).status).toBe(crypto.name === "native" ? "OK" : "WARN");
  });

  it("finds the module that hashes shares", async () => {
    expect(await checkProver()).toMatchObject({ name: "hashing", status: "OK" });
  });
});

describe("checkClock", () => {
  /** Clocks of which the wall's moves on by `wallStep` while the steady one moves by `steadyStep`. */
  const clocks = (start: number, wallStep: number, steadyStep: number) => {
    let slept = 0;
    return {
      wall: () => start + slept * wallStep,
      steady: () => 1000 + slept * steadyStep,
      sleep: async () => {
        slept++;
      },
    };
  };
  it.each([
    ["runs evenly", NOW, 200, 200, "OK"],
    ["is set back", NOW, -5000, 200, "WARN"],
    ["is set ahead", NOW, 5000, 200, "WARN"],
    ["is older than the program", Date.UTC(1970, 0, 1), 200, 200, "FAIL"],
    ["stands still", NOW, 0, 0, "FAIL"],
  ])("tells when it %s", async (_, start, wall, steady, status) => {
    expect((await checkClock(clocks(start, wall, steady))).status).toBe(status);
  });
});

describe("checkDisk", () => {
  it("looks at the nearest folder that exists", async () => {
    const dir = folder();
    const free = /^[\d.]+ GiB free/;
    const [here, below] = [await checkDisk(dir), await checkDisk(join(dir, "not", "yet"))];
    expect(here.message).toMatch(free);
    expect(below.message).toMatch(free);
    expect(below.status).toBe(here.status);
  });
});

describe("checkListener", () => {
  it("takes a free port, and leaves it free", async () => {
    const listener = { host: "127.0.0.1", port: await closedPort() };
    expect((await checkListener(listener, undefined, crypto)).status).toBe("OK");
    expect((await checkListener(listener, undefined, crypto)).status).toBe("OK");
  });

  it("refuses an address that is not this machine's", async () => {
    const check = await checkListener({ host: "192.0.2.1", port: 0 }, undefined, crypto);
    expect(check).toMatchObject({ status: "FAIL", todo: expect.stringContaining("listen.host") as string });
  });

  it("tells another program on the port from this pool", async () => {
    const dir = folder();
    const { publicKey, keys } = keyIn(dir);
    const other = await listening(createServer((socket) => socket.on("error", () => {}).end("HTTP/1.1 400 Bad Request\r\n\r\n")));
    expect(await checkListener({ host: "127.0.0.1", port: other }, publicKey, crypto)).toMatchObject({ status: "FAIL" });
    const pool = createServer((socket) => {
      const channel = new PoolChannel({ crypto, longTermKeys: [keys], sessionKeys: generateSessionKeys(crypto), motd: "hello" });
      socket.on("error", () => {});
      socket.on("data", (chunk) => {
        channel.receive(chunk);
        if (channel.next()?.type === "hello") socket.write(channel.accept());
      });
    });
    const ours = await listening(pool);
    const check = await checkListener({ host: "127.0.0.1", port: ours }, publicKey, crypto);
    expect(check).toEqual({ name: "listen", status: "OK", message: `this pool is running: 127.0.0.1 port ${ours} answers with its key` });
  });
});

describe("checkApi", () => {
  it("takes a free port, and none", async () => {
    expect(await checkApi({ host: "127.0.0.1", port: await closedPort(), names: [] })).toMatchObject({ status: "OK" });
    expect(await checkApi({ host: "127.0.0.1", port: undefined, names: [] })).toMatchObject({ status: "OK" });
    expect(await checkApi({ host: "192.0.2.1", port: 0, names: [] })).toMatchObject({ status: "FAIL", todo: WHAT_TO_DO.apiListen });
  });

  it("tells a running pool's API from another program on the port", async () => {
    const { port } = await startApi();
    expect(await checkApi({ host: "127.0.0.1", port, names: [] })).toMatchObject({
      status: "OK",
      message: expect.stringContaining("running"),
    });
    const other = await listening(createHttpServer((_, response) => response.end('{"status":"ok"}')));
    expect(await checkApi({ host: "127.0.0.1", port: other, names: [] })).toMatchObject({ status: "FAIL" });
  });
});

describe("checkDatabase", () => {
  it.skipIf(process.platform === "win32")("tries the embedded server out and leaves nothing behind", async () => {
    const dir = folder();
    // As root the server runs as another user, who must be able to pass.
    chmodSync(dir, 0o755);
    const check = await checkDatabase({ embedded: { dataDir: join(dir, "data") } });
    expect(check).toMatchObject({ status: "OK", message: expect.stringContaining("the embedded PostgreSQL 17") as string });
    expect(readdirSync(dir)).toEqual([]);
  });

  it("tells when the embedded server's data can't be where they should", async () => {
    const file = join(folder(), "file");
    writeFileSync(file, "");
    expect(await checkDatabase({ embedded: { dataDir: file } })).toMatchObject({
      status: "FAIL",
      message: expect.stringContaining(file) as string,
    });
  });

  it("tells an absent server, and hides its password", async () => {
    const check = await checkDatabase({ url: `postgresql://pool:hunter2@127.0.0.1:${await closedPort()}/pool` });
    expect(check.status).toBe("FAIL");
    expect(check.message).toContain("postgresql://***@127.0.0.1");
    expect(check.message).toContain("ECONNREFUSED");
    expect(check.message).not.toContain("hunter2");
  });

  it.each([
    [{ version: 140_012, text: "14.12", may_create: true }, "FAIL"],
    [{ version: 150_000, text: "15.0", may_create: true }, "OK"],
    [{ version: 170_002, text: "17.2", may_create: false }, "FAIL"],
  ])("judges %j as %s", (facts, status) => expect(serverVerdict("x", facts).status).toBe(status));

  it("takes a real server", async ({ skip }) => {
    const url = process.env.DATABASE_URL ?? "postgresql://postgres@127.0.0.1:5432/postgres";
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 });
    client.on("error", () => {});
    const absent = await client.connect().then(
      () => undefined,
      (error: Error) => error,
    );
    await client.end();
    if (absent !== undefined) skip(`no PostgreSQL: set DATABASE_URL (${absent.message})`);
    expect(await checkDatabase({ url })).toMatchObject({ status: "OK" });
  });
});

describe("checkBitcoinNode", () => {
  const statuses = (checks: readonly Check[]) => checks.map((check) => `${check.name} ${check.status}`);

  it("takes a synced node of the right network", async () => {
    const config = await node({ getblockchaininfo: CHAIN, getblocktemplate: template(NOW / 1000) });
    expect(statuses(await checkBitcoinNode("node", config, () => NOW))).toEqual(["node OK", "clock.node OK"]);
  });

  it("does without a template", async () => {
    expect(statuses(await checkBitcoinNode("node", await node({ getblockchaininfo: CHAIN }), () => NOW))).toEqual([
      "node OK",
      "clock.node OK",
    ]);
  });

  it("tells another network, a node that syncs, and one that lets nobody in", async () => {
    const regtest = await node({ getblockchaininfo: { ...CHAIN, chain: "regtest" } });
    expect(await checkBitcoinNode("node", regtest, () => NOW)).toMatchObject([
      { status: "FAIL", message: expect.stringContaining('"regtest"') as string },
    ]);
    const syncing = await node({ getblockchaininfo: { ...CHAIN, blocks: 5, initialblockdownload: true } });
    expect(statuses(await checkBitcoinNode("node", syncing, () => NOW))).toContain("node WARN");
    const [refused] = await checkBitcoinNode("node", await node({ getblockchaininfo: CHAIN }, 401), () => NOW);
    expect(refused).toMatchObject({ status: "FAIL", todo: expect.stringContaining("node.cookieFile") as string });
    expect(refused?.message).not.toContain("hunter2");
  });

  it("tells an absent node and an absent cookie", async () => {
    const url = `http://127.0.0.1:${await closedPort()}`;
    const absent = resolveConfig({ pool: { payoutAddress: ADDRESS }, node: { url } }, "/");
    expect(await checkBitcoinNode("node", absent, () => NOW)).toMatchObject([
      { status: "FAIL", todo: expect.stringContaining("start the node") as string },
    ]);
    const cookie = resolveConfig({ pool: { payoutAddress: ADDRESS }, node: { url, cookieFile: join(folder(), ".cookie") } }, "/");
    expect(await checkBitcoinNode("node", cookie, () => NOW)).toMatchObject([
      { status: "FAIL", todo: expect.stringContaining("cookie") as string },
    ]);
  });

  it.each([
    ["30 s apart from the node's", NOW / 1000 + 30, NOW, "WARN"],
    ["three hours apart", NOW / 1000 - 10_800, NOW, "FAIL"],
    ["behind the median time", NOW / 1000, NOW - 2 * 3_600_000, "FAIL"],
  ])("tells a clock %s", async (_, curtime, now, status) => {
    const config = await node({ getblockchaininfo: CHAIN, getblocktemplate: template(curtime) });
    expect(statuses(await checkBitcoinNode("node", config, () => now))).toEqual(["node OK", `clock.node ${status}`]);
  });
});

describe("checkBitcoinNodes", () => {
  it("checks each by its place in the file", async () => {
    const good = await node({ getblockchaininfo: CHAIN });
    const other = `http://127.0.0.1:${await closedPort()}`;
    const nodes = [{ url: other, user: "pool", password: "hunter2", zmqHashblock: "tcp://no such host:1" }];
    const checks = await checkBitcoinNodes({ ...good, nodes: [good.node, ...nodes] }, () => NOW);
    expect(checks.map((check) => `${check.name} ${check.status}`)).toEqual([
      ...["node OK", "clock.node OK", "node.zmq OK"],
      ...["nodes.1 FAIL", "nodes.1.zmq WARN"],
    ]);
    expect(checks.at(-1)?.todo).toContain("nodes.1.zmqHashblock");
    expect(JSON.stringify(checks)).not.toContain("hunter2");
  });
});

describe("checkZmq", () => {
  const settings = (zmqHashblock?: string) => ({
    url: "http://127.0.0.1",
    pollMs: 500,
    ...(zmqHashblock !== undefined && { zmqHashblock }),
  });

  it("does without", async () => {
    expect(await checkZmq("node.zmq", settings())).toMatchObject({
      status: "OK",
      message: expect.stringContaining("every 0.5 s") as string,
    });
  });

  it("warns of an endpoint that can't be used", async () => {
    expect(await checkZmq("node.zmq", settings("tcp://no such host:1"))).toMatchObject({
      status: "WARN",
      message: expect.stringContaining("every 0.5 s") as string,
    });
  });
});

describe("openprime doctor", () => {
  it("fails without a configuration, and still checks the machine", async () => {
    const io = capture();
    const config = join(folder(), "absent.yaml");
    expect(await doctor({ config, json: true }, {}, io)).toBe(1);
    const { ok, checks } = JSON.parse(io.out()) as { ok: boolean; checks: Check[] };
    expect(ok).toBe(false);
    expect(checks.map((check) => check.name)).toEqual(["node.version", "crypto", "hashing", "clock", "config"]);
    expect(checks.at(-1)).toMatchObject({ status: "FAIL", todo: expect.stringContaining("openprime init") as string });
  });

  it("names all that is absent, with what to do", async () => {
    const dir = folder();
    const config = join(dir, "openprime.yaml");
    const [nodePort, databasePort, listenPort] = [await closedPort(), await closedPort(), await closedPort()];
    writeFileSync(
      config,
      `pool: { payoutAddress: ${ADDRESS} }\nlisten: { host: 127.0.0.1, port: ${listenPort} }\n` +
        `api: { port: 0 }\nnode: { url: "http://127.0.0.1:${nodePort}" }\ndatabase: { url: "postgresql://127.0.0.1:${databasePort}/x" }\n`,
      { mode: 0o600 },
    );
    const io = capture();
    expect(await doctor({ config, json: false }, {}, io)).toBe(1);
    for (const name of ["keys", "database", "node"]) expect(io.out()).toMatch(new RegExp(`^FAIL {2}${name}: .+\n {6}what to do: .+$`, "m"));
    expect(io.out()).toMatch(/^OK {4}listen: /m);
    expect(io.out()).toMatch(/^3 checks failed\.$/m);
  });

  it("passes when nothing fails", async () => {
    const dir = folder();
    chmodSync(dir, 0o755);
    keyIn(dir);
    const { node: fake } = await node({ getblockchaininfo: { ...CHAIN, mediantime: 1 } });
    const config = join(dir, "openprime.yaml");
    writeFileSync(
      config,
      `pool: { payoutAddress: ${ADDRESS} }\nlisten: { host: 127.0.0.1, port: 0 }\napi: { port: 0 }\nnode: { url: "${fake.url}" }\n`,
    );
    const io = capture();
    const code = await doctor({ config, json: true }, {}, io);
    const { checks } = JSON.parse(io.out()) as { checks: Check[] };
    expect(checks.filter((check) => check.status === "FAIL")).toEqual([]);
    expect(code).toBe(0);
    expect(checks.map((check) => check.name)).toEqual(expect.arrayContaining(["disk", "publish"]));
  });
});

describe("checkPublished", () => {
  it("takes a folder that can be written, or be made", async () => {
    const dir = folder();
    expect(await checkPublished(dir)).toMatchObject({ status: "OK", message: `${dir} can be written` });
    expect(await checkPublished(join(dir, "a", "b"))).toMatchObject({ status: "OK", message: `${join(dir, "a", "b")} can be made` });
    expect(existsSync(join(dir, "a"))).toBe(false);
  });

  it("refuses what is no folder, or lies below none", async () => {
    const file = join(folder(), "file");
    writeFileSync(file, "");
    expect(await checkPublished(file)).toMatchObject({ status: "FAIL", message: `${file} is no folder` });
    expect(await checkPublished(join(file, "below"))).toMatchObject({ status: "FAIL", message: expect.stringContaining("ENOTDIR") });
  });

  it.skipIf(process.getuid?.() === 0)("refuses a folder of somebody else's", async () => {
    const dir = folder();
    chmodSync(dir, 0o500);
    expect(await checkPublished(dir)).toMatchObject({ status: "FAIL", message: expect.stringContaining("EACCES") });
  });
});

describe("checkLines", () => {
  it("keeps a message of several lines together", () => {
    expect(checkLines({ name: "config", status: "FAIL", message: "a\nb", todo: "c" })).toBe(
      "FAIL  config: a\n      b\n      what to do: c\n",
    );
  });
});
