/** A cursor over untrusted bytes in Bitcoin's serialization: each length is checked before anything is taken. */
import { TransactionError } from "./errors.js";

export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  /** The byte `ahead` of the cursor, which stays; undefined past the end. */
  peek(ahead: number): number | undefined {
    return this.#bytes[this.#offset + ahead];
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true);
  }

  /** A view of the next `length` bytes. */
  take(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** Passes over the next `length` bytes. */
  skip(length: number): void {
    this.#advance(length);
  }

  /** Bytes from `start` up to the cursor. */
  since(start: number): Uint8Array {
    return this.#bytes.subarray(start, this.#offset);
  }

  /** A CompactSize, which must be in its shortest form and under 2^32. */
  size(): number {
    const first = this.u8();
    if (first < 0xfd) return first;
    const value = first === 0xfd ? this.#view.getUint16(this.#advance(2), true) : first === 0xfe ? this.u32() : this.u64();
    const least = first === 0xfd ? 0xfd : first === 0xfe ? 0x1_0000 : 0x1_0000_0000;
    if (value < least) throw new TransactionError("nonCanonicalSize", `expected the shortest form of the size ${value}, got a longer one`);
    if (typeof value === "bigint")
      throw new TransactionError("truncated", `expected a size that fits the bytes left (${this.remaining}), got ${value}`);
    return value;
  }

  /** A CompactSize that counts things of at least `leastBytes` each: refused at once when so many can't follow. */
  count(leastBytes: number): number {
    const count = this.size();
    if (count * leastBytes > this.remaining) {
      throw new TransactionError("truncated", `expected ${count} items of at least ${leastBytes} bytes, got ${this.remaining} bytes`);
    }
    return count;
  }

  /** To be called when the structure is complete. */
  end(): void {
    if (this.remaining !== 0) throw new TransactionError("trailingBytes", `expected the end, got ${this.remaining} more bytes`);
  }

  #advance(length: number): number {
    if (length > this.remaining) throw new TransactionError("truncated", `expected ${length} bytes, got ${this.remaining}`);
    const start = this.#offset;
    this.#offset += length;
    return start;
  }
}
