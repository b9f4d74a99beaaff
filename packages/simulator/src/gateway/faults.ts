/**
 * Broken templates on demand, for tests of the pool: each is mined consistently with what it pretends, so that its shares are good for
 * everything but a look at its transactions.
 */
import { randomBytes } from "node:crypto";
import { merkleRoot, parseTransaction, sha256d } from "@openprime/bitcoin";
import { SimulatorError } from "../errors.js";
import { ofTransactions, type Template, type TemplateTransaction } from "./template.js";

/** Ways for a template to be wrong. */
export type TemplateFault =
  /** A merkle branch is not that of the transactions. */
  | "wrongBranch"
  /** Shows one transaction fewer than the job claims. */
  | "missingTransaction"
  /** Shows one more. */
  | "extraTransaction"
  /** The coinbase's witness commitment is that of another block. */
  | "wrongCommitment"
  /** Weighs over 4,000,000, and says so. */
  | "tooHeavy"
  /** Weighs over 4,000,000, and says something else. */
  | "heavierThanClaimed"
  | "tooManySigops"
  /** The coinbase pays more than subsidy and fees. */
  | "overpaying"
  /** Two transactions spend one output. */
  | "doubleSpend"
  /** A transaction spends an output that is not there. */
  | "missingInput"
  /** A transaction's signature (or witness script) is not the right one. */
  | "badWitness"
  /** The short ids, and their crosscheck, are those of other transactions. */
  | "foreignIds"
  /** The short ids are right, the crosscheck is not. */
  | "wrongCrosscheck"
  /** The transactions that it sends are not those of the short ids. */
  | "otherTransactions"
  /** No transactions, though the node has some: not invalid, but worth little. */
  | "empty";

const ANSWER_FAULTS = ["neverAnswers", "answersLate", "answersError"] as const;

/** Ways not to answer the pool's questions about a job. */
export type AnswerFault = (typeof ANSWER_FAULTS)[number];

export type GatewayFault = TemplateFault | AnswerFault;

export const isAnswerFault = (fault: GatewayFault): fault is AnswerFault => ANSWER_FAULTS.includes(fault as AnswerFault);

/** OP_RETURN, push of 36, BIP141's mark. */
const COMMITMENT_START = Uint8Array.of(0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed);
/** Satoshis: more than the fees of any block here. */
const TOO_MUCH = 100_000_000n;
/** Eleven of these weigh over 4,000,000. */
const HEAVY_BYTES = 95_000;
const HEAVY_COUNT = 11;
/** OP_CHECKSIGs outside a witness count four each, and a block may have 80,000. */
const MANY_CHECKSIGS = 20_001;
const OP_CHECKSIG = 0xac;
const OP_RETURN = 0x6a;

/**
 * The template with that fault.
 *
 * @throws SimulatorError `badTemplate` for one without transactions where the fault needs one
 */
export function spoil(template: Template, fault: TemplateFault): Template {
  const { transactions } = template;
  if (fault === "empty") return withTransactions(template, []);
  const last = transactions.at(-1);
  if (last === undefined) throw new SimulatorError("badTemplate", `a template with transactions expected for ${fault}, got an empty one`);
  const add = (...more: readonly TemplateTransaction[]): Template => withTransactions(template, [...transactions, ...more]);
  const replaceLast = (by: TemplateTransaction): Template => withTransactions(template, [...transactions.slice(0, -1), by]);
  switch (fault) {
    case "wrongBranch":
      return { ...template, branches: flipped(template.branches, template.branches.length - 1) };
    case "missingTransaction":
      return { ...template, shown: shown(transactions.slice(0, -1)) };
    case "extraTransaction":
      return { ...withTransactions(template, transactions.slice(0, -1)), shown: shown(transactions) };
    case "wrongCommitment":
      return { ...template, witnessCommitment: flipped(template.witnessCommitment, template.witnessCommitment.length - 1) };
    case "tooHeavy":
      return add(...heavy());
    case "heavierThanClaimed":
      return { ...add(...heavy()), totalWeight: template.totalWeight, totalSize: template.totalSize };
    case "tooManySigops":
      return add({ ...ofNothing(new Uint8Array(MANY_CHECKSIGS).fill(OP_CHECKSIG)), sigops: 4 * MANY_CHECKSIGS });
    case "overpaying":
      return { ...template, value: template.value + TOO_MUCH };
    case "doubleSpend":
      return add(changed(last, lowerOutput(last.raw), last.fee + 1n));
    case "missingInput":
      return replaceLast(changed(last, flipped(last.raw, firstInputAt(last.raw)), last.fee));
    case "badWitness":
      // The locktime's four bytes end it; before them stands the last item of the witness, a key or a script that the output names by hash.
      return replaceLast(changed(last, flipped(last.raw, last.raw.length - 5), last.fee));
    case "foreignIds":
      return { ...template, shown: { wtxids: transactions.map(() => new Uint8Array(randomBytes(32))) } };
    case "wrongCrosscheck":
      return { ...template, shown: { crosscheck: new Uint8Array(randomBytes(32)) } };
    case "otherTransactions":
      return { ...template, shown: { raw: transactions.map(({ raw }) => flipped(raw, firstInputAt(raw))) } };
  }
}

const shown = (transactions: readonly TemplateTransaction[]) => ({
  wtxids: transactions.map(({ wtxid }) => wtxid),
  raw: transactions.map(({ raw }) => raw),
});

/** The template of other transactions, right in everything: value, branches, totals and witness commitment. */
export function withTransactions(template: Template, transactions: readonly TemplateTransaction[]): Template {
  const fees = (of: readonly TemplateTransaction[]): bigint => of.reduce((sum, { fee }) => sum + fee, 0n);
  return {
    ...template,
    ...ofTransactions(transactions),
    value: template.value - fees(template.transactions) + fees(transactions),
    witnessCommitment: commitment(transactions.map(({ wtxid }) => wtxid)),
  };
}

/** BIP141: over the root of the wtxids, the coinbase's taken as zero, and a reserved value of zeros. */
function commitment(wtxids: readonly Uint8Array[]): Uint8Array {
  const root = merkleRoot([new Uint8Array(32), ...wtxids]);
  return Uint8Array.of(...COMMITMENT_START, ...sha256d(Uint8Array.of(...root, ...new Uint8Array(32))));
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = copy[at]! ^ 1;
  return copy;
}

/** Where the txid of the first output spent begins: after version, marker and flag of a witness, and the count of inputs (one byte here). */
const firstInputAt = (raw: Uint8Array): number => (raw[4] === 0 ? 7 : 5);

/** The same transaction paying one satoshi less by its first output. */
function lowerOutput(raw: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(raw);
  const { inputs, outputs } = parseTransaction(raw);
  const end = inputs.at(-1)!;
  // After the last scriptSig stand its sequence and the count of outputs (one byte here).
  const at = end.scriptSigOffset + end.scriptSig.length + 5;
  new DataView(copy.buffer).setBigUint64(at, outputs[0]!.value - 1n, true);
  return copy;
}

function changed(of: TemplateTransaction, raw: Uint8Array, fee: bigint): TemplateTransaction {
  const { txid, wtxid, weight } = parseTransaction(raw);
  return { raw, txid, wtxid, weight, sigops: of.sigops, fee };
}

const heavy = (): TemplateTransaction[] =>
  Array.from({ length: HEAVY_COUNT }, () => ofNothing(Uint8Array.from({ length: HEAVY_BYTES }, (_, i) => (i === 0 ? OP_RETURN : 0))));

/** A transaction of an output that nobody has, with one output of this script. */
function ofNothing(script: Uint8Array): TemplateTransaction {
  const long = script.length > 0xffff;
  const size = Buffer.alloc(long ? 5 : 3, long ? 0xfe : 0xfd);
  size.writeUIntLE(script.length, 1, size.length - 1);
  const raw = new Uint8Array(
    Buffer.concat([
      Uint8Array.of(2, 0, 0, 0, 1),
      randomBytes(32),
      Uint8Array.of(0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1),
      new Uint8Array(8),
      size,
      script,
      new Uint8Array(4),
    ]),
  );
  const { txid, wtxid, weight } = parseTransaction(raw);
  return { raw, txid, wtxid, weight, sigops: 0, fee: 0n };
}
