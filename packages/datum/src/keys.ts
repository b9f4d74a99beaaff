/**
 * Key pairs of both sides.
 *
 * The long-term pair is the identity; it signs HELLO (gateway) or the handshake response (pool). The session pair lives for one connection;
 * everything after the handshake is by it. The two kinds are different types, and each signing function takes only one of them.
 */
import type { DatumCrypto, SealPair } from "./crypto.js";
import { DatumError } from "./errors.js";

declare const longTerm: unique symbol;
declare const session: unique symbol;

interface Keys {
  readonly sign: SealPair;
  readonly box: SealPair;
}

/** An identity: Ed25519 and X25519, independent of each other. */
export interface LongTermKeys extends Keys {
  readonly kind: "longTerm";
  readonly [longTerm]: true;
}

/** Keys of one connection. Never use them for a second one: key and nonces would repeat, and with them the keystream. */
export interface SessionKeys extends Keys {
  readonly kind: "session";
  readonly [session]: true;
}

/** What a gateway's operator pastes as `datum.pool_pubkey`. */
export interface PoolPublicKey {
  readonly sign: Uint8Array;
  readonly box: Uint8Array;
}

const SEED_BYTES = 32;
const KEY_BYTES = 32;

function pairs(crypto: DatumCrypto, signSeed: Uint8Array, boxSeed: Uint8Array): Keys {
  for (const seed of [signSeed, boxSeed]) {
    if (seed.length !== SEED_BYTES) throw new DatumError("badKey", `a seed of ${SEED_BYTES} bytes`, `${seed.length} bytes`);
  }
  return { sign: crypto.signKeyPair(signSeed), box: crypto.boxKeyPair(boxSeed) };
}

/** The long-term keys that two 32-byte seeds stand for. @throws DatumError `badKey` */
export function longTermKeysFromSeeds(crypto: DatumCrypto, signSeed: Uint8Array, boxSeed: Uint8Array): LongTermKeys {
  return { kind: "longTerm", ...pairs(crypto, signSeed, boxSeed) } as LongTermKeys;
}

/** Session keys from fixed seeds: for tests and recordings only (see {@link SessionKeys}). @throws DatumError `badKey` */
export function sessionKeysFromSeeds(crypto: DatumCrypto, signSeed: Uint8Array, boxSeed: Uint8Array): SessionKeys {
  return { kind: "session", ...pairs(crypto, signSeed, boxSeed) } as SessionKeys;
}

/** A new identity. */
export function generateLongTermKeys(crypto: DatumCrypto): LongTermKeys {
  return longTermKeysFromSeeds(crypto, crypto.randomBytes(SEED_BYTES), crypto.randomBytes(SEED_BYTES));
}

/** Keys for one new connection. */
export function generateSessionKeys(crypto: DatumCrypto): SessionKeys {
  return sessionKeysFromSeeds(crypto, crypto.randomBytes(SEED_BYTES), crypto.randomBytes(SEED_BYTES));
}

/** 128 hex digits, Ed25519 then X25519. */
export function encodePublicKey(keys: LongTermKeys): string {
  return Buffer.concat([keys.sign.publicKey, keys.box.publicKey]).toString("hex");
}

/** @throws DatumError `badKey` unless it is 128 hex digits */
export function decodePublicKey(hex: string): PoolPublicKey {
  if (!/^[0-9a-fA-F]{128}$/.test(hex)) throw new DatumError("badKey", "128 hex digits", `${hex.length} characters`);
  const bytes = Buffer.from(hex, "hex");
  return { sign: bytes.subarray(0, KEY_BYTES), box: bytes.subarray(KEY_BYTES) };
}

/** A signature that stands for the identity: HELLO and handshake response only. */
export function signLongTerm(crypto: DatumCrypto, keys: LongTermKeys, message: Uint8Array): Uint8Array {
  return crypto.sign(message, keys.sign.secretKey);
}

/**
 * Stands before every signed statement, so that its signature is good for nothing else. What the long-term key signs on the wire begins with
 * the gateway's long-term key, for which the gateway has proved that it holds the secret; for these bytes nobody has one.
 */
const STATEMENT_DOMAIN = new TextEncoder().encode("OpenPrime statement, not a handshake, version 1\n");

/** A signature of the pool's identity under words of its own: announcements, not the protocol. */
export function signStatement(crypto: DatumCrypto, keys: LongTermKeys, message: Uint8Array): Uint8Array {
  return crypto.sign(Buffer.concat([STATEMENT_DOMAIN, message]), keys.sign.secretKey);
}

/** Whether `signature` (64 bytes) is what `signStatement` made of `message` with the keys of `signKey`, the Ed25519 half of a public key. */
export function verifyStatement(crypto: DatumCrypto, signKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  return crypto.verify(signature, Buffer.concat([STATEMENT_DOMAIN, message]), signKey);
}

/** A signature inside one connection: the configuration. */
export function signSession(crypto: DatumCrypto, keys: SessionKeys, message: Uint8Array): Uint8Array {
  return crypto.sign(message, keys.sign.secretKey);
}
