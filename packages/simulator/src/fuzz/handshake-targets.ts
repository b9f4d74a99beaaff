/** HELLO and its answer, each opened by its addressee: what the signatures cover is recomputed by another library. */
import { createPublicKey, verify } from "node:crypto";
import { DatumError, type Hello, type SealPair } from "@openprime/datum";
import { crypto, gatewayChannel, handshake, KEYS, poolChannel } from "./fixed-parties.js";
import { holds, type Target } from "./fuzzer.js";

const HEADER_BYTES = 4;
const SIGNATURE_BYTES = 64;
const HELLO_KEY = 0xdc871829;
const HELLO_FLAGS = 0x0b000000;

/** What the first byte of an input chooses. */
const AS_PLAIN = 0;
const SIGNED_ANEW = 1;
const AS_SEALED = 2;
const CHOICES = 3;

/** SubjectPublicKeyInfo of an Ed25519 key (RFC 8410), up to the key. */
const SPKI = Buffer.from("302a300506032b6570032100", "hex");

/** Whether `plain` ends in a signature by this key over the rest: asked of OpenSSL, not of libsodium. */
function signedBy(key: Uint8Array, plain: Uint8Array): boolean {
  const publicKey = createPublicKey({ key: Buffer.concat([SPKI, key]), format: "der", type: "spki" });
  const body = plain.subarray(0, plain.length - SIGNATURE_BYTES);
  return verify(null, body, publicKey, plain.subarray(body.length));
}

function signedAnew(body: Uint8Array, by: SealPair): Uint8Array {
  return Buffer.concat([body, crypto.sign(body, by.secretKey)]);
}

function helloFrame(sealed: Uint8Array): Uint8Array {
  const frame = Buffer.alloc(HEADER_BYTES + sealed.length);
  frame.writeUInt32LE(((HELLO_FLAGS + sealed.length) ^ HELLO_KEY) >>> 0, 0);
  frame.set(sealed, HEADER_BYTES);
  return frame;
}

/** One in each of the forms. */
const seedsOf = (plain: Uint8Array, sealed: Uint8Array): Uint8Array[] => [
  Uint8Array.of(AS_PLAIN, ...plain),
  Uint8Array.of(SIGNED_ANEW, ...plain.subarray(0, -SIGNATURE_BYTES)),
  Uint8Array.of(AS_SEALED, ...sealed),
];

/**
 * HELLO at the pool: its plaintext as it is, or signed anew with the key it names in its place, or its sealed bytes. Whatever is read was signed by the long-term
 * key in it, and its answer can be opened by whoever holds the session key in it.
 */
export function hello(): Target {
  const { hello: frame } = handshake();
  const sealed = frame.subarray(HEADER_BYTES);
  const plain = crypto.openSealed(sealed, KEYS.pool.box);
  if (plain === undefined) throw new Error("the fixed HELLO does not open");
  const counts = { read: 0, refused: 0 };
  return {
    name: "hello",
    seeds: seedsOf(plain, sealed),
    part: 10,
    run: (input) => {
      const choice = (input[0] ?? 0) % CHOICES;
      let bytes = input.slice(1);
      if (choice === SIGNED_ANEW) {
        bytes.set(KEYS.gateway.sign.publicKey.subarray(0, bytes.length), 0);
        bytes = Uint8Array.from(signedAnew(bytes, KEYS.gateway.sign));
      }
      const pool = poolChannel();
      let read: Hello | undefined;
      try {
        pool.receive(helloFrame(choice === AS_SEALED ? bytes : crypto.seal(bytes, KEYS.pool.box.publicKey)));
        const event = pool.next();
        if (event?.type === "hello") {
          read = event.hello;
          pool.accept();
        }
      } catch (error) {
        if (!(error instanceof DatumError)) throw error;
        counts.refused += 1;
      }
      if (read === undefined) return;
      counts.read += 1;
      const was = choice === AS_SEALED ? crypto.openSealed(bytes, KEYS.pool.box) : bytes;
      holds(was !== undefined && signedBy(read.longTermSignKey, was), "a HELLO that is read was signed by the key in it");
      if (choice === AS_SEALED)
        holds(was !== undefined && Buffer.compare(was, plain) === 0, "a sealed HELLO that was changed does not open");
      holds(read.nk >= 0 && read.nk <= 0xffff_ffff && !read.version.includes("\0"), "what HELLO says is in its bounds");
    },
    figures: () => ({ ...counts }),
  };
}

/** The pool's answer at the gateway, likewise: only what the pool's long-term key signed, for these four keys, is taken. */
export function response(): Target {
  const { response: frame } = handshake();
  const header = frame.slice(0, HEADER_BYTES);
  const key = Buffer.from(header).readUInt32LE(0) ^ (frame.length - HEADER_BYTES);
  const sealed = frame.subarray(HEADER_BYTES);
  const plain = crypto.openSealed(sealed, KEYS.gatewaySession.box);
  if (plain === undefined) throw new Error("the fixed response does not open");
  const echo = plain.slice(0, 128);
  const counts = { read: 0, refused: 0 };
  return {
    name: "response",
    seeds: seedsOf(plain, sealed),
    part: 10,
    run: (input) => {
      const choice = (input[0] ?? 0) % CHOICES;
      let bytes = input.slice(1);
      if (choice === SIGNED_ANEW) bytes = Uint8Array.from(signedAnew(bytes, KEYS.pool.sign));
      const payload = choice === AS_SEALED ? bytes : crypto.seal(bytes, KEYS.gatewaySession.box.publicKey);
      const gateway = gatewayChannel();
      let read = false;
      try {
        const whole = Buffer.alloc(HEADER_BYTES + payload.length);
        whole.writeUInt32LE((key ^ payload.length) >>> 0, 0);
        whole.set(payload, HEADER_BYTES);
        gateway.receive(whole);
        read = gateway.next()?.type === "accepted";
      } catch (error) {
        if (!(error instanceof DatumError)) throw error;
        counts.refused += 1;
      }
      if (!read) return;
      counts.read += 1;
      const was = choice === AS_SEALED ? crypto.openSealed(bytes, KEYS.gatewaySession.box) : bytes;
      holds(was !== undefined && signedBy(KEYS.pool.sign.publicKey, was), "an answer that is taken was signed by the pool");
      holds(was !== undefined && Buffer.compare(was.subarray(0, 128), echo) === 0, "an answer that is taken is for these keys");
      if (choice === AS_SEALED)
        holds(was !== undefined && Buffer.compare(was, plain) === 0, "a sealed answer that was changed does not open");
    },
    figures: () => ({ ...counts }),
  };
}
