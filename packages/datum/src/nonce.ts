/** Nonces of the channel: never on the wire, counted by both sides from what HELLO holds. */
import { feedback } from "./feedback.js";

const NONCE_BYTES = 24;
const GATEWAY_MASK = 0x57575757;

/** A nonce that owns its bytes. Use `bytes` for one message, then `advance`. */
export class Nonce {
  readonly #bytes: Buffer;

  /** @param start 24 bytes; copied */
  constructor(start: Uint8Array) {
    this.#bytes = Buffer.from(start);
  }

  /** The nonce for the next message: a view that `advance` changes. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Add one to six little-endian words, the carry going on only where a word wrapped. 2^192 messages: it can't run out. */
  advance(): void {
    for (let at = 0; at < NONCE_BYTES; at += 4) {
      const word = (this.#bytes.readUInt32LE(at) + 1) >>> 0;
      this.#bytes.writeUInt32LE(word, at);
      if (word !== 0) return;
    }
  }
}

/**
 * First nonces of the two directions.
 *
 * @param nk the u32 of HELLO
 * @param gatewaySessionSignKey 32 bytes
 */
export function firstNonces(nk: number, gatewaySessionSignKey: Uint8Array): { poolToGateway: Nonce; gatewayToPool: Nonce } {
  const pool = Buffer.alloc(NONCE_BYTES);
  const gateway = Buffer.alloc(NONCE_BYTES);
  const key = Buffer.from(gatewaySessionSignKey.buffer, gatewaySessionSignKey.byteOffset, gatewaySessionSignKey.length);
  let t = ((nk - 42) ^ key.readUInt32LE(7)) >>> 0;
  for (let at = 0; at < NONCE_BYTES; at += 4) {
    const r = feedback((t - 42) >>> 0);
    pool.writeUInt32LE(r, at);
    gateway.writeUInt32LE((r ^ GATEWAY_MASK) >>> 0, at);
    t = ~r >>> 0;
  }
  return { poolToGateway: new Nonce(pool), gatewayToPool: new Nonce(gateway) };
}
