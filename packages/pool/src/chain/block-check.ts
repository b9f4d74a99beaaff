/** What can be told of a found block before a node is asked. A block that fails is submitted all the same: nodes decide, not we. */
import {
  isWitnessCommitment,
  meetsTarget,
  merkleRoot,
  parseCoinbase,
  parseTransaction,
  reverseHex,
  sha256d,
  type Transaction,
  TransactionError,
  targetBytes,
  targetFromBits,
} from "@openprime/bitcoin";
import type { BlockCandidate } from "../work/index.js";

/** A block's transactions besides the coinbase, with their ids. */
export interface BlockTransactions {
  readonly raw: readonly Uint8Array[];
  readonly parsed: readonly Pick<Transaction, "txid" | "wtxid" | "hasWitness">[];
}

/** Reads the transactions of a block if they are: with the coinbase they must give the root in the header (bytes 36-67). */
export function readTransactions(candidate: BlockCandidate, raw: readonly Uint8Array[]): BlockTransactions | undefined {
  let parsed: BlockTransactions["parsed"];
  try {
    parsed = raw.map(parseTransaction);
  } catch (error) {
    // Bytes from a gateway that are no transactions: not the block's.
    if (error instanceof TransactionError) return undefined;
    throw error;
  }
  const root = merkleRoot([sha256d(candidate.coinbase), ...parsed.map(({ txid }) => txid)]);
  return Buffer.compare(root, candidate.header.subarray(36, 68)) === 0 ? { raw, parsed } : undefined;
}

/** What is wrong with a block whose transactions are its header's, in words; undefined when nothing is. */
export function findFault(
  { header, coinbase }: Pick<BlockCandidate, "header" | "coinbase">,
  { parsed }: BlockTransactions,
): string | undefined {
  try {
    return workFault(header) ?? witnessFault(coinbase, parsed);
  } catch (error) {
    // A target or coinbase that is none.
    return error instanceof Error ? error.message : String(error);
  }
}

function workFault(header: Uint8Array): string | undefined {
  const bits = new DataView(header.buffer, header.byteOffset, header.byteLength).getUint32(72, true);
  const hash = sha256d(header);
  if (meetsTarget(hash, targetBytes(targetFromBits(bits)))) return undefined;
  return `its hash ${reverseHex(hash)} does not meet the target ${bits.toString(16)}`;
}

/** BIP141: the last output that is a commitment holds the root of all wtxids, hashed with the reserved value (zeros). */
function witnessFault(coinbase: Uint8Array, transactions: BlockTransactions["parsed"]): string | undefined {
  const commitment = parseCoinbase(coinbase).outputs.findLast(({ script }) => isWitnessCommitment(script));
  if (commitment === undefined) {
    return transactions.some(({ hasWitness }) => hasWitness) ? "it has witnesses and its coinbase no commitment to them" : undefined;
  }
  const root = merkleRoot([new Uint8Array(32), ...transactions.map(({ wtxid }) => wtxid)]);
  const expected = sha256d(Buffer.concat([root, new Uint8Array(32)]));
  return Buffer.compare(expected, commitment.script.subarray(6, 38)) === 0 ? undefined : "its coinbase commits to other witnesses";
}
