/** Transactions and coinbases out of untrusted bytes: bounded work, and no other throw than TransactionError. */
import { TransactionError } from "./errors.js";
import { sha256d } from "./hash.js";
import { ByteReader } from "./reader.js";

/** No transaction, and no block, is longer (BIP141: weight at most 4,000,000). */
export const MAX_BLOCK_BYTES = 4_000_000;

/** 21 million coins in satoshis (Core's MAX_MONEY). */
const MAX_MONEY = 2_100_000_000_000_000n;

export interface TransactionInput {
  /** Txid of the output it spends, internal order. A view. */
  readonly previousTxid: Uint8Array;
  readonly previousIndex: number;
  /** A view. */
  readonly scriptSig: Uint8Array;
  /** Where scriptSig begins in the bytes that were parsed. */
  readonly scriptSigOffset: number;
  readonly sequence: number;
}

export interface TransactionOutput {
  /** Satoshis. */
  readonly value: bigint;
  /** scriptPubKey. A view. */
  readonly script: Uint8Array;
}

export interface Transaction {
  readonly version: number;
  readonly inputs: readonly TransactionInput[];
  readonly outputs: readonly TransactionOutput[];
  readonly locktime: number;
  readonly hasWitness: boolean;
  /** Hash without the witness, internal order. */
  readonly txid: Uint8Array;
  /** Hash with the witness (getblocktemplate's `hash`), internal order; the txid where there is none. */
  readonly wtxid: Uint8Array;
  /** Bytes as given. */
  readonly size: number;
  /** BIP141: three times the size without witness plus the size with it. */
  readonly weight: number;
}

export interface Coinbase {
  readonly version: number;
  /** A view. */
  readonly scriptSig: Uint8Array;
  /** Where scriptSig begins in the bytes that were parsed. */
  readonly scriptSigOffset: number;
  readonly sequence: number;
  readonly outputs: readonly TransactionOutput[];
  readonly locktime: number;
}

/** What the parser knows before anything is hashed. */
interface Layout extends Omit<Transaction, "txid" | "wtxid" | "size" | "weight"> {
  /** The whole transaction. */
  readonly bytes: Uint8Array;
  /** Inputs and outputs with their counts: what the txid covers between version and locktime. */
  readonly body: Uint8Array;
}

/** Reads one transaction and leaves the reader behind it. Used for blocks too; not exported by the package. */
export function readTransaction(reader: ByteReader): Layout {
  const start = reader.offset;
  const version = reader.u32();
  // BIP144: where the input count would be, a zero marks the witness form; what follows it is a flag.
  const hasWitness = reader.peek(0) === 0;
  if (hasWitness) {
    reader.u8();
    const flag = reader.u8();
    if (flag !== 1) throw new TransactionError("badStructure", `expected inputs or the segwit flag 1, got flag ${flag}`);
  }
  const bodyStart = reader.offset;
  const inputs = readInputs(reader, start);
  const outputs = readOutputs(reader);
  const body = reader.since(bodyStart);
  if (hasWitness) skipWitnesses(reader, inputs.length);
  const locktime = reader.u32();
  return { version, inputs, outputs, locktime, hasWitness, body, bytes: reader.since(start) };
}

function readInputs(reader: ByteReader, start: number): TransactionInput[] {
  const count = reader.count(41);
  if (count === 0) throw new TransactionError("badStructure", "expected at least one input, got none");
  const inputs: TransactionInput[] = [];
  for (let i = 0; i < count; i++) {
    const previousTxid = reader.take(32);
    const previousIndex = reader.u32();
    const length = reader.size();
    const scriptSigOffset = reader.offset - start;
    inputs.push({ previousTxid, previousIndex, scriptSig: reader.take(length), scriptSigOffset, sequence: reader.u32() });
  }
  return inputs;
}

function readOutputs(reader: ByteReader): TransactionOutput[] {
  const count = reader.count(9);
  if (count === 0) throw new TransactionError("badStructure", "expected at least one output, got none");
  const outputs: TransactionOutput[] = [];
  let sum = 0n;
  for (let i = 0; i < count; i++) {
    const value = reader.u64();
    sum += value;
    if (sum > MAX_MONEY) throw new TransactionError("badValue", `expected at most ${MAX_MONEY} satoshis in all outputs, got ${sum}`);
    outputs.push({ value, script: reader.take(reader.size()) });
  }
  return outputs;
}

function skipWitnesses(reader: ByteReader, inputCount: number): void {
  let items = 0;
  for (let i = 0; i < inputCount; i++) {
    const count = reader.count(1);
    for (let j = 0; j < count; j++) reader.take(reader.size());
    items += count;
  }
  // Core refuses it too: one transaction must not have two spellings.
  if (items === 0) throw new TransactionError("badStructure", "expected a witness after the segwit flag, got none");
}

function parseLayout(raw: Uint8Array): Layout {
  if (raw.length > MAX_BLOCK_BYTES) {
    throw new TransactionError("tooLarge", `expected a transaction of at most ${MAX_BLOCK_BYTES} bytes, got ${raw.length}`);
  }
  const reader = new ByteReader(raw);
  const layout = readTransaction(reader);
  reader.end();
  return layout;
}

/**
 * Parses one transaction, with or without witness (BIP144). Scripts in the result are views of `raw`.
 *
 * @throws TransactionError for anything that isn't exactly one transaction
 */
export function parseTransaction(raw: Uint8Array): Transaction {
  const { bytes, body, ...fields } = parseLayout(raw);
  const stripped = fields.hasWitness ? Buffer.concat([bytes.subarray(0, 4), body, bytes.subarray(bytes.length - 4)]) : bytes;
  const txid = sha256d(stripped);
  const wtxid = fields.hasWitness ? sha256d(bytes) : txid;
  return { ...fields, txid, wtxid, size: bytes.length, weight: 3 * stripped.length + bytes.length };
}

/**
 * Parses a coinbase in either form: one input with the null outpoint, scriptSig of 2 to 100 bytes (consensus: bad-cb-length).
 * Nothing is hashed, and scripts are views of `bytes`.
 *
 * @throws TransactionError
 */
export function parseCoinbase(bytes: Uint8Array): Coinbase {
  const { inputs, version, outputs, locktime } = parseLayout(bytes);
  const input = inputs[0]!;
  if (inputs.length !== 1 || input.previousIndex !== 0xffff_ffff || !input.previousTxid.every((byte) => byte === 0)) {
    throw new TransactionError("notCoinbase", `expected one input with the null outpoint, got ${inputs.length} inputs or another outpoint`);
  }
  const { scriptSig, scriptSigOffset, sequence } = input;
  if (scriptSig.length < 2 || scriptSig.length > 100) {
    throw new TransactionError("notCoinbase", `expected a scriptSig of 2 to 100 bytes, got ${scriptSig.length}`);
  }
  return { version, scriptSig, scriptSigOffset, sequence, outputs, locktime };
}
