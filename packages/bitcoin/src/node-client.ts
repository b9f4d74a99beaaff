/** JSON-RPC to a Bitcoin node (Core, Knots, bcoin) over a small pool of kept connections. */
import { readFile } from "node:fs/promises";
import { type Dispatcher, Pool } from "undici";
import { NodeError } from "./errors.js";
import {
  type BlockchainInfo,
  type BlockHeaderInfo,
  type BlockInfo,
  type BlockTemplate,
  type NetworkInfo,
  readBlock,
  readBlockchainInfo,
  readBlockHeader,
  readBlockTemplate,
  readBytes,
  readEntryFee,
  readNetworkInfo,
  readText,
  readTexts,
} from "./node-types.js";

export interface NodeClientOptions {
  /** e.g. `http://127.0.0.1:8332`; may hold user and password. */
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
  /** The node's `.cookie`: read before the first call and again whenever the node refuses it (it changes at each start of the node). */
  readonly cookieFile?: string;
  /** Time for one whole call; 30,000 by default (a template can take seconds). */
  readonly timeoutMs?: number;
}

/** Core works off four calls at a time by default and refuses more than it can queue. */
const CONNECTIONS = 4;

/** A block's hex is 8 MB, a template's JSON a little more; the txids of a million transactions are 67 MB, of any usual mempool 20. */
const MAX_RESPONSE_BYTES = 64 * 1024 * 1024;

/**
 * Calls of one batch. A transaction that a node relays is under 0.4 MB, twice that in hex: so many fit into an answer whatever they are.
 */
const BATCH = 50;

/** All rules that a pool can follow; Core's signet demands its own. Rules that a chain doesn't have do no harm. */
const TEMPLATE_RULES = ["segwit", "signet"];

interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

interface RpcAnswer {
  readonly id?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly code?: unknown; readonly message?: unknown } | null;
}

/** Typed calls to one node. Hashes are hex in display order, as the node has them. Every method throws NodeError, and nothing else. */
export class NodeClient {
  readonly #pool: Pool;
  readonly #path: string;
  readonly #timeoutMs: number;
  readonly #cookieFile: string | undefined;
  #authorization: string | undefined;
  #nextId = 1;

  /** @throws NodeError `badUrl`; the text of the address is not repeated, for it can hold the password */
  constructor(options: NodeClientOptions) {
    const url = parseUrl(options.url);
    this.#path = url.pathname;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.#cookieFile = options.cookieFile;
    const user = options.user ?? decodeCredential(url.username);
    const password = options.password ?? decodeCredential(url.password);
    if (user !== "" || password !== "") this.#authorization = basic(`${user}:${password}`);
    this.#pool = new Pool(url.origin, { connections: CONNECTIONS, maxResponseSize: MAX_RESPONSE_BYTES });
  }

  /**
   * Any RPC method.
   *
   * @returns the answer's `result`, unchecked: `T` is the caller's claim
   * @throws NodeError; code `rpc` carries the node's own code and words
   */
  async call<T>(method: string, params: readonly unknown[] = []): Promise<T> {
    return readAnswer(method, await this.#send(method, this.#request(method, params))) as T;
  }

  #request(method: string, params: readonly unknown[]): object {
    return { jsonrpc: "1.0", id: this.#nextId++, method, params };
  }

  /** One request with the credentials of now. @throws NodeError when no answer comes */
  async #send(method: string, request: unknown): Promise<HttpAnswer> {
    const body = JSON.stringify(request);
    const signal = AbortSignal.timeout(this.#timeoutMs);
    const readCookie = this.#cookieFile !== undefined && this.#authorization === undefined;
    if (readCookie) await this.#readCookie(method);
    let answer = await this.#post(method, body, signal);
    if (answer.status === 401 && this.#cookieFile !== undefined && !readCookie) {
      // The node has started anew and so has a new cookie.
      await this.#readCookie(method);
      answer = await this.#post(method, body, signal);
    }
    return answer;
  }

  /**
   * One method for each of many parameters, in batches of bounded size, one after another; single calls where the node takes no batch.
   *
   * @returns in order what `read` makes of the results; undefined for what the node doesn't have (`notFound`)
   * @throws NodeError for any other failure
   */
  async #each<T>(method: string, params: readonly string[], read: (method: string, result: unknown) => T): Promise<(T | undefined)[]> {
    const results: (T | undefined)[] = [];
    for (let at = 0; at < params.length; at += BATCH) {
      const part = params.slice(at, at + BATCH);
      for (const ask of await this.#batch(method, part)) {
        results.push(await orNotFound(async () => read(method, await ask())));
      }
    }
    return results;
  }

  /** @returns for each parameter how to get its result */
  async #batch(method: string, params: readonly string[]): Promise<(() => Promise<unknown>)[]> {
    const single = (param: string) => (): Promise<unknown> => this.call(method, [param]);
    // One is no batch.
    if (params.length === 1) return params.map(single);
    const requests = params.map((param) => this.#request(method, [param]) as { readonly id: number });
    const { status, text } = await this.#send(method, requests).catch(tooLong);
    refuseStrangers(method, status);
    const parsed = parseJson(text);
    const answers = new Map((Array.isArray(parsed) ? (parsed as (RpcAnswer | null)[]) : []).map((answer) => [answer?.id, answer]));
    return requests.map(({ id }, i) => {
      const answer = answers.get(id);
      return answer === undefined ? single(params[i]!) : async () => readResult(method, status, text.length, answer);
    });
  }

  async blockchainInfo(): Promise<BlockchainInfo> {
    return readBlockchainInfo("getblockchaininfo", await this.call("getblockchaininfo"));
  }

  async networkInfo(): Promise<NetworkInfo> {
    return readNetworkInfo("getnetworkinfo", await this.call("getnetworkinfo"));
  }

  async bestBlockHash(): Promise<string> {
    return readText("getbestblockhash", await this.call("getbestblockhash"));
  }

  /** Hash of the block at `height` on the best chain. */
  async blockHash(height: number): Promise<string> {
    return readText("getblockhash", await this.call("getblockhash", [height]));
  }

  /** @throws NodeError with `notFound` for a block that the node doesn't have */
  async blockHeader(hash: string): Promise<BlockHeaderInfo> {
    return readBlockHeader("getblockheader", await this.call("getblockheader", [hash, true]));
  }

  /** @throws NodeError with `notFound` for a block that the node doesn't have */
  async block(hash: string): Promise<BlockInfo> {
    return readBlock("getblock", await this.call("getblock", [hash, 1]));
  }

  /** The serialized block, witnesses included. @throws NodeError with `notFound` */
  async rawBlock(hash: string): Promise<Uint8Array> {
    return readBytes("getblock", await this.call("getblock", [hash, 0]));
  }

  async blockTemplate(): Promise<BlockTemplate> {
    return readBlockTemplate("getblocktemplate", await this.call("getblocktemplate", [{ rules: TEMPLATE_RULES }]));
  }

  /**
   * Hands a block to the node.
   *
   * @param hex the serialized block
   * @returns null when it was taken, else the node's word (BIP22): `duplicate`, `inconclusive`, `high-hash`…; bcoin says `rejected: …`,
   *   and null for a valid block on a fork too
   */
  async submitBlock(hex: string): Promise<string | null> {
    const answer = await this.call("submitblock", [hex]);
    return answer === null ? null : readText("submitblock", answer);
  }

  /**
   * The node's judgement of a block whose proof of work is not looked at (BIP23). It holds the node's main lock.
   *
   * @param hex the serialized block, built on the node's tip
   * @returns null when it is valid, else why not: `inconclusive-not-best-prevblk` for another parent, `bad-txnmrklroot`, `bad-cb-amount`…
   * @throws NodeError `rpc` for bytes that the node can't read as a block
   */
  async proposeBlock(hex: string): Promise<string | null> {
    const answer = await this.call("getblocktemplate", [{ mode: "proposal", data: hex, rules: TEMPLATE_RULES }]);
    return answer === null ? null : readText("getblocktemplate", answer);
  }

  /**
   * Has the node take this block for the first that it saw at its height.
   *
   * @throws NodeError `rpc` where the node has no such call (bcoin), or no such block (`notFound`)
   */
  async preciousBlock(hash: string): Promise<void> {
    await this.call("preciousblock", [hash]);
  }

  /** Txids of the node's mempool. Of a large one an answer of megabytes that takes tens of milliseconds to read. */
  async mempoolIds(): Promise<string[]> {
    return readTexts("getrawmempool", await this.call("getrawmempool", [false]));
  }

  /** A transaction of the mempool with its witness. @throws NodeError with `notFound` */
  async rawTransaction(txid: string): Promise<Uint8Array> {
    return readBytes("getrawtransaction", await this.call("getrawtransaction", [txid]));
  }

  /** As {@link rawTransaction} for many, in order; undefined for those that the node does not have (any more). */
  async rawTransactions(txids: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    return this.#each("getrawtransaction", txids, readBytes);
  }

  /** Fees of transactions of the mempool, satoshis, in order; undefined for those that are not there (any more). */
  async mempoolFees(txids: readonly string[]): Promise<(bigint | undefined)[]> {
    return this.#each("getmempoolentry", txids, readEntryFee);
  }

  /** Ends all connections; calls under way fail with `unreachable`. */
  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async #readCookie(method: string): Promise<void> {
    const file = this.#cookieFile!;
    try {
      this.#authorization = basic((await readFile(file, "utf8")).trim());
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? "unknown error";
      throw new NodeError("unauthorized", method, `expected the node's cookie in ${file}, got ${reason}: is the node running?`);
    }
  }

  async #post(method: string, body: string, signal: AbortSignal): Promise<HttpAnswer> {
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (this.#authorization !== undefined) headers.authorization = this.#authorization;
    const options: Dispatcher.RequestOptions = { method: "POST", path: this.#path, headers, body, signal };
    try {
      const response = await this.#pool.request(options);
      return { status: response.statusCode, text: await response.body.text() };
    } catch (error) {
      throw transportError(method, error, signal.aborted, this.#timeoutMs);
    }
  }
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new NodeError("badUrl", "connect", "expected the node's RPC address as http://host:port, got something else");
  }
  return url;
}

function decodeCredential(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new NodeError("badUrl", "connect", "expected user and password in the RPC address percent-encoded, got a % that encodes nothing");
  }
}

function basic(credentials: string): string {
  return `Basic ${Buffer.from(credentials, "utf8").toString("base64")}`;
}

/** The cause isn't kept: only its code goes on, so that nothing of the request can. */
function transportError(method: string, error: unknown, timedOut: boolean, timeoutMs: number): NodeError {
  if (timedOut) return new NodeError("timeout", method, `expected an answer within ${timeoutMs} ms, got none`);
  const code = (error as { code?: unknown }).code;
  if (code === "UND_ERR_RES_EXCEEDED_MAX_SIZE") {
    return new NodeError("badResponse", method, `expected an answer of at most ${MAX_RESPONSE_BYTES} bytes, got more`);
  }
  return new NodeError("unreachable", method, `no connection to the node (${typeof code === "string" ? code : "closed"})`);
}

function refuseStrangers(method: string, status: number): void {
  if (status === 401 || status === 403) {
    throw new NodeError(
      "unauthorized",
      method,
      `the node refuses the user and password, cookie or address of this client (HTTP ${status})`,
    );
  }
}

/** Core answers errors with status 404 or 500 and the error in the body; only what has no such body is told by its status. */
function readAnswer(method: string, { status, text }: HttpAnswer): unknown {
  refuseStrangers(method, status);
  return readResult(method, status, text.length, parseJson(text));
}

function readResult(method: string, status: number, length: number, answer: unknown): unknown {
  if (typeof answer !== "object" || answer === null || !("result" in answer || "error" in answer)) {
    throw new NodeError("badResponse", method, `expected a JSON-RPC answer, got HTTP ${status} with ${length} other characters`);
  }
  const { result, error } = answer as RpcAnswer;
  if (error !== undefined && error !== null) {
    const rpcCode = typeof error.code === "number" ? error.code : undefined;
    throw new NodeError("rpc", method, `${String(error.message)} (RPC error ${rpcCode ?? "without a code"})`, rpcCode);
  }
  return result;
}

/** The answers to a batch are longer together than what is taken: each is asked for alone. */
function tooLong(error: unknown): HttpAnswer {
  if (error instanceof NodeError && error.code === "badResponse") return { status: 200, text: "" };
  throw error;
}

async function orNotFound<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof NodeError && error.notFound) return undefined;
    throw error;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Told by the caller together with the HTTP status.
    return undefined;
  }
}
