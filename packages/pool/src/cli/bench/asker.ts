/** One gateway that does nothing but ask for splits. */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { type DatumCrypto, decodePublicKey, GatewayChannel, generateLongTermKeys, generateSessionKeys } from "@openprime/datum";

export interface PoolPlace {
  readonly host: string;
  readonly port: number;
  readonly publicKey: string;
}

export class Asker {
  readonly #socket: Socket;
  readonly #channel: GatewayChannel;
  #answered: ((outputs: number) => void) | undefined;

  private constructor(socket: Socket, channel: GatewayChannel) {
    this.#socket = socket;
    this.#channel = channel;
  }

  /** Connects; resolves when the pool has sent its configuration. */
  static async connect(crypto: DatumCrypto, { host, port, publicKey }: PoolPlace): Promise<Asker> {
    const channel = new GatewayChannel({
      crypto,
      poolPublicKey: decodePublicKey(publicKey),
      longTermKeys: generateLongTermKeys(crypto),
      sessionKeys: generateSessionKeys(crypto),
      version: "bench",
      nk: randomBytes(4).readUInt32LE(),
    });
    const socket = connect({ host, port, noDelay: true });
    const asker = new Asker(socket, channel);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", () => socket.write(channel.hello()));
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("the pool closed a connection of the bench")));
      socket.on("data", (chunk) => asker.#receive(chunk, resolve));
    });
    return asker;
  }

  /** The number of outputs of the split for a value in satoshis. One question at a time. */
  ask(value: bigint, prevhash: Uint8Array): Promise<number> {
    return new Promise((resolve) => {
      this.#answered = resolve;
      this.#socket.write(this.#channel.send({ type: "coinbaserRequest", value, prevhash }));
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer, configured: () => void): void {
    this.#channel.receive(chunk);
    for (let event = this.#channel.next(); event !== undefined; event = this.#channel.next()) {
      if (event.type === "accepted") continue;
      if (event.message.type === "configuration") configured();
      else if (event.message.type === "coinbaser") this.#answered?.(event.message.outputs.length);
    }
  }
}
