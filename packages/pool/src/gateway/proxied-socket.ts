/** A connection from a trusted proxy, until its PROXY header has said where it really comes from. */
import type { Socket } from "node:net";
import type { Guest, Standing } from "./admission.js";
import { readProxyHeader } from "./proxy-header.js";

export type ProxyOutcome =
  /** The header was read and taken off. `source` is undefined where the proxy speaks for itself. */
  | { readonly kind: "ready"; readonly source: string | undefined }
  | { readonly kind: "bad"; readonly why: string }
  | { readonly kind: "timeout" }
  | { readonly kind: "gaveWay" }
  | { readonly kind: "left" };

export class ProxiedSocket implements Guest {
  readonly standing: Standing = "greeting";
  #held: Uint8Array = new Uint8Array(0);
  #timer: NodeJS.Timeout;
  #over = false;

  /**
   * @param since steady milliseconds
   * @param done called exactly once; the socket is paused then, with no listener of ours, and destroyed unless it is `ready`
   */
  constructor(
    private readonly socket: Socket,
    readonly since: number,
    deadlineMs: number,
    private readonly done: (outcome: ProxyOutcome) => void,
  ) {
    this.#timer = setTimeout(() => this.#end({ kind: "timeout" }), deadlineMs);
    socket.on("data", this.#onData);
    socket.on("error", this.#onGone);
    socket.on("close", this.#onGone);
  }

  giveWay(): void {
    this.#end({ kind: "gaveWay" });
  }

  /** The listener closes. */
  leave(): void {
    this.#end({ kind: "left" });
  }

  readonly #onData = (chunk: Buffer): void => {
    // Bounded: a header that is not whole after its longest form is a bad one, and one read is 64 kB at most.
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const header = readProxyHeader(bytes);
    if (header.kind === "more") this.#held = bytes;
    else if (header.kind === "bad") this.#end(header);
    else {
      const rest = bytes.subarray(header.length);
      this.#stop();
      if (rest.length > 0) this.socket.unshift(rest);
      this.done({ kind: "ready", source: header.source });
    }
  };

  readonly #onGone = (): void => this.#end({ kind: "left" });

  #end(outcome: ProxyOutcome): void {
    if (this.#over) return;
    this.#stop();
    // Without a listener an error of this socket would end the process.
    this.socket.on("error", () => undefined);
    this.socket.destroy();
    this.done(outcome);
  }

  #stop(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.socket.pause();
    this.socket.off("data", this.#onData);
    this.socket.off("error", this.#onGone);
    this.socket.off("close", this.#onGone);
  }
}
