/** SHA-256 as Bitcoin uses it, and the two orders in which its hashes are written. */
import * as crypto from "node:crypto";
import { HexError } from "./errors.js";

// Node.js has it from 20.12 on. It makes no object for each hash, which costs more than the hash of a few hundred bytes.
const inOneCall = crypto.hash as typeof crypto.hash | undefined;

/** SHA-256 (FIPS 180-4) of `data`: 32 bytes. */
export function sha256(data: Uint8Array): Uint8Array {
  return inOneCall === undefined ? crypto.createHash("sha256").update(data).digest() : inOneCall("sha256", data, "buffer");
}

/** Double SHA-256 of `data`: txids, merkle nodes and block hashes, 32 bytes in internal order. */
export function sha256d(data: Uint8Array): Uint8Array {
  return sha256(sha256(data));
}

/** Bytes in internal order → hex as explorers and the node's RPC show hashes (last byte first). */
export function reverseHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).reverse().toString("hex");
}

/**
 * Hex in display order → bytes in internal order.
 *
 * @throws HexError unless `hex` is an even number of hexadecimal digits
 */
export function fromReverseHex(hex: string): Uint8Array {
  if (hex.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(hex)) {
    throw new HexError("badHex", `expected an even number of hexadecimal digits, got ${JSON.stringify(hex.slice(0, 80))}`);
  }
  return new Uint8Array(Buffer.from(hex, "hex").reverse());
}
