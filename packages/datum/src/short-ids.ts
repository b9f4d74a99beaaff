/** Short transaction ids: SipHash-2-4 over the wtxid under a key of the gateway, cut to 48 bits; and the check over all of them. */

export const SHORT_ID_KEY_BYTES = 16;
export const SHORT_ID_BYTES = 6;
const MASK = (1n << 64n) - 1n;
/** What the XOR of all wtxids starts from. */
const CROSSCHECK_START = Buffer.from("a34fc19c5e8876120a793ef16c9354afb81de85a20c794386fa102d94a7bf011", "hex");

/**
 * Key of the short ids between a gateway and a pool.
 *
 * @param gatewaySignKey long-term Ed25519 public key, 32 bytes
 * @param poolSignKey likewise
 */
export function shortIdKey(gatewaySignKey: Uint8Array, poolSignKey: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: SHORT_ID_KEY_BYTES }, (_, i) => (gatewaySignKey[i] ?? 0) ^ (poolSignKey[i] ?? 0) ^ 0x55);
}

/**
 * Short id of a transaction: the low 48 bits, little-endian.
 *
 * @param key 16 bytes of {@link shortIdKey}
 * @param wtxid 32 bytes, internal order
 */
export function shortId(key: Uint8Array, wtxid: Uint8Array): Uint8Array {
  const hash = sipHash24(key, wtxid);
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(hash);
  return bytes.subarray(0, SHORT_ID_BYTES);
}

/** XOR of all wtxids onto the protocol's constant, as a short-ids reply carries it. @param wtxids 32 bytes each, internal order */
export function crosscheck(wtxids: Iterable<Uint8Array>): Uint8Array {
  const sum = Uint8Array.from(CROSSCHECK_START);
  for (const wtxid of wtxids) {
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) ^ (wtxid[i] ?? 0);
  }
  return sum;
}

const rotl = (value: bigint, bits: bigint): bigint => ((value << bits) | (value >> (64n - bits))) & MASK;

/** SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF"), for messages of whole words. */
function sipHash24(key: Uint8Array, message: Uint8Array): bigint {
  const words = new DataView(message.buffer, message.byteOffset, message.length);
  const keys = new DataView(key.buffer, key.byteOffset, SHORT_ID_KEY_BYTES);
  const [k0, k1] = [keys.getBigUint64(0, true), keys.getBigUint64(8, true)];
  let v0 = k0 ^ 0x736f6d6570736575n;
  let v1 = k1 ^ 0x646f72616e646f6dn;
  let v2 = k0 ^ 0x6c7967656e657261n;
  let v3 = k1 ^ 0x7465646279746573n;
  const rounds = (count: number): void => {
    for (let i = 0; i < count; i++) {
      v0 = (v0 + v1) & MASK;
      v1 = rotl(v1, 13n) ^ v0;
      v0 = rotl(v0, 32n);
      v2 = (v2 + v3) & MASK;
      v3 = rotl(v3, 16n) ^ v2;
      v0 = (v0 + v3) & MASK;
      v3 = rotl(v3, 21n) ^ v0;
      v2 = (v2 + v1) & MASK;
      v1 = rotl(v1, 17n) ^ v2;
      v2 = rotl(v2, 32n);
    }
  };
  const absorb = (word: bigint): void => {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  };
  for (let at = 0; at < message.length; at += 8) absorb(words.getBigUint64(at, true));
  absorb(BigInt(message.length & 0xff) << 56n);
  v2 ^= 0xffn;
  rounds(4);
  return v0 ^ v1 ^ v2 ^ v3;
}
