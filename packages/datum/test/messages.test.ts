/** Every message that can be sent arrives as it was, whatever pieces the stream is cut into. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type CoinbaserOutput,
  decodeGatewayMessage,
  decodePoolMessage,
  encodeGatewayMessage,
  encodePoolMessage,
  LARGEST_PAYLOAD,
  MAX_COINBASER_BLOB_BYTES,
  MAX_COINBASER_OUTPUTS,
  MAX_SCRIPT_BYTES,
  type PaddingSource,
  type PoolMiningMessage,
} from "../src/index.js";
import { anyGatewayMessage, anyPoolMessage, GATEWAY_MESSAGES, POOL_MESSAGES } from "./arbitraries.js";
import { GATEWAY_SAYS } from "./conversation.js";
import { connected, datumError, drain, native, pieces, toJson, unhex, wasm } from "./support.js";

const cuts = fc.array(fc.nat({ max: 100_000 }), { maxLength: 8 });
const padding: fc.Arbitrary<PaddingSource> = fc.record({ share: fc.double({ min: 0, max: 1, noNaN: true }), byte: fc.nat(255) }).map(
  ({ share, byte }): PaddingSource =>
    (least, most) => ({ length: least + Math.floor(share * (most - least)), byte }),
);

describe("a message of the pool", () => {
  for (const [type, message] of Object.entries(POOL_MESSAGES)) {
    it(`round-trips: ${type}`, () => {
      const check = fc.property(message, cuts, (sent, at) => {
        const { pool, gateway } = connected(native);
        for (const piece of pieces(pool.send(sent), at)) gateway.receive(piece);
        expect(drain(gateway).map(toJson)).toEqual([toJson({ type: "message", message: sent })]);
      });
      fc.assert(check, { numRuns: 60 });
    });
  }

  it("keeps its place in a stream of others, and in pieces", () => {
    const check = fc.property(fc.array(anyPoolMessage, { maxLength: 12 }), cuts, (messages, at) => {
      const { pool, gateway } = connected(wasm);
      const stream = Buffer.concat(messages.map((message) => pool.send(message)));
      const events = pieces(stream, at).flatMap((piece) => {
        gateway.receive(piece);
        return drain(gateway);
      });
      expect(events.map(toJson)).toEqual(messages.map((message) => toJson({ type: "message", message })));
    });
    fc.assert(check, { numRuns: 60 });
  });
});

describe("a message of the gateway", () => {
  for (const [type, message] of Object.entries(GATEWAY_MESSAGES)) {
    it(`round-trips with any padding: ${type}`, () => {
      const check = fc.property(message, padding, cuts, (sent, pad, at) => {
        const { pool, gateway } = connected(native, pad);
        for (const piece of pieces(gateway.send(sent), at)) pool.receive(piece);
        expect(drain(pool).map(toJson)).toEqual([toJson({ type: "message", message: sent })]);
      });
      fc.assert(check, { numRuns: 60 });
    });
  }

  it("keeps its place in a stream of others, and in pieces", () => {
    const check = fc.property(fc.array(anyGatewayMessage, { maxLength: 12 }), cuts, (messages, at) => {
      const { pool, gateway } = connected(wasm);
      const stream = Buffer.concat(messages.map((message) => gateway.send(message)));
      const events = pieces(stream, at).flatMap((piece) => {
        pool.receive(piece);
        return drain(pool);
      });
      expect(events.map(toJson)).toEqual(messages.map((message) => toJson({ type: "message", message })));
    });
    fc.assert(check, { numRuns: 60 });
  });
});

describe("at the limits", () => {
  const output = { value: 1n, script: Uint8Array.of(0x51, 0x51) };
  const coinbaser = (outputs: CoinbaserOutput[]): PoolMiningMessage => ({ type: "coinbaser", value: 1000n, coinbaserId: 1, outputs });
  const largest = { value: 1n, script: new Uint8Array(MAX_SCRIPT_BYTES) };
  // 448 outputs of 73 bytes and one of 62 fill the blob, behind its id byte.
  const full = [...Array<CoinbaserOutput>(448).fill(largest), { value: 1n, script: new Uint8Array(53) }];

  it("takes as many outputs as a gateway reads, and not one more", () => {
    const most = coinbaser(Array<CoinbaserOutput>(MAX_COINBASER_OUTPUTS).fill(output));
    expect(toJson(decodePoolMessage(encodePoolMessage(most)))).toBe(toJson(most));
    expect(datumError(() => encodePoolMessage(coinbaser(Array<CoinbaserOutput>(MAX_COINBASER_OUTPUTS + 1).fill(output)))).code).toBe(
      "badValue",
    );
    const blob = Buffer.concat([Uint8Array.of(1), ...Array<Uint8Array>(MAX_COINBASER_OUTPUTS + 1).fill(unhex("0100000000000000025151"))]);
    const head = Buffer.alloc(13, 0x11);
    head.writeUInt32LE(blob.length, 9);
    expect(datumError(() => decodePoolMessage(Buffer.concat([head, blob]))).code).toBe("malformedMessage");
  });

  it("takes a blob that fills the gateway's buffer, and not one byte more", () => {
    expect(encodePoolMessage(coinbaser(full))).toHaveLength(13 + MAX_COINBASER_BLOB_BYTES);
    expect(toJson(decodePoolMessage(encodePoolMessage(coinbaser(full))))).toBe(toJson(coinbaser(full)));
    const over = [...full.slice(0, -1), { value: 1n, script: new Uint8Array(54) }];
    expect(datumError(() => encodePoolMessage(coinbaser(over))).code).toBe("badValue");
  });

  it("asks for every transaction that a gateway can serve by index", () => {
    const message: PoolMiningMessage = {
      type: "transactionsByIndexRequest",
      jobId: 7,
      indices: Array.from({ length: 16383 }, (_, i) => i),
    };
    expect(toJson(decodePoolMessage(encodePoolMessage(message)))).toBe(toJson(message));
  });

  it("refuses halves of a coinbase that their length fields can't hold, and too many branches", () => {
    const half = new Uint8Array(0x10000);
    const [share] = GATEWAY_SAYS.flatMap((message) => (message.type === "share" && message.job ? [{ ...message, job: message.job }] : []));
    if (share === undefined) throw new Error("no share with a job");
    for (const coinbase of [
      { coinbaseId: 1, coinb1: half, coinb2: half.subarray(1) },
      { coinbaseId: 1, coinb1: half.subarray(1), coinb2: half },
    ]) {
      expect(datumError(() => encodeGatewayMessage({ ...share, coinbase })).code).toBe("badValue");
    }
    const whole = { coinbaseId: 1, coinb1: half.subarray(1), coinb2: half.subarray(1) };
    expect(toJson(decodeGatewayMessage(encodeGatewayMessage({ ...share, coinbase: whole })))).toBe(toJson({ ...share, coinbase: whole }));
    const job = { ...share.job, branches: new Uint8Array(32 * 256) };
    expect(datumError(() => encodeGatewayMessage({ ...share, job })).code).toBe("badValue");
  });

  it("refuses a message that no frame can hold, and the channel stays good", () => {
    const { pool, gateway } = connected(native);
    const transactions = [new Uint8Array(LARGEST_PAYLOAD)];
    expect(datumError(() => gateway.send({ type: "fullSet", jobId: 0, transactions })).code).toBe("frameTooLarge");
    const largest = new Uint8Array(LARGEST_PAYLOAD - 16 - 6 - 3 - 1);
    pool.receive(gateway.send({ type: "fullSet", jobId: 0, transactions: [largest] }));
    expect(drain(pool)).toMatchObject([{ message: { type: "fullSet", transactions: [{ length: largest.length }] } }]);
  });
});

describe("a body", () => {
  it("cut short anywhere is an error, or padding that became shorter, never another message", () => {
    const check = fc.property(anyGatewayMessage, (message) => {
      const body = encodeGatewayMessage(message, () => ({ length: 5, byte: 0xfe }));
      const padding = message.type === "fullSet" && message.error === undefined ? 0 : 5;
      for (let length = 0; length < body.length; length++) {
        const part = body.subarray(0, length);
        if (length > body.length - padding) expect(toJson(decodeGatewayMessage(part))).toBe(toJson(message));
        else expect(datumError(() => decodeGatewayMessage(part)).code).toMatch(/^(malformedMessage|unknownMessage)$/);
      }
    });
    fc.assert(check, { numRuns: 40 });
  });

  it("of the pool cut short or with a byte more is an error", () => {
    const message = fc.oneof(POOL_MESSAGES.configuration, POOL_MESSAGES.coinbaser, POOL_MESSAGES.shareResponse);
    const check = fc.property(message, fc.nat(255), (sent, extra) => {
      const body = encodePoolMessage(sent);
      for (let length = 0; length < body.length; length++) {
        expect(datumError(() => decodePoolMessage(body.subarray(0, length))).code).toBe("malformedMessage");
      }
      expect(datumError(() => decodePoolMessage(Buffer.concat([body, Uint8Array.of(extra)]))).code).toBe("malformedMessage");
    });
    fc.assert(check, { numRuns: 40 });
  });

  it("of random bytes decodes to what encodes to a message again, or is a DatumError", () => {
    const command = fc.constantFrom(0x10, 0x27, 0x28, 0x50, 0x11, 0x99, 0x8f, 0xf9);
    const body = fc.tuple(command, fc.uint8Array({ maxLength: 400, size: "max" })).map(([first, rest]) => Uint8Array.of(first, ...rest));
    const check = fc.property(body, (bytes) => {
      for (const [decode, again] of [
        [decodeGatewayMessage, (value: ReturnType<typeof decodeGatewayMessage>) => decodeGatewayMessage(encodeGatewayMessage(value))],
        [decodePoolMessage, (value: ReturnType<typeof decodePoolMessage>) => decodePoolMessage(encodePoolMessage(value))],
      ] as const) {
        let value: never;
        try {
          value = decode(bytes) as never;
        } catch (error) {
          expect(datumError(() => decode(bytes)).message).toBe((error as Error).message);
          continue;
        }
        expect(toJson(again(value))).toBe(toJson(value));
      }
    });
    fc.assert(check, { numRuns: 3000 });
  });
});
