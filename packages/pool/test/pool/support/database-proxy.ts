/** Stands between a pool and its PostgreSQL: it can be away, as a server that is down. */

import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";

export class DatabaseProxy {
  /** Of the same database, through here. */
  readonly url: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #away = false;

  private constructor(server: Server, upstream: URL) {
    this.#server = server;
    const url = new URL(upstream);
    url.hostname = "127.0.0.1";
    url.port = String((server.address() as AddressInfo).port);
    this.url = url.href;
    server.on("connection", (socket) => {
      if (this.#away) {
        socket.destroy();
        return;
      }
      const onward = connect({ host: upstream.hostname, port: Number(upstream.port || 5432) });
      this.#sockets.add(socket).add(onward);
      for (const [one, other] of [
        [socket, onward],
        [onward, socket],
      ] as const) {
        one.pipe(other);
        one.on("error", () => undefined);
        one.on("close", () => {
          this.#sockets.delete(one);
          other.destroy();
        });
      }
    });
  }

  static async start(upstream: string): Promise<DatabaseProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new DatabaseProxy(server, new URL(upstream));
  }

  /** From now on nobody reaches the database through here. */
  cut(): void {
    this.#away = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  restore(): void {
    this.#away = false;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
