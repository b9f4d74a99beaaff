/**
 * Stands before a node's RPC and keeps blocks from it for a while. On a stock regtest every share is a block, so no template would live until it
 * is judged: with the gate closed the chain stands still, and the mempool fills.
 */
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { RpcAccess } from "../node/options.js";

/** What a node says of a good block that is not its tip (BIP22). */
const KEPT = JSON.stringify({ result: "inconclusive", error: null, id: 1 });
const ASKS_SUBMIT = /"method"\s*:\s*"submitblock"/;

export class BlockGate {
  readonly rpc: RpcAccess;
  #open = false;
  #kept = 0;
  readonly #server: Server;

  private constructor(server: Server, upstream: RpcAccess) {
    this.#server = server;
    this.rpc = { ...upstream, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
    server.on("request", (call, answer) => {
      const parts: Buffer[] = [];
      call.on("data", (part: Buffer) => parts.push(part));
      call.on("end", () => {
        const body = Buffer.concat(parts);
        // The method stands before or after the block, which can be megabytes.
        const ends = `${body.subarray(0, 200).toString("latin1")} ${body.subarray(-200).toString("latin1")}`;
        if (!this.#open && ASKS_SUBMIT.test(ends)) {
          this.#kept += 1;
          answer.setHeader("content-type", "application/json");
          answer.end(KEPT);
          return;
        }
        const onward = request(
          upstream.url,
          { method: "POST", headers: { ...call.headers, "content-length": body.length } },
          (response) => {
            answer.writeHead(response.statusCode ?? 502, response.headers);
            response.pipe(answer);
          },
        );
        onward.on("error", () => answer.destroy());
        onward.end(body);
      });
    });
  }

  /** Closed at first. */
  static async start(upstream: RpcAccess): Promise<BlockGate> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new BlockGate(server, upstream);
  }

  /** Blocks that were kept from the node. */
  get kept(): number {
    return this.#kept;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  open(): void {
    this.#open = true;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
