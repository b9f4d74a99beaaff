/** Frames: a four-byte obfuscated header, then the payload. */
import { DatumError } from "./errors.js";
import { feedback } from "./feedback.js";

export const HEADER_BYTES = 4;
/** The length has 22 bits. */
export const LARGEST_PAYLOAD = 2 ** 22 - 1;
/** What the first header of a gateway is XORed with. */
export const HELLO_HEADER_KEY = 0xdc871829;

/** Top-level commands. */
export const COMMAND = { helloOrPing: 1, handshakeResponse: 2, mining: 5, info: 7 } as const;

export interface FrameHeader {
  /** Payload bytes on the wire. */
  readonly length: number;
  /** A 64-byte signature ends the plaintext. */
  readonly signed: boolean;
  /** The payload is a sealed box. */
  readonly sealed: boolean;
  /** The payload is encrypted by the channel. */
  readonly channel: boolean;
  /** 0-31. */
  readonly command: number;
}

/** @throws DatumError `badHeader` when reserved bits are set: then header keys are out of step, or the peer speaks something else */
export function readHeader(word: number): FrameHeader {
  if ((word & 0xc00000) !== 0) throw new DatumError("badHeader", "reserved bits 22 and 23 clear", `0x${(word >>> 0).toString(16)}`);
  return {
    length: word & 0x3fffff,
    signed: (word & 0x1000000) !== 0,
    sealed: (word & 0x2000000) !== 0,
    channel: (word & 0x4000000) !== 0,
    command: word >>> 27,
  };
}

/** @throws DatumError `frameTooLarge` */
export function writeHeader(header: FrameHeader): number {
  if (header.length > LARGEST_PAYLOAD)
    throw new DatumError("frameTooLarge", `at most ${LARGEST_PAYLOAD} payload bytes`, `${header.length}`);
  const flags = (header.signed ? 0x1000000 : 0) | (header.sealed ? 0x2000000 : 0) | (header.channel ? 0x4000000 : 0);
  return (header.length | flags | (header.command << 27)) >>> 0;
}

/** The XOR key of one direction's headers: used once, then replaced by its own feedback. */
export class HeaderKey {
  #key: number;

  constructor(start: number) {
    this.#key = start >>> 0;
  }

  /** XORs a header word with the present key and moves on. */
  apply(word: number): number {
    const result = (word ^ this.#key) >>> 0;
    this.#key = feedback(this.#key);
    return result;
  }
}

export interface Frame {
  readonly header: FrameHeader;
  /** A view; the bytes under it are never written again by this library. */
  readonly payload: Uint8Array;
}

const NOTHING = new Uint8Array(0);

/**
 * Cuts a byte stream into frames, whatever the pieces it comes in.
 *
 * The length is checked before a frame's payload is waited for. A piece that meets an empty reader is used as it lies; only what is left over
 * is copied, into a buffer that grows by doubling: so each byte is copied a bounded number of times, and a peer that sends single bytes makes
 * the reader hold bytes, not an object for each. A caller that drains after each push holds at most twice one frame and one piece.
 */
export class FrameReader {
  /** Bytes not yet taken lie from `#start` to `#end`. Bytes before `#start` have been given out and are never written again. */
  #buffer: Uint8Array = NOTHING;
  #start = 0;
  #end = 0;
  #header: FrameHeader | undefined;
  readonly #deobfuscate: (word: number) => number;
  readonly #limit: (header: FrameHeader) => number;

  /**
   * @param deobfuscate called once per header, in order
   * @param limit largest payload that is taken for such a header; may refuse the header by throwing
   */
  constructor(deobfuscate: (word: number) => number, limit: (header: FrameHeader) => number) {
    this.#deobfuscate = deobfuscate;
    this.#limit = limit;
  }

  /** Bytes held that no frame has taken yet. */
  get buffered(): number {
    return this.#end - this.#start;
  }

  /** Takes a piece of the stream. It must not be changed afterwards: frames are views of it. */
  push(piece: Uint8Array): void {
    const held = this.buffered;
    if (held === 0) {
      this.#buffer = piece;
      this.#start = 0;
      this.#end = piece.length;
      return;
    }
    // A piece of the caller's is always full to its end here, so only a buffer of our own is ever written to.
    if (this.#end + piece.length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(held + piece.length, 2 * held));
      grown.set(this.#buffer.subarray(this.#start, this.#end));
      this.#buffer = grown;
      this.#start = 0;
      this.#end = held;
    }
    this.#buffer.set(piece, this.#end);
    this.#end += piece.length;
  }

  /**
   * The next whole frame, or undefined when more bytes are needed.
   *
   * @throws DatumError `badHeader`, `frameTooLarge`, and what `limit` throws
   */
  next(): Frame | undefined {
    if (this.#header === undefined) {
      if (this.buffered < HEADER_BYTES) {
        // Or the last piece would be kept until the next one comes: with thousands of quiet connections, as much as their work.
        if (this.buffered === 0) this.#buffer = NOTHING;
        return undefined;
      }
      const header = readHeader(this.#deobfuscate(readWord(this.#take(HEADER_BYTES))));
      const limit = this.#limit(header);
      if (header.length > limit) throw new DatumError("frameTooLarge", `at most ${limit} payload bytes`, `${header.length}`);
      this.#header = header;
    }
    const header = this.#header;
    if (this.buffered < header.length) return undefined;
    this.#header = undefined;
    return { header, payload: this.#take(header.length) };
  }

  /** Takes bytes off the front, as a view. */
  #take(count: number): Uint8Array {
    const from = this.#start;
    this.#start += count;
    return this.#buffer.subarray(from, this.#start);
  }
}

function readWord(bytes: Uint8Array): number {
  return ((bytes[0] as number) | ((bytes[1] as number) << 8) | ((bytes[2] as number) << 16) | ((bytes[3] as number) << 24)) >>> 0;
}
