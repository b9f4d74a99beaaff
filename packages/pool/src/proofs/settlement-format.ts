/**
 * The text of a settlement: NDJSON, one text for one settlement. Line 1 is the header, then a line for each entry since the settlement before, a line for each
 * account by script, and a last line with totals and root. docs/proofs.md has the fields.
 *
 * Decoding takes only what encoding writes, byte for byte, so that a settlement has one hash.
 */
import { NETWORKS, type NetworkName, reverseHex, sha256 } from "@openprime/bitcoin";
import { RewardsError, type SchemeOptions, schemeFromJson, schemeToJson } from "@openprime/rewards";
import { ProofError } from "./errors.js";
import { hex } from "./hex.js";
import { LineFields } from "./json-line.js";
import { merkleSumRoot } from "./merkle-sum.js";
import type { Settlement, SettlementEntry, SettlementLine, SettlementWindow } from "./types.js";

/** The first field of each document. */
export const SETTLEMENT_FORMAT = "openprime-settlement/1";

/** Characters of the longest document that is read: some 500,000 accounts. */
export const MAX_SETTLEMENT_LENGTH = 256 * 1024 * 1024;

/** Bytes of the largest coinbase: no block is larger. */
const MAX_COINBASE = 4_000_000;
/** Satoshis, positions and ids are signed numbers of 64 bits in the database. */
const INT64 = 63;
/** Weights are sums of shares' weights, and times a denominator in a window. */
const WEIGHT = 256;
const UINT32 = 0xffff_ffff;
const INT32 = 0x7fff_ffff;

const NETWORK_NAMES = Object.keys(NETWORKS) as NetworkName[];

/**
 * The document of a settlement.
 *
 * @param settlement the root is worked out; one that is given is not looked at
 * @returns the text, its sha256 (what the next settlement names as `previous`), and the root over the lines
 * @throws ProofError for values that the format can't hold, or lines out of order
 */
export function encodeSettlement(settlement: Omit<Settlement, "root">): {
  readonly text: string;
  readonly hash: Uint8Array;
  readonly root: Uint8Array;
} {
  checkOrder(settlement);
  const { lines, root } = encodeLines(settlement);
  // What is written must be read again: a value out of range is told here, not at the miner's.
  readLines(lines);
  const text = `${lines.join("\n")}\n`;
  return { text, hash: settlementHash(text), root };
}

/** sha256 of a document's text. */
export function settlementHash(text: string): Uint8Array {
  return sha256(Buffer.from(text, "utf8"));
}

/**
 * Reads a document.
 *
 * @throws ProofError with the line and field of the first thing that is not as `encodeSettlement` writes it, wrong totals and a wrong root included
 */
export function decodeSettlement(text: string): Settlement {
  if (text.length > MAX_SETTLEMENT_LENGTH) {
    throw new ProofError("proof.tooLarge", `expected a settlement of at most ${MAX_SETTLEMENT_LENGTH} characters, got ${text.length}`);
  }
  const texts = text.split("\n");
  if (texts.pop() !== "") throw new ProofError("proof.badLine", "expected a text that ends with the end of a line, got one cut short");
  const settlement = readLines(texts);
  checkOrder(settlement);
  const { lines: written, root } = encodeLines(settlement);
  for (const [i, wanted] of written.entries()) {
    if (texts[i] !== wanted) throw difference(i + 1, wanted, texts[i] as string, i === written.length - 1);
  }
  return { ...settlement, root };
}

/** The values of a document's lines, each in its range; order, spelling and totals are not looked at. */
function readLines(texts: readonly string[]): Omit<Settlement, "root"> {
  const { header, entryCount, lineCount } = readHeader(LineFields.parse(1, texts[0] ?? ""));
  const expected = 2 + entryCount + lineCount;
  if (texts.length !== expected) {
    const wanted = `${expected} lines for ${entryCount} entries and ${lineCount} accounts`;
    throw ProofError.at("proof.badLine", 1, "lines", wanted, String(texts.length));
  }
  const line = (number: number): LineFields => LineFields.parse(number, texts[number - 1] as string);
  const entries = Array.from({ length: entryCount }, (_, i) => readEntry(line(2 + i)));
  const lines = Array.from({ length: lineCount }, (_, i) => readLine(line(2 + entryCount + i), header.kind));
  return { ...header, entries, lines };
}

type Header = Omit<Settlement, "entries" | "lines" | "root">;

function encodeLines(settlement: Omit<Settlement, "root">): { lines: string[]; root: Uint8Array } {
  const { root, totals } = merkleSumRoot(settlement.lines);
  const lines = [
    headerText(settlement),
    ...settlement.entries.map(entryText),
    ...settlement.lines.map((line) => JSON.stringify(settlementLineJson(line))),
    JSON.stringify({
      lines: totals.count,
      weight: String(totals.weight),
      earned: String(totals.earned),
      paid: String(totals.paid),
      owed: String(totals.owed),
      root: hex(root),
    }),
  ];
  return { lines, root };
}

function headerText(s: Omit<Settlement, "root">): string {
  return JSON.stringify({
    format: SETTLEMENT_FORMAT,
    number: s.number,
    kind: s.kind,
    previous: hex(s.previous),
    network: s.network,
    block: {
      hash: reverseHex(s.block.hash),
      prevhash: reverseHex(s.block.prevhash),
      height: s.block.height,
      bits: s.block.bits.toString(16).padStart(8, "0"),
      time: s.block.time,
      coinbase: hex(s.block.coinbase),
    },
    scheme: schemeToJson(s.scheme),
    feePpm: s.feePpm,
    value: String(s.value),
    received: String(s.received),
    poolScripts: s.poolScripts.map(hex),
    pin: String(s.pin),
    split:
      s.split === undefined ? null : { id: String(s.split.id), value: String(s.split.value), outputs: s.split.outputs.map(outputJson) },
    finder: s.finder === undefined ? null : hex(s.finder),
    window: {
      size: String(s.window.size),
      weight: String(s.window.weight),
      netWeight: String(s.window.netWeight),
      denominator: String(s.window.denominator),
      firstSegment: s.window.firstSegment,
      lastSegment: s.window.lastSegment,
      logWeight: String(s.window.logWeight),
      blockWeights: s.window.blockWeights.map(String),
      logHash: s.window.logHash === undefined ? null : hex(s.window.logHash),
    },
    entries: s.entries.length,
    lines: s.lines.length,
  });
}

function outputJson({ script, value }: { readonly script: Uint8Array; readonly value: bigint }): object {
  return { script: hex(script), value: String(value) };
}

function entryText({ id, kind, block, txid, amounts }: SettlementEntry): string {
  return JSON.stringify({
    entry: String(id),
    kind,
    block: block === undefined ? null : reverseHex(block),
    txid: txid === undefined ? null : reverseHex(txid),
    amounts: amounts.map(({ script, amount }) => ({ script: hex(script), amount: String(amount) })),
  });
}

/** An account's line as it stands in the document. */
export function settlementLineJson(line: SettlementLine): object {
  return {
    account: line.account,
    script: hex(line.script),
    weight: String(line.weight),
    netWeight: String(line.netWeight),
    before: String(line.before),
    earned: String(line.earned),
    fee: String(line.fee),
    paid: String(line.paid),
    balance: String(line.balance),
  };
}

function readHeader(fields: LineFields): { header: Header; entryCount: number; lineCount: number } {
  fields.word("format", [SETTLEMENT_FORMAT]);
  const block = fields.object("block");
  const header: Header = {
    number: fields.integer("number", 1, INT32),
    kind: fields.word("kind", ["settlement", "reversal"]),
    previous: fields.hex("previous", 32, 32),
    network: fields.word("network", NETWORK_NAMES),
    block: {
      hash: block.displayHash("hash"),
      prevhash: block.displayHash("prevhash"),
      height: block.integer("height", 0, INT32),
      bits: Buffer.from(block.hex("bits", 4, 4)).readUInt32BE(),
      time: block.integer("time", 0, UINT32),
      coinbase: block.hex("coinbase", 1, MAX_COINBASE),
    },
    scheme: readScheme(fields),
    feePpm: fields.integer("feePpm", 0, 1_000_000),
    value: fields.decimal("value", INT64),
    received: fields.decimal("received", INT64),
    poolScripts: fields.list("poolScripts", (item, path) => new LineFields(fields.line, { [path]: item }).script(path)),
    pin: fields.decimal("pin", INT64),
    split: fields.nullable("split", (name) => readSplit(fields.object(name))),
    finder: fields.nullable("finder", (name) => fields.script(name)),
    window: readWindow(fields.object("window")),
  };
  return { header, entryCount: fields.integer("entries", 0, UINT32), lineCount: fields.integer("lines", 0, UINT32) };
}

function readScheme(fields: LineFields): SchemeOptions {
  try {
    return schemeFromJson(fields.value("scheme"));
  } catch (error) {
    if (error instanceof RewardsError) fields.refuse("scheme", "a reward scheme");
    throw error;
  }
}

function readSplit(fields: LineFields): NonNullable<Settlement["split"]> {
  return {
    id: fields.decimal("id", INT64),
    value: fields.decimal("value", INT64),
    outputs: fields.objects("outputs", (output) => ({ script: output.script("script"), value: output.decimal("value", INT64) })),
  };
}

function readWindow(fields: LineFields): SettlementWindow {
  return {
    size: fields.decimal("size", WEIGHT),
    weight: fields.decimal("weight", WEIGHT),
    netWeight: fields.decimal("netWeight", WEIGHT),
    denominator: fields.decimal("denominator", WEIGHT),
    firstSegment: fields.integer("firstSegment", 0, INT32),
    lastSegment: fields.integer("lastSegment", 0, INT32),
    logWeight: fields.decimal("logWeight", WEIGHT),
    blockWeights: fields.list("blockWeights", (item, path) => new LineFields(fields.line, { [path]: item }).decimal(path, WEIGHT)),
    logHash: fields.nullable("logHash", (name) => fields.hex(name, 32, 32)),
  };
}

function readEntry(fields: LineFields): SettlementEntry {
  return {
    id: fields.decimal("entry", INT64),
    kind: fields.word("kind", ["receipt", "spend", "credit", "reversal"]),
    block: fields.nullable("block", (name) => fields.displayHash(name)),
    txid: fields.nullable("txid", (name) => fields.displayHash(name)),
    amounts: fields.objects("amounts", (item) => ({ script: item.script("script"), amount: item.decimal("amount", INT64, true) })),
  };
}

/** An account's line, its values checked by themselves. */
export function readLine(fields: LineFields, kind: Settlement["kind"]): SettlementLine {
  const amount = (name: string): bigint => fields.decimal(name, INT64, true);
  // The tree adds up absolute values: with both signs in one document they would no longer say what was divided.
  const oneWay = (name: string): bigint => {
    const value = amount(name);
    if (kind === "settlement" ? value >= 0n : value <= 0n) return value;
    return fields.refuse(name, kind === "settlement" ? "0 or more in a settlement" : "0 or less in a reversal");
  };
  return {
    account: fields.integer("account", 1, INT32),
    script: fields.script("script"),
    weight: fields.decimal("weight", WEIGHT),
    netWeight: fields.decimal("netWeight", WEIGHT),
    before: amount("before"),
    earned: oneWay("earned"),
    fee: oneWay("fee"),
    paid: oneWay("paid"),
    balance: amount("balance"),
  };
}

/** Entries by id, the amounts of each and all lines by script, none twice. */
function checkOrder({ entries, lines, poolScripts }: Omit<Settlement, "root">): void {
  checkScripts(poolScripts, (i) => ({ line: 1, field: `poolScripts[${i}]` }));
  for (const [i, { id, amounts }] of entries.entries()) {
    const before = entries[i - 1]?.id;
    if (before !== undefined && id <= before) throw ProofError.at("proof.order", 2 + i, "entry", `an id above ${before}`, String(id));
    checkScripts(
      amounts.map(({ script }) => script),
      (j) => ({ line: 2 + i, field: `amounts[${j}].script` }),
    );
  }
  checkScripts(
    lines.map(({ script }) => script),
    (i) => ({ line: 2 + entries.length + i, field: "script" }),
  );
}

function checkScripts(scripts: readonly Uint8Array[], place: (index: number) => { line: number; field: string }): void {
  for (const [i, script] of scripts.entries()) {
    const before = scripts[i - 1];
    if (before === undefined || Buffer.compare(before, script) < 0) continue;
    const { line, field } = place(i);
    throw ProofError.at("proof.order", line, field, `a script after ${hex(before)}`, hex(script));
  }
}

function difference(line: number, wanted: string, found: string, last: boolean): ProofError {
  const [good, bad] = [JSON.parse(wanted), parsed(found)] as Record<string, unknown>[];
  for (const [field, value] of Object.entries(good as object)) {
    const other = bad?.[field];
    if (last && JSON.stringify(other) !== JSON.stringify(value)) {
      return ProofError.at("proof.totals", line, field, String(value), other === undefined ? "nothing" : String(other));
    }
  }
  return ProofError.at("proof.notCanonical", line, "", wanted.slice(0, 200), found);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
