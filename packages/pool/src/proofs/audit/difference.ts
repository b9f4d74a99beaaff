/** The first place at which a published file is not what a recomputation gives. */
import { ProofError, shorten } from "../errors.js";

/** Where two accounts of the same thing part. */
export interface Difference {
  /** Path below the published folder. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** As a path, such as "block.time"; "" for the line as a whole. */
  readonly field: string;
  readonly expected: string;
  readonly found: string;
}

/** Ends an audit; caught where it began. */
export class DifferenceFound extends Error {
  override readonly name = "DifferenceFound";

  constructor(readonly difference: Difference) {
    super(`${difference.file}:${difference.line}: ${difference.field}: expected ${difference.expected}, found ${difference.found}`);
  }
}

/** A line of a file that is being looked at. */
export class Line {
  constructor(
    readonly file: string,
    readonly line: number,
  ) {}

  /** Ends the audit unless the two are the same; both as they stand in the file, or would. */
  check(field: string, expected: string | bigint | number, found: string | bigint | number): void {
    if (expected !== found) this.differs(field, String(expected), String(found));
  }

  differs(field: string, expected: string, found: string): never {
    const { file, line } = this;
    throw new DifferenceFound({ file, line, field, expected: shorten(expected), found: shorten(found) });
  }
}

/** Runs `read` on a file: what the format refuses is a difference too. */
export function reading<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw asDifference(file, error);
  }
}

/** What reading a file threw, as an audit tells it. */
export function asDifference(file: string, error: unknown): unknown {
  if (!(error instanceof ProofError) || error.code === "proof.unreadable") return error;
  const { line, field, expected, found } = error.place ?? {
    line: 1,
    field: "",
    expected: "a file of the published form",
    found: error.message,
  };
  return new DifferenceFound({ file, line, field, expected, found });
}
