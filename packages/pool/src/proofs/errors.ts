/** The one error class of published proofs. */

/** Stable names of what can be wrong with a published text. */
export type ProofErrorCode =
  /** Longer than anything the pool writes. */
  | "proof.tooLarge"
  /** A line that is no JSON object of the form that stands there, or a text that ends too early or goes on too long. */
  | "proof.badLine"
  /** A field of the wrong form, or a number outside its range. */
  | "proof.badValue"
  /** Lines or entries that are not in their order. */
  | "proof.order"
  /** The same values in another spelling: each value has exactly one text. */
  | "proof.notCanonical"
  /** Totals or root that are not those of the lines. */
  | "proof.totals"
  /** A sum that its fixed width can't hold. */
  | "proof.overflow"
  /** An account or line that the tree does not have. */
  | "proof.noSuchLine"
  /** A file that can not be had, or not be read. */
  | "proof.unreadable"
  /** The node does not have a block of its own chain. */
  | "proof.blockMissing"
  /** No settlement of that block, height or number is published. */
  | "proof.noSuchSettlement";

/** Where in a text something is wrong: line from 1, field as a path ("block.hash"); both texts as they stand in the file, or would. */
export interface ProofPlace {
  readonly line: number;
  readonly field: string;
  readonly expected: string;
  readonly found: string;
}

/** A published text that can't be taken as it stands. The message says what was expected and what came. */
export class ProofError extends Error {
  override readonly name = "ProofError";

  constructor(
    readonly code: ProofErrorCode,
    message: string,
    /** Undefined where the fault lies in no single line. */
    readonly place?: ProofPlace,
  ) {
    super(message);
  }

  /** An error at one place of a text. */
  static at(code: ProofErrorCode, line: number, field: string, expected: string, found: string): ProofError {
    const where = field === "" ? `line ${line}` : `line ${line}, ${field}`;
    return new ProofError(code, `${where}: expected ${expected}, got ${shorten(found)}`, { line, field, expected, found: shorten(found) });
  }
}

/** Untrusted text as it fits a message. */
export function shorten(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200)}… (${text.length} characters)`;
}
