/** The frame reader on its own: frames come out whole from any pieces, what it holds stays in proportion to the bytes, views stay good. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Frame, FrameReader, LARGEST_PAYLOAD, writeHeader } from "../src/frame.js";
import { datumError, hex, pieces } from "./support.js";

const plainReader = (limit = LARGEST_PAYLOAD): FrameReader =>
  new FrameReader(
    (word) => word,
    () => limit,
  );

function header(length: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(writeHeader({ length, signed: false, sealed: false, channel: true, command: 5 }));
  return bytes;
}

const frameOf = (payload: Uint8Array): Uint8Array => Buffer.concat([header(payload.length), payload]);

function drain(reader: FrameReader): Frame[] {
  const frames: Frame[] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame);
  return frames;
}

const payloads = fc.array(fc.uint8Array({ maxLength: 300, size: "max" }), { maxLength: 20 });
const cuts = fc.array(fc.nat({ max: 1_000_000 }), { maxLength: 30 });

describe("frames", () => {
  it("come out as they were put in, whatever the pieces, whether read at once or in the end; empty ones too", () => {
    const check = fc.property(payloads, cuts, fc.boolean(), (sent, at, atOnce) => {
      const reader = plainReader();
      const got: Frame[] = [];
      for (const piece of pieces(Buffer.concat(sent.map(frameOf)), at)) {
        reader.push(piece);
        if (atOnce) got.push(...drain(reader));
      }
      got.push(...drain(reader));
      // Compared only now: payloads that were given out early must not have been written over since.
      expect(got.map(({ payload }) => hex(payload))).toEqual(sent.map(hex));
      expect(reader.buffered).toBe(0);
    });
    fc.assert(check, { numRuns: 300 });
  });

  it("leave the caller's pieces as they were", () => {
    const check = fc.property(payloads, cuts, (sent, at) => {
      const stream = pieces(Buffer.concat(sent.map(frameOf)), at);
      const before = stream.map(hex);
      const reader = plainReader();
      for (const piece of stream) {
        reader.push(piece);
        drain(reader);
      }
      expect(stream.map(hex)).toEqual(before);
    });
    fc.assert(check, { numRuns: 100 });
  });

  it("that come whole in one piece are views of it, not copies", () => {
    const reader = plainReader();
    const piece = Buffer.concat([frameOf(Uint8Array.of(1, 2, 3)), frameOf(Uint8Array.of(4))]);
    reader.push(piece);
    const buffers = drain(reader).map(({ payload }) => payload.buffer);
    expect(buffers).toEqual([piece.buffer, piece.buffer]);
  });
});

describe("a length", () => {
  it("over the limit is refused by the header alone, the limit itself is waited for", () => {
    const over = plainReader(100);
    over.push(header(101));
    expect(datumError(() => over.next()).code).toBe("frameTooLarge");
    const at = plainReader(100);
    at.push(header(100));
    expect(at.next()).toBeUndefined();
  });

  it("is judged once, by the limit of the moment at which its header came", () => {
    let limit = 10;
    let asked = 0;
    const reader = new FrameReader(
      (word) => word,
      () => {
        asked += 1;
        return limit;
      },
    );
    reader.push(header(10));
    expect(reader.next()).toBeUndefined();
    limit = 5;
    reader.push(new Uint8Array(10));
    expect(reader.next()?.payload).toHaveLength(10);
    expect(asked).toBe(1);
  });

  it("that is only claimed takes no memory", () => {
    const before = process.memoryUsage().arrayBuffers;
    const readers = Array.from({ length: 64 }, () => plainReader());
    for (const reader of readers) {
      reader.push(header(LARGEST_PAYLOAD));
      reader.next();
      reader.push(Uint8Array.of(1));
      reader.next();
    }
    // 64 claims of 4 MB each: were they believed, 268 MB would be taken.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16_000_000);
    expect(readers.every((reader) => reader.buffered === 1)).toBe(true);
  });
});

describe("single bytes", () => {
  it("are held as bytes, not as an object each: no piece is kept", () => {
    const reader = plainReader();
    reader.push(header(20_000));
    reader.next();
    let copies = 0;
    let copied = 0;
    const set = Uint8Array.prototype.set;
    // Counts what is moved: growing by doubling moves each byte a bounded number of times, growing by one piece would move 200 MB here.
    Uint8Array.prototype.set = function (source, offset) {
      copies += 1;
      copied += source.length;
      set.call(this, source, offset);
    };
    const sent: Uint8Array[] = [];
    try {
      for (let i = 0; i < 20_000; i++) {
        const piece = Uint8Array.of(i & 0xff);
        sent.push(piece);
        reader.push(piece);
        if (i < 19_999) expect(reader.next()).toBeUndefined();
      }
    } finally {
      Uint8Array.prototype.set = set;
    }
    expect(copies).toBeGreaterThan(19_000);
    expect(copied).toBeLessThan(4 * 20_000);
    // All pieces but the first have been copied away, so changing them changes nothing: none of them is kept.
    for (const piece of sent.slice(1)) piece[0] = 0xee;
    const payload = reader.next()?.payload;
    expect(payload).toHaveLength(20_000);
    expect(payload?.subarray(1).every((byte, i) => byte === ((i + 1) & 0xff))).toBe(true);
    // And the buffer that holds them is at most twice what they need.
    expect(payload?.buffer.byteLength).toBeLessThanOrEqual(2 * 20_004);
  });
});
