/** `openprime audit`: recomputes published settlements, on any machine, without a configuration. */
import { NodeClient, reverseHex } from "@openprime/bitcoin";
import { Auditor, type AuditResult, type ChainScan, type IndexedSettlement, ProofError } from "../../proofs/index.js";
import { HashSet } from "../../work/index.js";
import { CliError } from "../errors.js";
import type { CommandIo } from "../io.js";
import { RpcAuditNode } from "./audit-node.js";
import { publishedFiles } from "./published-files.js";

export interface AuditOptions {
  /** The published folder, or its http(s) URL. */
  readonly from: string;
  /** URL of the node's RPC. */
  readonly node: string;
  readonly cookieFile?: string;
  readonly user?: string;
  readonly password?: string;
  /** Looks for blocks that nothing published tells of; with `all` only. */
  readonly scan: boolean;
  readonly json: boolean;
}

/**
 * Audits the settlements of one block, or all, in their order; ends at the first difference.
 *
 * @param block hash, height, or `all`
 * @returns the exit code: 0 when everything is right
 */
export async function audit(block: string, options: AuditOptions, io: CommandIo): Promise<number> {
  const { from, node: url, cookieFile, user, password, scan, json } = options;
  if (scan && block !== "all")
    throw new CliError("optionInvalid", `expected all with --scan, got ${JSON.stringify(block)}`, "audit all --scan, or leave --scan out");
  const client = new NodeClient({
    url,
    ...(cookieFile !== undefined && { cookieFile }),
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
  });
  const results: AuditResult[] = [];
  let scanned: ChainScan | undefined;
  const passed = (): boolean => results.every((result) => result.verdict === "PASS") && !io.signal.aborted;
  try {
    const auditor = await Auditor.open({ source: publishedFiles(from), node: new RpcAuditNode(client), seen: new HashSet() });
    for (const { number } of choose(auditor.documents.index, block)) {
      if (io.signal.aborted) break;
      const result = await auditor.audit(number);
      results.push(result);
      if (!json) io.stdout.write(`${sentence(result)}\n`);
      if (result.verdict !== "PASS") break;
    }
    if (scan && passed()) {
      scanned = await auditor.scan(io.signal);
      if (!json) io.stdout.write(scanText(scanned));
    }
  } finally {
    await client.close();
  }
  const verdict = passed() && !scanned?.untold.some(({ missing }) => missing) ? "PASS" : "DIFFERS";
  if (json) {
    const all = { verdict, settlements: results.map(plain), ...(scanned !== undefined && { scan: plainScan(scanned) }) };
    io.stdout.write(`${JSON.stringify(all, null, 2)}\n`);
  }
  return verdict === "PASS" ? 0 : 1;
}

/** The documents of a block: one, or several where it left the chain and came again, or where two had one height. */
export function choose(index: readonly IndexedSettlement[], block: string): readonly IndexedSettlement[] {
  if (block === "all") return index;
  let chosen: readonly IndexedSettlement[];
  if (/^[0-9a-f]{64}$/i.test(block)) chosen = index.filter((one) => reverseHex(one.block) === block.toLowerCase());
  else if (/^[0-9]{1,9}$/.test(block)) chosen = index.filter(({ height }) => height === Number(block));
  else
    throw new CliError("optionInvalid", `expected a block as its hash, its height, or all, got ${JSON.stringify(block)}`, "name a block");
  if (chosen.length > 0) return chosen;
  const there = index.length === 0 ? "none at all" : `${index.length} of others, heights ${index[0]?.height} to ${index.at(-1)?.height}`;
  throw new ProofError("proof.noSuchSettlement", `expected a settlement of block ${block}, there are ${there}`);
}

function sentence(result: AuditResult): string {
  if (result.verdict === "DIFFERS") {
    const { file, line, field, expected, found } = result.difference;
    return `DIFFERS ${file}:${line}${field === "" ? "" : ` ${field}`}: expected ${expected}, found ${found}`;
  }
  const { number, kind, height, block, value, fee, accounts, segments, unchecked, notes } = result;
  const what = `${kind} ${number}, block ${height} ${reverseHex(block)}`;
  const open = unchecked.map((one) => `; not checked: ${one}`).join("");
  const remarks = notes.map((one) => `; note: ${one}`).join("");
  return `PASS ${what}: ${value} satoshis, fee ${fee}, ${accounts} accounts, ${segments} log files${open}${remarks}`;
}

function scanText({ from, to, untold, unread }: ChainScan): string {
  const lines = untold.map(({ height, hash, value, missing }) => {
    const what = `block ${height} ${reverseHex(hash)} pays ${value} satoshis to the pool, and has neither settlement nor receipt`;
    return missing ? `DIFFERS ${what}` : `note: ${what} yet`;
  });
  if (unread > 0) lines.push(`not checked: ${unread} blocks that the node does not have`);
  if (!untold.some(({ missing }) => missing)) lines.push(`PASS blocks ${from} to ${to}: all that pay the pool are told of`);
  return lines.map((line) => `${line}\n`).join("");
}

function plainScan({ untold, ...rest }: ChainScan): object {
  return { ...rest, untold: untold.map(({ hash, value, ...one }) => ({ ...one, block: reverseHex(hash), value: String(value) })) };
}

/** As JSON has it: hashes in hex, satoshis as text. */
function plain(result: AuditResult): object {
  if (result.verdict === "DIFFERS") return result;
  const { block, root, value, fee, ...rest } = result;
  return { ...rest, block: reverseHex(block), root: Buffer.from(root).toString("hex"), value: String(value), fee: String(fee) };
}
