/** The codecs of message bodies, both roles: any bytes in. */
import { isDeepStrictEqual } from "node:util";
import {
  DatumError,
  decodeGatewayMessage,
  decodePoolMessage,
  encodeGatewayMessage,
  encodePoolMessage,
  readHeader,
  writeHeader,
} from "@openprime/datum";
import { holds, type Target } from "./fuzzer.js";

/** Bytes of others that stand before and after an input: whoever reads past its end reads these. */
const AROUND = 64;

type Outcome = { readonly value: unknown } | { readonly error: DatumError };

/** What a decoder makes of an input that lies between bytes of others. Throws what is no DatumError. */
function decoded(decode: (body: Uint8Array) => unknown, input: Uint8Array, around: number): Outcome {
  const buffer = new Uint8Array(input.length + 2 * AROUND).fill(around);
  buffer.set(input, AROUND);
  const body = buffer.subarray(AROUND, AROUND + input.length);
  try {
    const value = decode(body);
    holds(viewsWithin(value, body), "a decoded value's bytes lie within the message");
    return { value };
  } catch (error) {
    if (error instanceof DatumError) return { error };
    throw error;
  }
}

function viewsWithin(value: unknown, body: Uint8Array): boolean {
  if (value instanceof Uint8Array) {
    if (value.buffer !== body.buffer) return true;
    return value.byteOffset >= body.byteOffset && value.byteOffset + value.length <= body.byteOffset + body.length;
  }
  if (typeof value !== "object" || value === null) return true;
  return Object.values(value).every((one) => viewsWithin(one, body));
}

/**
 * Decodes twice, between different bytes: the same must come of it. What is decoded must come back from its own encoding, and that encoding be
 * the message itself: no two messages mean the same, up to padding.
 */
function messageTarget<T>(
  name: string,
  seeds: readonly Uint8Array[],
  decode: (body: Uint8Array) => T,
  encode: (value: T) => { readonly bytes: Uint8Array; readonly padding: number },
): Target {
  let values = 0;
  return {
    name,
    seeds,
    part: 30,
    run: (input) => {
      const first = decoded(decode, input, 0x00);
      const second = decoded(decode, input, 0xfe);
      if ("error" in first) {
        holds("error" in second && second.error.message === first.error.message, "what follows a message does not change its error");
        return;
      }
      holds("value" in second && isDeepStrictEqual(second.value, first.value), "what follows a message does not change its value");
      values += 1;
      const { bytes, padding } = encode(first.value as T);
      holds(isDeepStrictEqual(decode(bytes), first.value), "decode(encode(x)) is x");
      const meaning = bytes.length - padding;
      holds(Buffer.compare(bytes.subarray(0, meaning), input.subarray(0, meaning)) === 0, "encode(decode(bytes)) is bytes, up to padding");
      if (padding === 0) holds(bytes.length === input.length, "nothing follows a message without padding");
    },
    figures: () => ({ decoded: values }),
  };
}

export const gatewayMessages = (seeds: readonly Uint8Array[]): Target =>
  messageTarget("gateway-messages", seeds, decodeGatewayMessage, (message) => ({
    bytes: encodeGatewayMessage(message, () => ({ length: 1, byte: 0 })),
    padding: message.type === "fullSet" && message.error === undefined ? 0 : 1,
  }));

export const poolMessages = (seeds: readonly Uint8Array[]): Target =>
  messageTarget("pool-messages", seeds, decodePoolMessage, (message) => ({ bytes: encodePoolMessage(message), padding: 0 }));

/** Header words: each is refused or comes back from its own fields. */
export const headers = (): Target => ({
  name: "headers",
  seeds: [Uint8Array.of(0, 0, 0, 0x2c), Uint8Array.of(0x10, 0, 0, 0x2c), Uint8Array.of(0x80, 1, 0, 0x0b)],
  part: 2,
  run: (input) => {
    if (input.length < 4) return;
    const word = Buffer.from(input.buffer, input.byteOffset, 4).readUInt32LE();
    let header: ReturnType<typeof readHeader>;
    try {
      header = readHeader(word);
    } catch (error) {
      if (!(error instanceof DatumError)) throw error;
      holds((word & 0xc00000) !== 0, "a header is refused for its reserved bits alone");
      return;
    }
    holds(writeHeader(header) === word, "a header comes back from its fields");
  },
});
