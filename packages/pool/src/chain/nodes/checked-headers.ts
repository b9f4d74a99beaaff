/**
 * What nodes claim of their best block, held against the headers themselves: that each hashes to its name, meets its own target and follows
 * the one before it, back to a block that is known already; and that the work claimed is the work done. Shared by all nodes of a group, so
 * that a header is fetched once.
 */
import { type BlockchainInfo, meetsTarget, NodeError, reverseHex, sha256d, targetBytes, targetFromBits } from "@openprime/bitcoin";
import { nodeAnswered, readHeader } from "../node.js";
import type { CheckedTip, GroupedNode } from "./types.js";

/** Blocks kept: more than a week of them. */
const MAX_KNOWN = 2048;
/** Headers fetched to link a tip to a known block: two weeks, for a pool that was asleep. */
const MAX_STEPS = 2016;

/** Headers below the first tip that are looked at too: a reorganisation that goes deeper than the start of the pool is met there. */
const DEPTH_AT_START = 100;

/** A node's claims do not hold. The message says which. */
export class FalseClaim extends Error {
  override readonly name = "FalseClaim";
}

type Claim = Pick<BlockchainInfo, "bestblockhash" | "blocks" | "chainwork">;

export class CheckedHeaders {
  /** By hash in display order, the oldest first. */
  readonly #known = new Map<string, CheckedTip>();

  /** Whether the work of known blocks is that of the whole chain: a node told it. Else claims of it can't be compared. */
  #wholeWork = false;

  get empty(): boolean {
    return this.#known.size === 0;
  }

  /**
   * Checks a node's best block.
   *
   * @param neighbour the node that is followed, when it is another: what it has on its best chain need not be walked to
   * @param trusted what this node says is believed where nothing known is within reach: the first that is asked, and the operator's first
   * @throws FalseClaim; NodeError when a node does not answer
   */
  async check(node: GroupedNode, claim: Claim, neighbour: GroupedNode | undefined, trusted: boolean): Promise<CheckedTip> {
    const tip = this.#known.get(claim.bestblockhash) ?? (await this.#linked(node, claim, neighbour, trusted));
    if (this.#wholeWork && claim.chainwork !== undefined && readWork(claim.chainwork) !== tip.work) {
      throw new FalseClaim(`it claims work ${claim.chainwork} for block ${tip.hash}, whose headers come to ${tip.work.toString(16)}`);
    }
    return tip;
  }

  async #linked(node: GroupedNode, claim: Claim, neighbour: GroupedNode | undefined, trusted: boolean): Promise<CheckedTip> {
    if (this.empty) return this.#begin(node, claim);
    const headers: { readonly hash: string; readonly work: bigint }[] = [];
    let hash = claim.bestblockhash;
    while (headers.length < MAX_STEPS) {
      const askNeighbour = headers.length === 0 && this.#wholeWork;
      const known = this.#known.get(hash) ?? (askNeighbour ? await onBestChain(neighbour, hash) : undefined);
      if (known !== undefined) return this.#enter(known, headers);
      const { previous, work } = await readRawHeader(node, hash);
      headers.push({ hash, work });
      hash = previous;
    }
    if (!trusted) throw new FalseClaim(`its last ${MAX_STEPS} headers do not meet the chain that the pool knows`);
    return this.#begin(node, claim);
  }

  /** Takes a node's word for its tip, and enters what lies below it. */
  async #begin(node: GroupedNode, { bestblockhash, blocks, chainwork }: Claim): Promise<CheckedTip> {
    // Where the node does not tell, work is counted from an arbitrary ground, the same for all nodes.
    this.#wholeWork = chainwork !== undefined;
    const tip = { hash: bestblockhash, height: blocks, work: chainwork === undefined ? 1n << 255n : readWork(chainwork) };
    const below: CheckedTip[] = [tip];
    for (let at = tip; at.height > 0 && below.length < DEPTH_AT_START; ) {
      const { previous, work } = await readRawHeader(node, at.hash);
      at = { hash: previous, height: at.height - 1, work: at.work - work };
      below.push(at);
    }
    for (const one of below.toReversed()) this.#keep(one);
    return tip;
  }

  /** @param headers above the known one, the highest first */
  #enter(known: CheckedTip, headers: readonly { readonly hash: string; readonly work: bigint }[]): CheckedTip {
    let tip = known;
    this.#keep(tip);
    for (const { hash, work } of headers.toReversed()) {
      tip = { hash, height: tip.height + 1, work: tip.work + work };
      this.#keep(tip);
    }
    return tip;
  }

  #keep(tip: CheckedTip): void {
    this.#known.delete(tip.hash);
    this.#known.set(tip.hash, tip);
    if (this.#known.size <= MAX_KNOWN) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      break;
    }
  }
}

/** A block of the best chain of the node that is followed; undefined when it is on none, or that node can't tell. */
async function onBestChain(node: GroupedNode | undefined, hash: string): Promise<CheckedTip | undefined> {
  if (node === undefined) return undefined;
  try {
    const header = await readHeader(node, hash);
    if (header?.chainwork === undefined || header.confirmations < 1) return undefined;
    return { hash, height: header.height, work: readWork(header.chainwork) };
  } catch (error) {
    // That node's own trouble: this one's headers are walked instead.
    if (error instanceof NodeError || error instanceof FalseClaim) return undefined;
    throw error;
  }
}

async function readRawHeader(node: GroupedNode, hash: string): Promise<{ readonly previous: string; readonly work: bigint }> {
  let hex: unknown;
  try {
    hex = await node.call("getblockheader", [hash, false]);
  } catch (error) {
    if (!nodeAnswered(error)) throw error;
    throw new FalseClaim(`it names block ${hash} and does not give its header (${error.message})`);
  }
  if (typeof hex !== "string" || !/^[0-9a-f]{160}$/.test(hex)) throw new FalseClaim(`its header of block ${hash} is not 80 bytes in hex`);
  const raw = Buffer.from(hex, "hex");
  const digest = sha256d(raw);
  if (reverseHex(digest) !== hash) throw new FalseClaim(`its header of block ${hash} hashes to ${reverseHex(digest)}`);
  const target = readTarget(raw.readUInt32LE(72), hash);
  if (!meetsTarget(digest, targetBytes(target))) throw new FalseClaim(`its block ${hash} does not meet its own target`);
  return { previous: reverseHex(raw.subarray(4, 36)), work: (1n << 256n) / (target + 1n) };
}

function readTarget(bits: number, hash: string): bigint {
  try {
    return targetFromBits(bits);
  } catch {
    throw new FalseClaim(`its block ${hash} has a target that is none (${bits.toString(16)})`);
  }
}

function readWork(hex: string): bigint {
  if (!/^[0-9a-f]{1,64}$/i.test(hex)) throw new FalseClaim("its chainwork is no number of up to 256 bits in hex");
  return BigInt(`0x${hex}`);
}
