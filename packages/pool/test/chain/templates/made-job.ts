/** Jobs with real transactions, made of a short notation, right in every way unless the test says otherwise. */
import { merkleBranches, merkleRoot, parseTransaction, sha256, sha256d } from "@openprime/bitcoin";
import type { JobSection } from "@openprime/datum";
import { makeSet } from "../../../src/chain/templates/transaction-set.js";
import type { OpenedJob, Parent, TransactionSource } from "../../../src/work/index.js";

export interface TransactionNotes {
  /** `name:output` of an outside transaction, or `#place:output` of one in the list. */
  readonly spends: readonly string[];
  readonly witness?: boolean;
  /** More bytes in an output's script. */
  readonly pad?: number;
  /** OP_CHECKSIGs in an output's script. */
  readonly sigops?: number;
}

export interface CoinbaseNotes {
  readonly commitment?: "right" | "wrong" | "none";
  /** Satoshis over (or under) subsidy and fees. */
  readonly over?: number;
  readonly sigops?: number;
}

export const SUBSIDY = 5_000_000_000n;
/** Of each transaction. */
export const FEE = 1000n;
export const HEIGHT = 120;

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

function output(value: bigint, script: Uint8Array): Buffer {
  const amount = Buffer.alloc(8);
  amount.writeBigUInt64LE(value);
  return Buffer.concat([amount, compactSize(script.length), script]);
}

function compactSize(value: number): Buffer {
  if (value < 0xfd) return Buffer.of(value);
  return value <= 0xffff ? Buffer.of(0xfd, value & 0xff, value >>> 8) : Buffer.concat([Buffer.of(0xfe), u32(value)]);
}

/** Raw transactions in the order of the notes; they may spend each other in any order. */
export function makeTransactions(notes: readonly TransactionNotes[]): Uint8Array[] {
  const made = new Map<number, Uint8Array>();
  const make = (place: number): Uint8Array => {
    const known = made.get(place);
    if (known !== undefined) return known;
    const { spends, witness = false, pad = 0, sigops = 0 } = notes[place]!;
    const inputs = spends.map((spent) => {
      const [of = "", index = "0"] = spent.split(":");
      const txid = of.startsWith("#") ? parseTransaction(make(Number(of.slice(1)))).txid : sha256(Buffer.from(of));
      return Buffer.concat([txid, u32(Number(index)), Buffer.from("00ffffffff", "hex")]);
    });
    const script = Buffer.concat([Buffer.of(0x51), Buffer.alloc(sigops, 0xac), Buffer.alloc(pad, 0x51)]);
    const body = Buffer.concat([Buffer.of(inputs.length), ...inputs, Buffer.of(2), output(1n, script), output(2n, Buffer.of(0x51))]);
    const witnesses = Buffer.concat(inputs.map((_, i) => Buffer.of(1, 2, place & 0xff, i)));
    const raw = witness ? Buffer.concat([u32(2), Buffer.of(0, 1), body, witnesses, u32(0)]) : Buffer.concat([u32(2), body, u32(0)]);
    made.set(place, raw);
    return raw;
  };
  return notes.map((_, place) => make(place));
}

/** As many transactions of outside coins, each third with a witness. */
export function simpleTransactions(count: number, name = "coin"): Uint8Array[] {
  return makeTransactions(Array.from({ length: count }, (_, i) => ({ spends: [`${name}${i}:${i}`], witness: i % 3 === 0 })));
}

/** Without witness. */
export function makeCoinbase(commitment: Uint8Array | undefined, value: bigint, sigops = 0): Uint8Array {
  const outputs = [output(value, Buffer.concat([Buffer.of(0x51), Buffer.alloc(sigops, 0xac)]))];
  if (commitment !== undefined) outputs.push(output(0n, Buffer.concat([Buffer.from("6a24aa21a9ed", "hex"), commitment])));
  return Buffer.concat([
    ...[u32(1), Buffer.of(1), Buffer.alloc(32), u32(0xffffffff), Buffer.from("03017800", "hex"), u32(0xffffffff)],
    ...[Buffer.of(outputs.length), ...outputs, u32(0)],
  ]);
}

export interface MadeJob {
  readonly job: JobSection;
  readonly coinbase: Uint8Array;
  readonly header: Uint8Array;
  readonly transactions: readonly Uint8Array[];
}

/** A job over transactions. @param claims what it says besides the truth */
export function makeJob(
  transactions: readonly Uint8Array[],
  notes: CoinbaseNotes = {},
  claims: Partial<JobSection> = {},
  prevhash: Uint8Array = Buffer.alloc(32, 7),
): MadeJob {
  const parsed = transactions.map(parseTransaction);
  const root = merkleRoot([new Uint8Array(32), ...parsed.map(({ wtxid }) => wtxid)]);
  const right = sha256d(Buffer.concat([root, new Uint8Array(32)]));
  const { commitment = "right", over = 0, sigops = 0 } = notes;
  const value = SUBSIDY + FEE * BigInt(transactions.length) + BigInt(over);
  const committed = commitment === "none" ? undefined : commitment === "right" ? right : Buffer.alloc(32, 1);
  const coinbase = makeCoinbase(committed, value, sigops);
  const txids = parsed.map(({ txid }) => txid);
  const job: JobSection = {
    prevhash,
    targetByteIndex: 0,
    nbits: 0x207fffff,
    coinbaserId: 0,
    height: HEIGHT,
    coinbaseValue: value,
    transactionCount: transactions.length,
    totalWeight: parsed.reduce((sum, { weight }) => sum + weight, 0),
    totalSize: parsed.reduce((sum, { size }) => sum + size, 0),
    totalSigops: 0,
    branches: merkleBranches(txids),
    ...claims,
  };
  const header = Buffer.concat([u32(0x20000000), prevhash, merkleRoot([sha256d(coinbase), ...txids]), u32(1), Buffer.alloc(8)]);
  return { job, coinbase, header, transactions };
}

export const setOf = async (raw: readonly Uint8Array[]): ReturnType<typeof makeSet> => makeSet(raw, raw.map(parseTransaction));

export function makeParent(state: Parent["state"] = "tip", hash: Uint8Array = Buffer.alloc(32, 7)): Parent {
  return { hash, state, height: HEIGHT - 1, childBits: 0x207fffff, medianTime: 0, staleSince: undefined };
}

export function openedJob(
  { job, coinbase, header }: MadeJob,
  source: TransactionSource,
  more: Partial<Pick<OpenedJob, "sessionId" | "jobId" | "jobSerial" | "parent">> = {},
): OpenedJob {
  return { sessionId: 1n, jobId: 3, jobSerial: 9, parent: makeParent(), job, coinbase, header, source, ...more };
}
