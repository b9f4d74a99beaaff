/** Why a template is refused, or was not judged: stable codes, each explained in docs/errors.md. */

export type TemplateErrorCode =
  /** Not as many transactions as the job says. */
  | "countMismatch"
  /** Bytes that are no transaction. */
  | "badTransaction"
  /** The transactions do not give the job's merkle branches. */
  | "merkleMismatch"
  /** Weight or size are not what the job says. */
  | "totalsMismatch"
  | "duplicateTransaction"
  /** Two inputs spend one output. */
  | "doubleSpend"
  /** A transaction stands before the one whose output it spends. */
  | "wrongOrder"
  | "tooHeavy"
  | "tooManySigops"
  /** There are witnesses, and the coinbase does not commit to them. */
  | "commitmentMissing"
  | "commitmentMismatch"
  /** The coinbase takes more than subsidy and fees. */
  | "overpaid"
  /** Bytes that are no coinbase. */
  | "badCoinbase"
  | "nodeRefused"
  /** The gateway was connected and gave no answer that could be used, twice. */
  | "noAnswer"
  /** The gateway left, or filled the slot anew, before it answered, once too often. */
  | "evaded"
  /** Its fees are under `templates.leastFeesPercent`. */
  | "belowFloor"
  /** `templates.check` is `sample`, and this one was not drawn. */
  | "notSampled"
  /** Too many wait for their turn. */
  | "overLimit"
  | "disconnected"
  | "slotRefilled"
  /** The node builds on another block by now. */
  | "parentNotTip"
  /** The node did not get to know the parent in time. */
  | "parentUnknown"
  /** The node did not answer, or answered something else than was asked. */
  | "nodeUnable"
  /** A fault of the pool. */
  | "failed";

/** These say nothing against a template, and its shares count. With all others it is unsound. */
export type UnjudgedCode = Extract<
  TemplateErrorCode,
  "notSampled" | "overLimit" | "disconnected" | "slotRefilled" | "parentNotTip" | "parentUnknown" | "nodeUnable" | "failed"
>;

export type UnsoundCode = Exclude<TemplateErrorCode, UnjudgedCode>;

/** What is wrong with a template. */
export interface Fault {
  readonly code: UnsoundCode;
  /** In words, for the miner. */
  readonly detail: string;
}

/** What came of judging. */
export type Judgement =
  | { readonly state: "sound" }
  | { readonly state: "unjudged"; readonly code: UnjudgedCode; readonly detail: string }
  | ({ readonly state: "unsound" } & Fault);
