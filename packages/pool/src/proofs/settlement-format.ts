/**
 * The text of a settlement: NDJSON, one text for one settlement. Line 1 is the header, then a line for each entry since the settlement before, a line for each
 * account by script, and a last line with totals and root. docs/proofs.md has the fields.
 *
 * Decoding takes only what encoding writes, byte for byte, so that a settlement has one hash.
 */
import { NETWORKS, type NetworkName, reverseHex, sha256 } from "@openprime/bitcoin";
import { RewardsError, type SchemeOptions, schemeFromJson, schemeToJson } from "@openprime/rewards";
import { DocumentWriter } from "./document-writer.js";
import { ProofError } from "./errors.js";
import { hex } from "./hex.js";
import { LineFields, MAX_SCRIPT } from "./json-line.js";
import { type MerkleTotals, merkleSumTop } from "./merkle-sum.js";
import { MAX_WEIGHT } from "./preimage.js";
import { atOnce, PAUSE_AFTER, type Steps } from "./steps.js";
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

/** What is in front of an entry's amounts. */
const AMOUNTS = '"amounts":[';
/** Characters of a list of amounts that are read in one go. */
const PIECE_LENGTH = 16 * 1024;

const NETWORK_NAMES = Object.keys(NETWORKS) as NetworkName[];

/** A settlement as it is published. */
export interface EncodedSettlement {
  readonly text: string;
  /** sha256 of the text: what the next settlement names as `previous`. */
  readonly hash: Uint8Array;
  /** Over the lines. */
  readonly root: Uint8Array;
}

/**
 * The document of a settlement.
 *
 * @param settlement the root is worked out; one that is given is not looked at
 * @throws ProofError for values that the format can't hold, or lines out of order
 */
export function encodeSettlement(settlement: Omit<Settlement, "root">): EncodedSettlement {
  return atOnce(settlementEncoding(settlement));
}

/** `encodeSettlement` in steps. @throws ProofError (from `next`) */
export function* settlementEncoding(settlement: Omit<Settlement, "root">): Steps<EncodedSettlement> {
  const { kind, entries, lines } = settlement;
  yield* checkOrder(settlement);
  const { root, totals } = yield* merkleSumTop(lines);
  const document = new DocumentWriter();
  const header = headerText(settlement, entries.length, lines.length);
  // What is written must be read again: a value out of range is told here, not at the miner's.
  readHeader(LineFields.parse(document.add(header), header));
  for (const entry of entries) {
    const text = yield* entryText(entry);
    yield* readEntry(document.add(text), text);
  }
  for (const line of lines) {
    const text = lineText(line);
    const number = document.add(text);
    if (!canReadLine(line, kind)) readLine(LineFields.parse(number, text), kind);
    if (number % PAUSE_AFTER === 0) yield;
  }
  document.add(totalsText(totals, root));
  return { ...document.end(), root };
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
  return atOnce(settlementDecoding(text));
}

/** `decodeSettlement` in steps. @throws ProofError (from `next`) */
export function* settlementDecoding(text: string): Steps<Settlement> {
  if (text.length > MAX_SETTLEMENT_LENGTH) {
    throw new ProofError("proof.tooLarge", `expected a settlement of at most ${MAX_SETTLEMENT_LENGTH} characters, got ${text.length}`);
  }
  const texts = text.split("\n");
  if (texts.pop() !== "") throw new ProofError("proof.badLine", "expected a text that ends with the end of a line, got one cut short");
  const first = texts[0] ?? "";
  const { header, entryCount, lineCount } = readHeader(LineFields.parse(1, first));
  const expected = 2 + entryCount + lineCount;
  if (texts.length !== expected) {
    const wanted = `${expected} lines for ${entryCount} entries and ${lineCount} accounts`;
    throw ProofError.at("proof.badLine", 1, "lines", wanted, String(texts.length));
  }
  checkSpelling(1, headerText(header, entryCount, lineCount), first);
  const entries: SettlementEntry[] = [];
  for (let number = 2; number < 2 + entryCount; number++) {
    const found = texts[number - 1] as string;
    const entry = yield* readEntry(number, found);
    checkSpelling(number, yield* entryText(entry), found);
    entries.push(entry);
  }
  const lines: SettlementLine[] = [];
  for (let number = 2 + entryCount; number < expected; number++) {
    const found = texts[number - 1] as string;
    const line = readLine(LineFields.parse(number, found), header.kind);
    checkSpelling(number, lineText(line), found);
    if (lines.push(line) % PAUSE_AFTER === 0) yield;
  }
  const settlement = { ...header, entries, lines };
  yield* checkOrder(settlement);
  const { root, totals } = yield* merkleSumTop(lines);
  checkTotals(expected, totalsText(totals, root), texts[expected - 1] as string);
  return { ...settlement, root };
}

type Header = Omit<Settlement, "entries" | "lines" | "root">;

function headerText(s: Header, entries: number, lines: number): string {
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
    entries,
    lines,
  });
}

function outputJson({ script, value }: { readonly script: Uint8Array; readonly value: bigint }): object {
  return { script: hex(script), value: String(value) };
}

function* entryText({ id, kind, block, txid, amounts }: SettlementEntry): Steps<string> {
  const hashes = [block, txid].map((hash) => (hash === undefined ? "null" : `"${reverseHex(hash)}"`));
  let list = "";
  for (const [i, { script, amount }] of amounts.entries()) {
    list += `${i === 0 ? "" : ","}{"script":"${hex(script)}","amount":"${amount}"}`;
    if (i % PAUSE_AFTER === 0) yield;
  }
  return `{"entry":"${id}","kind":"${kind}","block":${hashes[0]},"txid":${hashes[1]},${AMOUNTS}${list}]}`;
}

/** An account's line as it stands in the document. By hand: there are as many as accounts. */
export function lineText({ account, script, weight, netWeight, before, earned, fee, paid, balance }: SettlementLine): string {
  const weights = `"weight":"${weight}","netWeight":"${netWeight}"`;
  const amounts = `"before":"${before}","earned":"${earned}","fee":"${fee}","paid":"${paid}","balance":"${balance}"`;
  return `{"account":${account},"script":"${hex(script)}",${weights},${amounts}}`;
}

function totalsText({ count, weight, earned, paid, owed }: MerkleTotals, root: Uint8Array): string {
  const sums = { weight: String(weight), earned: String(earned), paid: String(paid), owed: String(owed) };
  return JSON.stringify({ lines: count, ...sums, root: hex(root) });
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

/** An entry's values, checked. The amounts stand last, and may be as many as accounts: they are read in pieces. */
function* readEntry(line: number, text: string): Steps<SettlementEntry> {
  const at = text.indexOf(AMOUNTS);
  const start = at === -1 ? text.length : at + AMOUNTS.length;
  const fields = LineFields.parse(line, at === -1 ? text : `${text.slice(0, start)}]}`);
  const id = fields.decimal("entry", INT64);
  const kind = fields.word("kind", ["receipt", "spend", "credit", "reversal"]);
  const [block, txid] = ["block", "txid"].map((hash) => fields.nullable(hash, (name) => fields.displayHash(name)));
  const amounts = readAmounts(fields, 0);
  const end = text.length - "]}".length;
  for (let from = start; from < end; ) {
    const next = text.indexOf("},{", from + PIECE_LENGTH);
    const to = next === -1 ? end : next + 1;
    amounts.push(...readAmounts(LineFields.parse(line, `{${AMOUNTS}${text.slice(from, to)}]}`), amounts.length));
    from = to + 1;
    yield;
  }
  return { id, kind, block, txid, amounts };
}

/** @param first place of the first of them in the entry */
function readAmounts(fields: LineFields, first: number): { script: Uint8Array; amount: bigint }[] {
  return fields.objects("amounts", (item) => ({ script: item.script("script"), amount: item.decimal("amount", INT64, true) }), first);
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

/** Whether `readLine` takes what is written of a line. Much cheaper than to read it; `readLine` says what is wrong where something is. */
function canReadLine(
  { account, script, weight, netWeight, before, earned, fee, paid, balance }: SettlementLine,
  kind: Header["kind"],
): boolean {
  const named = Number.isInteger(account) && account >= 1 && account <= INT32 && script.length >= 1 && script.length <= MAX_SCRIPT;
  const weights = weight >= 0n && weight <= MAX_WEIGHT && netWeight >= 0n && netWeight <= MAX_WEIGHT;
  const amounts = [before, earned, fee, paid, balance].every((amount) => BigInt.asIntN(64, amount) === amount);
  const oneWay = [earned, fee, paid].every((amount) => (kind === "settlement" ? amount >= 0n : amount <= 0n));
  return named && weights && amounts && oneWay;
}

/** Entries by id, the amounts of each and all lines by script, none twice. */
function* checkOrder({ entries, lines, poolScripts }: Omit<Settlement, "root">): Steps<void> {
  yield* checkScripts(
    poolScripts.map((script) => ({ script })),
    (i) => ({ line: 1, field: `poolScripts[${i}]` }),
  );
  for (const [i, { id, amounts }] of entries.entries()) {
    const before = entries[i - 1]?.id;
    if (before !== undefined && id <= before) throw ProofError.at("proof.order", 2 + i, "entry", `an id above ${before}`, String(id));
    yield* checkScripts(amounts, (j) => ({ line: 2 + i, field: `amounts[${j}].script` }));
  }
  yield* checkScripts(lines, (i) => ({ line: 2 + entries.length + i, field: "script" }));
}

function* checkScripts(
  ascending: readonly { readonly script: Uint8Array }[],
  place: (index: number) => { line: number; field: string },
): Steps<void> {
  for (let i = 1; i < ascending.length; i++) {
    const { script: before } = ascending[i - 1] as { readonly script: Uint8Array };
    const { script } = ascending[i] as { readonly script: Uint8Array };
    if (Buffer.compare(before, script) >= 0) {
      const { line, field } = place(i);
      throw ProofError.at("proof.order", line, field, `a script after ${hex(before)}`, hex(script));
    }
    if (i % PAUSE_AFTER === 0) yield;
  }
}

/** The one spelling of a line. */
function checkSpelling(line: number, wanted: string, found: string): void {
  if (found !== wanted) throw ProofError.at("proof.notCanonical", line, "", wanted.slice(0, 200), found);
}

/** The last line; an error names the first field that is not as it must be. */
function checkTotals(line: number, wanted: string, found: string): void {
  const fields = parsed(found);
  for (const [field, value] of Object.entries(JSON.parse(wanted) as object)) {
    const other = fields?.[field];
    if (JSON.stringify(other) !== JSON.stringify(value)) {
      throw ProofError.at("proof.totals", line, field, String(value), other === undefined ? "nothing" : String(other));
    }
  }
  checkSpelling(line, wanted, found);
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
