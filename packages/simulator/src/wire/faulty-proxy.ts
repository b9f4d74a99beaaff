/**
 * Stands between two programs on TCP and can be what lines and servers are on bad days: away, hanging with the connection open, slow, or
 * answering nonsense.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** `hang`: connections stand and are taken, and nothing passes (half-open). `garbage`: whatever comes is answered with nonsense. */
export type ProxyMode = "through" | "cut" | "hang" | "slow" | "garbage";

/** How late each piece is in `slow`, milliseconds. */
const SLOW_MS = 700;
const GARBAGE = Buffer.from(
  'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n{"result":{"bestblockhash":[1]',
);

export class FaultyProxy {
  readonly host: string;
  readonly port: number;
  #mode: ProxyMode = "through";
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, host: string) {
    this.#server = server;
    this.host = host;
    this.port = (server.address() as AddressInfo).port;
  }

  /** @param host to listen on */
  static async start(upstream: () => { readonly host: string; readonly port: number }, host = "127.0.0.1"): Promise<FaultyProxy> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, host, resolve);
    });
    const proxy = new FaultyProxy(server, host);
    server.on("connection", (socket) => proxy.#accept(socket, upstream()));
    return proxy;
  }

  get mode(): ProxyMode {
    return this.#mode;
  }

  /** Connections that hung stay broken: what was swallowed can't be made good. */
  set mode(mode: ProxyMode) {
    const before = this.#mode;
    this.#mode = mode;
    if (mode === "cut" || before === "hang" || before === "garbage") for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.mode = "cut";
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(socket: Socket, upstream: { readonly host: string; readonly port: number }): void {
    socket.on("error", () => undefined);
    if (this.#mode === "cut") {
      socket.destroy();
      return;
    }
    const onward = connect({ ...upstream, noDelay: true });
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      this.#sockets.add(one);
      one.on("error", () => undefined);
      one.on("data", (chunk: Buffer) => this.#pass(chunk, other, one === socket ? socket : undefined));
      one.on("end", () => other.end());
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }

  /** @param asker whoever may be answered with garbage in place of the other side */
  #pass(chunk: Buffer, to: Socket, asker: Socket | undefined): void {
    if (this.#mode === "through") to.write(chunk);
    else if (this.#mode === "slow") setTimeout(() => to.destroyed || to.write(chunk), SLOW_MS);
    else if (this.#mode === "garbage") asker?.write(GARBAGE);
  }
}
