/** New coins per block. */
import type { Network } from "./network.js";

/** Subsidy of the block at `height`, satoshis: 50 bitcoin, halved every `halvingInterval` blocks (Core's `GetBlockSubsidy`). */
export function subsidy(height: number, network: Network): bigint {
  const halvings = Math.floor(height / network.halvingInterval);
  return halvings >= 64 ? 0n : 5_000_000_000n >> BigInt(halvings);
}
