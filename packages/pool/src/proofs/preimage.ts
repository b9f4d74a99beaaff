/** The bytes that the Merkle-sum tree hashes. docs/proofs.md has them. */
import { sha256 } from "@openprime/bitcoin";
import { ProofError } from "./errors.js";

/** Bytes of a weight and of an amount of satoshis. */
export const WEIGHT_BYTES = 32;
export const AMOUNT_BYTES = 8;
export const MAX_WEIGHT = (1n << 256n) - 1n;
export const MAX_AMOUNT = (1n << 64n) - 1n;

/**
 * What a hash is made of: a tag and then numbers, big-endian, and bytes. They are written into one buffer, which serves one hash after another: a tree
 * has tens of thousands.
 */
export class Preimage {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #tagEnd: number;
  #end: number;

  /** @param room bytes that follow the tag */
  constructor(tag: string, room: number) {
    this.#bytes = new Uint8Array(tag.length + room);
    this.#view = new DataView(this.#bytes.buffer);
    this.#bytes.set(Buffer.from(tag, "ascii"));
    this.#tagEnd = tag.length;
    this.#end = tag.length;
  }

  /** Begins anew after the tag; what the last one wrote, half of it perhaps, is forgotten. */
  start(): this {
    this.#end = this.#tagEnd;
    return this;
  }

  uint16(value: number): this {
    this.#view.setUint16(this.#end, value);
    this.#end += 2;
    return this;
  }

  uint32(value: number): this {
    this.#view.setUint32(this.#end, value);
    this.#end += 4;
    return this;
  }

  bytes(bytes: Uint8Array): this {
    this.#bytes.set(bytes, this.#end);
    this.#end += bytes.length;
    return this;
  }

  /** Two's complement. */
  signed(value: bigint): this {
    if (BigInt.asIntN(64, value) !== value) {
      throw new ProofError("proof.overflow", `expected satoshis of -2^63 to 2^63 - 1, got ${value}`);
    }
    this.#view.setBigInt64(this.#end, value);
    this.#end += AMOUNT_BYTES;
    return this;
  }

  amount(value: bigint): this {
    this.#view.setBigUint64(this.#end, within(value, MAX_AMOUNT));
    this.#end += AMOUNT_BYTES;
    return this;
  }

  weight(value: bigint): this {
    let rest = within(value, MAX_WEIGHT);
    for (let at = this.#end + WEIGHT_BYTES - 8; at >= this.#end; at -= 8) {
      this.#view.setBigUint64(at, rest);
      rest >>= 64n;
    }
    this.#end += WEIGHT_BYTES;
    return this;
  }

  /** The hash of all that was written. */
  hash(): Uint8Array {
    return sha256(this.#bytes.subarray(0, this.#end));
  }
}

/** The value, when it is one of 0 to `most`. @throws ProofError `proof.overflow` */
export function within(value: bigint, most: bigint): bigint {
  if (value < 0n || value > most) throw new ProofError("proof.overflow", `expected a sum of 0 to ${most}, got ${value}`);
  return value;
}
