/** Connections of an attacker: any number, from many loopback addresses, none of which follows a rule. */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import {
  type Configuration,
  type DatumCrypto,
  decodePublicKey,
  encodeGatewayMessage,
  GatewayChannel,
  type GatewayMessage,
  generateLongTermKeys,
  generateSessionKeys,
  type LongTermKeys,
  type PoolMessage,
} from "@openprime/datum";
import { type RawChannel, rawGatewayChannel } from "../wire/raw-channel.js";
import type { PoolPlace } from "../wire/wire-gateway.js";

/** Sockets of the attacker that stand at one time: it is the pool's guards that are tried, not this machine's. */
const MOST_SOCKETS = 1500;
const OPEN_MS = 8000;

export class Hostile {
  readonly counts = { actions: 0, connections: 0, closed: 0, accepted: 0 };
  readonly refused: Record<number, number> = {};
  readonly #sockets = new Set<Socket>();
  #next = 0;

  constructor(
    readonly crypto: DatumCrypto,
    readonly place: PoolPlace,
    private readonly network: string,
  ) {}

  /** A socket from one of the first `addresses` addresses of its network; undefined when it has enough of them. */
  dial(addresses = 200): Socket | undefined {
    if (this.#sockets.size >= MOST_SOCKETS) return undefined;
    const number = this.#next++ % addresses;
    const localAddress = `${this.network}.${1 + Math.floor(number / 250)}.${1 + (number % 250)}`;
    const socket = connect({ host: this.place.host, port: this.place.port, localAddress, noDelay: true });
    this.counts.connections += 1;
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.counts.closed += 1;
      this.#sockets.delete(socket);
    });
    return socket;
  }

  /** HELLO of a gateway, and the channel that reads the answer. */
  hello(keys: LongTermKeys = generateLongTermKeys(this.crypto)): {
    readonly bytes: Uint8Array;
    readonly channel: GatewayChannel;
    open(): RawChannel | undefined;
    heard(chunk: Uint8Array): PoolMessage[];
  } {
    const { crypto } = this;
    const session = generateSessionKeys(crypto);
    const nk = randomBytes(4).readUInt32LE();
    const channel = new GatewayChannel({
      crypto,
      poolPublicKey: decodePublicKey(this.place.publicKey),
      longTermKeys: keys,
      sessionKeys: session,
      version: "v0.4.1-beta/hostile",
      nk,
    });
    let raw: RawChannel | undefined;
    return {
      bytes: channel.hello(),
      channel,
      open: () => raw,
      heard: (chunk) => {
        const messages: PoolMessage[] = [];
        channel.receive(chunk);
        for (let event = channel.next(); event !== undefined; event = channel.next()) {
          if (event.type === "accepted") raw = rawGatewayChannel(crypto, session, nk, event.poolSessionBoxKey);
          else messages.push(event.message);
        }
        return messages;
      },
    };
  }

  /** A whole handshake. @returns undefined when the pool does not let it in */
  async gateway(keys?: LongTermKeys, addresses?: number): Promise<HostileGateway | undefined> {
    const socket = this.dial(addresses);
    if (socket === undefined) return undefined;
    const hello = this.hello(keys);
    socket.write(hello.bytes);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        socket.destroy();
        resolve(undefined);
      }, OPEN_MS);
      socket.once("close", () => {
        clearTimeout(timer);
        resolve(undefined);
      });
      socket.on("data", (chunk: Buffer) => {
        let messages: PoolMessage[] = [];
        try {
          messages = hello.heard(chunk);
        } catch {
          socket.destroy();
        }
        for (const message of messages) {
          if (message.type === "shareResponse") this.#answered(message.status === "rejected" ? message.reason : 0);
          const raw = hello.open();
          if (message.type !== "configuration" || raw === undefined) continue;
          clearTimeout(timer);
          resolve(new HostileGateway(socket, raw, message));
        }
      });
    });
  }

  #answered(reason: number): void {
    if (reason === 0) this.counts.accepted += 1;
    else this.refused[reason] = (this.refused[reason] ?? 0) + 1;
  }

  end(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** One that the pool has let in. */
export class HostileGateway {
  constructor(
    readonly socket: Socket,
    readonly channel: RawChannel,
    readonly configuration: Configuration,
  ) {}

  get open(): boolean {
    return !this.socket.destroyed;
  }

  /** Whether what was written before has left: more would only stand in this process's memory. */
  get writable(): boolean {
    return this.open && this.socket.writableLength < 256 * 1024;
  }

  send(message: GatewayMessage): void {
    if (this.open) this.socket.write(this.channel.seal(encodeGatewayMessage(message)));
  }
}
