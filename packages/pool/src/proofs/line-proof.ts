/** One account's own line of a settlement with what proves it: a small file that its owner can keep, and check against the published root. */
import { NETWORKS, type NetworkName, reverseHex } from "@openprime/bitcoin";
import { ProofError } from "./errors.js";
import { hex } from "./hex.js";
import { LineFields } from "./json-line.js";
import {
  type MerkleSumProof,
  type MerkleSums,
  type MerkleTotals,
  merkleSumProof,
  merkleSumRoot,
  verifyMerkleSumProof,
} from "./merkle-sum.js";
import { lineText, readLine } from "./settlement-format.js";
import type { Settlement, SettlementLine } from "./types.js";

export const LINE_PROOF_FORMAT = "openprime-line-proof/1";

/** Characters of the longest proof that is read. */
const MAX_LENGTH = 1024 * 1024;
const UINT32 = 0xffff_ffff;
const INT32 = 0x7fff_ffff;
const AMOUNT = 64;
const WEIGHT = 256;
/** A tree over 2^32 lines is no higher. */
const MAX_SIBLINGS = 32;

export interface LineProof extends Pick<Settlement, "number" | "kind" | "network" | "root"> {
  readonly height: number;
  /** Internal order. */
  readonly block: Uint8Array;
  readonly line: SettlementLine;
  readonly totals: MerkleTotals;
  readonly proof: MerkleSumProof;
}

/** The proof of an account's line. @throws ProofError `proof.noSuchLine` */
export function proveLine({ number, kind, network, root, block, lines }: Settlement, script: Uint8Array): LineProof {
  const index = lines.findIndex((one) => Buffer.compare(one.script, script) === 0);
  const line = lines[index];
  if (line === undefined) {
    throw new ProofError("proof.noSuchLine", `expected a line of the script ${hex(script)} in settlement ${number}, there is none`);
  }
  const { totals } = merkleSumRoot(lines);
  return { number, kind, network, height: block.height, block: block.hash, root, line, totals, proof: merkleSumProof(lines, index) };
}

/** Whether the line stands under the proof's own root. Compare that root with the published one. */
export function verifyLineProof({ line, proof, root, totals }: LineProof): boolean {
  return verifyMerkleSumProof(line, proof, root, totals);
}

/** The text of a proof, one JSON object. */
export function encodeLineProof({ number, kind, network, height, block, line, proof, totals, root }: LineProof): string {
  const json = {
    format: LINE_PROOF_FORMAT,
    number,
    kind,
    network,
    height,
    block: reverseHex(block),
    line: JSON.parse(lineText(line)) as object,
    index: proof.index,
    siblings: proof.siblings.map(({ hash, sums }) => ({ hash: hex(hash), ...sumsJson(sums) })),
    totals: { lines: totals.count, ...sumsJson(totals) },
    root: hex(root),
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}

/** Reads a proof; it is not verified. @throws ProofError */
export function decodeLineProof(text: string): LineProof {
  if (text.length > MAX_LENGTH) {
    throw new ProofError("proof.tooLarge", `expected a proof of at most ${MAX_LENGTH} characters, got ${text.length}`);
  }
  const fields = LineFields.parse(1, text);
  fields.word("format", [LINE_PROOF_FORMAT]);
  const kind = fields.word("kind", ["settlement", "reversal"]);
  const siblings = fields.objects("siblings", (one) => ({ hash: one.hex("hash", 32, 32), sums: readSums(one) }));
  if (siblings.length > MAX_SIBLINGS) fields.refuse("siblings", `at most ${MAX_SIBLINGS}`);
  const totals = fields.object("totals");
  return {
    number: fields.integer("number", 1, INT32),
    kind,
    network: fields.word("network", Object.keys(NETWORKS) as NetworkName[]),
    height: fields.integer("height", 0, INT32),
    block: fields.displayHash("block"),
    line: readLine(fields.object("line"), kind),
    proof: { index: fields.integer("index", 0, UINT32), siblings },
    totals: { count: totals.integer("lines", 0, UINT32), ...readSums(totals) },
    root: fields.hex("root", 32, 32),
  };
}

function sumsJson({ weight, earned, paid, owed }: MerkleSums): Record<string, string> {
  return { weight: String(weight), earned: String(earned), paid: String(paid), owed: String(owed) };
}

function readSums(fields: LineFields): MerkleSums {
  return {
    weight: fields.decimal("weight", WEIGHT),
    earned: fields.decimal("earned", AMOUNT),
    paid: fields.decimal("paid", AMOUNT),
    owed: fields.decimal("owed", AMOUNT),
  };
}
