/** The one error class of this package. */

/** Stable names of what can go wrong. */
export type RewardsErrorCode =
  | "rewards.invalidAmount"
  | "rewards.invalidFee"
  | "rewards.invalidWeight"
  | "rewards.segmentOrder"
  | "rewards.unknownShare"
  | "rewards.invalidPolicy"
  | "rewards.invalidLuck"
  | "rewards.incompleteWindow";

/** A call that breaks the contract of this package. The message says what was expected and what came. */
export class RewardsError extends Error {
  override readonly name = "RewardsError";

  constructor(
    readonly code: RewardsErrorCode,
    message: string,
  ) {
    super(message);
  }
}
