/** What the pool finds out about a job's template by itself. Pure: the node's judgement (proposals.ts) comes after it. */
import { blockWeight, type Coinbase, isWitnessCommitment, MAX_BLOCK_WEIGHT, parseCoinbase, TransactionError } from "@openprime/bitcoin";
import { crosscheck, type JobSection } from "@openprime/datum";
import type { Fault } from "./codes.js";
import { legacyCost, type TransactionSet } from "./transaction-set.js";

/** BIP141. */
const MAX_SIGOPS_COST = 80_000;
/** Of a transaction of one input and one output, with empty scripts. */
const LEAST_TRANSACTION_WEIGHT = 240;

/** What is known besides job and transactions. */
export interface ValueFacts {
  /** Satoshis, of the transactions whose fee is known. */
  readonly knownFees: bigint;
  /** Whether that is all of them. */
  readonly allFeesKnown: boolean;
  /** New coins of the block, satoshis. */
  readonly subsidy: bigint;
}

/** Whether the wtxids are those that a gateway's short ids stand for. @param expected undefined for no transactions */
export function passesCrosscheck(wtxids: readonly Uint8Array[], expected: Uint8Array | undefined): boolean {
  return expected === undefined ? wtxids.length === 0 : Buffer.compare(crosscheck(wtxids), expected) === 0;
}

/** Whether no block could hold what the job says of its transactions: they need not be asked for, and not be read. */
export function findClaimFault({ transactionCount, totalWeight }: Pick<JobSection, "transactionCount" | "totalWeight">): Fault | undefined {
  const least = Math.max(totalWeight, LEAST_TRANSACTION_WEIGHT * transactionCount);
  if (least <= MAX_BLOCK_WEIGHT) return undefined;
  return { code: "tooHeavy", detail: `its transactions weigh ${least} at least, at most ${MAX_BLOCK_WEIGHT} is allowed` };
}

/** Whether a set is another than the job's: told by its number, or by the merkle branches, which only the job's own set gives. */
export function findMismatch(
  job: Pick<JobSection, "transactionCount" | "branches">,
  set: Pick<TransactionSet, "raw" | "branches">,
): Fault | undefined {
  if (set.raw.length !== job.transactionCount) return wrongCount(job.transactionCount, set.raw.length);
  if (Buffer.compare(set.branches, job.branches) === 0) return undefined;
  return { code: "merkleMismatch", detail: "its transactions do not give the merkle branches that are mined on" };
}

export function wrongCount(expected: number, got: number): Fault {
  return { code: "countMismatch", detail: `the job says ${expected} transactions, the gateway has ${got}` };
}

/**
 * The first thing that is wrong with a template whose set is the job's; undefined when nothing is.
 *
 * @param coinbase non-witness form
 */
export function findFault(job: JobSection, coinbase: Uint8Array, set: TransactionSet, facts: ValueFacts): Fault | undefined {
  return set.fault ?? totalsFault(job, set) ?? coinbaseFault(coinbase, set, facts);
}

function totalsFault(job: JobSection, { weight, size }: TransactionSet): Fault | undefined {
  const claims = [
    ["weight", job.totalWeight, weight],
    ["size", job.totalSize, size],
  ] as const;
  for (const [what, claimed, real] of claims) {
    if (claimed !== real) return { code: "totalsMismatch", detail: `the job says a ${what} of ${claimed}, its transactions have ${real}` };
  }
  return undefined;
}

function coinbaseFault(raw: Uint8Array, set: TransactionSet, facts: ValueFacts): Fault | undefined {
  let coinbase: Coinbase;
  try {
    coinbase = parseCoinbase(raw);
  } catch (error) {
    if (!(error instanceof TransactionError)) throw error;
    return { code: "badCoinbase", detail: `the coinbase can't be read: ${error.message}` };
  }
  const { outputs, scriptSig } = coinbase;
  // With several commitments the last one counts.
  const commitment = outputs.findLast(({ script }) => isWitnessCommitment(script))?.script.subarray(6, 38);
  const scripts = [scriptSig, ...outputs.map(({ script }) => script)];
  const value = outputs.reduce((sum, output) => sum + output.value, 0n);
  return (
    weightFault(raw.length, commitment !== undefined, set) ??
    sigopsFault(legacyCost(scripts), set) ??
    commitmentFault(commitment, set) ??
    valueFault(value, facts)
  );
}

function weightFault(coinbaseBytes: number, commits: boolean, { raw, weight }: TransactionSet): Fault | undefined {
  const total = blockWeight(coinbaseBytes, commits, raw.length, weight);
  if (total <= MAX_BLOCK_WEIGHT) return undefined;
  return { code: "tooHeavy", detail: `a block of it would weigh ${total}, at most ${MAX_BLOCK_WEIGHT} is allowed` };
}

function sigopsFault(coinbaseCost: number, { sigopsCost }: TransactionSet): Fault | undefined {
  const cost = coinbaseCost + sigopsCost;
  if (cost <= MAX_SIGOPS_COST) return undefined;
  return { code: "tooManySigops", detail: `its signature operations cost at least ${cost}, at most ${MAX_SIGOPS_COST} is allowed` };
}

function commitmentFault(commitment: Uint8Array | undefined, set: TransactionSet): Fault | undefined {
  if (commitment === undefined) {
    return set.hasWitness
      ? { code: "commitmentMissing", detail: "its transactions have witnesses and the coinbase does not commit to them" }
      : undefined;
  }
  if (Buffer.compare(commitment, set.commitment) === 0) return undefined;
  return { code: "commitmentMismatch", detail: "the coinbase commits to other witnesses than its transactions have" };
}

function valueFault(value: bigint, { subsidy, knownFees, allFeesKnown }: ValueFacts): Fault | undefined {
  if (!allFeesKnown || value <= subsidy + knownFees) return undefined;
  return { code: "overpaid", detail: `the coinbase takes ${value} satoshis, subsidy and fees come to ${subsidy + knownFees}` };
}
