/**
 * The Merkle-sum tree over the lines of a settlement: one account can check its own line against the published root and totals, without anybody else's.
 *
 * Maxwell's tree for proofs of liabilities (as described by Dagher et al., "Provisions", 2015), with the two mends of Chalkias, Chatzigiannis and Ji,
 * "Broken Proofs of Solvency in Blockchain Custodial Wallets and Exchanges" (2022): a node's hash covers the sums of both its children, each for itself,
 * and no sum is ever negative. The number of lines is part of the root, so the tree has one shape and a line has one place. The bytes are in
 * docs/proofs.md.
 */
import { sha256 } from "@openprime/bitcoin";
import { ProofError } from "./errors.js";
import { MAX_SCRIPT } from "./json-line.js";
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

const LEAF = Buffer.from("openprime-settlement/1 leaf\0", "ascii");
const NODE = Buffer.from("openprime-settlement/1 node\0", "ascii");
const ROOT = Buffer.from("openprime-settlement/1 root\0", "ascii");

/** Bytes of a weight and of an amount of satoshis. */
const WEIGHT_BYTES = 32;
const AMOUNT_BYTES = 8;
const MAX_WEIGHT = (1n << 256n) - 1n;
const MAX_AMOUNT = (1n << 64n) - 1n;
/** What four bytes hold: an account, the number of lines. */
const MAX_UINT32 = 0xffff_ffff;

/** Root and totals over the lines in their order; no lines have a root too. @throws ProofError `proof.overflow` */
export function merkleSumRoot(lines: readonly SettlementLine[]): { readonly root: Uint8Array; readonly totals: MerkleTotals } {
  let level: readonly Node[] = lines.map(leaf);
  while (level.length > 1) level = parents(level);
  const top = level[0] ?? EMPTY;
  return { root: rootOf(lines.length, top), totals: { count: lines.length, ...top.sums } };
}

/** The proof of the line at `index` (from 0). @throws ProofError `proof.noSuchLine`, `proof.overflow` */
export function merkleSumProof(lines: readonly SettlementLine[], index: number): MerkleSumProof {
  if (!Number.isInteger(index) || index < 0 || index >= lines.length) {
    throw new ProofError("proof.noSuchLine", `expected a line of 0 to ${lines.length - 1}, got ${index}`);
  }
  const siblings: Node[] = [];
  let level: readonly Node[] = lines.map(leaf);
  for (let place = index; level.length > 1; place >>= 1) {
    const sibling = level[place ^ 1];
    if (sibling !== undefined) siblings.push(sibling);
    level = parents(level);
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

/** Two by two; the last of an odd number goes up as it is. */
function parents(level: readonly Node[]): Node[] {
  const next: Node[] = [];
  for (let i = 0; i < level.length; i += 2) {
    const left = level[i] as Node;
    const right = level[i + 1];
    next.push(right === undefined ? left : join(left, right));
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
  const start = Buffer.alloc(6);
  start.writeUInt32BE(account);
  start.writeUInt16BE(script.length, 4);
  const amounts = [before, earned, fee, paid, balance].map(signed);
  const weights = [weight, netWeight].map((one) => unsigned(one, WEIGHT_BYTES));
  const hash = sha256(Buffer.concat([LEAF, start, script, ...weights, ...amounts]));
  return { hash, sums: { weight, earned: absolute(earned), paid: absolute(paid), owed: balance > 0n ? balance : 0n } };
}

function join(left: Node, right: Node): Node {
  const hash = sha256(Buffer.concat([NODE, left.hash, sumBytes(left.sums), right.hash, sumBytes(right.sums)]));
  const sums: MerkleSums = {
    weight: within(left.sums.weight + right.sums.weight, MAX_WEIGHT),
    earned: within(left.sums.earned + right.sums.earned, MAX_AMOUNT),
    paid: within(left.sums.paid + right.sums.paid, MAX_AMOUNT),
    owed: within(left.sums.owed + right.sums.owed, MAX_AMOUNT),
  };
  return { hash, sums };
}

const EMPTY: Node = { hash: new Uint8Array(32), sums: { weight: 0n, earned: 0n, paid: 0n, owed: 0n } };

function rootOf(count: number, top: Node): Uint8Array {
  const number = Buffer.alloc(4);
  number.writeUInt32BE(count);
  return sha256(Buffer.concat([ROOT, number, top.hash, sumBytes(top.sums)]));
}

function sumBytes({ weight, earned, paid, owed }: MerkleSums): Buffer {
  return Buffer.concat([unsigned(weight, WEIGHT_BYTES), ...[earned, paid, owed].map((amount) => unsigned(amount, AMOUNT_BYTES))]);
}

/** Big-endian; `bytes` a multiple of 8. */
function unsigned(value: bigint, bytes: number): Buffer {
  within(value, bytes === AMOUNT_BYTES ? MAX_AMOUNT : MAX_WEIGHT);
  const buffer = Buffer.alloc(bytes);
  let rest = value;
  for (let end = bytes; end > 0 && rest > 0n; end -= 8) {
    buffer.writeBigUInt64BE(BigInt.asUintN(64, rest), end - 8);
    rest >>= 64n;
  }
  return buffer;
}

/** Two's complement, big-endian. */
function signed(value: bigint): Buffer {
  if (BigInt.asIntN(64, value) !== value) throw new ProofError("proof.overflow", `expected satoshis of -2^63 to 2^63 - 1, got ${value}`);
  return unsigned(BigInt.asUintN(64, value), AMOUNT_BYTES);
}

function within(value: bigint, most: bigint): bigint {
  if (value < 0n || value > most) throw new ProofError("proof.overflow", `expected a sum of 0 to ${most}, got ${value}`);
  return value;
}

function absolute(value: bigint): bigint {
  return value < 0n ? -value : value;
}
