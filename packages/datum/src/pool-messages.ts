/** Codec of what a pool says: body of a mining message (command 5) ↔ value. */
import { check, checkLength, checkU64, checkUint, Reader, Writer } from "./bytes.js";
import { DatumError } from "./errors.js";
import type {
  CoinbaserOutput,
  CoinbaserResponse,
  Configuration,
  Info,
  Ping,
  PoolMessage,
  ShareResponse,
  ShareStatus,
  TransactionsByIndexRequest,
} from "./messages.js";

/** What travels as a mining message. */
export type PoolMiningMessage = Exclude<PoolMessage, Ping | Info>;

export const MAX_SCRIPT_BYTES = 64;
export const MAX_TAG_BYTES = 83;
export const MAX_COINBASER_OUTPUTS = 512;
export const MAX_COINBASER_BLOB_BYTES = 32767;
/** No transaction index is larger: a gateway serves at most so many short ids. */
export const MAX_VALIDATION_TRANSACTIONS = 16383;
export const JOB_COUNT = 8;

const STATUS = { accepted: 0x50, tentative: 0x55, rejected: 0x66 } as const satisfies Record<ShareStatus, number>;
const STATUS_NAMES = new Map<number, ShareStatus>(Object.entries(STATUS).map(([name, byte]) => [byte, name as ShareStatus]));

/** @throws DatumError `badValue` for what a gateway could not work with */
export function encodePoolMessage(message: PoolMiningMessage): Uint8Array {
  switch (message.type) {
    case "configuration":
      return encodeConfiguration(message);
    case "coinbaser":
      return encodeCoinbaser(message);
    case "shortIdsRequest":
      return request(0x10, message.jobId).finish();
    case "transactionsByIndexRequest":
      return encodeByIndex(message);
    case "fullSetRequest":
      return request(0x12, message.jobId).finish();
    case "shareResponse":
      return encodeShareResponse(message);
    case "blockNotify":
      return Uint8Array.of(0xf9);
  }
}

/** @throws DatumError `unknownMessage`, `malformedMessage` */
export function decodePoolMessage(body: Uint8Array): PoolMiningMessage {
  const reader = new Reader(body, "a mining message");
  const command = reader.u8();
  let message: PoolMiningMessage;
  switch (command) {
    case 0x99:
      message = decodeConfiguration(reader);
      break;
    case 0x11:
      message = decodeCoinbaser(reader);
      break;
    case 0x50:
      message = decodeRequest(reader);
      break;
    case 0x8f:
      message = decodeShareResponse(reader);
      break;
    case 0xf9:
      message = { type: "blockNotify" };
      break;
    default:
      throw new DatumError("unknownMessage", "a mining message of a pool", `0x${command.toString(16)}`);
  }
  if (reader.left !== 0) throw malformed("nothing after the message", `${reader.left} bytes`);
  return message;
}

const malformed = (expected: string, got: string): DatumError => new DatumError("malformedMessage", expected, got);

function encodeConfiguration(message: Configuration): Uint8Array {
  const { payoutScript, primeId, tag, minimumDifficulty } = message;
  checkLength(payoutScript, 1, MAX_SCRIPT_BYTES, "a payout script");
  checkUint(primeId, 32, "a prime id");
  check(primeId !== 0, "a prime id that is not 0", primeId);
  checkLength(tag, 0, MAX_TAG_BYTES, "a tag");
  check(!tag.includes(0) && !tag.includes(0x0f), "a tag without NUL and 0x0F", Buffer.from(tag).toString("hex"));
  checkU64(minimumDifficulty, "a minimum difficulty");
  check(isPowerOfTwo(minimumDifficulty), "a power of two as minimum difficulty", minimumDifficulty);
  const writer = new Writer().u8(0x99).u8(0x01).u8(payoutScript.length).bytes(payoutScript).u32(primeId);
  return writer.u8(tag.length).bytes(tag).u64(minimumDifficulty).u8(0x00).u8(0xfe).finish();
}

function decodeConfiguration(reader: Reader): Configuration {
  expectByte(reader, 0x01, "configuration version");
  const payoutScript = reader.bytes(reader.u8());
  const primeId = reader.u32();
  const tag = reader.bytes(reader.u8());
  const minimumDifficulty = reader.u64();
  expectByte(reader, 0x00, "byte before the end mark");
  reader.end(0, 0);
  if (payoutScript.length < 1 || payoutScript.length > MAX_SCRIPT_BYTES)
    throw malformed(`a script of 1 to ${MAX_SCRIPT_BYTES} bytes`, `${payoutScript.length}`);
  if (tag.length > MAX_TAG_BYTES) throw malformed(`a tag of at most ${MAX_TAG_BYTES} bytes`, `${tag.length}`);
  if (tag.includes(0) || tag.includes(0x0f)) throw malformed("a tag without NUL and 0x0F", Buffer.from(tag).toString("hex"));
  if (primeId === 0) throw malformed("a prime id that is not 0", "0");
  if (!isPowerOfTwo(minimumDifficulty)) throw malformed("a power of two as minimum difficulty", `${minimumDifficulty}`);
  return { type: "configuration", payoutScript, primeId, tag, minimumDifficulty };
}

const isPowerOfTwo = (value: bigint): boolean => value > 0n && (value & (value - 1n)) === 0n;

function encodeCoinbaser(message: CoinbaserResponse): Uint8Array {
  const { value, coinbaserId, outputs } = message;
  checkU64(value, "a value");
  check(Number.isInteger(coinbaserId) && coinbaserId >= 1 && coinbaserId <= 255, "a coinbaser id from 1 to 255", coinbaserId);
  check(outputs.length <= MAX_COINBASER_OUTPUTS, `at most ${MAX_COINBASER_OUTPUTS} outputs`, outputs.length);
  const blobBytes = outputs.reduce((bytes, { script }) => bytes + 9 + script.length, 1);
  check(blobBytes <= MAX_COINBASER_BLOB_BYTES, `a coinbaser blob of at most ${MAX_COINBASER_BLOB_BYTES} bytes`, blobBytes);
  const writer = new Writer(13 + blobBytes).u8(0x11).u64(value).u32(blobBytes).u8(coinbaserId);
  for (const output of outputs) {
    checkU64(output.value, "an output's value");
    checkLength(output.script, 2, MAX_SCRIPT_BYTES, "an output's script");
    writer.u64(output.value).u8(output.script.length).bytes(output.script);
  }
  return writer.finish();
}

function decodeCoinbaser(reader: Reader): CoinbaserResponse {
  const value = reader.u64();
  const length = reader.u32();
  if (length < 1 || length > MAX_COINBASER_BLOB_BYTES) throw malformed(`a blob of 1 to ${MAX_COINBASER_BLOB_BYTES} bytes`, `${length}`);
  const blob = new Reader(reader.bytes(length), "a coinbaser blob");
  const coinbaserId = blob.u8();
  const outputs: CoinbaserOutput[] = [];
  while (blob.left > 0) {
    if (outputs.length === MAX_COINBASER_OUTPUTS) throw malformed(`at most ${MAX_COINBASER_OUTPUTS} outputs`, "more");
    const sats = blob.u64();
    const scriptLength = blob.u8();
    if (scriptLength < 2 || scriptLength > MAX_SCRIPT_BYTES)
      throw malformed(`an output script of 2 to ${MAX_SCRIPT_BYTES} bytes`, `${scriptLength}`);
    outputs.push({ value: sats, script: blob.bytes(scriptLength) });
  }
  if (coinbaserId === 0) throw malformed("a coinbaser id from 1 to 255", "0");
  return { type: "coinbaser", value, coinbaserId, outputs };
}

function request(kind: number, jobId: number): Writer {
  checkJobId(jobId);
  return new Writer().u8(0x50).u8(kind).u8(jobId);
}

function checkJobId(jobId: number): void {
  check(Number.isInteger(jobId) && jobId >= 0 && jobId < JOB_COUNT, `a job id from 0 to ${JOB_COUNT - 1}`, jobId);
}

function encodeByIndex(message: TransactionsByIndexRequest): Uint8Array {
  const { indices } = message;
  check(
    indices.length >= 1 && indices.length <= MAX_VALIDATION_TRANSACTIONS,
    `1 to ${MAX_VALIDATION_TRANSACTIONS} indices`,
    indices.length,
  );
  check(new Set(indices).size === indices.length, "no index twice", "one twice");
  const writer = request(0x11, message.jobId).u16(indices.length);
  for (const index of indices) {
    checkUint(index, 14, "an index");
    writer.u16(index);
  }
  return writer.finish();
}

function decodeRequest(reader: Reader): PoolMiningMessage {
  const kind = reader.u8();
  const jobId = reader.u8();
  if (jobId >= JOB_COUNT) throw malformed(`a job id from 0 to ${JOB_COUNT - 1}`, `${jobId}`);
  if (kind === 0x10) return { type: "shortIdsRequest", jobId };
  if (kind === 0x12) return { type: "fullSetRequest", jobId };
  if (kind !== 0x11) throw new DatumError("unknownMessage", "a validation request 0x10, 0x11 or 0x12", `0x${kind.toString(16)}`);
  const count = reader.u16();
  if (count < 1 || count > MAX_VALIDATION_TRANSACTIONS) throw malformed(`1 to ${MAX_VALIDATION_TRANSACTIONS} indices`, `${count}`);
  const indices: number[] = [];
  for (let i = 0; i < count; i++) indices.push(reader.u16());
  if (new Set(indices).size !== count || indices.some((index) => index > MAX_VALIDATION_TRANSACTIONS)) {
    throw malformed(`indices up to ${MAX_VALIDATION_TRANSACTIONS}, none twice`, "others");
  }
  return { type: "transactionsByIndexRequest", jobId, indices };
}

function encodeShareResponse(message: ShareResponse): Uint8Array {
  checkUint(message.reason, 16, "a reason");
  checkUint(message.nonce, 32, "a nonce");
  checkUint(message.targetByte, 8, "a target byte");
  checkUint(message.jobId, 8, "a job id");
  // Ten bytes, made at every share: no growing buffer.
  const bytes = Buffer.allocUnsafe(10);
  bytes[0] = 0x8f;
  bytes[1] = STATUS[message.status];
  bytes.writeUInt16LE(message.reason, 2);
  bytes.writeUInt32LE(message.nonce, 4);
  bytes[8] = message.targetByte;
  bytes[9] = message.jobId;
  return bytes;
}

function decodeShareResponse(reader: Reader): ShareResponse {
  const byte = reader.u8();
  const status = STATUS_NAMES.get(byte);
  if (status === undefined) throw malformed("status 0x50, 0x55 or 0x66", `0x${byte.toString(16)}`);
  return { type: "shareResponse", status, reason: reader.u16(), nonce: reader.u32(), targetByte: reader.u8(), jobId: reader.u8() };
}

function expectByte(reader: Reader, byte: number, what: string): void {
  const got = reader.u8();
  if (got !== byte) throw malformed(`${what} 0x${byte.toString(16)}`, `0x${got.toString(16)}`);
}
