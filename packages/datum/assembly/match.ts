/**
 * Short ids of many transactions in one call: SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF") over each wtxid, and the
 * low 48 bits looked up among the ids asked for.
 *
 * AssemblyScript, compiled by `npm run build:wasm`; `src/short-id-matcher.ts` is its only caller and checks every length before it writes
 * into this memory, so nothing here has bounds of its own. No imports, no allocation: the memory is fixed and never grows.
 *
 * The ids are the peer's choice, so they are searched by halves and not hashed into a table, which it could fill with collisions.
 */

/** Most ids of one search: their positions have 16 bits. */
export const MAX_IDS: i32 = 65536;
/** Wtxids of one call of `scan`. */
export const CHUNK: i32 = 2048;

/** The ids asked for, ascending: a word each, of the id (upper 48 bits) and its position in the question. Written by the caller. */
export const ENTRIES: usize = memory.data(65536 * 8, 16);
/** For each entry where its wtxid stands: counted over all calls of `scan`, -1 for none, -2 for more than one. Read by the caller. */
export const FOUND: usize = memory.data(65536 * 4, 16);
/** Wtxids, 32 bytes each, written by the caller. */
export const WTXIDS: usize = memory.data(2048 * 32, 16);

/** For each value of an id's upper 16 bits the first entry that has it, or a later one; one more for the end. */
const STARTS: usize = memory.data(65537 * 4, 16);

// What the four words of state start from ("somepseudorandomlygeneratedbytes"), in halves: the linter reads this as JavaScript.
const START0: u64 = ((<u64>0x736f6d65) << 32) | 0x70736575;
const START1: u64 = ((<u64>0x646f7261) << 32) | 0x6e646f6d;
const START2: u64 = ((<u64>0x6c796765) << 32) | 0x6e657261;
const START3: u64 = ((<u64>0x74656462) << 32) | 0x79746573;

const NONE: i32 = -1;
const SEVERAL: i32 = -2;

let k0: u64 = 0;
let k1: u64 = 0;

/** Takes the `count` ids at ENTRIES and the two words of the key. An id that stands there twice belongs to no one transaction. */
export function begin(count: i32, key0: u64, key1: u64): void {
  k0 = key0;
  k1 = key1;
  let entry = 0;
  for (let top = 0; top < 65536; top++) {
    while (entry < count && <i32>(load<u64>(ENTRIES + ((<usize>entry) << 3)) >> 48) < top) entry++;
    store<i32>(STARTS + ((<usize>top) << 2), entry);
  }
  store<i32>(STARTS + (65536 << 2), count);
  for (let i = 0; i < count; i++) {
    const id = idAt(i);
    const twice = (i > 0 && idAt(i - 1) === id) || (i + 1 < count && idAt(i + 1) === id);
    store<i32>(FOUND + ((<usize>i) << 2), twice ? SEVERAL : NONE);
  }
}

function idAt(entry: i32): u64 {
  return load<u64>(ENTRIES + ((<usize>entry) << 3)) >> 16;
}

/** Looks for the first `count` of WTXIDS, which stand at `base` and after it in the whole. */
export function scan(count: i32, base: i32): void {
  for (let i = 0; i < count; i++) {
    const id = sipHash(WTXIDS + ((<usize>i) << 5)) & 0xffffffffffff;
    const top = (<usize>(id >> 32)) << 2;
    let low = load<i32>(STARTS + top);
    const end = load<i32>(STARTS + top, 4);
    if (low === end) continue;
    let high = end;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (idAt(middle) < id) low = middle + 1;
      else high = middle;
    }
    if (low === end || idAt(low) !== id) continue;
    const found = FOUND + ((<usize>low) << 2);
    store<i32>(found, load<i32>(found) === NONE ? base + i : SEVERAL);
  }
}

/** SipHash-2-4 of 32 bytes. */
function sipHash(at: usize): u64 {
  let v0: u64 = k0 ^ START0;
  let v1: u64 = k1 ^ START1;
  let v2: u64 = k0 ^ START2;
  let v3: u64 = k1 ^ START3;
  // Four words of message, one of its length, and the four rounds of the end: fourteen rounds.
  for (let step = 0; step < 7; step++) {
    const word: u64 = step < 4 ? load<u64>(at + ((<usize>step) << 3)) : step === 4 ? (<u64>32) << 56 : 0;
    if (step === 5) v2 ^= 0xff;
    v3 ^= word;
    for (let round = 0; round < 2; round++) {
      v0 += v1;
      v1 = rotl(v1, 13) ^ v0;
      v0 = rotl(v0, 32);
      v2 += v3;
      v3 = rotl(v3, 16) ^ v2;
      v0 += v3;
      v3 = rotl(v3, 21) ^ v0;
      v2 += v1;
      v1 = rotl(v1, 17) ^ v2;
      v2 = rotl(v2, 32);
    }
    v0 ^= word;
  }
  return v0 ^ v1 ^ v2 ^ v3;
}
