/** Targets and difficulties, in integers only. */
import { TargetError } from "./errors.js";
import type { Network } from "./network.js";

/**
 * Compact form ("bits") → target, as Bitcoin Core's `arith_uint256::SetCompact` with the checks of `CheckProofOfWork`.
 *
 * @param bits u32
 * @throws TargetError `negative`, `overflow` or `zero` where no hash could meet it
 */
export function targetFromBits(bits: number): bigint {
  checkInteger("bits", bits, 0xffff_ffff);
  const size = bits >>> 24;
  const mantissa = bits & 0x7f_ffff;
  const word = size <= 3 ? mantissa >> (8 * (3 - size)) : mantissa;
  if (word === 0) throw new TargetError("zero", `compact target ${show(bits)} is zero`);
  if ((bits & 0x80_0000) !== 0) throw new TargetError("negative", `compact target ${show(bits)} is negative`);
  if (size > 34 || (word > 0xff && size > 33) || (word > 0xffff && size > 32)) {
    throw new TargetError("overflow", `compact target ${show(bits)} has more than 256 bits`);
  }
  return size <= 3 ? BigInt(word) : BigInt(word) << BigInt(8 * (size - 3));
}

/**
 * Target → compact form, rounded down to its 23 bits of precision (Core's `GetCompact`).
 *
 * @throws TargetError unless 0 < target < 2^256
 */
export function bitsFromTarget(target: bigint): number {
  if (target === 0n) throw new TargetError("zero", "target is zero");
  if (target < 0n) throw new TargetError("negative", "target is negative");
  if (target >> 256n !== 0n) throw new TargetError("overflow", "target has more than 256 bits");
  let size = Math.ceil(target.toString(16).length / 2);
  let word = Number(size <= 3 ? target << BigInt(8 * (3 - size)) : target >> BigInt(8 * (size - 3)));
  // The mantissa's top bit is its sign, so a set one needs another byte.
  if (word >= 0x80_0000) {
    word >>= 8;
    size += 1;
  }
  return ((size << 24) | word) >>> 0;
}

/**
 * floor(multiplier × difficulty-1 target / target of `bits`): the network's difficulty in the unit that shares are weighed in.
 *
 * @param bits compact target of a block, u32
 * @param multiplier e.g. 8n for the window of TIDES, so that the only rounding is the last
 * @throws TargetError as `targetFromBits`
 */
export function networkDifficulty(bits: number, network: Network, multiplier = 1n): bigint {
  return (multiplier * network.difficultyOne) / targetFromBits(bits);
}

/**
 * Target of a share whose target byte is `targetByte`: floor(difficulty-1 target / 2^targetByte), as the gateway works it out.
 *
 * @param targetByte log2 of the share's difficulty, 0-255
 * @throws TargetError `range`
 */
export function shareTarget(targetByte: number, network: Network): bigint {
  checkInteger("target byte", targetByte, 0xff);
  return network.difficultyOne >> BigInt(targetByte);
}

/**
 * A target as 32 little-endian bytes, the form that `meetsTarget` compares with.
 *
 * @throws TargetError unless 0 <= target < 2^256
 */
export function targetBytes(target: bigint): Uint8Array {
  if (target < 0n) throw new TargetError("negative", "target is negative");
  if (target >> 256n !== 0n) throw new TargetError("overflow", "target has more than 256 bits");
  return new Uint8Array(Buffer.from(target.toString(16).padStart(64, "0"), "hex").reverse());
}

/**
 * Whether a hash, read as a little-endian number, is at most the target. No allocation: this runs once per share.
 *
 * @param hash 32 bytes, internal order
 * @param target32le 32 bytes from `targetBytes`
 */
export function meetsTarget(hash: Uint8Array, target32le: Uint8Array): boolean {
  for (let i = 31; i >= 0; i--) {
    const difference = hash[i]! - target32le[i]!;
    if (difference !== 0) return difference < 0;
  }
  return true;
}

function checkInteger(what: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new TargetError("range", `expected ${what} to be an integer from 0 to ${max}, got ${value}`);
  }
}

function show(bits: number): string {
  return bits.toString(16).padStart(8, "0");
}
