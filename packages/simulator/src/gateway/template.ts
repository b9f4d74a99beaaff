/** getblocktemplate's answer as a gateway keeps it: bytes instead of hex, totals worked out, order kept. */
import { type BlockTemplate, fromReverseHex, merkleBranches } from "@openprime/bitcoin";
import { SimulatorError } from "../errors.js";

/** A transaction of the template. */
export interface TemplateTransaction {
  /** With witness. */
  readonly raw: Uint8Array;
  /** 32 bytes, internal order. */
  readonly wtxid: Uint8Array;
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
}

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));

/** Subsidy by mainnet's schedule: the gateway uses it for subsidy-only work on every network. */
export const mainnetSubsidy = (height: number): bigint => 5_000_000_000n >> BigInt(Math.floor(height / 210_000));

/** Takes a node's answer. @throws SimulatorError `badTemplate` when it has no witness commitment */
export function readTemplate(answer: BlockTemplate): Template {
  if (answer.default_witness_commitment === undefined) {
    throw new SimulatorError("badTemplate", `a template with a witness commitment expected, got none at height ${answer.height}`);
  }
  const total = (of: (one: BlockTemplate["transactions"][number]) => number): number =>
    answer.transactions.reduce((sum, one) => sum + of(one), 0);
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
    transactions: answer.transactions.map((one) => ({ raw: bytes(one.data), wtxid: fromReverseHex(one.hash) })),
    branches: merkleBranches(answer.transactions.map((one) => fromReverseHex(one.txid))),
    totalSize: total((one) => one.data.length / 2),
    totalWeight: total((one) => one.weight),
    totalSigops: total((one) => one.sigops),
    sizeLimit: answer.sizelimit,
    weightLimit: answer.weightlimit,
  };
}
