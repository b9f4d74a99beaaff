/** The smallest pool that a gateway can mine on: it checks that shares hash right, and nothing else. */
import { createServer, type Server, type Socket } from "node:net";
import { meetsTarget, NETWORKS, ShareProver, shareTarget, targetBytes } from "@openprime/bitcoin";
import {
  type CoinbaserOutput,
  type CoinbaseSection,
  encodePublicKey,
  type GatewayMessage,
  generateLongTermKeys,
  generateSessionKeys,
  type Hello,
  type JobSection,
  loadCrypto,
  PoolChannel,
  type PoolMessage,
  type Share,
} from "@openprime/datum";

export interface MiniShare {
  readonly share: Share;
  readonly job: JobSection;
  readonly coinbase: CoinbaseSection;
  /** Header hash by the prover of @openprime/bitcoin. */
  readonly hash: Uint8Array;
  readonly meetsTarget: boolean;
}

export interface MiniPoolBehaviour {
  /** Answers a share; default: accepted when it meets its target, else reason 21. */
  judge?: (share: MiniShare) => { status: "accepted" | "tentative" | "rejected"; reason: number } | undefined;
  /** Outputs for a value; undefined for no answer. */
  split?: (value: bigint) => readonly CoinbaserOutput[] | undefined;
  minimumDifficulty?: bigint;
}

interface Slot {
  job: JobSection;
  coinbases: Map<number, CoinbaseSection>;
}

export const MINI_POOL_SCRIPT = Uint8Array.of(0x00, 0x14, ...new Uint8Array(20).fill(0xaa));
export const MINI_POOL_TAG = new TextEncoder().encode("mini");

export class MiniPool {
  readonly publicKey: string;
  readonly port: number;
  readonly shares: MiniShare[] = [];
  readonly hellos: Hello[] = [];
  readonly messages: GatewayMessage[] = [];
  /** Shares that came without their job or coinbase ever having been told. */
  orphanShares = 0;
  readonly #server: Server;
  readonly #sockets = new Map<Socket, PoolChannel>();
  readonly #watchers = new Set<() => void>();

  private constructor(server: Server, port: number, publicKey: string) {
    this.#server = server;
    this.port = port;
    this.publicKey = publicKey;
  }

  static async start(behaviour: MiniPoolBehaviour = {}): Promise<MiniPool> {
    const crypto = await loadCrypto();
    const keys = generateLongTermKeys(crypto);
    const prover = await ShareProver.create();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const pool = new MiniPool(server, (server.address() as { port: number }).port, encodePublicKey(keys));
    server.on("connection", (socket) => {
      const channel = new PoolChannel({ crypto, longTermKeys: [keys], sessionKeys: generateSessionKeys(crypto), motd: "mini pool" });
      const slots = new Map<number, Slot>();
      channel.maxPayload = 4_000_000;
      pool.#sockets.set(socket, channel);
      socket.on("close", () => pool.#sockets.delete(socket));
      socket.on("error", () => socket.destroy());
      socket.on("data", (chunk) => {
        channel.receive(chunk);
        for (let event = channel.next(); event !== undefined; event = channel.next()) {
          if (event.type === "hello") {
            pool.hellos.push(event.hello);
            socket.write(channel.accept());
            socket.write(
              channel.send({
                type: "configuration",
                payoutScript: MINI_POOL_SCRIPT,
                primeId: 77,
                tag: MINI_POOL_TAG,
                minimumDifficulty: behaviour.minimumDifficulty ?? 1n,
              }),
            );
          } else {
            pool.#handle(event.message, slots, behaviour, prover, (message) => socket.write(channel.send(message)));
          }
        }
        for (const check of pool.#watchers) check();
      });
    });
    return pool;
  }

  #handle(
    message: GatewayMessage,
    slots: Map<number, Slot>,
    behaviour: MiniPoolBehaviour,
    prover: ShareProver,
    send: (message: PoolMessage) => void,
  ): void {
    if (message.type === "coinbaserRequest") {
      const outputs = behaviour.split === undefined ? [] : behaviour.split(message.value);
      if (outputs !== undefined) send({ type: "coinbaser", value: message.value, coinbaserId: 5, outputs });
    }
    if (message.type !== "share") {
      this.messages.push(message);
      return;
    }
    if (message.job !== undefined) slots.set(message.jobId, { job: message.job, coinbases: new Map() });
    const slot = slots.get(message.jobId);
    if (slot !== undefined && message.coinbase !== undefined) slot.coinbases.set(message.coinbase.coinbaseId, message.coinbase);
    const coinbase = slot?.coinbases.get(message.coinbaseId);
    if (slot === undefined || coinbase === undefined) {
      this.orphanShares += 1;
      return;
    }
    const { job } = slot;
    const hash = new Uint8Array(
      prover.prove({
        coinb1: coinbase.coinb1,
        extranonce: message.extranonce,
        coinb2: coinbase.coinb2,
        targetByteIndex: job.targetByteIndex,
        targetByte: message.targetByte,
        quickdiff: message.quickdiff,
        branches: job.branches,
        subsidyOnly: message.subsidyOnly,
        version: message.version,
        prevhash: job.prevhash,
        ntime: message.ntime,
        nbits: job.nbits,
        nonce: message.nonce,
      }),
    );
    const good = meetsTarget(hash, targetBytes(shareTarget(message.targetByte, NETWORKS.regtest)));
    const seen: MiniShare = { share: message, job, coinbase, hash, meetsTarget: good };
    this.shares.push(seen);
    const verdict =
      behaviour.judge === undefined
        ? { status: good ? ("accepted" as const) : ("rejected" as const), reason: good ? 0 : 21 }
        : behaviour.judge(seen);
    if (verdict === undefined) return;
    send({ type: "shareResponse", ...verdict, nonce: message.nonce, targetByte: message.targetByte, jobId: message.jobId });
  }

  /** Sends to every connection. */
  send(message: PoolMessage): void {
    for (const [socket, channel] of this.#sockets) socket.write(channel.send(message));
  }

  /** Waits until something that was received makes `wanted` true. */
  async until(wanted: () => boolean): Promise<void> {
    if (wanted()) return;
    await new Promise<void>((resolve) => {
      const check = (): void => {
        if (!wanted()) return;
        this.#watchers.delete(check);
        resolve();
      };
      this.#watchers.add(check);
    });
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets.keys()) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
