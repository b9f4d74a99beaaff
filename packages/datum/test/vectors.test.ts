/** Known answers for the codecs: bytes of valid messages, bytes that are no message, values that no message can carry. */
import { describe, expect, it } from "vitest";
import {
  decodeGatewayMessage,
  decodePoolMessage,
  encodeGatewayMessage,
  encodePoolMessage,
  type GatewayMessage,
  type PoolMiningMessage,
} from "../src/index.js";
import { datumError, fixedPadding, fromJson, hex, readJson, toJson, unhex } from "./support.js";

interface Vectors {
  readonly valid: readonly { readonly name: string; readonly value: unknown; readonly plain: string }[];
  readonly invalid: readonly { readonly name: string; readonly plain: string; readonly code: string }[];
  readonly unencodable: readonly { readonly name: string; readonly value: unknown }[];
}

const CODECS = [
  {
    file: "pool-messages.json",
    encode: (value: unknown) => encodePoolMessage(value as PoolMiningMessage),
    decode: (plain: Uint8Array): unknown => decodePoolMessage(plain),
  },
  {
    file: "gateway-messages.json",
    encode: (value: unknown) => encodeGatewayMessage(value as GatewayMessage, fixedPadding),
    decode: (plain: Uint8Array): unknown => decodeGatewayMessage(plain),
  },
];

describe.each(CODECS)("$file", ({ file, encode, decode }) => {
  const { valid, invalid, unencodable } = readJson<Vectors>(`vectors/${file}`);

  it.each(valid)("$name is these bytes, and these bytes are it", ({ value, plain }) => {
    const json = JSON.stringify(value);
    expect(hex(encode(fromJson(json)))).toBe(plain);
    expect(JSON.parse(toJson(decode(unhex(plain))))).toEqual(value);
  });

  it.each(invalid)("is no message: $name", ({ plain, code }) => {
    const error = datumError(() => decode(unhex(plain)));
    expect(error.code).toBe(code);
    expect(error.expected).not.toBe("");
    expect(error.got).not.toBe("");
  });

  it.each(unencodable)("can't be sent: $name", ({ value }) => {
    expect(datumError(() => encode(fromJson(JSON.stringify(value)))).code).toBe("badValue");
  });
});
