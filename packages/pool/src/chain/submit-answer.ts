/** What a node's answer to submitblock means (BIP22; Core and bcoin). */

/** How a found block ended. */
export type BlockStatus =
  /** The node took it. */
  | "accepted"
  /** The node had it already: the gateway's own node was first. As good as accepted. */
  | "duplicate"
  /** Valid as far as the node looked, but not on its best chain. */
  | "inconclusive"
  /** The node refuses it. */
  | "rejected"
  /** Its transactions could not be had and the node does not have it either. */
  | "transactionsMissing"
  /** Too many candidates at once. */
  | "overLimit";

export interface BlockOutcome {
  readonly status: BlockStatus;
  /** The node's words, or what went wrong. */
  readonly detail: string;
}

/** The parent has not arrived at our node: the block may well be good, only early. */
const PARENT_UNKNOWN = new Set(["prev-blk-not-found", "bad-prevblk-not-found", "orphan"]);

/** @param answer null or a BIP22 word; bcoin puts `rejected: ` before it. @returns `early` when the parent must come first. */
export function readSubmitAnswer(answer: string | null): BlockOutcome | "early" {
  if (answer === null) return { status: "accepted", detail: "accepted" };
  const word = answer.replace(/^rejected: /, "");
  // bcoin says bad-prevblk for a block without a parent; Core says it for a child of an invalid one and then no waiting helps: bounded above.
  if (PARENT_UNKNOWN.has(word) || answer === "rejected: bad-prevblk") return "early";
  if (word === "duplicate") return { status: "duplicate", detail: answer };
  if (word === "inconclusive" || word === "duplicate-inconclusive") return { status: "inconclusive", detail: answer };
  return { status: "rejected", detail: answer };
}
