/** The socket of one fuzzed conversation: writes in pieces of any size, and can tell when the pool is done with it. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { holds } from "@openprime/simulator";

const END_MS = 10_000;

export class FuzzClient {
  readonly #socket: Socket;
  readonly #closed: Promise<unknown>;
  #piece = 0;
  #isClosed = false;

  private constructor(socket: Socket, data: (chunk: Buffer) => void) {
    this.#socket = socket;
    socket.on("error", () => undefined);
    socket.on("data", data);
    this.#closed = new Promise((resolve) =>
      socket.once("close", () => {
        this.#isClosed = true;
        resolve(undefined);
      }),
    );
  }

  /** @param localAddress to come from */
  static async connect(
    place: { readonly host: string; readonly port: number },
    localAddress: string | undefined,
    data: (chunk: Buffer) => void,
  ): Promise<FuzzClient> {
    const socket = connect({ host: place.host, port: place.port, noDelay: true, ...(localAddress !== undefined && { localAddress }) });
    const client = new FuzzClient(socket, data);
    await once(socket, "connect");
    return client;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** From now on what is written is cut into pieces of so many bytes; 0 for none. */
  cutInto(bytes: number): void {
    this.#piece = bytes;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#isClosed) return;
    if (this.#piece === 0) {
      this.#socket.write(bytes);
      return;
    }
    // Not one write for each byte of a long frame: some hundred pieces are as good.
    const piece = Math.max(this.#piece, Math.ceil(bytes.length / 50));
    for (let from = 0; from < bytes.length && !this.#isClosed; from += piece) {
      this.#socket.write(bytes.subarray(from, from + piece));
      await new Promise(setImmediate);
    }
  }

  /** Resolves at the first of these: what is waited for, or the end of the connection. */
  async orClosed(what: Promise<unknown>): Promise<void> {
    await Promise.race([what, this.#closed]);
  }

  /** Says no more; the pool must close then, whatever was said before. */
  async end(): Promise<void> {
    if (!this.#isClosed) this.#socket.end();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), END_MS);
    });
    const outcome = await Promise.race([this.#closed, late]);
    clearTimeout(timer);
    this.#socket.destroy();
    holds(outcome !== "late", `a connection whose peer has ended is closed within ${END_MS} ms`);
  }
}
