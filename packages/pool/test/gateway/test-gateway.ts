/** The gateway's side of a connection, over a real socket. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import {
  decodePublicKey,
  GatewayChannel,
  type GatewayMessage,
  generateLongTermKeys,
  generateSessionKeys,
  type LongTermKeys,
  type PoolMessage,
} from "@openprime/datum";
import { crypto, type TestPool } from "./pool.js";
import { GatewayWork, type WorkOptions } from "./work.js";

type MessageOf<T extends PoolMessage["type"]> = Extract<PoolMessage, { type: T }>;

/** A socket to the pool that keeps what it gets, for tests that don't speak the protocol. */
export class RawClient {
  readonly got: Buffer[] = [];
  readonly closed: Promise<void>;

  private constructor(readonly socket: Socket) {
    socket.on("data", (chunk: Buffer) => this.got.push(chunk));
    // A pool that hangs up may do so by a reset; `close` follows either way.
    socket.on("error", () => undefined);
    this.closed = new Promise((resolve) => socket.once("close", () => resolve()));
  }

  /** @param localAddress where it comes from: any of 127.0.0.0/8 is this machine's own */
  static async connect(pool: TestPool, bytes?: Uint8Array, localAddress?: string): Promise<RawClient> {
    const socket = connect({ port: pool.port, host: pool.host, localAddress });
    const client = new RawClient(socket);
    await once(socket, "connect");
    if (bytes !== undefined) socket.write(bytes);
    return client;
  }

  get text(): string {
    return Buffer.concat(this.got).toString();
  }
}

export interface TestGatewayOptions {
  readonly longTermKeys?: LongTermKeys;
  /** Key that HELLO is sealed to; the pool's by default. */
  readonly poolPublicKey?: string;
  readonly version?: string;
  /** Where it comes from. */
  readonly localAddress?: string;
  /** Bytes in front of HELLO, such as a proxy's. */
  readonly before?: Uint8Array;
}

export class TestGateway {
  readonly longTermKeys: LongTermKeys;
  readonly channel: GatewayChannel;
  /** All bytes that went to the pool, in order: what a listener on the wire would have. */
  readonly sent: Uint8Array[] = [];
  readonly received: PoolMessage[] = [];
  readonly closed: Promise<void>;
  isClosed = false;
  motd = "";
  primeId = 0;
  #unread: PoolMessage[] = [];
  #wake: (() => void)[] = [];
  #failure: unknown;

  constructor(
    readonly socket: Socket,
    pool: TestPool,
    options: TestGatewayOptions = {},
  ) {
    this.longTermKeys = options.longTermKeys ?? generateLongTermKeys(crypto);
    this.channel = new GatewayChannel({
      crypto,
      poolPublicKey: decodePublicKey(options.poolPublicKey ?? pool.publicKey),
      longTermKeys: this.longTermKeys,
      sessionKeys: generateSessionKeys(crypto),
      version: options.version ?? "v0.4.1-beta/test",
      nk: Math.floor(Math.random() * 2 ** 32),
    });
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", () => undefined);
    this.closed = new Promise((resolve) =>
      socket.once("close", () => {
        this.isClosed = true;
        this.#wakeAll();
        resolve();
      }),
    );
  }

  /** A socket that stands, HELLO not sent. */
  static async dial(pool: TestPool, options: TestGatewayOptions = {}): Promise<TestGateway> {
    const socket = connect({ port: pool.port, host: pool.host, localAddress: options.localAddress });
    const gateway = new TestGateway(socket, pool, options);
    await once(socket, "connect");
    if (options.before !== undefined) socket.write(options.before);
    return gateway;
  }

  /** A gateway with its configuration. */
  static async connect(pool: TestPool, options: TestGatewayOptions = {}): Promise<TestGateway> {
    const gateway = await TestGateway.dial(pool, options);
    gateway.write(gateway.channel.hello());
    gateway.primeId = (await gateway.next("configuration")).primeId;
    return gateway;
  }

  write(bytes: Uint8Array): void {
    this.sent.push(Uint8Array.from(bytes));
    this.socket.write(bytes);
  }

  send(...messages: GatewayMessage[]): void {
    this.write(Buffer.concat(messages.map((message) => this.channel.send(message))));
  }

  /** The first message of a type that was not taken yet. Rejects when the pool closes first. */
  async next<T extends PoolMessage["type"]>(type: T): Promise<MessageOf<T>> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const index = this.#unread.findIndex((message) => message.type === type);
      if (index >= 0) return this.#unread.splice(index, 1)[0] as MessageOf<T>;
      if (this.isClosed) throw new Error(`the pool closed before it sent ${type}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  work(pool: TestPool, options: Partial<WorkOptions> = {}): Promise<GatewayWork> {
    return GatewayWork.make({ primeId: this.primeId, parent: pool.chain.current, ...options });
  }

  close(): void {
    this.socket.destroy();
  }

  #read(chunk: Uint8Array): void {
    try {
      this.channel.receive(chunk);
      for (let event = this.channel.next(); event !== undefined; event = this.channel.next()) {
        if (event.type === "accepted") this.motd = event.motd;
        else {
          this.received.push(event.message);
          this.#unread.push(event.message);
        }
      }
    } catch (error) {
      this.#failure = error;
    }
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
