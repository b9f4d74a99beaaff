/**
 * The coinbases that a gateway builds, as pure functions: what DATUM.md section 10 tells in words, byte for byte what the public gateway makes.
 * Tests of the pool use them to make valid coinbases, and deliberately invalid ones by bending the recipe.
 */
import type { CoinbaserOutput } from "@openprime/datum";

/** Coinbase id on the wire: 0 pays only the pool, 1-5 are made for kinds of mining hardware, 0xFF is subsidy-only work on a new block. */
export type CoinbaseKind = 0 | 1 | 2 | 3 | 4 | 5 | 0xff;

/** Id of the subsidy-only coinbase. */
export const SUBSIDY_ONLY = 0xff;

/** Size that each kind of hardware takes, bytes. Kinds 0 and 0xFF hold one payee and need no limit. */
export const COINBASE_SIZE_LIMITS: Readonly<Record<1 | 2 | 3 | 4 | 5, number>> = { 1: 500, 2: 755, 3: 6500, 4: 16000, 5: 2250 };

/** Placeholder of the target byte in coinb1. */
export const TARGET_BYTE_PLACEHOLDER = 0xff;

/** Room for all tags together, with their separators. */
const MAX_TAG_BYTES = 86;

/** The scriptSig holds the extranonce only when what precedes it is no longer than this (100 bytes less push, prefix and extranonce). */
const MAX_SCRIPTSIG_BEFORE_EXTRANONCE = 85;

/** How much of a block the template's transactions take, and how much a block may hold; a full template leaves less for the coinbase. */
export interface TemplateRoom {
  readonly size: number;
  readonly weight: number;
  readonly sizeLimit: number;
  readonly weightLimit: number;
}

/** Everything that a job's coinbases are made from. */
export interface CoinbaseRecipe {
  readonly height: number;
  /** The pool's tag, from its configuration. */
  readonly primaryTag: Uint8Array;
  /** The gateway's own tag; empty for none. */
  readonly secondaryTag: Uint8Array;
  /** u16, the gateway's own. */
  readonly uniqueId: number;
  /** u32, from the pool's configuration. */
  readonly primeId: number;
  /** u16, different for every job of the gateway. */
  readonly extranoncePrefix: number;
  /** The pool's scriptPubKey. */
  readonly poolScript: Uint8Array;
  /** Satoshis that the coinbase may pay. */
  readonly value: bigint;
  /** Satoshis of a block without transactions. */
  readonly subsidy: bigint;
  /** scriptPubKey of the witness commitment output, from the template. */
  readonly witnessCommitment: Uint8Array;
  /** The pool's split; empty while waiting for it. */
  readonly outputs: readonly CoinbaserOutput[];
  readonly room: TemplateRoom;
}

/** The two halves around the 12 bytes of extranonce. */
export interface BuiltCoinbase {
  readonly coinb1: Uint8Array;
  readonly coinb2: Uint8Array;
  /** How many payees of the split this coinbase pays. */
  readonly paidOutputs: number;
}

const concat = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const u16le = (value: number): Uint8Array => Uint8Array.of(value & 0xff, (value >>> 8) & 0xff);
const u32le = (value: number): Uint8Array => concat(u16le(value & 0xffff), u16le(value >>> 16));

function u64le(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

function varint(value: number): Uint8Array {
  return value < 0xfd ? Uint8Array.of(value) : concat(Uint8Array.of(0xfd), u16le(value));
}

const output = (value: bigint, script: Uint8Array): Uint8Array => concat(u64le(value), varint(script.length), script);

/** Height as the gateway pushes it: little-endian, shortest, positive. Heights 1-16 are pushed as 01 xx, which Core refuses. */
function heightPush(height: number): Uint8Array {
  const bytes: number[] = [];
  let rest = height;
  do {
    bytes.push(rest & 0xff);
    rest = Math.floor(rest / 256);
  } while (rest > 0);
  if (bytes[bytes.length - 1]! >= 0x80) bytes.push(0);
  return Uint8Array.of(bytes.length, ...bytes);
}

/** One push of both tags, cut to the room there is: the secondary tag gives way. */
function tagPush(primary: Uint8Array, secondary: Uint8Array): Uint8Array {
  if (primary.length === 0 && secondary.length === 0) return Uint8Array.of(1, 0);
  if (primary.length > 83) throw new RangeError(`primary tag of at most 83 bytes expected, got ${primary.length}`);
  const own = secondary.subarray(0, Math.max(0, MAX_TAG_BYTES - 2 - primary.length));
  const body = own.length === 0 ? concat(primary, Uint8Array.of(0)) : concat(primary, Uint8Array.of(0x0f), own, Uint8Array.of(0));
  return body.length <= 75 ? concat(Uint8Array.of(body.length), body) : concat(Uint8Array.of(0x4c, body.length), body);
}

interface ScriptSigStart {
  readonly bytes: Uint8Array;
  /** Offset of the target byte in `bytes`. */
  readonly targetByteOffset: number;
}

function scriptSigStart(recipe: CoinbaseRecipe): ScriptSigStart {
  const head = concat(heightPush(recipe.height), tagPush(recipe.primaryTag, recipe.secondaryTag));
  const ids = concat(Uint8Array.of(0x07, TARGET_BYTE_PLACEHOLDER), u16le(recipe.uniqueId), u32le(recipe.primeId));
  return { bytes: concat(head, ids), targetByteOffset: head.length + 1 };
}

/** Version, one input, the null outpoint: 41 bytes, then the script length (always one byte). */
const TRANSACTION_START = concat(u32le(1), Uint8Array.of(1), new Uint8Array(32), u32le(0xffffffff));
const SEQUENCE = u32le(0xffffffff);
const LOCKTIME = u32le(0);
/** Stands where the pool's output would be when the split claims every satoshi. */
const DUMMY_OUTPUT = output(0n, Uint8Array.of(0x6a, 0x01, 0x00));

/** Offset of the target byte in the coinbase transaction; the same for all coinbases of a job. */
export function targetByteIndex(recipe: CoinbaseRecipe): number {
  return TRANSACTION_START.length + 1 + scriptSigStart(recipe).targetByteOffset;
}

/** The gateway's prefix is written as four hex digits, so high byte first. */
const extranoncePush = (prefix: number): Uint8Array => Uint8Array.of(0x0e, prefix >>> 8, prefix & 0xff);

/** The output that carries the extranonce where the scriptSig can't; coinb1 ends inside it. */
const extranonceOutputStart = (prefix: number): Uint8Array => concat(u64le(0n), Uint8Array.of(0x10, 0x6a), extranoncePush(prefix));

/** Bytes left for outputs of the split: the kind's limit less everything else, or what the template leaves free, if less. */
function outputBudget(limit: number, fixed: number, room: TemplateRoom): number {
  const own = limit - fixed;
  const whole = limit + fixed;
  let free = whole;
  if (whole + room.size + 121 > room.sizeLimit) {
    const left = room.sizeLimit - (room.size + 121) - fixed;
    if (left < 0) return 0;
    free = left;
  }
  if (whole * 4 + room.weight + 376 > room.weightLimit) {
    const left = Math.floor((room.weightLimit - (room.weight + 376)) / 4) - fixed;
    if (left < 0) return 0;
    free = left;
  }
  return Math.min(free, own);
}

interface Chosen {
  /** Position in the split. */
  readonly index: number;
  readonly output: CoinbaserOutput;
}

/** The split's outputs that fit, greedily in the order given; stops when under 30 bytes or no satoshis remain. */
function choose(recipe: CoinbaseRecipe, budget: number): Chosen[] {
  const chosen: Chosen[] = [];
  let room = budget;
  let paid = 0n;
  for (const [index, candidate] of recipe.outputs.entries()) {
    const cost = candidate.script.length + 9;
    if (cost > room || paid + candidate.value > recipe.value) continue;
    chosen.push({ index, output: candidate });
    room -= cost;
    paid += candidate.value;
    if (room < 30 || paid >= recipe.value) break;
  }
  return chosen;
}

const encode = (chosen: readonly Chosen[]): Uint8Array => concat(...chosen.map((one) => output(one.output.value, one.output.script)));

/** How many bytes kind 2 fills before its extranonce. */
const KIND_2_FIRST_PART = 150;

/** Positions below the result go into coinb1 of kind 2: the first outputs in a row that fit before the hardware's synchronising bytes. */
function firstPart(chosen: readonly Chosen[], used: number): number {
  let room = Math.max(0, Math.floor(KIND_2_FIRST_PART - used));
  let count = 0;
  for (const one of chosen) {
    const cost = one.output.script.length + 9;
    if (cost > room) break;
    room -= cost;
    count += 1;
  }
  return count;
}

/**
 * One coinbase of a job, in non-witness form, as the gateway sends it in section 0x02 (target byte still 0xFF).
 *
 * @throws RangeError when the primary tag is longer than a pool may configure.
 */
export function buildCoinbase(recipe: CoinbaseRecipe, kind: CoinbaseKind): BuiltCoinbase {
  const start = scriptSigStart(recipe);
  const fits = start.bytes.length <= MAX_SCRIPTSIG_BEFORE_EXTRANONCE;
  const paysSplit = kind !== 0 && kind !== SUBSIDY_ONLY && recipe.outputs.length > 0;
  const inScriptSig = fits && !(paysSplit && kind === 2);

  const scriptSigLength = start.bytes.length + (inScriptSig ? 15 : 0);
  const opening = concat(
    TRANSACTION_START,
    varint(scriptSigLength),
    start.bytes,
    inScriptSig ? extranoncePush(recipe.extranoncePrefix) : SEQUENCE,
  );

  let chosen: Chosen[] = [];
  if (paysSplit) {
    const fixed = 119 + recipe.poolScript.length + start.bytes.length + (inScriptSig ? 0 : 10);
    chosen = choose(recipe, outputBudget(COINBASE_SIZE_LIMITS[kind], fixed, recipe.room));
  }
  const paid = chosen.reduce((sum, one) => sum + one.output.value, 0n);
  const value = kind === SUBSIDY_ONLY ? recipe.subsidy : recipe.value;
  const pool = value > paid ? output(value - paid, recipe.poolScript) : DUMMY_OUTPUT;
  const commitment = kind === SUBSIDY_ONLY ? new Uint8Array() : output(0n, recipe.witnessCommitment);
  const ending = concat(pool, commitment, LOCKTIME);
  const count = varint(chosen.length + 1 + (kind === SUBSIDY_ONLY ? 0 : 1) + (inScriptSig ? 0 : 1));

  if (inScriptSig) return { coinb1: opening, coinb2: concat(SEQUENCE, count, encode(chosen), ending), paidOutputs: chosen.length };
  const before = paysSplit && kind === 2 ? firstPart(chosen, opening.length) : 0;
  return {
    coinb1: concat(opening, count, encode(chosen.filter((one) => one.index < before)), extranonceOutputStart(recipe.extranoncePrefix)),
    coinb2: concat(encode(chosen.filter((one) => one.index >= before)), ending),
    paidOutputs: chosen.length,
  };
}

/**
 * The coinbase transaction as it is hashed: target byte in place, and for quickdiff work the last two bytes of coinb1 replaced.
 *
 * @param extranonce 12 bytes
 */
export function finishCoinbase(
  built: { readonly coinb1: Uint8Array; readonly coinb2: Uint8Array },
  extranonce: Uint8Array,
  place: { readonly targetByteIndex: number; readonly targetByte: number; readonly quickdiff: boolean },
): Uint8Array {
  const whole = concat(built.coinb1, extranonce, built.coinb2);
  if (place.quickdiff) {
    const at = built.coinb1.length - 2;
    const taken = whole[at] === 0x44 && whole[at + 1] === 0x51;
    whole.set(taken ? [0xbb, 0xae] : [0x44, 0x51], at);
  }
  whole[place.targetByteIndex] = place.targetByte;
  return whole;
}
