/** Holds the demo's books against the chain: what was found is on it, paid the split it was made from, and every share is accounted for. */
import { type Network, type NodeClient, parseBlock, parseCoinbase, reverseHex, scriptToAddress } from "@openprime/bitcoin";
import { type BlockRecord, bookCounts, checkBooks, type Database, findSplit } from "../../ledger/index.js";
import type { Pool } from "../pool.js";

/** One block of the pool, as the chain has it. */
export interface AuditedBlock {
  /** Display order. */
  readonly hash: string;
  readonly height: number;
  /** What the books say became of it. */
  readonly status: string;
  readonly onChain: boolean;
  /** Payees that its coinbase pays besides the pool. */
  readonly payees: number;
  /** Satoshis to them, and to the pool's script. */
  readonly paid: bigint;
  readonly toPool: bigint;
}

export interface Audit {
  readonly blocks: readonly AuditedBlock[];
  readonly sharesStored: bigint;
  /** What does not agree, in words; empty when all is well. */
  readonly differences: readonly string[];
}

export interface AuditInput {
  readonly pool: Pool;
  readonly network: Network;
  readonly payoutScript: Uint8Array;
  /** Bytes that the pool's coinbases carry. */
  readonly tag: Uint8Array;
  /** Height of the tip when the pool started. */
  readonly firstHeight: number;
  /** Shares that gateways were told are accepted. */
  readonly acknowledged: number;
}

/** Blocks that a demo of any length stays under. */
const MOST_BLOCKS = 100_000;

export async function auditDemo(input: AuditInput): Promise<Audit> {
  const { pool } = input;
  const { node, database } = pool;
  const differences = (await checkBooks(database)).map(({ message }) => message);
  const counts = await bookCounts(database);
  if (counts.shares < BigInt(input.acknowledged)) {
    differences.push(`gateways were told of ${input.acknowledged} accepted shares, the books hold ${counts.shares}`);
  }
  const chain = await poolBlocksOnChain(node, input);
  const records = await pool.blocks.recent(MOST_BLOCKS);
  const blocks: AuditedBlock[] = [];
  for (const record of records.reverse()) {
    const hash = reverseHex(record.hash);
    const mined = chain.get(hash);
    chain.delete(hash);
    if (mined !== undefined && record.status !== "accepted") {
      differences.push(`block ${hash} is on the chain, the books say ${record.status} (${record.outcome ?? "no answer"})`);
    }
    const { block, wrong } = await auditBlock(record, hash, mined, input);
    blocks.push(block);
    if (wrong !== undefined) differences.push(wrong);
  }
  for (const hash of chain.keys()) differences.push(`block ${hash} on the chain carries the pool's tag, the books don't know it`);
  return { blocks, sharesStored: counts.shares, differences };
}

/** Coinbases of the best chain since the start that carry the pool's tag, by block hash in display order. */
async function poolBlocksOnChain(node: NodeClient, { firstHeight, tag }: AuditInput): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  const { blocks: height } = await node.blockchainInfo();
  for (let at = firstHeight + 1; at <= height; at++) {
    const hash = await node.blockHash(at);
    const { transactions } = parseBlock(await node.rawBlock(hash));
    const coinbase = transactions[0];
    if (coinbase !== undefined && Buffer.from(parseCoinbase(coinbase).scriptSig).includes(Buffer.from(tag))) found.set(hash, coinbase);
  }
  return found;
}

async function auditBlock(
  record: BlockRecord,
  hash: string,
  mined: Uint8Array | undefined,
  { network, payoutScript, pool }: AuditInput,
): Promise<{ block: AuditedBlock; wrong: string | undefined }> {
  const { outputs } = parseCoinbase(mined ?? record.coinbase);
  const split = record.splitId === undefined ? [] : await splitOf(pool.database, record.splitId);
  let paid = 0n;
  let payees = 0;
  let toPool = 0n;
  let next = 0;
  let wrong: string | undefined;
  for (const { value, script } of outputs) {
    if (value === 0n) continue;
    if (sameScript(payoutScript, script)) {
      toPool += value;
      continue;
    }
    // In the split's order, each with its own amount: a coinbase may leave payees out, but never change or add one.
    while (next < split.length && !(split[next]?.value === value && sameScript(split[next]?.script, script))) next++;
    if (next === split.length)
      wrong ??= `block ${hash} pays ${value} sats to ${scriptToAddress(script, network) ?? "a script"}, which its split does not`;
    next++;
    payees++;
    paid += value;
  }
  if (paid + toPool !== record.coinbaseValue)
    wrong ??= `block ${hash} pays ${paid + toPool} sats, its job was worth ${record.coinbaseValue}`;
  const block = { hash, height: record.height, status: record.status, onChain: mined !== undefined, payees, paid, toPool };
  return { block, wrong };
}

async function splitOf(database: Database, id: bigint): Promise<readonly { value: bigint; script: Uint8Array }[]> {
  return (await findSplit(database, id))?.outputs ?? [];
}

const sameScript = (a: Uint8Array | undefined, b: Uint8Array): boolean => a !== undefined && Buffer.from(a).equals(b);
