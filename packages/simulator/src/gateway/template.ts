/** getblocktemplate's answer as a gateway keeps it: bytes instead of hex, totals worked out, order kept. */
import { type BlockTemplate, fromReverseHex, merkleBranches } from "@openprime/bitcoin";
import { SimulatorError } from "../errors.js";

/** A transaction of the template. */
export interface TemplateTransaction {
  /** With witness. */
  readonly raw: Uint8Array;
  /** 32 bytes, internal order. */
  readonly txid: Uint8Array;
  readonly wtxid: Uint8Array;
  readonly weight: number;
  /** As the node counts them. */
  readonly sigops: number;
  /** Satoshis. */
  readonly fee: bigint;
}

/** What a gateway shows of a template that it isn't honest about, see faults.ts. */
export interface ShownTransactions {
  /** Wtxids that the short ids are made of. */
  readonly wtxids?: readonly Uint8Array[];
  /** In place of the true one over these. */
  readonly crosscheck?: Uint8Array;
  /** What is sent when transactions are asked for; raw, with witness. */
  readonly raw?: readonly Uint8Array[];
}

export interface Template {
  readonly height: number;
  readonly version: number;
  /** 32 bytes, internal order. */
  readonly prevhash: Uint8Array;
  readonly nbits: number;
  readonly curtime: number;
  readonly mintime: number;
  /** Subsidy and fees, satoshis. */
  readonly value: bigint;
  /** The part of `value` that is not fees, satoshis. */
  readonly subsidy: bigint;
  readonly witnessCommitment: Uint8Array;
  readonly transactions: readonly TemplateTransaction[];
  /** 32 bytes each, one after another. */
  readonly branches: Uint8Array;
  readonly totalSize: number;
  readonly totalWeight: number;
  readonly totalSigops: number;
  readonly sizeLimit: number;
  readonly weightLimit: number;
  /** Undefined for an honest gateway: it shows what its job is made of. */
  readonly shown?: ShownTransactions;
}

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));

/** Subsidy by mainnet's schedule: the gateway uses it for subsidy-only work on every network. */
export const mainnetSubsidy = (height: number): bigint => 5_000_000_000n >> BigInt(Math.floor(height / 210_000));

/** Takes a node's answer. @throws SimulatorError `badTemplate` when it has no witness commitment */
export function readTemplate(answer: BlockTemplate): Template {
  if (answer.default_witness_commitment === undefined) {
    throw new SimulatorError("badTemplate", `a template with a witness commitment expected, got none at height ${answer.height}`);
  }
  return {
    height: answer.height,
    version: answer.version,
    prevhash: fromReverseHex(answer.previousblockhash),
    nbits: answer.bits,
    curtime: answer.curtime,
    mintime: answer.mintime,
    value: answer.coinbasevalue,
    subsidy: mainnetSubsidy(answer.height),
    witnessCommitment: bytes(answer.default_witness_commitment),
    ...ofTransactions(answer.transactions.map(readTransaction)),
    sizeLimit: answer.sizelimit,
    weightLimit: answer.weightlimit,
  };
}

function readTransaction(one: BlockTemplate["transactions"][number]): TemplateTransaction {
  const { data, txid, hash, ...rest } = one;
  return { raw: bytes(data), txid: fromReverseHex(txid), wtxid: fromReverseHex(hash), ...rest };
}

/** What a template says of these transactions. */
export function ofTransactions(
  transactions: readonly TemplateTransaction[],
): Pick<Template, "transactions" | "branches" | "totalSize" | "totalWeight" | "totalSigops"> {
  const total = (of: (one: TemplateTransaction) => number): number => transactions.reduce((sum, one) => sum + of(one), 0);
  return {
    transactions,
    branches: merkleBranches(transactions.map((one) => one.txid)),
    totalSize: total((one) => one.raw.length),
    totalWeight: total((one) => one.weight),
    totalSigops: total((one) => one.sigops),
  };
}
