// Searches the nonces of a block header: sha256d with the first block's state kept, four nonces side by side (SIMD).
//
// Memory: the caller writes the 80-byte header at headerPointer(), calls prepare() once, then scan() as often as wanted.
// scan() compares only the hash's top word (the last four bytes, read as a little-endian number): the caller checks the rest.

const HEADER: usize = memory.data(80, 16);
// FIPS 180-4: round constants and initial state.
const K: usize = memory.data<u32>(
  [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
  ],
  16,
);
const IV: usize = memory.data<u32>([0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19], 16);
const MIDSTATE: usize = memory.data(32, 16); // after the header's first 64 bytes
const W: usize = memory.data(64 * 16, 16); // message schedule, four lanes
const S: usize = memory.data(8 * 16, 16); // working state, four lanes

export function headerPointer(): usize {
  return HEADER;
}

function rotr(x: v128, n: i32): v128 {
  return v128.or(i32x4.shr_u(x, n), i32x4.shl(x, 32 - n));
}

function bigSigma0(x: v128): v128 {
  return v128.xor(v128.xor(rotr(x, 2), rotr(x, 13)), rotr(x, 22));
}

function bigSigma1(x: v128): v128 {
  return v128.xor(v128.xor(rotr(x, 6), rotr(x, 11)), rotr(x, 25));
}

function smallSigma0(x: v128): v128 {
  return v128.xor(v128.xor(rotr(x, 7), rotr(x, 18)), i32x4.shr_u(x, 3));
}

function smallSigma1(x: v128): v128 {
  return v128.xor(v128.xor(rotr(x, 17), rotr(x, 19)), i32x4.shr_u(x, 10));
}

function choose(e: v128, f: v128, g: v128): v128 {
  return v128.xor(g, v128.and(e, v128.xor(f, g)));
}

function majority(a: v128, b: v128, c: v128): v128 {
  return v128.or(v128.and(a, b), v128.and(c, v128.or(a, b)));
}

function temporary(e: v128, f: v128, g: v128, h: v128, i: usize): v128 {
  const kw = i32x4.add(v128.load(W + (i << 4)), i32x4.splat(load<i32>(K + (i << 2))));
  return i32x4.add(i32x4.add(h, bigSigma1(e)), i32x4.add(choose(e, f, g), kw));
}

function second(a: v128, b: v128, c: v128): v128 {
  return i32x4.add(bigSigma0(a), majority(a, b, c));
}

function expand(rounds: usize): void {
  for (let i: usize = 16; i < rounds; i++) {
    const at = W + (i << 4);
    v128.store(
      at,
      i32x4.add(
        i32x4.add(smallSigma1(v128.load(at - 32)), v128.load(at - 112)),
        i32x4.add(smallSigma0(v128.load(at - 240)), v128.load(at - 256)),
      ),
    );
  }
}

/** Rounds 0..55 in groups of eight, then `tail` more groups, on the state at S; the sum with the old state is left to the caller. */
function compress(rounds: usize): void {
  let a = v128.load(S);
  let b = v128.load(S + 16);
  let c = v128.load(S + 32);
  let d = v128.load(S + 48);
  let e = v128.load(S + 64);
  let f = v128.load(S + 80);
  let g = v128.load(S + 96);
  let h = v128.load(S + 112);
  for (let i: usize = 0; i < rounds; i += 8) {
    let t = temporary(e, f, g, h, i);
    d = i32x4.add(d, t);
    h = i32x4.add(t, second(a, b, c));
    t = temporary(d, e, f, g, i + 1);
    c = i32x4.add(c, t);
    g = i32x4.add(t, second(h, a, b));
    t = temporary(c, d, e, f, i + 2);
    b = i32x4.add(b, t);
    f = i32x4.add(t, second(g, h, a));
    t = temporary(b, c, d, e, i + 3);
    a = i32x4.add(a, t);
    e = i32x4.add(t, second(f, g, h));
    t = temporary(a, b, c, d, i + 4);
    h = i32x4.add(h, t);
    d = i32x4.add(t, second(e, f, g));
    t = temporary(h, a, b, c, i + 5);
    g = i32x4.add(g, t);
    c = i32x4.add(t, second(d, e, f));
    t = temporary(g, h, a, b, i + 6);
    f = i32x4.add(f, t);
    b = i32x4.add(t, second(c, d, e));
    t = temporary(f, g, h, a, i + 7);
    e = i32x4.add(e, t);
    a = i32x4.add(t, second(b, c, d));
  }
  v128.store(S, a);
  v128.store(S + 16, b);
  v128.store(S + 32, c);
  v128.store(S + 48, d);
  v128.store(S + 64, e);
  v128.store(S + 80, f);
  v128.store(S + 96, g);
  v128.store(S + 112, h);
}

function spread(from: usize): void {
  for (let i: usize = 0; i < 8; i++) v128.store(S + (i << 4), i32x4.splat(load<i32>(from + (i << 2))));
}

function word(at: usize): i32 {
  return bswap<i32>(load<i32>(HEADER + at));
}

/** Reads the header at HEADER and keeps the state after its first 64 bytes. */
export function prepare(): void {
  for (let i: usize = 0; i < 16; i++) v128.store(W + (i << 4), i32x4.splat(word(i << 2)));
  expand(64);
  spread(IV);
  compress(64);
  for (let i: usize = 0; i < 8; i++) {
    store<i32>(MIDSTATE + (i << 2), load<i32>(IV + (i << 2)) + i32x4.extract_lane(v128.load(S + (i << 4)), 0));
  }
}

/**
 * Tries `count` nonces (rounded up to a multiple of four) from `nonce` on; answers the first whose hash has a top word not over `top`,
 * or -1. Nonces wrap at 2^32.
 */
export function scan(nonce: u32, count: u32, top: u32): i64 {
  const w16 = i32x4.splat(word(64));
  const w17 = i32x4.splat(word(68));
  const w18 = i32x4.splat(word(72));
  const zero = i32x4.splat(0);
  const padding = i32x4.splat(0x80000000);
  let done: u32 = 0;
  while (done < count) {
    const n = nonce + done;
    v128.store(W, w16);
    v128.store(W + 16, w17);
    v128.store(W + 32, w18);
    // The nonce stands little-endian in the header; SHA-256 reads big-endian words.
    v128.store(W + 48, i32x4(bswap<i32>(n), bswap<i32>(n + 1), bswap<i32>(n + 2), bswap<i32>(n + 3)));
    v128.store(W + 64, padding);
    for (let i: usize = 5; i < 15; i++) v128.store(W + (i << 4), zero);
    v128.store(W + 240, i32x4.splat(640));
    expand(64);
    spread(MIDSTATE);
    compress(64);

    for (let i: usize = 0; i < 8; i++) {
      v128.store(W + (i << 4), i32x4.add(v128.load(S + (i << 4)), i32x4.splat(load<i32>(MIDSTATE + (i << 2)))));
    }
    v128.store(W + 128, padding);
    for (let i: usize = 9; i < 15; i++) v128.store(W + (i << 4), zero);
    v128.store(W + 240, i32x4.splat(256));
    expand(64);
    spread(IV);
    compress(64);

    const last = i32x4.add(v128.load(S + 112), i32x4.splat(load<i32>(IV + 28)));
    if (bswap<u32>(i32x4.extract_lane(last, 0)) <= top) return <i64>n;
    if (bswap<u32>(i32x4.extract_lane(last, 1)) <= top) return <i64>(n + 1);
    if (bswap<u32>(i32x4.extract_lane(last, 2)) <= top) return <i64>(n + 2);
    if (bswap<u32>(i32x4.extract_lane(last, 3)) <= top) return <i64>(n + 3);
    done += 4;
  }
  return -1;
}
