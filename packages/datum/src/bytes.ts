/** Reading and writing message bodies: bounds checked at each step, little-endian throughout. */
import { DatumError } from "./errors.js";

const malformed = (expected: string, got: string): DatumError => new DatumError("malformedMessage", expected, got);

/** Reads a message from its start. Byte arrays it gives out are views of the message. */
export class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(
    bytes: Uint8Array,
    private readonly what: string,
  ) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  #advance(count: number): number {
    const at = this.#at;
    if (count > this.#bytes.length - at)
      throw malformed(`${this.what} with ${count} more bytes at ${at}`, `${this.#bytes.length - at} bytes`);
    this.#at = at + count;
    return at;
  }

  u8(): number {
    return this.#bytes[this.#advance(1)] as number;
  }
  u16(): number {
    return this.#bytes.readUInt16LE(this.#advance(2));
  }
  u24(): number {
    return this.#bytes.readUIntLE(this.#advance(3), 3);
  }
  u32(): number {
    return this.#bytes.readUInt32LE(this.#advance(4));
  }
  u64(): bigint {
    return this.#bytes.readBigUInt64LE(this.#advance(8));
  }
  bytes(count: number): Uint8Array {
    const at = this.#advance(count);
    return this.#bytes.subarray(at, at + count);
  }
  rest(): Uint8Array {
    return this.bytes(this.left);
  }

  /** Bytes up to a NUL, which is passed over; at most `limit` of them. */
  text(limit: number): Uint8Array {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0 || end - this.#at > limit) throw malformed(`${this.what} with a NUL within ${limit} bytes`, "none");
    const value = this.#bytes.subarray(this.#at, end);
    this.#at = end + 1;
    return value;
  }

  /** The end mark 0xFE; what follows must be `least` to `most` bytes of padding. */
  end(least: number, most: number): void {
    const mark = this.u8();
    if (mark !== 0xfe) throw malformed(`${this.what} ending in 0xFE`, `0x${mark.toString(16)}`);
    if (this.left < least || this.left > most) throw malformed(`${this.what} with ${least} to ${most} bytes of padding`, `${this.left}`);
  }
}

/** Grows a message; `finish` gives a buffer of its own. */
export class Writer {
  #buffer: Buffer;
  /** Of the buffer: Buffer's own way to write a bigint takes several times as long. */
  #view: DataView;
  #length = 0;

  /** @param room bytes that are expected; more are taken too */
  constructor(room = 256) {
    this.#buffer = Buffer.allocUnsafe(room);
    this.#view = viewOf(this.#buffer);
  }

  /** Makes room and gives its place. Take it before touching the buffer, which may be another one then. */
  #reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#length, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
      this.#view = viewOf(grown);
    }
    return at;
  }

  u8(value: number): this {
    const at = this.#reserve(1);
    this.#buffer[at] = value;
    return this;
  }
  u16(value: number): this {
    const at = this.#reserve(2);
    this.#buffer.writeUInt16LE(value, at);
    return this;
  }
  u24(value: number): this {
    const at = this.#reserve(3);
    this.#buffer.writeUIntLE(value, at, 3);
    return this;
  }
  u32(value: number): this {
    const at = this.#reserve(4);
    this.#buffer.writeUInt32LE(value, at);
    return this;
  }
  u64(value: bigint): this {
    const at = this.#reserve(8);
    this.#view.setBigUint64(at, value, true);
    return this;
  }
  bytes(value: Uint8Array): this {
    const at = this.#reserve(value.length);
    this.#buffer.set(value, at);
    return this;
  }
  /** One repeated byte, as the gateway pads. */
  padding(count: number, byte: number): this {
    const at = this.#reserve(count);
    this.#buffer.fill(byte, at, at + count);
    return this;
  }
  finish(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }
}

const viewOf = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** @throws DatumError `badValue` */
export function check(good: boolean, expected: string, got: string | number | bigint): void {
  if (!good) throw new DatumError("badValue", expected, String(got));
}

/** A whole number that fits so many bits. @throws DatumError `badValue` */
export function checkUint(value: number, bits: number, what: string): void {
  check(Number.isInteger(value) && value >= 0 && value < 2 ** bits, `${what} of ${bits} bits`, value);
}

/** @throws DatumError `badValue` */
export function checkU64(value: bigint, what: string): void {
  check(value >= 0n && value < 1n << 64n, `${what} of 64 bits`, value);
}

/** @throws DatumError `badValue` */
export function checkLength(bytes: Uint8Array, least: number, most: number, what: string): void {
  check(bytes.length >= least && bytes.length <= most, `${what} of ${least === most ? least : `${least} to ${most}`} bytes`, bytes.length);
}
