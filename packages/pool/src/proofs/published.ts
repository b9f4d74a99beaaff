/** Names of the published files, and the index that lists them. docs/proofs.md has the layout of the folder. */
import { reverseHex } from "@openprime/bitcoin";
import { ProofError } from "./errors.js";
import { hex } from "./hex.js";
import { LineFields } from "./json-line.js";
import type { Settlement } from "./types.js";

export const INDEX_FILE = "index.json";
export const INDEX_FORMAT = "openprime-index/1";

/** Characters of the longest index that is read: some 250,000 settlements. */
const MAX_INDEX_LENGTH = 64 * 1024 * 1024;
const UINT32 = 0xffff_ffff;

/** One settlement in the index. */
export interface IndexedSettlement {
  readonly number: number;
  readonly kind: Settlement["kind"];
  readonly height: number;
  /** Hash of the block, internal order. */
  readonly block: Uint8Array;
  /** sha256 of the document. */
  readonly hash: Uint8Array;
}

/** What is published. */
export interface PublishedIndex {
  /** By number: 1, 2, 3… without a gap. */
  readonly settlements: readonly IndexedSettlement[];
}

/** Path of a settlement below the published folder. */
export function settlementFile({ number, kind, height }: Pick<IndexedSettlement, "number" | "kind" | "height">): string {
  return `settlements/${String(number).padStart(6, "0")}-${kind}-${height}.ndjson.gz`;
}

/** Path of a segment's log file below the published folder. */
export function logFile(segment: number): string {
  return `log/${String(segment).padStart(8, "0")}.ndjson.gz`;
}

/** The text of index.json. */
export function encodeIndex({ settlements }: PublishedIndex): string {
  const rows = settlements.map((one) =>
    JSON.stringify({
      number: one.number,
      kind: one.kind,
      height: one.height,
      block: reverseHex(one.block),
      hash: hex(one.hash),
    }),
  );
  const list = rows.length === 0 ? "[]" : `[\n${rows.join(",\n")}\n]`;
  return `{"format":${JSON.stringify(INDEX_FORMAT)},"settlements":${list}}\n`;
}

/** Reads index.json. Fields that it does not know are no error: the index proves nothing, it only tells what there is. @throws ProofError */
export function decodeIndex(text: string): PublishedIndex {
  if (text.length > MAX_INDEX_LENGTH) {
    throw new ProofError("proof.tooLarge", `expected an index of at most ${MAX_INDEX_LENGTH} characters, got ${text.length}`);
  }
  const fields = LineFields.parse(1, text);
  fields.word("format", [INDEX_FORMAT]);
  const settlements = fields.objects("settlements", (row) => ({
    number: row.integer("number", 1, UINT32),
    kind: row.word("kind", ["settlement", "reversal"]),
    height: row.integer("height", 0, UINT32),
    block: row.displayHash("block"),
    hash: row.hex("hash", 32, 32),
  }));
  for (const [i, { number }] of settlements.entries()) {
    if (number !== i + 1) throw ProofError.at("proof.order", 1, `settlements[${i}].number`, String(i + 1), String(number));
  }
  return { settlements };
}
