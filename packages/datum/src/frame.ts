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

/**
 * Cuts a byte stream into frames, whatever the pieces it comes in.
 *
 * The length is checked before any memory is taken for a frame. What is held at most is the frame under way and the pieces pushed since the
 * last `next`: a caller that drains after each push holds one frame and one piece. No byte is copied more than once.
 */
export class FrameReader {
  #chunks: Uint8Array[] = [];
  #offset = 0;
  #buffered = 0;
  #header: FrameHeader | undefined;
  #deobfuscate: (word: number) => number;
  #limit: (header: FrameHeader) => number;

  /**
   * @param deobfuscate called once per header, in order
   * @param limit largest payload that is taken for such a header
   */
  constructor(deobfuscate: (word: number) => number, limit: (header: FrameHeader) => number) {
    this.#deobfuscate = deobfuscate;
    this.#limit = limit;
  }

  /** Bytes held that no frame has taken yet. */
  get buffered(): number {
    return this.#buffered;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
  }

  /**
   * The next whole frame, or undefined when more bytes are needed.
   *
   * @throws DatumError `badHeader`, `frameTooLarge`
   */
  next(): Frame | undefined {
    if (this.#header === undefined) {
      if (this.#buffered < HEADER_BYTES) return undefined;
      const bytes = this.#take(HEADER_BYTES);
      const word = ((bytes[0] ?? 0) | ((bytes[1] ?? 0) << 8) | ((bytes[2] ?? 0) << 16) | ((bytes[3] ?? 0) << 24)) >>> 0;
      const header = readHeader(this.#deobfuscate(word));
      const limit = this.#limit(header);
      if (header.length > limit) throw new DatumError("frameTooLarge", `at most ${limit} payload bytes`, `${header.length}`);
      this.#header = header;
    }
    const header = this.#header;
    if (this.#buffered < header.length) return undefined;
    this.#header = undefined;
    return { header, payload: this.#take(header.length) };
  }

  /** Takes bytes off the front: a view where they lie in one piece. */
  #take(count: number): Uint8Array {
    this.#buffered -= count;
    const first = this.#chunks[0];
    if (first === undefined) return new Uint8Array(0);
    const available = first.length - this.#offset;
    if (count < available) {
      const view = first.subarray(this.#offset, this.#offset + count);
      this.#offset += count;
      return view;
    }
    const whole = count === available ? first.subarray(this.#offset) : new Uint8Array(count);
    let filled = 0;
    let used = 0;
    while (filled < count) {
      const chunk = this.#chunks[used];
      if (chunk === undefined) break;
      const piece = chunk.subarray(this.#offset, this.#offset + count - filled);
      if (count !== available) whole.set(piece, filled);
      filled += piece.length;
      this.#offset += piece.length;
      if (this.#offset < chunk.length) break;
      used += 1;
      this.#offset = 0;
    }
    this.#chunks.splice(0, used);
    return whole;
  }
}
