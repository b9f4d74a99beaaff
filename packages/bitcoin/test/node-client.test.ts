import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { NodeClient, type NodeClientOptions, NodeError } from "../src/index.js";
import { thrown } from "./support.js";

interface Request {
  readonly id: number;
  readonly method: string;
  readonly params: readonly unknown[];
}

/** A batch is one of method `batch`, its requests are the parameters. */
interface Call {
  readonly method: string;
  readonly params: readonly unknown[];
  readonly authorization: string | undefined;
  readonly path: string | undefined;
}

type Answer = (call: Call, response: ServerResponse) => void;

async function readCall(request: IncomingMessage): Promise<Call> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Request | Request[];
  const { method, params } = Array.isArray(body) ? { method: "batch", params: body } : body;
  return { method, params, authorization: request.headers.authorization, path: request.url };
}

/** A node that answers as the test says, and remembers what it was asked. */
async function startNode(answer: Answer): Promise<{ url: string; calls: Call[] }> {
  const calls: Call[] = [];
  const server = createServer((request, response) => {
    void readCall(request).then((call) => {
      calls.push(call);
      answer(call, response);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls };
}

function connect(options: NodeClientOptions): NodeClient {
  const client = new NodeClient(options);
  onTestFinished(() => client.close());
  return client;
}

const send =
  (status: number, body: unknown): Answer =>
  (_, response) =>
    response.writeHead(status, { "content-type": "application/json" }).end(typeof body === "string" ? body : JSON.stringify(body));
const result = (value: unknown) => send(200, { result: value, error: null, id: 1 });

async function failure(action: Promise<unknown>): Promise<NodeError> {
  const error = await action.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(NodeError);
  return error as NodeError;
}

const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;

async function cookieFile(content?: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "openprime-cookie-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  const file = join(directory, ".cookie");
  if (content !== undefined) await writeFile(file, content);
  return file;
}

describe("calls", () => {
  test("carry method, parameters, credentials and path", async () => {
    const node = await startNode(result("pong"));
    const client = connect({ url: `${node.url}/wallet/pool`, user: "rpc", password: "pä:ss" });
    expect(await client.call("ping", [1, "two"])).toBe("pong");
    expect(node.calls).toEqual([{ method: "ping", params: [1, "two"], authorization: basic("rpc:pä:ss"), path: "/wallet/pool" }]);
  });

  test("take user and password out of the address", async () => {
    const node = await startNode(result(null));
    await connect({ url: node.url.replace("//", "//rpc:p%40ss@") }).call("ping");
    expect(node.calls[0]).toMatchObject({ authorization: basic("rpc:p@ss"), path: "/" });
  });

  test("go without credentials where none are given", async () => {
    const node = await startNode(result(null));
    await connect({ url: node.url }).call("ping");
    expect(node.calls[0]?.authorization).toBeUndefined();
  });

  test.each(["", "127.0.0.1:8332", "ftp://node", "http://user:hunter2@:bad", "http://user:hunter2%@node"])(
    "refuse the address %j without repeating it",
    (url) => {
      const error = thrown(NodeError, () => new NodeClient({ url }));
      expect(error.code).toBe("badUrl");
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain("hunter2");
    },
  );
});

describe("the cookie", () => {
  test("is read once, and again when the node has a new one", async () => {
    const file = await cookieFile("__cookie__:one\n");
    let valid = basic("__cookie__:one");
    const node = await startNode((call, response) =>
      call.authorization === valid ? result(call.authorization)(call, response) : response.writeHead(401).end(),
    );
    const client = connect({ url: node.url, cookieFile: file });
    expect(await client.call("first")).toBe(basic("__cookie__:one"));
    await writeFile(file, "__cookie__:two");
    expect(await client.call("second")).toBe(basic("__cookie__:one"));
    valid = basic("__cookie__:two");
    expect(await client.call("third")).toBe(basic("__cookie__:two"));
    expect(node.calls.map(({ method }) => method)).toEqual(["first", "second", "third", "third"]);
  });

  test("that is wrong is tried once a call, not for ever", async () => {
    const file = await cookieFile("__cookie__:stale");
    const node = await startNode((_, response) => response.writeHead(401).end());
    const client = connect({ url: node.url, cookieFile: file });
    expect((await failure(client.call("ping"))).code).toBe("unauthorized");
    expect(node.calls.length).toBe(1);
    expect((await failure(client.call("ping"))).code).toBe("unauthorized");
    expect(node.calls.length).toBe(3);
  });

  test("that isn't there yet is an error naming the file, and read when it is", async () => {
    const file = await cookieFile();
    const node = await startNode(result("pong"));
    const client = connect({ url: node.url, cookieFile: file });
    const error = await failure(client.call("ping"));
    expect(error).toMatchObject({ code: "unauthorized", method: "ping" });
    expect(error.message).toContain(file);
    expect(error.message).toContain("ENOENT");
    await writeFile(file, "__cookie__:late");
    expect(await client.call("ping")).toBe("pong");
  });
});

describe("errors", () => {
  test.each([200, 404, 500])("of the node itself, with HTTP %i", async (status) => {
    const node = await startNode(send(status, { result: null, error: { code: -28, message: "Loading block index…" }, id: 1 }));
    const error = await failure(connect({ url: node.url }).bestBlockHash());
    expect(error).toMatchObject({ code: "rpc", rpcCode: -28, method: "getbestblockhash", notFound: false });
    expect(error.message).toContain("Loading block index…");
  });

  test.each([
    ["Core", { code: -5, message: "Block not found" }],
    ["bcoin", { code: -1, message: "Block not found" }],
  ])("a block that %s doesn't have", async (_, error) => {
    const node = await startNode(send(500, { result: null, error, id: 1 }));
    expect((await failure(connect({ url: node.url }).blockHeader("00".repeat(32)))).notFound).toBe(true);
  });

  test.each([401, 403])("HTTP %i is unauthorized, and no secret shows", async (status) => {
    const node = await startNode(send(status, ""));
    const client = connect({ url: node.url, user: "operator", password: "hunter2" });
    const error = await failure(client.call("ping"));
    expect(error.code).toBe("unauthorized");
    for (const shown of [inspect(error, { depth: 9, showHidden: true }), JSON.stringify(error), inspect(client, { depth: 9 })]) {
      expect(shown).not.toContain("hunter2");
      expect(shown).not.toContain(basic("operator:hunter2").slice(6));
    }
  });

  test.each([
    ["a web page", 200, "<html>"],
    ["nothing", 200, ""],
    ["JSON of another kind", 200, "[1]"],
    ["a full work queue", 503, "Work queue depth exceeded"],
  ])("%s is a bad response", async (_, status, body) => {
    const node = await startNode(send(status, body));
    const error = await failure(connect({ url: node.url }).call("ping"));
    expect(error.code).toBe("badResponse");
    expect(error.message).toContain(`HTTP ${status}`);
  });

  test("nobody listening is unreachable, and no secret shows", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    const error = await failure(connect({ url: `http://operator:hunter2@127.0.0.1:${port}` }).call("ping"));
    expect(error).toMatchObject({ code: "unreachable", rpcCode: undefined, message: "ping: no connection to the node (ECONNREFUSED)" });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain("hunter2");
  });

  test("a connection cut in the middle of an answer is unreachable", async () => {
    const node = await startNode((_, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("{", () => response.destroy());
    });
    expect((await failure(connect({ url: node.url }).call("ping"))).code).toBe("unreachable");
  });

  test.each<[string, Answer]>([
    ["no answer", () => undefined],
    ["an answer that never ends", (_, response) => void response.writeHead(200).write("{")],
  ])("%s is a timeout", async (_, answer) => {
    const node = await startNode(answer);
    expect((await failure(connect({ url: node.url, timeoutMs: 50 }).call("ping"))).code).toBe("timeout");
  });

  test("closing fails what is under way", async () => {
    let asked = () => {};
    const arrived = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const node = await startNode(() => asked());
    const client = new NodeClient({ url: node.url });
    const call = failure(client.call("ping"));
    await arrived;
    await client.close();
    expect((await call).code).toBe("unreachable");
    expect((await failure(client.call("ping"))).code).toBe("unreachable");
  });
});

const hash = "ab".repeat(32);
const coreHeader = {
  hash,
  confirmations: 3,
  height: 7,
  version: 0x2000_0000,
  merkleroot: "cd".repeat(32),
  time: 1_700_000_000,
  mediantime: 1_699_999_000,
  bits: "207fffff",
  previousblockhash: "ef".repeat(32),
};

describe("typed calls", () => {
  test("blockchainInfo and networkInfo", async () => {
    const chain = { chain: "regtest", blocks: 5, headers: 6, bestblockhash: hash, difficulty: 4.6e-10, mediantime: 1_700_000_000 };
    const node = await startNode((call, response) =>
      result(call.method === "getnetworkinfo" ? { subversion: "/Satoshi:29.0.0/", connections: 8 } : { ...chain, pruned: false })(
        call,
        response,
      ),
    );
    const client = connect({ url: node.url });
    expect(await client.blockchainInfo()).toEqual({ ...chain, initialblockdownload: false });
    expect(await client.networkInfo()).toEqual({ subversion: "/Satoshi:29.0.0/", connections: 8 });
  });

  test("hashes, headers and blocks, of Core and of bcoin alike", async () => {
    const spellings = [coreHeader, { ...coreHeader, bits: 0x207fffff, nextblockhash: null }];
    for (const header of spellings) {
      const node = await startNode((call, response) => {
        if (call.method === "getblockhash" || call.method === "getbestblockhash") return result(hash)(call, response);
        const block = call.params[1] === 0 ? "00ff" : { ...header, tx: [hash] };
        return result(call.method === "getblockheader" ? header : block)(call, response);
      });
      const client = connect({ url: node.url });
      const expected = { ...coreHeader, bits: 0x207fffff, nextblockhash: undefined };
      expect(await client.blockHash(7)).toBe(hash);
      expect(await client.bestBlockHash()).toBe(hash);
      expect(await client.blockHeader(hash)).toEqual(expected);
      expect(await client.block(hash)).toEqual({ ...expected, tx: [hash] });
      expect(await client.rawBlock(hash)).toEqual(Uint8Array.of(0, 0xff));
      expect(node.calls.map(({ params }) => params)).toEqual([[7], [], [hash, true], [hash, 1], [hash, 0]]);
    }
  });

  test("blockTemplate, amounts as bigint", async () => {
    const template = {
      version: 0x2000_0000,
      previousblockhash: hash,
      mintime: 1,
      curtime: 2,
      height: 8,
      default_witness_commitment: "6a24aa21a9ed",
      sizelimit: 4_000_000,
      weightlimit: 4_000_000,
      sigoplimit: 80_000,
      longpollid: `${hash}1`,
    };
    const transaction = { data: "00", txid: hash, hash, sigops: 4, weight: 400 };
    const node = await startNode(
      result({ ...template, bits: "1e7fffff", coinbasevalue: 5_000_000_123, transactions: [{ ...transaction, fee: 123, depends: [] }] }),
    );
    expect(await connect({ url: node.url }).blockTemplate()).toEqual({
      ...template,
      bits: 0x1e7fffff,
      coinbasevalue: 5_000_000_123n,
      transactions: [{ ...transaction, fee: 123n }],
    });
    expect(node.calls[0]?.params).toEqual([{ rules: ["segwit", "signet"] }]);
  });

  test("blockTemplate of a chain before segwit", async () => {
    const template = { version: 1, previousblockhash: hash, mintime: 1, curtime: 2, height: 8, sizelimit: 4_000_000, sigoplimit: 80_000 };
    const node = await startNode(result({ ...template, bits: "1e7fffff", coinbasevalue: 0, transactions: [] }));
    const told = await connect({ url: node.url }).blockTemplate();
    expect(told).toMatchObject({ weightlimit: 4_000_000, default_witness_commitment: undefined, coinbasevalue: 0n });
  });

  test.each([null, "high-hash", "rejected: bad-prevblk"])("submitBlock answers %j", async (word) => {
    const node = await startNode(result(word));
    expect(await connect({ url: node.url }).submitBlock("00")).toBe(word);
    expect(node.calls[0]).toMatchObject({ method: "submitblock", params: ["00"] });
  });

  test.each<[string, unknown, (client: NodeClient) => Promise<unknown>]>([
    ["a number for a hash", 7, (client) => client.bestBlockHash()],
    ["null for an object", null, (client) => client.blockchainInfo()],
    ["a header without its height", { ...coreHeader, height: undefined }, (client) => client.blockHeader(hash)],
    ["bits that are none", { ...coreHeader, bits: "xyz" }, (client) => client.blockHeader(hash)],
    ["txids that are no list", { ...coreHeader, tx: "none" }, (client) => client.block(hash)],
    ["a block that isn't hex", "00zz", (client) => client.rawBlock(hash)],
    ["half a byte", "000", (client) => client.rawBlock(hash)],
    ["a refusal that is no text", 1, (client) => client.submitBlock("00")],
    ["a verdict that is no text", {}, (client) => client.proposeBlock("00")],
    ["a mempool that is no list", { txids: [] }, (client) => client.mempoolIds()],
    ["a txid that is none", [hash, 1], (client) => client.mempoolIds()],
    ["a transaction that isn't hex", "0g", (client) => client.rawTransaction(hash)],
    ["an entry that is none", null, (client) => client.mempoolFees([hash])],
    ["an entry without a fee", { vsize: 100 }, (client) => client.mempoolFees([hash])],
    ["a fee that is text", { fees: { base: "0.1" } }, (client) => client.mempoolFees([hash])],
    ["a fee under nothing", { fee: -1e-8 }, (client) => client.mempoolFees([hash])],
  ])("%s is a bad response", async (_, value, call) => {
    const node = await startNode(result(value));
    expect((await failure(call(connect({ url: node.url })))).code).toBe("badResponse");
  });
});

describe("the mempool", () => {
  test("its txids, and one transaction", async () => {
    const node = await startNode((call, response) => result(call.method === "getrawmempool" ? [hash] : "00ff")(call, response));
    const client = connect({ url: node.url });
    expect(await client.mempoolIds()).toEqual([hash]);
    expect(await client.rawTransaction(hash)).toEqual(Uint8Array.of(0, 0xff));
    expect(node.calls).toMatchObject([
      { method: "getrawmempool", params: [false] },
      { method: "getrawtransaction", params: [hash] },
    ]);
  });

  test.each([null, "inconclusive-not-best-prevblk", "bad-cb-amount"])("a proposed block is answered %j", async (word) => {
    const node = await startNode(result(word));
    expect(await connect({ url: node.url }).proposeBlock("00ff")).toBe(word);
    expect(node.calls[0]).toMatchObject({
      method: "getblocktemplate",
      params: [{ mode: "proposal", data: "00ff", rules: ["segwit", "signet"] }],
    });
  });

  test("a precious block, where the node knows of such", async () => {
    const node = await startNode(result(null));
    await connect({ url: node.url }).preciousBlock(hash);
    expect(node.calls[0]).toMatchObject({ method: "preciousblock", params: [hash] });
    const bcoin = await startNode(send(200, { result: null, error: { code: -32601, message: "Method not found: preciousblock." }, id: 1 }));
    expect(await failure(connect({ url: bcoin.url }).preciousBlock(hash))).toMatchObject({ code: "rpc", rpcCode: -32601, notFound: false });
  });
});

describe("many calls of one kind", () => {
  const missing = { code: -5, message: "No such mempool transaction. Use gettransaction for wallet transactions." };
  const hexOf = (param: unknown) => `${String(param).padStart(4, "0")}`;
  const answerOne = ({ id, params }: Request) =>
    Number(params[0]) % 7 === 0 ? { id, result: null, error: missing } : { id, result: hexOf(params[0]), error: null };
  const answerBatch: Answer = (call, response) => send(200, (call.params as Request[]).map(answerOne).reverse())(call, response);
  const answerSingle: Answer = (call, response) =>
    send(200, answerOne({ id: 0, method: call.method, params: call.params }))(call, response);
  const txids = Array.from({ length: 120 }, (_, i) => String(i));
  const expected = txids.map((txid, i) => (i % 7 === 0 ? undefined : new Uint8Array(Buffer.from(hexOf(txid), "hex"))));

  test("are batches of bounded size, answered in any order; what the node doesn't have is undefined", async () => {
    const node = await startNode(answerBatch);
    expect(await connect({ url: node.url }).rawTransactions(txids)).toEqual(expected);
    expect(node.calls.map(({ params }) => params.length)).toEqual([50, 50, 20]);
    expect(node.calls[2]!.params[19]).toMatchObject({ jsonrpc: "1.0", method: "getrawtransaction", params: ["119"] });
  });

  test.each<[string, Answer]>([
    ["refuses a batch", send(400, { result: null, error: { code: -32600, message: "Invalid request" }, id: null })],
    ["answers a batch with a page", send(200, "<html>")],
    ["answers a batch with less", send(200, [])],
    ["answers a batch with nothing of it", send(200, [null, 1, { id: 0, result: "ff" }])],
    ["answers a batch with more than is taken", (_, response) => response.writeHead(200).end(Buffer.alloc(64 * 1024 * 1024 + 1, 0x20))],
  ])("go one by one to a node that %s", async (_, batch) => {
    const node = await startNode((call, response) => (call.method === "batch" ? batch : answerSingle)(call, response));
    expect(await connect({ url: node.url }).rawTransactions(txids.slice(0, 10))).toEqual(expected.slice(0, 10));
    expect(node.calls.length).toBe(11);
  });

  test("one is no batch, and none is no call", async () => {
    const node = await startNode(answerSingle);
    const client = connect({ url: node.url });
    expect(await client.rawTransactions(["1"])).toEqual([expected[1]]);
    expect(await client.rawTransactions([])).toEqual([]);
    expect(node.calls.map(({ method }) => method)).toEqual(["getrawtransaction"]);
  });

  test.each([
    ["a credential that is refused", 401, "", "unauthorized"],
    ["a node that starts up", 200, { result: null, error: { code: -28, message: "Loading block index…" }, id: 1 }, "rpc"],
  ])("%s is an error", async (_, status, body, code) => {
    const node = await startNode(send(status, body));
    expect((await failure(connect({ url: node.url }).rawTransactions(["1", "2"]))).code).toBe(code);
  });

  test("an error of one that is none of its absence is an error", async () => {
    const answer = ({ id }: Request) => ({ id, result: null, error: { code: -1, message: "out of memory" } });
    const node = await startNode((call, response) => send(200, (call.params as Request[]).map(answer))(call, response));
    expect(await failure(connect({ url: node.url }).mempoolFees(["1", "2"]))).toMatchObject({ code: "rpc", rpcCode: -1 });
  });

  test("fees are satoshis, of Core and of bcoin alike", async () => {
    const entries: Record<string, object> = {
      1: { fees: { base: 0.00001234, modified: 0.1 } },
      2: { fees: { base: 20_999_999.97690001 } },
      3: { fee: 0.29 },
      4: { fees: { base: 0 } },
    };
    const answer = ({ id, params }: Request) => ({
      id,
      result: entries[String(params[0])] ?? null,
      error: entries[String(params[0])] === undefined ? { code: -1, message: "Transaction not in mempool." } : null,
    });
    const node = await startNode((call, response) => send(200, (call.params as Request[]).map(answer))(call, response));
    const fees = await connect({ url: node.url }).mempoolFees(["1", "2", "3", "4", "5"]);
    expect(fees).toEqual([1234n, 2_099_999_997_690_001n, 29_000_000n, 0n, undefined]);
  });
});
