/** HELLO and its answer: the only messages that long-term keys sign. */
import { check, checkUint, Reader, Writer } from "./bytes.js";
import { type DatumCrypto, SEAL_BYTES, SIGNATURE_BYTES } from "./crypto.js";
import { DatumError } from "./errors.js";
import { type LongTermKeys, type SessionKeys, signLongTerm } from "./keys.js";
import type { Hello } from "./messages.js";
import type { PaddingSource } from "./padding.js";

const KEY_BYTES = 32;
const KEYS_BYTES = 4 * KEY_BYTES;
/** A gateway's version text has some 60 bytes. */
const MAX_VERSION_BYTES = 256;
const MAX_HELLO_PADDING = 200;
/** What a gateway shows of the message of the day. */
export const MAX_MOTD_BYTES = 511;

/** Largest sealed HELLO: more is no HELLO. */
export const MAX_HELLO_BYTES = SEAL_BYTES + KEYS_BYTES + MAX_VERSION_BYTES + 1 + 1 + 4 + MAX_HELLO_PADDING + SIGNATURE_BYTES;
/** Smallest sealed HELLO: an empty version, one byte of padding. */
export const MIN_HELLO_BYTES = SEAL_BYTES + KEYS_BYTES + 1 + 1 + 4 + 1 + SIGNATURE_BYTES;
/** Largest sealed handshake response. */
export const MAX_RESPONSE_BYTES = SEAL_BYTES + KEYS_BYTES + 2 * KEY_BYTES + MAX_MOTD_BYTES + 1 + SIGNATURE_BYTES;

/** Plaintext of HELLO, signed by the gateway's long-term key. */
export function encodeHello(
  crypto: DatumCrypto,
  longTerm: LongTermKeys,
  session: SessionKeys,
  hello: { readonly version: string; readonly nk: number },
  padding: PaddingSource,
): Uint8Array {
  const version = Buffer.from(hello.version, "latin1");
  check(
    version.length <= MAX_VERSION_BYTES && !version.includes(0) && version.toString("latin1") === hello.version,
    `a version of at most ${MAX_VERSION_BYTES} Latin-1 bytes without NUL`,
    hello.version,
  );
  checkUint(hello.nk, 32, "nk");
  const writer = new Writer();
  writer.bytes(longTerm.sign.publicKey).bytes(longTerm.box.publicKey);
  writer.bytes(session.sign.publicKey).bytes(session.box.publicKey);
  writer.bytes(version).u8(0).u8(0xfe).u32(hello.nk);
  const { length, byte } = padding(1, MAX_HELLO_PADDING);
  writer.padding(length, byte);
  const body = writer.finish();
  return Buffer.concat([body, signLongTerm(crypto, longTerm, body)]);
}

/**
 * Reads HELLO by position: its keys may hold any byte, so its marks can't be searched for.
 *
 * @throws DatumError `helloMalformed`, `badSignature`
 */
export function decodeHello(crypto: DatumCrypto, plain: Uint8Array): Hello {
  if (plain.length < KEYS_BYTES + SIGNATURE_BYTES) {
    throw new DatumError("helloMalformed", `at least ${KEYS_BYTES + SIGNATURE_BYTES} bytes`, `${plain.length}`);
  }
  const body = plain.subarray(0, plain.length - SIGNATURE_BYTES);
  const reader = new Reader(body, "HELLO");
  const keys = [reader.bytes(KEY_BYTES), reader.bytes(KEY_BYTES), reader.bytes(KEY_BYTES), reader.bytes(KEY_BYTES)] as const;
  if (!crypto.verify(plain.subarray(body.length), body, keys[0])) {
    throw new DatumError("badSignature", "HELLO signed by the long-term key in it", "another signature");
  }
  let version: Uint8Array;
  let nk: number;
  try {
    version = reader.text(MAX_VERSION_BYTES);
    check(reader.u8() === 0xfe, "0xFE after the version", "another byte");
    nk = reader.u32();
  } catch (error) {
    if (!(error instanceof DatumError)) throw error;
    throw new DatumError("helloMalformed", error.expected, error.got);
  }
  // The padding is not looked at: forks put marks of their own there.
  if (reader.left < 1 || reader.left > MAX_HELLO_PADDING) {
    throw new DatumError("helloMalformed", `1 to ${MAX_HELLO_PADDING} bytes of padding`, `${reader.left}`);
  }
  return {
    longTermSignKey: keys[0],
    longTermBoxKey: keys[1],
    sessionSignKey: keys[2],
    sessionBoxKey: keys[3],
    version: Buffer.from(version).toString("latin1"),
    nk,
  };
}

/** Plaintext of the handshake response, signed by the pool's LONG-TERM key. */
export function encodeResponse(crypto: DatumCrypto, longTerm: LongTermKeys, session: SessionKeys, hello: Hello, motd: string): Uint8Array {
  const text = new TextEncoder().encode(motd);
  check(
    text.length <= MAX_MOTD_BYTES && !text.includes(0),
    `a message of the day of at most ${MAX_MOTD_BYTES} bytes without NUL`,
    text.length,
  );
  const writer = new Writer();
  for (const key of echoedKeys(hello)) writer.bytes(key);
  writer.bytes(session.sign.publicKey).bytes(session.box.publicKey).bytes(text).u8(0);
  const body = writer.finish();
  return Buffer.concat([body, signLongTerm(crypto, longTerm, body)]);
}

const echoedKeys = (hello: Hello): Uint8Array[] => [hello.longTermSignKey, hello.longTermBoxKey, hello.sessionSignKey, hello.sessionBoxKey];

export interface HandshakeResponse {
  readonly poolSessionSignKey: Uint8Array;
  readonly poolSessionBoxKey: Uint8Array;
  readonly motd: string;
}

/** @throws DatumError `responseMalformed`, `badSignature` */
export function decodeResponse(
  crypto: DatumCrypto,
  poolSignKey: Uint8Array,
  own: { readonly longTerm: LongTermKeys; readonly session: SessionKeys },
  plain: Uint8Array,
): HandshakeResponse {
  const least = KEYS_BYTES + 2 * KEY_BYTES + 1 + SIGNATURE_BYTES;
  if (plain.length < least) throw new DatumError("responseMalformed", `at least ${least} bytes`, `${plain.length}`);
  const body = plain.subarray(0, plain.length - SIGNATURE_BYTES);
  if (!crypto.verify(plain.subarray(body.length), body, poolSignKey)) {
    throw new DatumError("badSignature", "a response signed by the pool's long-term key", "another signature");
  }
  const { longTerm, session } = own;
  const expected = Buffer.concat([longTerm.sign.publicKey, longTerm.box.publicKey, session.sign.publicKey, session.box.publicKey]);
  if (!expected.equals(body.subarray(0, KEYS_BYTES))) {
    throw new DatumError("responseMalformed", "an echo of this gateway's four keys", "other keys");
  }
  const reader = new Reader(body.subarray(KEYS_BYTES), "handshake response");
  const poolSessionSignKey = reader.bytes(KEY_BYTES);
  const poolSessionBoxKey = reader.bytes(KEY_BYTES);
  const motd = reader.rest();
  if (motd.at(-1) !== 0 || motd.indexOf(0) !== motd.length - 1) {
    throw new DatumError("responseMalformed", "a message of the day that ends in its only NUL", `${motd.length} bytes`);
  }
  return { poolSessionSignKey, poolSessionBoxKey, motd: new TextDecoder("utf-8", { ignoreBOM: true }).decode(motd.subarray(0, -1)) };
}
