/** The one error type of the protocol library. */

export type DatumErrorCode =
  | "badHeader"
  | "frameTooLarge"
  | "unknownCommand"
  | "unexpectedFrame"
  | "unencryptedMiningMessage"
  | "helloUnreadable"
  | "helloMalformed"
  | "responseUnreadable"
  | "responseMalformed"
  | "badSignature"
  | "badMac"
  | "unknownMessage"
  | "malformedMessage"
  | "badKey"
  | "badValue"
  | "moduleMissing"
  | "moduleInvalid";

/** What is wrong with bytes from a peer, or with a value that is to be encoded. */
export class DatumError extends Error {
  override readonly name = "DatumError";
  constructor(
    readonly code: DatumErrorCode,
    readonly expected: string,
    readonly got: string,
  ) {
    super(`${code}: expected ${expected}, got ${got}`);
  }
}
