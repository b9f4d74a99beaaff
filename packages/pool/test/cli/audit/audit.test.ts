import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { NETWORKS, scriptToAddress } from "@openprime/bitcoin";
import { describe, expect, it } from "vitest";
import { run } from "../../../src/cli/main.js";
import { display, type PoolHistory, poolHistory, SCRIPTS, type Tampering } from "../../proofs/pool-history.js";
import { capture, closedPort, folder, listening } from "../support.js";

const BOB = scriptToAddress(SCRIPTS.bob, NETWORKS.regtest) ?? "";

/** The published folder as the pool leaves it. */
function publish(history: PoolHistory): string {
  const dir = folder();
  for (const [path, text] of history.files) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), path.endsWith(".gz") ? gzipSync(text) : text);
  }
  return dir;
}

/** A node's RPC, as far as an audit asks. */
async function rpc({ chain }: PoolHistory): Promise<string> {
  const answer = (method: string, [first]: readonly unknown[]): { result: unknown } | { error: { code: number; message: string } } => {
    if (method === "getblockchaininfo") {
      return { result: { chain: "regtest", blocks: 102, headers: 102, bestblockhash: "", difficulty: 1, mediantime: 1 } };
    }
    const result = method === "getblockhash" ? chain.best.get(first as number) : chain.blocks.get(first as string)?.toString("hex");
    if (result !== undefined) return { result };
    return {
      error: method === "getblockhash" ? { code: -8, message: "Block height out of range" } : { code: -5, message: "Block not found" },
    };
  };
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (piece) => {
      body += String(piece);
    });
    request.on("end", () => {
      const good = request.headers.authorization === `Basic ${Buffer.from("me:secret").toString("base64")}`;
      if (!good) response.writeHead(401).end();
      else {
        const { method, params } = JSON.parse(body) as { method: string; params: unknown[] };
        response.end(JSON.stringify(answer(method, params)));
      }
    });
  });
  return `http://127.0.0.1:${await listening(server)}`;
}

/** The folder behind a web server. */
async function web(dir: string): Promise<string> {
  const server = createServer((request, response) => {
    try {
      response.end(readFileSync(join(dir, request.url ?? "")));
    } catch {
      response.writeHead(404).end();
    }
  });
  return `http://127.0.0.1:${await listening(server)}`;
}

async function openprime(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const io = capture();
  const code = await run(args, {}, io);
  return { code, out: io.out(), err: io.err() };
}

async function pool(tampering: Tampering = {}): Promise<{ history: PoolHistory; dir: string; node: readonly string[] }> {
  const history = poolHistory(tampering);
  return { history, dir: publish(history), node: ["--node", await rpc(history), "--user", "me", "--password", "secret"] };
}

describe("openprime audit", () => {
  it("passes a folder, and the same behind a web server", async () => {
    const { dir, node } = await pool();
    for (const from of [dir, await web(dir)]) {
      const { code, out, err } = await openprime("audit", "all", "--from", from, ...node);
      expect(err).toBe("");
      expect(code).toBe(0);
      expect(out.split("\n").slice(0, 4)).toEqual(
        [1, 2, 3, 4].map(() => expect.stringMatching(/^PASS (settlement|reversal) \d, block 10[12] /)),
      );
    }
  });

  it("takes a block by its height and by its hash", async () => {
    const { history, dir, node } = await pool();
    const byHeight = await openprime("audit", "102", "--from", dir, ...node);
    expect(byHeight).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^PASS settlement 2.*\nPASS reversal 3.*\nPASS settlement 4.*\n$/),
    });
    const hash = display(history.settlements[0]?.block.hash ?? new Uint8Array());
    const byHash = await openprime("audit", hash, "--from", dir, "--json", ...node);
    expect(JSON.parse(byHash.out)).toMatchObject({
      verdict: "PASS",
      settlements: [{ verdict: "PASS", number: 1, block: hash, value: "5700001", unchecked: [] }],
    });
  });

  it("ends at the first difference", async () => {
    const { dir, node } = await pool({
      document: (settlement) => (settlement.number === 2 ? { ...settlement, pin: settlement.pin + 1n } : settlement),
    });
    const told = await openprime("audit", "all", "--from", dir, ...node);
    expect(told.code).toBe(1);
    expect(told.out).toMatch(/^PASS .*\nDIFFERS settlements\/000002-settlement-102.ndjson.gz:1 window.weight: expected \d+, found \d+\n$/);
    const json = await openprime("audit", "all", "--from", dir, "--json", ...node);
    expect(json.code).toBe(1);
    expect(JSON.parse(json.out)).toMatchObject({ verdict: "DIFFERS", settlements: [{ verdict: "PASS" }, { difference: { line: 1 } }] });
  });

  it("looks for blocks that nothing tells of", async () => {
    const { history, dir, node } = await pool();
    const scan = (...more: string[]) => openprime("audit", "all", "--scan", "--from", dir, ...node, ...more);
    expect(await scan()).toMatchObject({
      code: 0,
      out: expect.stringMatching(/\nPASS blocks 101 to 102: all that pay the pool are told of\n$/),
    });
    const second = display(history.settlements[1]?.block.hash ?? new Uint8Array());
    history.chain.best.set(103, second);
    const later = await scan();
    expect(later).toMatchObject({
      code: 0,
      out: expect.stringMatching(/\nnote: block 103 [0-9a-f]{64} pays 5000000 satoshis .* yet\nPASS blocks/),
    });
    history.chain.best.set(104, "ab".repeat(32));
    expect((await scan()).out).toMatch(/\nnot checked: 1 blocks that the node does not have\nPASS blocks 101 to 104/);
  });

  it("ends with the blocks that nothing tells of, and that something should", async () => {
    const { dir, node } = await pool({ hidden: true });
    expect(await openprime("audit", "all", "--from", dir, ...node)).toMatchObject({ code: 0 });
    const told = await openprime("audit", "all", "--scan", "--from", dir, ...node);
    expect(told.code).toBe(1);
    expect(told.out.split("\n").slice(4)).toEqual([
      expect.stringMatching(/^DIFFERS block 102 [0-9a-f]{64} pays 5000000 satoshis to the pool, and has neither settlement nor receipt$/),
      "",
    ]);
    const { out } = await openprime("audit", "all", "--scan", "--json", "--from", dir, ...node);
    const untold = [{ height: 102, block: expect.stringMatching(/^[0-9a-f]{64}$/), value: "5000000", missing: true }];
    expect(JSON.parse(out)).toMatchObject({ verdict: "DIFFERS", scan: { from: 101, to: 103, unread: 0, untold } });
    expect(await openprime("audit", "101", "--scan", "--from", dir, ...node)).toMatchObject({
      code: 1,
      err: expect.stringMatching(/expected all with --scan, got "101"/),
    });
  });

  it("says what is missing", async () => {
    const { dir, node } = await pool();
    const fails = async (...args: string[]) => {
      const { code, err } = await openprime("audit", ...args);
      expect(code).toBe(1);
      return err;
    };
    expect(await fails("77", "--from", dir, ...node)).toMatch(/expected a settlement of block 77, there are 4 of others/);
    expect(await fails("soon", "--from", dir, ...node)).toMatch(/expected a block as its hash, its height, or all/);
    expect(await fails("all", "--from", folder(), ...node)).toMatch(/expected the published file index.json in .*, got ENOENT/);
    expect(await fails("all", "--from", `http://127.0.0.1:${await closedPort()}`, ...node)).toMatch(
      /expected the published file index.json/,
    );
    expect(await fails("all", "--from", await web(folder()), ...node)).toMatch(/got HTTP 404/);
    expect(await fails("all", "--from", dir, "--node", `http://127.0.0.1:${await closedPort()}`)).toMatch(/no connection to the node/);
    expect(await fails("all", "--from", dir)).toMatch(/--node/);
    writeFileSync(join(dir, "log/00000002.ndjson.gz"), Buffer.from("1f8b0000", "hex"));
    expect(await fails("all", "--from", dir, ...node)).toMatch(/expected the published file log\/00000002.ndjson.gz/);
  });
});

describe("openprime proof", () => {
  it("proves an account's line, and checks the proof against the root", async () => {
    const { history, dir } = await pool();
    const made = await openprime("proof", "101", BOB, "--from", dir);
    expect(made.code).toBe(0);
    const file = join(dir, "proof.json");
    writeFileSync(file, made.out);
    const root = Buffer.from(history.settlements[0]?.root ?? []).toString("hex");
    expect(await openprime("proof", "--verify", file, "--root", root)).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^PASS settlement 1, block 101 /),
    });
    expect(await openprime("proof", "--verify", file)).toMatchObject({ code: 0, err: expect.stringContaining(root) });
    expect(await openprime("proof", "--verify", file, "--root", "00".repeat(32))).toMatchObject({ code: 1 });
    const { earned } = (JSON.parse(made.out) as { line: { earned: string } }).line;
    writeFileSync(file, made.out.replace(`"earned": "${earned}"`, `"earned": "${BigInt(earned) + 1n}"`));
    expect(await openprime("proof", "--verify", file, "--root", root)).toMatchObject({
      code: 1,
      out: expect.stringContaining("does not stand"),
    });
    writeFileSync(file, "{}");
    expect(await openprime("proof", "--verify", file)).toMatchObject({ code: 1, err: expect.stringContaining("line 1, format") });
  });

  it("says what is missing", async () => {
    const { dir } = await pool();
    const nobody = scriptToAddress(Buffer.from(`0014${"99".repeat(20)}`, "hex"), NETWORKS.regtest) ?? "";
    expect(await openprime("proof", "101", nobody, "--from", dir)).toMatchObject({ code: 1, err: expect.stringMatching(/there is none/) });
    expect(await openprime("proof", "101")).toMatchObject({
      code: 1,
      err: expect.stringMatching(/expected a block, an address and --from/),
    });
  });
});
