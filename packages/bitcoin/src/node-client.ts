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
  readNetworkInfo,
  readText,
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

/** A block's hex is 8 MB, a template's JSON a little more. */
const MAX_RESPONSE_BYTES = 64 * 1024 * 1024;

/** All rules that a pool can follow; Core's signet demands its own. Rules that a chain doesn't have do no harm. */
const TEMPLATE_RULES = ["segwit", "signet"];

interface RpcAnswer {
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
    const body = JSON.stringify({ jsonrpc: "1.0", id: this.#nextId++, method, params });
    const signal = AbortSignal.timeout(this.#timeoutMs);
    const readCookie = this.#cookieFile !== undefined && this.#authorization === undefined;
    if (readCookie) await this.#readCookie(method);
    let answer = await this.#post(method, body, signal);
    if (answer.status === 401 && this.#cookieFile !== undefined && !readCookie) {
      // The node has started anew and so has a new cookie.
      await this.#readCookie(method);
      answer = await this.#post(method, body, signal);
    }
    return readAnswer(method, answer.status, answer.text) as T;
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
    const hex = readText("getblock", await this.call("getblock", [hash, 0]));
    const bytes = Buffer.from(hex, "hex");
    // Buffer.from stops without a word at the first character that is no hex.
    if (bytes.length * 2 !== hex.length) throw new NodeError("badResponse", "getblock", "expected hex, got other characters");
    return new Uint8Array(bytes);
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

  async #post(method: string, body: string, signal: AbortSignal): Promise<{ status: number; text: string }> {
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

/** Core answers errors with status 404 or 500 and the error in the body; only what has no such body is told by its status. */
function readAnswer(method: string, status: number, text: string): unknown {
  if (status === 401 || status === 403) {
    throw new NodeError(
      "unauthorized",
      method,
      `the node refuses the user and password, cookie or address of this client (HTTP ${status})`,
    );
  }
  const answer = parseJson(text);
  if (typeof answer !== "object" || answer === null || !("result" in answer || "error" in answer)) {
    throw new NodeError("badResponse", method, `expected a JSON-RPC answer, got HTTP ${status} with ${text.length} other characters`);
  }
  const { result, error } = answer as RpcAnswer;
  if (error !== undefined && error !== null) {
    const rpcCode = typeof error.code === "number" ? error.code : undefined;
    throw new NodeError("rpc", method, `${String(error.message)} (RPC error ${rpcCode ?? "without a code"})`, rpcCode);
  }
  return result;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Told by the caller together with the HTTP status.
    return undefined;
  }
}
