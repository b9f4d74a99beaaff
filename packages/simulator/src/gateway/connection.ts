/** One connection of a gateway to its pool: TCP, the gateway's side of the channel, and the two reasons for which a gateway hangs up. */
import { randomBytes } from "node:crypto";
import { createConnection, type Socket } from "node:net";
import {
  type DatumCrypto,
  GatewayChannel,
  type GatewayMessage,
  generateSessionKeys,
  type LongTermKeys,
  type PoolMessage,
  type PoolPublicKey,
} from "@openprime/datum";

export interface ConnectionOptions {
  readonly host: string;
  readonly port: number;
  /** Where it calls from; the system chooses otherwise. */
  readonly localAddress?: string;
  readonly poolPublicKey: PoolPublicKey;
  readonly crypto: DatumCrypto;
  /** The gateway's identity; kept across its connections. */
  readonly longTermKeys: LongTermKeys;
  /** As HELLO tells it. */
  readonly version: string;
  /** Hang up when nothing at all arrives for so long, milliseconds. */
  readonly silenceMs: number;
  /** Hang up when shares go out and none has been accepted for so long, milliseconds. */
  readonly acceptanceMs: number;
}

export interface ConnectionListener {
  message(message: PoolMessage): void;
  /** Once; `why` is for a log. */
  closed(why: string): void;
}

/** How often the two timers are looked at. */
const WATCH_MS = 200;
/** Part of the acceptance time: after a pause this long between two shares the time starts anew, so that slow miners are not held against the pool. */
const SLOW_PART = 25 / 30;

export class PoolConnection {
  readonly #options: ConnectionOptions;
  readonly #listener: ConnectionListener;
  readonly #socket: Socket;
  readonly #channel: GatewayChannel;
  readonly #watch: NodeJS.Timeout;
  #closed = false;
  #lastHeard = performance.now();
  #lastShare = Number.NEGATIVE_INFINITY;
  #lastAccepted = 0;
  /** Text of the pool's greeting, once the handshake is done. */
  motd: string | undefined;

  constructor(options: ConnectionOptions, listener: ConnectionListener) {
    this.#options = options;
    this.#listener = listener;
    this.#channel = new GatewayChannel({
      crypto: options.crypto,
      poolPublicKey: options.poolPublicKey,
      longTermKeys: options.longTermKeys,
      sessionKeys: generateSessionKeys(options.crypto),
      version: options.version,
      nk: randomBytes(4).readUInt32LE(),
    });
    const { host, port, localAddress } = options;
    this.#socket = createConnection({ host, port, noDelay: true, ...(localAddress !== undefined && { localAddress }) });
    this.#socket.on("connect", () => this.#socket.write(this.#channel.hello()));
    this.#socket.on("data", (chunk) => this.#receive(chunk));
    this.#socket.on("error", (error) => this.close(error.message));
    this.#socket.on("close", () => this.close("the pool closed the connection"));
    this.#watch = setInterval(() => this.#look(), Math.min(WATCH_MS, options.silenceMs / 4));
  }

  #receive(chunk: Buffer): void {
    this.#lastHeard = performance.now();
    try {
      this.#channel.receive(chunk);
      for (let event = this.#channel.next(); event !== undefined && !this.#closed; event = this.#channel.next()) {
        if (event.type === "accepted") this.motd = event.motd;
        else this.#deliver(event.message);
      }
    } catch (error) {
      this.close(error instanceof Error ? error.message : String(error));
    }
  }

  #deliver(message: PoolMessage): void {
    if (message.type === "shareResponse" && message.status !== "rejected") this.#lastAccepted = performance.now();
    this.#listener.message(message);
  }

  #look(): void {
    const now = performance.now();
    if (now - this.#lastHeard >= this.#options.silenceMs) {
      this.close(`nothing heard for ${this.#options.silenceMs} ms`);
    } else if (this.#lastShare - this.#lastAccepted >= this.#options.acceptanceMs) {
      this.close(`no share accepted for ${this.#options.acceptanceMs} ms`);
    }
  }

  /** Sends a message; one after the end of the connection is dropped, as the gateway drops it. Answers whether it went out. */
  send(message: GatewayMessage): boolean {
    if (this.#closed || this.motd === undefined) return false;
    this.#socket.write(this.#channel.send(message));
    if (message.type === "share") {
      const now = performance.now();
      if (now - this.#lastShare > this.#options.acceptanceMs * SLOW_PART) this.#lastAccepted = now;
      this.#lastShare = now;
    }
    return true;
  }

  /** Sends many messages in one go. */
  batch(work: (send: (message: GatewayMessage) => void) => void): void {
    this.#socket.cork();
    work((message) => this.send(message));
    this.#socket.uncork();
  }

  /** Ends the connection. */
  close(why: string): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#watch);
    this.#socket.destroy();
    this.#listener.closed(why);
  }
}
