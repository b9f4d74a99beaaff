/** The block of a settlement, compared with what a node has. */
import { parseBlock, parseTransaction, reverseHex, sha256d } from "@openprime/bitcoin";
import { ProofError } from "../errors.js";
import type { Settlement } from "../types.js";
import type { Line } from "./difference.js";
import type { AuditNode } from "./source.js";

/** Whether the documents say that the block is on the best chain now; undefined when a later one speaks of it. */
export type Whereabouts = "onChain" | "offChain" | undefined;

/**
 * Checks the settlement's block: that it is where the documents say, that header fields and coinbase are its own.
 *
 * @returns false when the node does not have it, which only a block that is off the chain may be; then nothing of it could be compared
 */
export async function checkBlock({ block, network }: Settlement, where: Whereabouts, node: AuditNode, header: Line): Promise<boolean> {
  header.check("network", await node.network(), network);
  const shown = reverseHex(block.hash);
  const best = await node.blockHash(block.height);
  if (where === "onChain" && best === undefined) header.differs("block.height", "a height that the node's chain has", String(block.height));
  const isBest = best !== undefined && reverseHex(best) === shown;
  if (where === "onChain" && best !== undefined) header.check("block.hash", reverseHex(best), shown);
  if (where === "offChain" && isBest) header.differs("block.hash", `a block that left the chain, not its block ${block.height}`, shown);
  const raw = await node.rawBlock(block.hash);
  if (raw === undefined) {
    if (isBest)
      throw new ProofError("proof.blockMissing", `expected the node to have the block ${shown} of its chain, it has not (pruned?)`);
    return false;
  }
  const { header: bytes, transactions } = parseBlock(raw);
  header.check("block.hash", reverseHex(sha256d(bytes)), shown);
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  header.check("block.prevhash", reverseHex(view.subarray(4, 36)), reverseHex(block.prevhash));
  header.check("block.time", view.readUInt32LE(68), block.time);
  header.check("block.bits", bitsText(view.readUInt32LE(72)), bitsText(block.bits));
  const txid = reverseHex(parseTransaction(transactions[0]).txid);
  const given = reverseHex(sha256d(block.coinbase));
  if (txid !== given) header.differs("block.coinbase", `the coinbase ${txid}`, `one with the txid ${given}`);
  return true;
}

function bitsText(bits: number): string {
  return bits.toString(16).padStart(8, "0");
}
