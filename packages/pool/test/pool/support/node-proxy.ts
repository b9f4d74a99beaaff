/**
 * Stands between a pool and its node: it can be away, as a node that is down; it can hold the node's chain still, as a node that is a few
 * seconds (or for ever) behind those of the gateways; and it can keep blocks from the node.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { RpcAccess } from "@openprime/simulator";

interface Call {
  readonly id: unknown;
  readonly method: string;
  readonly params: readonly unknown[];
}

interface Answer {
  readonly result?: unknown;
  readonly error?: unknown;
}

/** Bitcoin's RPC_INVALID_ADDRESS_OR_KEY: no such block. */
const NOT_FOUND = { code: -5, message: "Block not found" };

export class NodeProxy {
  readonly rpc: RpcAccess;
  /** Methods that were asked for while the node was there. */
  readonly calls: string[] = [];
  #keepsBlocks = false;
  readonly #server: Server;
  readonly #upstream: RpcAccess;
  readonly #sockets = new Set<Socket>();
  #away = false;
  #held: { readonly hash: unknown; readonly height: number; readonly template: Answer; readonly info: Answer } | undefined;

  private constructor(server: Server, upstream: RpcAccess) {
    this.#server = server;
    this.#upstream = upstream;
    this.rpc = { ...upstream, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
    server.on("connection", (socket) => {
      if (this.#away) {
        socket.destroy();
        return;
      }
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    server.on("request", (request, response) => {
      // A connection that is cut meanwhile takes its answer with it.
      this.#handle(request, response).catch(() => response.destroy());
    });
  }

  static async start(upstream: RpcAccess): Promise<NodeProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new NodeProxy(server, upstream);
  }

  /** From now on nobody reaches the node through here. */
  cut(): void {
    this.#away = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  restore(): void {
    this.#away = false;
  }

  /** From now on the node seems to stand still: no block after its present tip is told of. Blocks can still be handed to it. */
  async hold(): Promise<void> {
    const template = await this.#ask("getblocktemplate", [{ rules: ["segwit"] }]);
    const info = await this.#ask("getblockchaininfo");
    const hash = (await this.#ask("getbestblockhash")).result;
    const header = (await this.#ask("getblockheader", [hash, true])).result as { height: number };
    this.#held = { hash, height: header.height, template, info };
  }

  release(): void {
    this.#held = undefined;
  }

  /** From now on no block reaches the node through here; each is answered for as a good one that is not the tip. */
  keepBlocks(): void {
    this.#keepsBlocks = true;
  }

  passBlocks(): void {
    this.#keepsBlocks = false;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const call = JSON.parse(Buffer.concat(parts).toString()) as Call;
    this.calls.push(call.method);
    const answer = await this.#answer(call);
    if (this.#away) {
      response.destroy();
      return;
    }
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ result: null, error: null, ...answer, id: call.id }));
  }

  async #answer({ method, params }: Call): Promise<Answer> {
    if (this.#keepsBlocks && method === "submitblock") return { result: "inconclusive" };
    const held = this.#held;
    if (held !== undefined) {
      if (method === "getbestblockhash") return { result: held.hash };
      if (method === "getblocktemplate") return held.template;
      if (method === "getblockchaininfo") return held.info;
      if (method === "getblockhash" && Number(params[0]) > held.height) return { error: NOT_FOUND };
    }
    const answer = await this.#ask(method, params);
    if (held !== undefined && method === "getblockheader") {
      const header = answer.result as { height?: number } | null;
      if ((header?.height ?? 0) > held.height) return { error: NOT_FOUND };
    }
    return answer;
  }

  async #ask(method: string, params: readonly unknown[] = []): Promise<Answer> {
    const { url, user, password } = this.#upstream;
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` },
      body: JSON.stringify({ jsonrpc: "1.0", id: 1, method, params }),
    });
    return (await response.json()) as Answer;
  }
}
