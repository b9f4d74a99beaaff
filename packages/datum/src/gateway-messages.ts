/** Codec of what a gateway says: body of a mining message (command 5) ↔ value. Byte arrays in decoded values are views of the body. */
import { check, checkLength, checkU64, checkUint, Reader, Writer } from "./bytes.js";
import { DatumError } from "./errors.js";
import type {
  CoinbaserRequest,
  CoinbaseSection,
  GatewayMessage,
  JobAnnouncement,
  JobSection,
  Share,
  ShortIdsReply,
  TransactionsReply,
  ValidationError,
} from "./messages.js";
import { type PaddingSource, randomPadding } from "./padding.js";
import { MAX_VALIDATION_TRANSACTIONS } from "./pool-messages.js";

export const MAX_USERNAME_BYTES = 384;
const HASH_BYTES = 32;
const SHORT_ID_BYTES = 6;
const END = 0xfe;
/** Padding bytes at most: behind shares and requests, behind validation replies, behind replies that have no end mark. */
const MESSAGE_PADDING = 80;
const REPLY_PADDING = 111;
const BARE_PADDING = 100;
/** A job has seven coinbases: kinds 0-5 and subsidy-only. */
const MAX_COINBASES = 7;

const FLAG = { isBlock: 1, subsidyOnly: 2, quickdiff: 4 } as const;
const KNOWN_FLAGS = 7;

const VALIDATION_ERROR = {
  noJob: 0xf0,
  noTemplate: 0xf1,
  tooManyTransactions: 0xf2,
  badJobIndex: 0xf3,
  badRequest: 0xf4,
} as const satisfies Record<ValidationError, number>;
const VALIDATION_ERROR_NAMES = new Map<number, ValidationError>(
  Object.entries(VALIDATION_ERROR).map(([name, byte]) => [byte, name as ValidationError]),
);

const malformed = (expected: string, got: string): DatumError => new DatumError("malformedMessage", expected, got);

/** @throws DatumError `badValue` for what the wire can't hold */
export function encodeGatewayMessage(message: GatewayMessage, padding: PaddingSource = randomPadding): Uint8Array {
  const writer = new Writer();
  switch (message.type) {
    case "coinbaserRequest":
      encodeCoinbaserRequest(writer, message);
      return ended(writer, padding, MESSAGE_PADDING);
    case "share":
      encodeShare(writer, message);
      return ended(writer, padding, MESSAGE_PADDING);
    case "shortIds":
      return encodeShortIds(writer, message, padding);
    case "transactionsByIndex":
    case "fullSet":
      return encodeTransactions(writer, message, padding);
    case "jobAnnouncement":
      encodeAnnouncement(writer, message);
      return ended(writer, padding, MESSAGE_PADDING);
  }
}

/** @throws DatumError `unknownMessage`, `malformedMessage` */
export function decodeGatewayMessage(body: Uint8Array): GatewayMessage {
  const reader = new Reader(body, "a mining message");
  const command = reader.u8();
  switch (command) {
    case 0x27:
      return decodeShare(reader);
    case 0x10:
      return decodeCoinbaserRequest(reader);
    case 0x50:
      return decodeValidationReply(reader);
    case 0x28:
      return decodeAnnouncement(reader);
    default:
      throw new DatumError("unknownMessage", "a mining message of a gateway", `0x${command.toString(16)}`);
  }
}

function ended(writer: Writer, padding: PaddingSource, most: number): Uint8Array {
  const { length, byte } = padding(1, most);
  return writer.u8(END).padding(length, byte).finish();
}

function encodeCoinbaserRequest(writer: Writer, message: CoinbaserRequest): void {
  checkU64(message.value, "a value");
  checkLength(message.prevhash, HASH_BYTES, HASH_BYTES, "a prevhash");
  writer.u8(0x10).u64(message.value).bytes(message.prevhash);
}

function decodeCoinbaserRequest(reader: Reader): CoinbaserRequest {
  const value = reader.u64();
  const prevhash = reader.bytes(HASH_BYTES);
  reader.end(1, MESSAGE_PADDING);
  return { type: "coinbaserRequest", value, prevhash };
}

// Shares and their sections.

function encodeShare(writer: Writer, share: Share): void {
  checkUint(share.jobId, 8, "a job id");
  checkUint(share.coinbaseId, 8, "a coinbase id");
  checkUint(share.targetByte, 8, "a target byte");
  for (const word of [share.ntime, share.nonce, share.version, share.reserved]) checkUint(word, 32, "a header word");
  checkUint(share.unknownFlags, 8, "flags");
  check((share.unknownFlags & KNOWN_FLAGS) === 0, "unknown flags apart from the known ones", share.unknownFlags);
  checkLength(share.extranonce, 0, 255, "an extranonce");
  checkLength(share.username, 0, MAX_USERNAME_BYTES, "a username");
  check(!share.username.includes(0), "a username without NUL", "one");
  const flags =
    share.unknownFlags |
    (share.isBlock ? FLAG.isBlock : 0) |
    (share.subsidyOnly ? FLAG.subsidyOnly : 0) |
    (share.quickdiff ? FLAG.quickdiff : 0);
  writer.u8(0x27).u8(share.jobId).u8(share.coinbaseId).u8(flags).u8(share.targetByte);
  writer.u32(share.ntime).u32(share.nonce).u32(share.version);
  writer.u8(share.extranonce.length).bytes(share.extranonce).bytes(share.username).u8(0).u32(share.reserved);
  if (share.job !== undefined) encodeJob(writer, share.job);
  if (share.coinbase !== undefined) encodeCoinbase(writer, share.coinbase);
}

function decodeShare(reader: Reader): Share {
  const jobId = reader.u8();
  const coinbaseId = reader.u8();
  const flags = reader.u8();
  const targetByte = reader.u8();
  const ntime = reader.u32();
  const nonce = reader.u32();
  const version = reader.u32();
  const extranonce = reader.bytes(reader.u8());
  const username = reader.text(MAX_USERNAME_BYTES);
  const reserved = reader.u32();
  const { job, coinbases } = decodeSections(reader, 1);
  const coinbase = coinbases[0];
  return {
    type: "share",
    jobId,
    coinbaseId,
    isBlock: (flags & FLAG.isBlock) !== 0,
    subsidyOnly: (flags & FLAG.subsidyOnly) !== 0,
    quickdiff: (flags & FLAG.quickdiff) !== 0,
    unknownFlags: flags & ~KNOWN_FLAGS,
    targetByte,
    ntime,
    nonce,
    version,
    extranonce,
    username,
    reserved,
    ...(job !== undefined && { job }),
    ...(coinbase !== undefined && { coinbase }),
  };
}

/** Optional sections up to the end mark: a job at most once and first, then coinbases. */
function decodeSections(reader: Reader, mostCoinbases: number): { job: JobSection | undefined; coinbases: CoinbaseSection[] } {
  let job: JobSection | undefined;
  const coinbases: CoinbaseSection[] = [];
  for (;;) {
    const mark = reader.u8();
    if (mark === END) {
      if (reader.left < 1 || reader.left > MESSAGE_PADDING) throw malformed(`1 to ${MESSAGE_PADDING} bytes of padding`, `${reader.left}`);
      return { job, coinbases };
    }
    if (mark === 0x01 && job === undefined && coinbases.length === 0) job = decodeJob(reader);
    else if (mark === 0x02 && coinbases.length < mostCoinbases) coinbases.push(decodeCoinbase(reader));
    else throw malformed("a section 0x01, then 0x02, then 0xFE", `0x${mark.toString(16)}`);
  }
}

function encodeJob(writer: Writer, job: JobSection): void {
  checkLength(job.prevhash, HASH_BYTES, HASH_BYTES, "a prevhash");
  checkUint(job.targetByteIndex, 16, "a target byte index");
  checkUint(job.coinbaserId, 8, "a coinbaser id");
  checkU64(job.coinbaseValue, "a coinbase value");
  for (const word of [job.nbits, job.height, job.transactionCount, job.totalWeight, job.totalSize, job.totalSigops]) {
    checkUint(word, 32, "a word of the job");
  }
  const branches = job.branches.length / HASH_BYTES;
  check(Number.isInteger(branches) && branches <= 255, "up to 255 whole branches", branches);
  writer.u8(0x01).bytes(job.prevhash).u16(job.targetByteIndex).u32(job.nbits).u8(job.coinbaserId).u32(job.height);
  writer.u64(job.coinbaseValue).u32(job.transactionCount).u32(job.totalWeight).u32(job.totalSize).u32(job.totalSigops);
  writer.u8(branches).bytes(job.branches);
}

function decodeJob(reader: Reader): JobSection {
  return {
    prevhash: reader.bytes(HASH_BYTES),
    targetByteIndex: reader.u16(),
    nbits: reader.u32(),
    coinbaserId: reader.u8(),
    height: reader.u32(),
    coinbaseValue: reader.u64(),
    transactionCount: reader.u32(),
    totalWeight: reader.u32(),
    totalSize: reader.u32(),
    totalSigops: reader.u32(),
    branches: reader.bytes(reader.u8() * HASH_BYTES),
  };
}

function encodeCoinbase(writer: Writer, section: CoinbaseSection): void {
  checkUint(section.coinbaseId, 8, "a coinbase id");
  checkLength(section.coinb1, 0, 0xffff, "coinb1");
  checkLength(section.coinb2, 0, 0xffff, "coinb2");
  writer.u8(0x02).u8(section.coinbaseId).u16(section.coinb1.length).u16(section.coinb2.length);
  writer.bytes(section.coinb1).bytes(section.coinb2);
}

function decodeCoinbase(reader: Reader): CoinbaseSection {
  const coinbaseId = reader.u8();
  const first = reader.u16();
  const second = reader.u16();
  return { coinbaseId, coinb1: reader.bytes(first), coinb2: reader.bytes(second) };
}

function encodeAnnouncement(writer: Writer, message: JobAnnouncement): void {
  checkUint(message.jobId, 8, "a job id");
  check(message.coinbases.length <= MAX_COINBASES, `at most ${MAX_COINBASES} coinbases`, message.coinbases.length);
  writer.u8(0x28).u8(message.jobId);
  encodeJob(writer, message.job);
  for (const coinbase of message.coinbases) encodeCoinbase(writer, coinbase);
}

function decodeAnnouncement(reader: Reader): JobAnnouncement {
  const jobId = reader.u8();
  const { job, coinbases } = decodeSections(reader, MAX_COINBASES);
  if (job === undefined) throw malformed("an announcement with a job", "none");
  return { type: "jobAnnouncement", jobId, job, coinbases };
}

// Replies to validation requests.

function encodeShortIds(writer: Writer, message: ShortIdsReply, padding: PaddingSource): Uint8Array {
  writer.u8(0x50).u8(0x90);
  if (message.error !== undefined) return encodeError(writer, message.jobId, message.error, padding);
  const count = message.ids.length / SHORT_ID_BYTES;
  check(Number.isInteger(count) && count <= MAX_VALIDATION_TRANSACTIONS, `up to ${MAX_VALIDATION_TRANSACTIONS} whole ids`, count);
  checkUint(message.jobId, 8, "a job id");
  writer.u8(message.jobId).u8(0x01).u16(count);
  check((message.crosscheck !== undefined) === count > 0, "a crosscheck exactly when there are ids", count);
  if (message.crosscheck === undefined) return bare(writer, padding);
  checkLength(message.crosscheck, HASH_BYTES, HASH_BYTES, "a crosscheck");
  writer.bytes(message.ids).bytes(message.crosscheck);
  return ended(writer, padding, REPLY_PADDING);
}

function encodeTransactions(writer: Writer, message: TransactionsReply, padding: PaddingSource): Uint8Array {
  writer.u8(0x50).u8(message.type === "fullSet" ? 0x92 : 0x91);
  if (message.error !== undefined) return encodeError(writer, message.jobId, message.error, padding);
  checkUint(message.jobId, 8, "a job id");
  checkUint(message.transactions.length, 16, "a transaction count");
  writer.u8(message.jobId).u8(0x01).u16(message.transactions.length);
  for (const transaction of message.transactions) {
    checkUint(transaction.length, 24, "a transaction size");
    writer.u24(transaction.length).bytes(transaction);
  }
  // The full set is the one reply without padding.
  return message.type === "fullSet" ? writer.u8(END).finish() : ended(writer, padding, REPLY_PADDING);
}

function encodeError(writer: Writer, jobId: number, error: ValidationError, padding: PaddingSource): Uint8Array {
  checkUint(jobId, 8, "a job id");
  return bare(writer.u8(jobId).u8(VALIDATION_ERROR[error]), padding);
}

/** Errors, and the short ids of no transactions, end in padding without a mark before it. */
function bare(writer: Writer, padding: PaddingSource): Uint8Array {
  const { length, byte } = padding(1, BARE_PADDING);
  return writer.padding(length, byte).finish();
}

function expectBare(reader: Reader): void {
  if (reader.left < 1 || reader.left > BARE_PADDING) throw malformed(`1 to ${BARE_PADDING} bytes of padding`, `${reader.left}`);
}

function decodeValidationReply(reader: Reader): ShortIdsReply | TransactionsReply {
  const kind = reader.u8();
  if (kind !== 0x90 && kind !== 0x91 && kind !== 0x92) {
    throw new DatumError("unknownMessage", "a validation reply 0x90, 0x91 or 0x92", `0x${kind.toString(16)}`);
  }
  const jobId = reader.u8();
  const status = reader.u8();
  const type = kind === 0x91 ? "transactionsByIndex" : "fullSet";
  if (status !== 0x01) {
    const error = VALIDATION_ERROR_NAMES.get(status);
    if (error === undefined) throw malformed("0x01 or an error from 0xF0 to 0xF4", `0x${status.toString(16)}`);
    expectBare(reader);
    return kind === 0x90 ? { type: "shortIds", jobId, error, ids: new Uint8Array(0) } : { type, jobId, error, transactions: [] };
  }
  const count = reader.u16();
  if (kind === 0x90) return decodeShortIds(reader, jobId, count);
  const transactions: Uint8Array[] = [];
  for (let i = 0; i < count; i++) transactions.push(reader.bytes(reader.u24()));
  if (kind === 0x91) reader.end(1, REPLY_PADDING);
  else reader.end(0, 0);
  return { type, jobId, transactions };
}

function decodeShortIds(reader: Reader, jobId: number, count: number): ShortIdsReply {
  if (count > MAX_VALIDATION_TRANSACTIONS) throw malformed(`up to ${MAX_VALIDATION_TRANSACTIONS} ids`, `${count}`);
  if (count === 0) {
    expectBare(reader);
    return { type: "shortIds", jobId, ids: new Uint8Array(0) };
  }
  const ids = reader.bytes(count * SHORT_ID_BYTES);
  const crosscheck = reader.bytes(HASH_BYTES);
  reader.end(1, REPLY_PADDING);
  return { type: "shortIds", jobId, ids, crosscheck };
}
