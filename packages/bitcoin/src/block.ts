/** Blocks: put together from a found share for submission, and taken apart again. */
import { TransactionError } from "./errors.js";
import { ByteReader } from "./reader.js";
import { MAX_BLOCK_BYTES, parseCoinbase, readTransaction } from "./transaction.js";

/** BIP141: OP_RETURN, push of 36, and four bytes that mark the output holding the witness commitment. */
const COMMITMENT = Uint8Array.of(0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed);

/** Marker and flag of the witness form. */
const SEGWIT = Uint8Array.of(0, 1);

/** One stack item of 32 zero bytes: the witness reserved value that gateways commit to. */
const RESERVED_VALUE = Uint8Array.of(1, 32, ...new Uint8Array(32));

/** BIP141. */
export const MAX_BLOCK_WEIGHT = 4_000_000;
const HEADER_BYTES = 80;

/**
 * What a block weighs.
 *
 * @param coinbaseBytes without witness
 * @param commits whether the coinbase commits to witnesses
 * @param transactions how many there are besides the coinbase
 * @param weight of those
 */
export function blockWeight(coinbaseBytes: number, commits: boolean, transactions: number, weight: number): number {
  const witness = commits ? SEGWIT.length + RESERVED_VALUE.length : 0;
  return 4 * (HEADER_BYTES + compactSize(transactions + 1).length + coinbaseBytes) + witness + weight;
}

/** Whether a script is a BIP141 witness commitment. */
export function isWitnessCommitment(script: Uint8Array): boolean {
  return script.length >= 38 && COMMITMENT.every((byte, i) => script[i] === byte);
}

/**
 * The block as `submitblock` takes it.
 *
 * @param header80 80 bytes
 * @param coinbaseNonWitness the coinbase as it was hashed; the witness reserved value (32 zero bytes) is added when an output carries a
 *   witness commitment (BIP141)
 * @param transactions the others, in order, with their witnesses
 * @throws TransactionError for a header or coinbase that is none; the transactions are the node's to judge
 */
export function assembleBlock(header80: Uint8Array, coinbaseNonWitness: Uint8Array, transactions: readonly Uint8Array[]): Uint8Array {
  checkHeader(header80.length);
  const count = compactSize(transactions.length + 1);
  return new Uint8Array(Buffer.concat([header80, count, withReservedValue(coinbaseNonWitness), ...transactions]));
}

function withReservedValue(coinbase: Uint8Array): Uint8Array {
  if (coinbase[4] === 0) throw new TransactionError("notCoinbase", "expected the coinbase without witness, got the witness form");
  if (!parseCoinbase(coinbase).outputs.some((output) => isWitnessCommitment(output.script))) return coinbase;
  const locktimeAt = coinbase.length - 4;
  return Buffer.concat([coinbase.subarray(0, 4), SEGWIT, coinbase.subarray(4, locktimeAt), RESERVED_VALUE, coinbase.subarray(locktimeAt)]);
}

function compactSize(value: number): Uint8Array {
  if (value < 0xfd) return Uint8Array.of(value);
  if (value <= 0xffff) return Uint8Array.of(0xfd, value & 0xff, value >>> 8);
  const bytes = Buffer.alloc(5, 0xfe);
  bytes.writeUInt32LE(value, 1);
  return bytes;
}

/** A block in pieces; all are views of the bytes that were parsed. */
export interface Block {
  /** 80 bytes. */
  readonly header: Uint8Array;
  /** Raw transactions, the coinbase first. */
  readonly transactions: readonly [Uint8Array, ...Uint8Array[]];
}

/**
 * Splits a serialized block into its header and transactions.
 *
 * @throws TransactionError
 */
export function parseBlock(raw: Uint8Array): Block {
  if (raw.length > MAX_BLOCK_BYTES) {
    throw new TransactionError("tooLarge", `expected a block of at most ${MAX_BLOCK_BYTES} bytes, got ${raw.length}`);
  }
  if (raw.length < 80) checkHeader(raw.length);
  const reader = new ByteReader(raw);
  const header = reader.take(80);
  const count = reader.count(60);
  if (count === 0) throw new TransactionError("badStructure", "expected at least the coinbase, got no transaction");
  const coinbase = readTransaction(reader).bytes;
  const others: Uint8Array[] = [];
  for (let i = 1; i < count; i++) others.push(readTransaction(reader).bytes);
  reader.end();
  return { header, transactions: [coinbase, ...others] };
}

function checkHeader(length: number): void {
  if (length !== 80) throw new TransactionError("badHeader", `expected a header of 80 bytes, got ${length}`);
}
