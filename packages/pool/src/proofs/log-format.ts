/**
 * The text of a log file: NDJSON, one file for each segment of the share log. Line 1 is the header, then a line for each entry of the segment by position, and a
 * last line with the segment's last position and counts. docs/proofs.md has the fields.
 *
 * Positions rise from line to line and may leave gaps: a share that came twice uses up a position and makes no entry. The files leave no gap: the last
 * position of one is what the next follows.
 *
 * Decoding takes only what encoding writes, byte for byte, so that a segment has one hash.
 */
import { NETWORKS, type NetworkName, reverseHex } from "@openprime/bitcoin";
import { ProofError } from "./errors.js";
import { hex } from "./hex.js";
import { LineFields } from "./json-line.js";

/** The first field of each file. */
export const LOG_FORMAT = "openprime-log/1";

/** How the shares of a segment are paid, in its header, where no window pays them. */
const PER_SHARE = "per-share";

/** Characters of the longest line that is read: the largest script takes 20,000. */
export const MAX_LOG_LINE = 65_536;

/** Hashes are 32 bytes: those of blocks and shares in internal order, those of files as they are. */
export interface LogHeader {
  readonly kind: "header";
  /** bitcoin network: mainnet, testnet, testnet4, signet, regtest. */
  readonly network: string;
  /** 1, 2, 3… without a gap. */
  readonly segment: number;
  /** The tip that the segment belongs to; undefined before the pool had seen one. */
  readonly prevhash: Uint8Array | undefined;
  /** Position that the segment follows. */
  readonly after: bigint;
  /** sha256 of the text of the segment before it; zeros for the first. */
  readonly previous: Uint8Array;
  /** Its shares are paid one by one: they are in no window. */
  readonly perShare: boolean;
}

/** A credited share. */
export interface LogShare {
  readonly kind: "share";
  readonly position: bigint;
  /** Milliseconds, pool clock. */
  readonly time: number;
  readonly hash: Uint8Array;
  /** Parent of its block: its round. */
  readonly prevhash: Uint8Array;
  /** Of its block, as the job had it. */
  readonly height: number;
  /** scriptPubKey of the account. */
  readonly script: Uint8Array;
  /** "" for none. */
  readonly worker: string;
  /** Share difficulty. */
  readonly weight: bigint;
  /** Fee rate it was accepted under, parts per million. */
  readonly feePpm: number;
  /** Split that its job was made from. */
  readonly split: bigint | undefined;
  /** Position that its job is pinned to. */
  readonly pin: bigint;
  /** Of its session; 0 when the books have none. */
  readonly primeId: number;
  readonly targetByte: number;
  readonly coinbaseId: number;
  readonly ntime: number;
}

/** A share taken back. Pins before it keep the share. */
export interface LogVoid {
  readonly kind: "void";
  readonly position: bigint;
  /** Position of the share, and the rest as the share has it. */
  readonly share: bigint;
  readonly hash: Uint8Array;
  readonly script: Uint8Array;
  readonly weight: bigint;
  readonly feePpm: number;
  /** Segment of the share. */
  readonly segment: number;
  /** `parent`: its parent does not exist or has another height; `template`: a block of its job would not have been valid. */
  readonly reason: "parent" | "template";
}

export type LogEntry = LogShare | LogVoid;

export interface LogEnd {
  readonly kind: "end";
  /** Last position of the segment, used by an entry or not: the next segment follows it. */
  readonly last: bigint;
  readonly shares: number;
  readonly voids: number;
}

export type LogLine = LogHeader | LogEntry | LogEnd;

/** Positions, ids and a share's weight are signed numbers of 64 bits, or one more for the weight 2^63. */
const INT64 = 63;
const UINT64 = 64;
const INT32 = 0x7fff_ffff;
const UINT32 = 0xffff_ffff;
const BYTE = 0xff;
const PPM = 1_000_000;
const NETWORK_NAMES = Object.keys(NETWORKS) as NetworkName[];

/** A line without its end ("\n"). */
export function encodeLogHeader({ network, segment, prevhash, after, previous, perShare }: Omit<LogHeader, "kind">): string {
  return JSON.stringify({
    format: LOG_FORMAT,
    network,
    segment,
    prevhash: prevhash === undefined ? null : reverseHex(prevhash),
    after: String(after),
    previous: hex(previous),
    ...(perShare && { paid: PER_SHARE }),
  });
}

/** A line without its end ("\n"). */
export function encodeLogEntry(entry: LogEntry): string {
  if (entry.kind === "void") {
    return JSON.stringify({
      position: String(entry.position),
      share: String(entry.share),
      hash: reverseHex(entry.hash),
      script: hex(entry.script),
      weight: String(entry.weight),
      feePpm: entry.feePpm,
      segment: entry.segment,
      // The first log files had one reason only, and did not name it.
      ...(entry.reason !== "parent" && { reason: entry.reason }),
    });
  }
  return JSON.stringify({
    position: String(entry.position),
    time: entry.time,
    hash: reverseHex(entry.hash),
    prevhash: reverseHex(entry.prevhash),
    height: entry.height,
    script: hex(entry.script),
    worker: entry.worker,
    weight: String(entry.weight),
    feePpm: entry.feePpm,
    split: entry.split === undefined ? null : String(entry.split),
    pin: String(entry.pin),
    primeId: entry.primeId,
    targetByte: entry.targetByte,
    coinbaseId: entry.coinbaseId,
    ntime: entry.ntime,
  });
}

/** A line without its end ("\n"). */
export function encodeLogEnd({ last, shares, voids }: Omit<LogEnd, "kind">): string {
  return JSON.stringify({ end: String(last), shares, voids });
}

/**
 * Reads one line of a log file.
 *
 * @param text without the end of the line
 * @param number of the line, from 1, for the error
 * @throws ProofError for anything that encoding does not write
 */
export function decodeLogLine(text: string, number = 1): LogLine {
  if (text.length > MAX_LOG_LINE) {
    throw new ProofError("proof.tooLarge", `line ${number}: expected at most ${MAX_LOG_LINE} characters, got ${text.length}`);
  }
  const line = readLine(LineFields.parse(number, text));
  const written = encode(line);
  if (written !== text) throw ProofError.at("proof.notCanonical", number, "", written, text);
  return line;
}

function encode(line: LogLine): string {
  switch (line.kind) {
    case "header":
      return encodeLogHeader(line);
    case "end":
      return encodeLogEnd(line);
    default:
      return encodeLogEntry(line);
  }
}

function readLine(fields: LineFields): LogLine {
  if (fields.has("format")) return readHeader(fields);
  if (fields.has("end")) return readEnd(fields);
  return fields.has("share") ? readVoid(fields) : readShare(fields);
}

function readHeader(fields: LineFields): LogHeader {
  fields.word("format", [LOG_FORMAT]);
  return {
    kind: "header",
    network: fields.word("network", NETWORK_NAMES),
    segment: fields.integer("segment", 1, INT32),
    prevhash: fields.nullable("prevhash", (name) => fields.displayHash(name)),
    after: fields.decimal("after", INT64),
    previous: fields.hex("previous", 32, 32),
    perShare: fields.has("paid") && fields.word("paid", [PER_SHARE]) === PER_SHARE,
  };
}

function readShare(fields: LineFields): LogShare {
  return {
    kind: "share",
    position: fields.decimal("position", INT64),
    time: fields.integer("time", 0, Number.MAX_SAFE_INTEGER),
    hash: fields.displayHash("hash"),
    prevhash: fields.displayHash("prevhash"),
    height: fields.integer("height", 0, INT32),
    script: fields.script("script"),
    worker: fields.text("worker"),
    weight: fields.decimal("weight", UINT64),
    feePpm: fields.integer("feePpm", 0, PPM),
    split: fields.nullable("split", (name) => fields.decimal(name, INT64)),
    pin: fields.decimal("pin", INT64),
    primeId: fields.integer("primeId", 0, UINT32),
    targetByte: fields.integer("targetByte", 0, BYTE),
    coinbaseId: fields.integer("coinbaseId", 0, BYTE),
    ntime: fields.integer("ntime", 0, UINT32),
  };
}

function readVoid(fields: LineFields): LogVoid {
  return {
    kind: "void",
    position: fields.decimal("position", INT64),
    share: fields.decimal("share", INT64),
    hash: fields.displayHash("hash"),
    script: fields.script("script"),
    weight: fields.decimal("weight", UINT64),
    feePpm: fields.integer("feePpm", 0, PPM),
    segment: fields.integer("segment", 1, INT32),
    reason: fields.has("reason") ? fields.word("reason", ["template"]) : "parent",
  };
}

function readEnd(fields: LineFields): LogEnd {
  return {
    kind: "end",
    last: fields.decimal("end", INT64),
    shares: fields.integer("shares", 0, Number.MAX_SAFE_INTEGER),
    voids: fields.integer("voids", 0, Number.MAX_SAFE_INTEGER),
  };
}
