/** How hard a block of the regtest node is. */
import { bitsFromTarget, targetFromBits } from "@openprime/bitcoin";

/** Hashes that a block takes on average. */
export function expectedHashes(bits: number): number {
  return Number((1n << 256n) / (targetFromBits(bits) + 1n));
}

/**
 * Compact target whose blocks take about `hashes` hashes: with miners of N hashes/s together, a block every X seconds needs N × X.
 *
 * @param hashes at least 2 (plain regtest), at most 2^200
 */
export function bitsForHashes(hashes: number): number {
  return bitsFromTarget((1n << 256n) / BigInt(Math.max(2, Math.round(hashes))) - 1n);
}
