/**
 * The Merkle-sum tree over the lines of a settlement: one account can check its own line against the published root and totals, without anybody else's.
 *
 * Maxwell's tree for proofs of liabilities (as described by Dagher et al., "Provisions", 2015), with the two mends of Chalkias, Chatzigiannis and Ji,
 * "Broken Proofs of Solvency in Blockchain Custodial Wallets and Exchanges" (2022): a node's hash covers the sums of both its children, each for itself,
 * and no sum is ever negative. The number of lines is part of the root, so the tree has one shape and a line has one place. The bytes are in
 * docs/proofs.md.
 */
import { ProofError } from "./errors.js";
import { MAX_SCRIPT } from "./json-line.js";
import { AMOUNT_BYTES, MAX_AMOUNT, MAX_WEIGHT, Preimage, WEIGHT_BYTES, within } from "./preimage.js";
import { atOnce, PAUSE_AFTER, type Steps } from "./steps.js";
import type { SettlementLine } from "./types.js";

/** What the tree adds up over the lines. In a reversal the amounts are below 0; they count by their absolute value. */
export interface MerkleSums {
  readonly weight: bigint;
  readonly earned: bigint;
  readonly paid: bigint;
  /** What the pool owes: the balances above 0. */
  readonly owed: bigint;
}

/** The totals that the root commits to. */
export interface MerkleTotals extends MerkleSums {
  /** Number of lines. */
  readonly count: number;
}

interface Node {
  readonly hash: Uint8Array;
  readonly sums: MerkleSums;
}

/** What one account needs beside its line: the other child at each level, from the leaf up; levels at which its node has none are left out. */
export interface MerkleSumProof {
  /** Place of the line, from 0. */
  readonly index: number;
  readonly siblings: readonly { readonly hash: Uint8Array; readonly sums: MerkleSums }[];
}

const HASH_BYTES = 32;
const SUM_BYTES = WEIGHT_BYTES + 3 * AMOUNT_BYTES;
const LEAF = new Preimage("openprime-settlement/1 leaf\0", 6 + MAX_SCRIPT + 2 * WEIGHT_BYTES + 5 * AMOUNT_BYTES);
const NODE = new Preimage("openprime-settlement/1 node\0", 2 * (HASH_BYTES + SUM_BYTES));
const ROOT = new Preimage("openprime-settlement/1 root\0", 4 + HASH_BYTES + SUM_BYTES);
/** What four bytes hold: an account, the number of lines. */
const MAX_UINT32 = 0xffff_ffff;

const EMPTY: Node = { hash: new Uint8Array(HASH_BYTES), sums: { weight: 0n, earned: 0n, paid: 0n, owed: 0n } };

/** The top of a tree. */
export interface MerkleTop {
  readonly root: Uint8Array;
  readonly totals: MerkleTotals;
}

/** Root and totals over the lines in their order; no lines have a root too. @throws ProofError `proof.overflow` */
export function merkleSumRoot(lines: readonly SettlementLine[]): MerkleTop {
  return atOnce(merkleSumTop(lines));
}

/** The same in steps. @throws ProofError (from `next`) */
export function* merkleSumTop(lines: readonly SettlementLine[]): Steps<MerkleTop> {
  let level: readonly Node[] = yield* leaves(lines);
  while (level.length > 1) level = yield* parents(level);
  const top = level[0] ?? EMPTY;
  return { root: rootOf(lines.length, top), totals: { count: lines.length, ...top.sums } };
}

/** The proof of the line at `index` (from 0). @throws ProofError `proof.noSuchLine`, `proof.overflow` */
export function merkleSumProof(lines: readonly SettlementLine[], index: number): MerkleSumProof {
  if (!Number.isInteger(index) || index < 0 || index >= lines.length) {
    throw new ProofError("proof.noSuchLine", `expected a line of 0 to ${lines.length - 1}, got ${index}`);
  }
  const siblings: Node[] = [];
  let level: readonly Node[] = atOnce(leaves(lines));
  for (let place = index; level.length > 1; place >>= 1) {
    const sibling = level[place ^ 1];
    if (sibling !== undefined) siblings.push(sibling);
    level = atOnce(parents(level));
  }
  return { index, siblings };
}

/** Whether the line stands at the proof's place in the tree with this root and these totals. False for anything else; never throws. */
export function verifyMerkleSumProof(line: SettlementLine, proof: MerkleSumProof, root: Uint8Array, totals: MerkleTotals): boolean {
  const { index, siblings } = proof;
  if (!Number.isInteger(totals.count) || totals.count > MAX_UINT32) return false;
  if (!Number.isInteger(index) || index < 0 || index >= totals.count) return false;
  try {
    let node = leaf(line);
    let next = 0;
    for (let place = index, count = totals.count; count > 1; place = Math.floor(place / 2), count = Math.ceil(count / 2)) {
      const other = place % 2 === 0 ? place + 1 : place - 1;
      if (other >= count) continue;
      const sibling = siblings[next++];
      if (sibling === undefined || sibling.hash.length !== 32) return false;
      node = place % 2 === 0 ? join(node, sibling) : join(sibling, node);
    }
    const { weight, earned, paid, owed } = node.sums;
    const same = weight === totals.weight && earned === totals.earned && paid === totals.paid && owed === totals.owed;
    return next === siblings.length && same && Buffer.compare(rootOf(totals.count, node), root) === 0;
  } catch (error) {
    if (error instanceof ProofError) return false;
    throw error;
  }
}

function* leaves(lines: readonly SettlementLine[]): Steps<Node[]> {
  const nodes: Node[] = [];
  for (const line of lines) {
    if (nodes.push(leaf(line)) % PAUSE_AFTER === 0) yield;
  }
  return nodes;
}

/** Two by two; the last of an odd number goes up as it is. */
function* parents(level: readonly Node[]): Steps<Node[]> {
  const next: Node[] = [];
  for (let i = 0; i < level.length; i += 2) {
    const left = level[i] as Node;
    const right = level[i + 1];
    if (next.push(right === undefined ? left : join(left, right)) % PAUSE_AFTER === 0) yield;
  }
  return next;
}

function leaf(line: SettlementLine): Node {
  const { account, script, weight, netWeight, before, earned, fee, paid, balance } = line;
  if (script.length > MAX_SCRIPT)
    throw new ProofError("proof.overflow", `expected a script of at most ${MAX_SCRIPT} bytes, got ${script.length}`);
  if (!Number.isInteger(account) || account < 0 || account > MAX_UINT32) {
    throw new ProofError("proof.overflow", `expected an account of 0 to ${MAX_UINT32}, got ${account}`);
  }
  LEAF.start().uint32(account).uint16(script.length).bytes(script).weight(weight).weight(netWeight);
  const hash = LEAF.signed(before).signed(earned).signed(fee).signed(paid).signed(balance).hash();
  return { hash, sums: { weight, earned: absolute(earned), paid: absolute(paid), owed: balance > 0n ? balance : 0n } };
}

function join(left: Node, right: Node): Node {
  const hash = put(put(NODE.start(), left), right).hash();
  const sums: MerkleSums = {
    weight: within(left.sums.weight + right.sums.weight, MAX_WEIGHT),
    earned: within(left.sums.earned + right.sums.earned, MAX_AMOUNT),
    paid: within(left.sums.paid + right.sums.paid, MAX_AMOUNT),
    owed: within(left.sums.owed + right.sums.owed, MAX_AMOUNT),
  };
  return { hash, sums };
}

function rootOf(count: number, top: Node): Uint8Array {
  return put(ROOT.start().uint32(count), top).hash();
}

function put(into: Preimage, { hash, sums: { weight, earned, paid, owed } }: Node): Preimage {
  return into.bytes(hash).weight(weight).amount(earned).amount(paid).amount(owed);
}

function absolute(value: bigint): bigint {
  return value < 0n ? -value : value;
}
