/** `openprime proof`: one account's own line of a settlement with its Merkle-sum proof, made or checked. */
import { readFileSync } from "node:fs";
import { addressToScript, NETWORKS, type NetworkName, reverseHex } from "@openprime/bitcoin";
import { Documents, decodeLineProof, encodeLineProof, type LineProof, ProofError, proveLine, verifyLineProof } from "../../proofs/index.js";
import type { CommandIo } from "../io.js";
import { choose } from "./audit.js";
import { publishedFiles } from "./published-files.js";

/** Prints the proof of an address's line in the last document of a block. Returns the exit code. */
export async function proof(block: string, address: string, from: string, io: CommandIo): Promise<number> {
  const documents = await Documents.open(publishedFiles(from));
  const chosen = choose(documents.index, block).at(-1);
  if (chosen === undefined) throw new ProofError("proof.noSuchSettlement", "expected at least one settlement, there is none");
  const { settlement } = await documents.get(chosen.number);
  const made = proveLine(settlement, addressToScript(address, NETWORKS[settlement.network as NetworkName]));
  io.stderr.write(`${sentence(made)}\n`);
  io.stdout.write(encodeLineProof(made));
  return 0;
}

/**
 * Checks a proof that `proof` has written.
 *
 * @param root the published root in hex; without it only the proof's own is looked at
 * @returns the exit code: 0 when the line stands under the root
 */
export function verifyProof(file: string, root: string | undefined, io: CommandIo): number {
  const given = decodeLineProof(readFileSync(file, "utf8"));
  const own = Buffer.from(given.root).toString("hex");
  if (root !== undefined && own !== root.toLowerCase()) {
    io.stdout.write(`DIFFERS ${file}: expected the root ${root}, found ${own}\n`);
    return 1;
  }
  if (!verifyLineProof(given)) {
    io.stdout.write(`DIFFERS ${file}: the line does not stand under the root ${own}\n`);
    return 1;
  }
  io.stdout.write(`PASS ${sentence(given)}\n`);
  if (root === undefined) io.stderr.write(`compare the root with the one that is published: ${own}\n`);
  return 0;
}

function sentence({ kind, number, height, block, line, totals }: LineProof): string {
  const own = `earned ${line.earned}, paid ${line.paid}, balance ${line.balance}`;
  const all = `earned ${totals.earned}, paid ${totals.paid}, owed ${totals.owed}`;
  return `${kind} ${number}, block ${height} ${reverseHex(block)}: ${own} satoshis; all ${totals.count} accounts ${all}`;
}
