/** What both roles do alike once the handshake is over: header keys, nonces, encryption, signatures by session keys. */
import { type DatumCrypto, MAC_BYTES, SIGNATURE_BYTES } from "./crypto.js";
import { DatumError } from "./errors.js";
import { type FrameHeader, HEADER_BYTES, type HeaderKey, writeHeader } from "./frame.js";
import { type SessionKeys, signSession } from "./keys.js";
import type { Nonce } from "./nonce.js";

/** A frame: obfuscated header and payload in one buffer. */
export function frame(key: HeaderKey, header: FrameHeader, payload: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  bytes.writeUInt32LE(key.apply(writeHeader(header)), 0);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}

export interface CipherOptions {
  readonly crypto: DatumCrypto;
  readonly own: SessionKeys;
  readonly peerSignKey: Uint8Array;
  readonly sharedKey: Uint8Array;
  readonly sendKey: HeaderKey;
  readonly sendNonce: Nonce;
  readonly receiveNonce: Nonce;
}

export class SessionCipher {
  readonly #options: CipherOptions;

  constructor(options: CipherOptions) {
    this.#options = options;
  }

  /** Encrypts one message into a whole frame; a signed one carries the session key's signature. */
  seal(command: number, body: Uint8Array, signed: boolean): Uint8Array {
    const { crypto, own, sendKey, sendNonce, sharedKey } = this.#options;
    const plain = signed ? Buffer.concat([body, signSession(crypto, own, body)]) : body;
    const length = plain.length + MAC_BYTES;
    const header = writeHeader({ length, signed, sealed: false, channel: true, command });
    const bytes = Buffer.allocUnsafe(HEADER_BYTES + length);
    crypto.encryptInto(bytes.subarray(HEADER_BYTES), plain, sendNonce.bytes, sharedKey);
    bytes.writeUInt32LE(sendKey.apply(header), 0);
    sendNonce.advance();
    return bytes;
  }

  /** An empty frame without encryption: PING. */
  bare(command: number): Uint8Array {
    return frame(this.#options.sendKey, { length: 0, signed: false, sealed: false, channel: false, command }, new Uint8Array(0));
  }

  /**
   * Decrypts a payload and takes off its signature.
   *
   * @throws DatumError `badMac`, `badSignature`
   */
  open(header: FrameHeader, payload: Uint8Array): Uint8Array {
    const { crypto, receiveNonce, sharedKey, peerSignKey } = this.#options;
    const plain = crypto.decrypt(payload, receiveNonce.bytes, sharedKey);
    if (plain === undefined)
      throw new DatumError("badMac", "a message that the channel's key opens", `${payload.length} bytes that it does not`);
    receiveNonce.advance();
    return header.signed ? verified(crypto, plain, peerSignKey) : plain;
  }
}

function verified(crypto: DatumCrypto, plain: Uint8Array, key: Uint8Array): Uint8Array {
  const body = plain.subarray(0, Math.max(0, plain.length - SIGNATURE_BYTES));
  const signature = plain.subarray(body.length);
  if (signature.length !== SIGNATURE_BYTES || !crypto.verify(signature, body, key)) {
    throw new DatumError("badSignature", "a signature by the peer's session key", "another");
  }
  return body;
}
