/** What this room asks of a node. */
import { type BlockHeaderInfo, type NodeClient, NodeError } from "@openprime/bitcoin";

/** The calls of a NodeClient that are used here. */
export type ChainNode = Pick<NodeClient, "blockchainInfo" | "blockHash" | "bestBlockHash" | "blockHeader" | "blockTemplate" | "call">;

/** The calls that following the chain takes. */
export type FollowedNode = Pick<NodeClient, "blockchainInfo" | "blockHash" | "rawBlock">;

/** RPC_IN_WARMUP of Bitcoin Core: the node will answer later. */
const WARMING_UP = -28;

/** True when the node itself answered, with a refusal, as against one that could not be asked (yet). */
export function nodeAnswered(error: unknown): error is NodeError {
  return error instanceof NodeError && error.code === "rpc" && error.rpcCode !== WARMING_UP;
}

/** The header of a block; undefined when the node has none of that hash. */
export async function readHeader(node: Pick<ChainNode, "blockHeader">, hash: string): Promise<BlockHeaderInfo | undefined> {
  try {
    return await node.blockHeader(hash);
  } catch (error) {
    if (error instanceof NodeError && error.notFound) return undefined;
    throw error;
  }
}

/** Whether a node has a block and calls it, or one before it, invalid. @throws NodeError */
export async function isInvalid(node: Pick<ChainNode, "blockHeader" | "call">, hash: string): Promise<boolean> {
  // Cheap, and says enough where the block is unknown or good; the list of tips costs the node a walk over its whole index.
  const header = await readHeader(node, hash);
  if (header === undefined || header.confirmations > 0) return false;
  let tips: unknown;
  try {
    tips = await node.call("getchaintips");
  } catch (error) {
    if (nodeAnswered(error)) return false;
    throw error;
  }
  if (!Array.isArray(tips)) throw new NodeError("badResponse", "getchaintips", "expected a list of tips");
  return tips.some((tip: unknown) => {
    const { hash: named, status } = (tip ?? {}) as { readonly hash?: unknown; readonly status?: unknown };
    return named === hash && status === "invalid";
  });
}

/**
 * Total fees of a block, satoshis. Undefined where the node has no getblockstats (bcoin) or can't tell for that block (pruned): then the
 * pool knows only what its templates would have paid.
 */
export async function readBlockFees(node: Pick<ChainNode, "call">, hash: string): Promise<bigint | undefined> {
  try {
    const stats = await node.call<unknown>("getblockstats", [hash, ["totalfee"]]);
    const fees = typeof stats === "object" && stats !== null && "totalfee" in stats ? stats.totalfee : undefined;
    if (typeof fees === "number" && Number.isSafeInteger(fees) && fees >= 0) return BigInt(fees);
    throw new NodeError("badResponse", "getblockstats", "expected totalfee in whole satoshis");
  } catch (error) {
    if (nodeAnswered(error)) return undefined;
    throw error;
  }
}
