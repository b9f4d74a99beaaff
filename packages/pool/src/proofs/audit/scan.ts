/** Blocks of the chain that pay the pool, and that nothing published tells of. */
import { reverseHex, type ScannedBlock, scanBlock } from "@openprime/bitcoin";
import { ProofError } from "../errors.js";
import { hex } from "../hex.js";
import { atOnce } from "../steps.js";
import type { BookedBlocks, Documents } from "./documents.js";
import type { AuditNode } from "./source.js";

/** A block that pays one of the pool's scripts, and has neither settlement nor receipt. */
export interface UntoldBlock {
  readonly height: number;
  /** Internal order. */
  readonly hash: Uint8Array;
  /** Satoshis that its coinbase pays to the pool's scripts. */
  readonly value: bigint;
  /** True when it lies below the last block with a settlement: no document to come may tell of it. */
  readonly missing: boolean;
}

/** What a scan found. */
export interface ChainScan {
  /** Heights that were looked at. */
  readonly from: number;
  readonly to: number;
  readonly untold: readonly UntoldBlock[];
  /** Blocks that the node does not have any more. */
  readonly unread: number;
}

/**
 * Reads every block of the chain from the first settlement's up to the tip. Which scripts are the pool's says the last document up to each height.
 *
 * @throws DifferenceFound, ProofError, and whatever the node's and the source's calls throw
 */
export async function scanChain(documents: Documents, node: AuditNode, signal?: AbortSignal): Promise<ChainScan> {
  const booked = await documents.booked();
  const from = booked.scripts[0]?.height ?? 0;
  const untold: UntoldBlock[] = [];
  let unread = 0;
  let height = from;
  for (; booked.scripts.length > 0; height++) {
    signal?.throwIfAborted();
    const hash = await node.blockHash(height);
    if (hash === undefined) break;
    if (booked.blocks.has(hex(hash))) continue;
    const raw = await node.rawBlock(hash);
    if (raw === undefined) unread++;
    else {
      const value = paidTo(scriptsAt(booked, height), readBlock(raw, hash));
      if (value > 0n) untold.push({ height, hash, value, missing: height < booked.last });
    }
  }
  return { from, to: height - 1, untold, unread };
}

/** Of the last document that is not of a later block. */
function scriptsAt({ scripts }: BookedBlocks, height: number): ReadonlySet<string> {
  return scripts.findLast((one) => one.height <= height)?.scripts ?? new Set();
}

function paidTo(scripts: ReadonlySet<string>, { coinbase }: ScannedBlock): bigint {
  return coinbase.outputs.reduce((sum, { script, value }) => (scripts.has(hex(script)) ? sum + value : sum), 0n);
}

function readBlock(raw: Uint8Array, hash: Uint8Array): ScannedBlock {
  const block = atOnce(scanBlock(raw, { pays: () => false, spends: () => false }));
  if (Buffer.compare(block.hash, hash) === 0 && block.merkleRootMatches) return block;
  throw new ProofError("proof.blockMissing", `expected the block ${reverseHex(hash)} of the node's chain, it gave other bytes`);
}
