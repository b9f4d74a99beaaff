/**
 * One direction of the encrypted channel in the hands of somebody who follows no rule: whatever body, command and flags, sealed as the peer
 * expects it. For fuzzing and for hostile clients; honest ones use the channels of the protocol library.
 */
import { type DatumCrypto, feedback, firstNonces, type Nonce, type SealPair, type SessionKeys, writeHeader } from "@openprime/datum";

const HEADER_BYTES = 4;
const MAC_BYTES = 16;

export interface RawFlags {
  readonly signed?: boolean;
  /** Says that it is signed, and is not. */
  readonly forged?: boolean;
  readonly sealed?: boolean;
  /** Said in the header; the body is encrypted all the same. */
  readonly channel?: boolean;
  /** 5, a mining message, unless said otherwise. */
  readonly command?: number;
  /** Length said in the header; the true one unless said otherwise. */
  readonly length?: number;
}

export interface RawChannelOptions {
  readonly crypto: DatumCrypto;
  readonly sharedKey: Uint8Array;
  /** XORed onto the first header. */
  readonly headerKey: number;
  readonly nonce: Nonce;
  /** Session pair that signed bodies are signed with. */
  readonly sign: SealPair;
}

export class RawChannel {
  readonly #options: RawChannelOptions;
  #headerKey: number;

  constructor(options: RawChannelOptions) {
    this.#options = options;
    this.#headerKey = options.headerKey;
  }

  /** One frame of any body; `signed` also signs it. */
  seal(body: Uint8Array, flags: RawFlags = {}): Uint8Array {
    const { crypto, sharedKey, nonce, sign } = this.#options;
    const { forged = false, sealed = false, channel = true, command = 5 } = flags;
    const signed = forged || flags.signed === true;
    const plain = signed && !forged ? Buffer.concat([body, crypto.sign(body, sign.secretKey)]) : body;
    const length = plain.length + MAC_BYTES;
    const frame = Buffer.allocUnsafe(HEADER_BYTES + length);
    crypto.encryptInto(frame.subarray(HEADER_BYTES), plain, nonce.bytes, sharedKey);
    nonce.advance();
    frame.writeUInt32LE(this.#header(writeHeader({ length: flags.length ?? length, signed, sealed, channel, command })), 0);
    return frame;
  }

  /** A header alone, then these bytes as they are. */
  bare(header: { readonly length: number } & RawFlags, payload: Uint8Array = new Uint8Array(0)): Uint8Array {
    const { signed = false, sealed = false, channel = true, command = 5, length } = header;
    const frame = Buffer.alloc(HEADER_BYTES + payload.length);
    frame.writeUInt32LE(this.#header(writeHeader({ length, signed, sealed, channel, command })), 0);
    frame.set(payload, HEADER_BYTES);
    return frame;
  }

  #header(word: number): number {
    const header = (word ^ this.#headerKey) >>> 0;
    this.#headerKey = feedback(this.#headerKey);
    return header;
  }
}

/** A gateway's sending side after its handshake with a pool of this session. */
export function rawGatewayChannel(crypto: DatumCrypto, session: SessionKeys, nk: number, poolBoxKey: Uint8Array): RawChannel {
  const sharedKey = crypto.sharedKey(poolBoxKey, session.box.secretKey);
  if (sharedKey === undefined) throw new RangeError("a key of low order");
  const nonce = firstNonces(nk, session.sign.publicKey).gatewayToPool;
  return new RawChannel({ crypto, sharedKey, headerKey: feedback(nk), nonce, sign: session.sign });
}

/** A pool's sending side after its handshake with a gateway of this session and `nk`. */
export function rawPoolChannel(
  crypto: DatumCrypto,
  pool: SessionKeys,
  gateway: { readonly signKey: Uint8Array; readonly boxKey: Uint8Array; readonly nk: number },
): RawChannel {
  const sharedKey = crypto.sharedKey(gateway.boxKey, pool.box.secretKey);
  if (sharedKey === undefined) throw new RangeError("a key of low order");
  const nonce = firstNonces(gateway.nk, gateway.signKey).poolToGateway;
  // The first key went to the header of the response.
  return new RawChannel({ crypto, sharedKey, headerKey: feedback(feedback(~gateway.nk >>> 0)), nonce, sign: pool.sign });
}
