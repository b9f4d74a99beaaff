/**
 * The compact target that a child of a block must carry (Bitcoin Core, src/pow.cpp; testnet4: BIP94). Used where the node gives no template
 * for that parent; where it does, its word goes first.
 */
import { type BlockHeaderInfo, bitsFromTarget, type Network, targetFromBits } from "@openprime/bitcoin";

const INTERVAL = 2016;
const SPACING = 600;
const TIMESPAN = INTERVAL * SPACING;

/** The fields of a header that decide. */
export type BitsHeader = Pick<BlockHeaderInfo, "height" | "bits" | "time" | "previousblockhash">;

/** Where earlier headers come from. */
export interface HeaderSource {
  /** By hash, on whatever branch. */
  byHash(hash: string): Promise<BitsHeader>;
  /** On the best chain. */
  byHeight(height: number): Promise<BitsHeader>;
}

/**
 * @param childTime seconds: on the test networks a block that comes more than 20 minutes after its parent may be of least difficulty
 * @throws what the source throws
 */
export async function nextBits(parent: BitsHeader, network: Network, childTime: number, source: HeaderSource): Promise<number> {
  // Regtest never retargets, and every chain of it has one target.
  if (network.name === "regtest") return parent.bits;
  if ((parent.height + 1) % INTERVAL === 0) return retarget(parent, network, source);
  if (network.name !== "testnet" && network.name !== "testnet4") return parent.bits;
  if (childTime > parent.time + 2 * SPACING) return network.powLimitBits;
  // The last target that was not a least one of the 20-minute rule.
  let last = parent;
  while (last.height % INTERVAL !== 0 && last.bits === network.powLimitBits && last.previousblockhash !== undefined) {
    last = await source.byHash(last.previousblockhash);
  }
  return last.bits;
}

async function retarget(parent: BitsHeader, network: Network, source: HeaderSource): Promise<number> {
  // A branch of 2016 blocks that is not the best one has never been: the first block of the period is taken from the best chain.
  const first = await source.byHeight(parent.height - (INTERVAL - 1));
  const taken = Math.min(Math.max(parent.time - first.time, TIMESPAN / 4), TIMESPAN * 4);
  // BIP94: a least target of the 20-minute rule at the end of a period must not become the base of the next.
  const base = targetFromBits(network.name === "testnet4" ? first.bits : parent.bits);
  const target = (base * BigInt(taken)) / BigInt(TIMESPAN);
  const limit = targetFromBits(network.powLimitBits);
  return bitsFromTarget(target > limit ? limit : target);
}
