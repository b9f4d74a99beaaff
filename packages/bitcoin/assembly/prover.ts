/**
 * One share's proof of work in one call: coinbase txid, merkle root, header hash (double SHA-256, FIPS 180-4).
 *
 * AssemblyScript, compiled by `npm run build:wasm`; `src/prover.ts` is its only caller and checks every length before it writes
 * into this memory, so nothing here has bounds of its own. No imports, no allocation: the memory is one fixed page that never grows.
 */

/** Longest coinbase transaction, bytes (a gateway's largest is about 16,005). */
export const MAX_COINBASE: i32 = 40000;
/** Most merkle branches: a block can't hold 2^32 transactions. */
export const MAX_BRANCHES: i32 = 32;

/** Room behind the coinbase for SHA-256's own padding. */
const PADDING: i32 = 128;

/** The whole coinbase transaction, written by the caller. */
export const COINBASE: usize = memory.data(MAX_COINBASE + PADDING, 16);
/** The merkle branches, 32 bytes each, written by the caller. */
export const BRANCHES: usize = memory.data(MAX_BRANCHES * 32, 16);
/** The block header, 80 bytes; the caller writes the previous block's hash at offset 4, `prove` the rest. */
export const HEADER: usize = memory.data(80, 16);
/** First SHA-256 of the coinbase, 32 bytes: written by the caller where it hashes the coinbase itself. */
export const DIGEST: usize = memory.data(32, 16);
/** The header's double SHA-256, 32 bytes, internal order. */
export const HASH: usize = memory.data(32, 16);

/** Hash state, eight native words. */
const STATE: usize = memory.data(32, 16);
/** The block being hashed, sixteen native words. */
const BLOCK: usize = memory.data(64, 16);
/** Its message schedule with the round constants added in, 64 words. */
const SCHEDULE: usize = memory.data(256, 16);

// Round constants.
// biome-ignore format: a table
const K: usize = memory.data<u32>([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
], 16);

// Round constants with the schedule of the block that ends every 64-byte message added in: it is the same for each merkle step.
// biome-ignore format: a table
const K_AFTER_64: usize = memory.data<u32>([
  0xc28a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf374,
  0x649b69c1, 0xf0fe4786, 0x0fe1edc6, 0x240cf254, 0x4fe9346f, 0x6cc984be, 0x61b9411e, 0x16f988fa,
  0xf2c65152, 0xa88e5a6d, 0xb019fc65, 0xb9d99ec7, 0x9a1231c3, 0xe70eeaa0, 0xfdb1232b, 0xc7353eb0,
  0x3069bad5, 0xcb976d5f, 0x5a0f118f, 0xdc1eeefd, 0x0a35b689, 0xde0b7a04, 0x58f4ca9d, 0xe15d5b16,
  0x007f3e86, 0x37088980, 0xa507ea32, 0x6fab9537, 0x17406110, 0x0d8cd6f1, 0xcdaa3b6d, 0xc0bbbe37,
  0x83613bda, 0xdb48a363, 0x0b02e931, 0x6fd15ca7, 0x521afaca, 0x31338431, 0x6ed41a95, 0x6d437890,
  0xc39c91f2, 0x9eccabbd, 0xb5c9a0e6, 0x532fb63c, 0xd2c741c6, 0x07237ea3, 0xa4954b68, 0x4c191d76,
], 16);

function choice(x: u32, y: u32, z: u32): u32 {
  return z ^ (x & (y ^ z));
}

function majority(x: u32, y: u32, z: u32): u32 {
  return (x & y) | (z & (x | y));
}

function sum0(x: u32): u32 {
  return rotr(x, 2) ^ rotr(x, 13) ^ rotr(x, 22);
}

function sum1(x: u32): u32 {
  return rotr(x, 6) ^ rotr(x, 11) ^ rotr(x, 25);
}

/** Four words rotated right by `bits`. */
function rotateFour(x: v128, bits: i32): v128 {
  return v128.or(i32x4.shr_u(x, bits), i32x4.shl(x, 32 - bits));
}

function sigma0(x: v128): v128 {
  return v128.xor(v128.xor(rotateFour(x, 7), rotateFour(x, 18)), i32x4.shr_u(x, 3));
}

function sigma1(x: v128): v128 {
  return v128.xor(v128.xor(rotateFour(x, 17), rotateFour(x, 19)), i32x4.shr_u(x, 10));
}

/** The four words of the message schedule that follow the sixteen given. */
function extend(w0: v128, w4: v128, w8: v128, w12: v128): v128 {
  const none = i32x4(0, 0, 0, 0);
  const w1 = v128.shuffle<u8>(w0, w4, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19);
  const w9 = v128.shuffle<u8>(w8, w12, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19);
  const w16 = i32x4.add(i32x4.add(w0, sigma0(w1)), w9);
  // A word needs the one two before it, so the upper two of the four wait for the lower two.
  const w14 = v128.shuffle<u8>(w12, none, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23);
  const lower = i32x4.add(w16, sigma1(w14));
  return i32x4.add(lower, sigma1(v128.shuffle<u8>(none, lower, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)));
}

/** Copies 16 bytes, turning four big-endian words into native ones or back. */
function swapFour(to: usize, from: usize): void {
  const bytes = v128.load(from);
  v128.store(to, v128.shuffle<u8>(bytes, bytes, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12));
}

/** Copies 32 bytes, turning eight big-endian words into native ones or back. */
function swapEight(to: usize, from: usize): void {
  swapFour(to, from);
  swapFour(to + 16, from + 16);
}

/** Sets the state to the initial hash value. */
function begin(): void {
  v128.store(STATE, i32x4(0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a));
  v128.store(STATE, i32x4(0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19), 16);
}

/** Mixes 64 words, the round constants already added in, into STATE. */
function mix(schedule: usize): void {
  let a: u32 = load<u32>(STATE, 0);
  let b: u32 = load<u32>(STATE, 4);
  let c: u32 = load<u32>(STATE, 8);
  let d: u32 = load<u32>(STATE, 12);
  let e: u32 = load<u32>(STATE, 16);
  let f: u32 = load<u32>(STATE, 20);
  let g: u32 = load<u32>(STATE, 24);
  let h: u32 = load<u32>(STATE, 28);
  for (const end = schedule + 256; schedule < end; schedule += 32) {
    h += sum1(e) + choice(e, f, g) + load<u32>(schedule);
    d += h;
    h += sum0(a) + majority(a, b, c);
    g += sum1(d) + choice(d, e, f) + load<u32>(schedule, 4);
    c += g;
    g += sum0(h) + majority(h, a, b);
    f += sum1(c) + choice(c, d, e) + load<u32>(schedule, 8);
    b += f;
    f += sum0(g) + majority(g, h, a);
    e += sum1(b) + choice(b, c, d) + load<u32>(schedule, 12);
    a += e;
    e += sum0(f) + majority(f, g, h);
    d += sum1(a) + choice(a, b, c) + load<u32>(schedule, 16);
    h += d;
    d += sum0(e) + majority(e, f, g);
    c += sum1(h) + choice(h, a, b) + load<u32>(schedule, 20);
    g += c;
    c += sum0(d) + majority(d, e, f);
    b += sum1(g) + choice(g, h, a) + load<u32>(schedule, 24);
    f += b;
    b += sum0(c) + majority(c, d, e);
    a += sum1(f) + choice(f, g, h) + load<u32>(schedule, 28);
    e += a;
    a += sum0(b) + majority(b, c, d);
  }
  store<u32>(STATE, load<u32>(STATE, 0) + a, 0);
  store<u32>(STATE, load<u32>(STATE, 4) + b, 4);
  store<u32>(STATE, load<u32>(STATE, 8) + c, 8);
  store<u32>(STATE, load<u32>(STATE, 12) + d, 12);
  store<u32>(STATE, load<u32>(STATE, 16) + e, 16);
  store<u32>(STATE, load<u32>(STATE, 20) + f, 20);
  store<u32>(STATE, load<u32>(STATE, 24) + g, 24);
  store<u32>(STATE, load<u32>(STATE, 28) + h, 28);
}

/** Mixes BLOCK into STATE. */
function compress(): void {
  let w0 = v128.load(BLOCK);
  let w4 = v128.load(BLOCK, 16);
  let w8 = v128.load(BLOCK, 32);
  let w12 = v128.load(BLOCK, 48);
  for (let at: usize = 0; ; ) {
    v128.store(SCHEDULE + at, i32x4.add(w0, v128.load(K + at)));
    v128.store(SCHEDULE + at, i32x4.add(w4, v128.load(K + at, 16)), 16);
    v128.store(SCHEDULE + at, i32x4.add(w8, v128.load(K + at, 32)), 32);
    v128.store(SCHEDULE + at, i32x4.add(w12, v128.load(K + at, 48)), 48);
    at += 64;
    if (at === 256) break;
    w0 = extend(w0, w4, w8, w12);
    w4 = extend(w4, w8, w12, w0);
    w8 = extend(w8, w12, w0, w4);
    w12 = extend(w12, w0, w4, w8);
  }
  mix(SCHEDULE);
}

/** Hashes the 32 bytes whose words are in STATE: the second half of every double SHA-256. */
function hashState(): void {
  memory.copy(BLOCK, STATE, 32);
  v128.store(BLOCK, i32x4(0x80000000, 0, 0, 0), 32);
  v128.store(BLOCK, i32x4(0, 0, 0, 256), 48);
  begin();
  compress();
}

/** STATE = double SHA-256 of the first `length` bytes of COINBASE. */
function hashCoinbase(length: i32): void {
  const end = COINBASE + length;
  const blocks = (length + 72) >> 6;
  memory.fill(end, 0, COINBASE + (blocks << 6) - end);
  store<u8>(end, 0x80);
  store<u32>(COINBASE + (blocks << 6) - 4, bswap<u32>(length << 3));
  begin();
  for (let block = COINBASE; block < end + 9; block += 64) {
    swapEight(BLOCK, block);
    swapEight(BLOCK + 32, block + 32);
    compress();
  }
  hashState();
}

/** STATE = double SHA-256 of STATE and the branch at `branch`: one step up the merkle tree. */
function climb(branch: usize): void {
  memory.copy(BLOCK, STATE, 32);
  swapEight(BLOCK + 32, branch);
  begin();
  compress();
  mix(K_AFTER_64);
  hashState();
}

/** STATE = double SHA-256 of HEADER. */
function hashHeader(): void {
  swapEight(BLOCK, HEADER);
  swapEight(BLOCK + 32, HEADER + 32);
  begin();
  compress();
  swapFour(BLOCK, HEADER + 64);
  v128.store(BLOCK, i32x4(0x80000000, 0, 0, 0), 16);
  v128.store(BLOCK, i32x4(0, 0, 0, 0), 32);
  v128.store(BLOCK, i32x4(0, 0, 0, 640), 48);
  compress();
  hashState();
}

/**
 * Completes HEADER and leaves its hash at HASH.
 *
 * @param coinbaseLength bytes at COINBASE; 0 when its first SHA-256 already is at DIGEST
 * @param branchCount branches to climb; 0 makes the coinbase's txid the root
 */
export function prove(coinbaseLength: i32, branchCount: i32, version: u32, ntime: u32, nbits: u32, nonce: u32): void {
  if (coinbaseLength === 0) {
    swapEight(STATE, DIGEST);
    hashState();
  } else {
    hashCoinbase(coinbaseLength);
  }
  for (let i = 0; i < branchCount; i++) climb(BRANCHES + ((<usize>i) << 5));
  store<u32>(HEADER, version);
  swapEight(HEADER + 36, STATE);
  store<u32>(HEADER, ntime, 68);
  store<u32>(HEADER, nbits, 72);
  store<u32>(HEADER, nonce, 76);
  hashHeader();
  swapEight(HASH, STATE);
}
