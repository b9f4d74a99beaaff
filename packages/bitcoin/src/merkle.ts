/** The merkle tree of a block's transactions. Hashes are 32 bytes in internal order. */
import { sha256d } from "./hash.js";

const pair = (left: Uint8Array, right: Uint8Array) => sha256d(Buffer.concat([left, right]));

/**
 * The branches that lead from the coinbase to the root, as a job carries them.
 *
 * @param txids of the block's other transactions, in order, the coinbase not among them
 * @returns ceil(log2(txids.length + 1)) hashes, one after another
 */
export function merkleBranches(txids: readonly Uint8Array[]): Uint8Array {
  const branches: Uint8Array[] = [];
  // One level of the tree without its leftmost node, which is the coinbase's and not known.
  let level: readonly Uint8Array[] = txids;
  while (level.length > 0) {
    branches.push(level[0]!);
    const next: Uint8Array[] = [];
    for (let i = 1; i < level.length; i += 2) next.push(pair(level[i]!, level[i + 1] ?? level[i]!));
    level = next;
  }
  return new Uint8Array(Buffer.concat(branches));
}

/**
 * Root over a coinbase's txid and its branches.
 *
 * @param branches 32 bytes each, one after another; none makes the txid the root
 */
export function foldBranches(txid: Uint8Array, branches: Uint8Array): Uint8Array {
  let node = txid;
  for (let at = 0; at < branches.length; at += 32) node = pair(node, branches.subarray(at, at + 32));
  return node;
}

/** Root over all txids of a block, the coinbase's first. */
export function merkleRoot(txids: readonly [Uint8Array, ...Uint8Array[]]): Uint8Array {
  return foldBranches(txids[0], merkleBranches(txids.slice(1)));
}
