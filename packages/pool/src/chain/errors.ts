/** What can be wrong with the node at start. */

export type ChainErrorCode = "wrongNetwork" | "wrongGenesis" | "stopped";

/** The node is not one this pool can work with. Says what was expected and what came. */
export class ChainError extends Error {
  constructor(
    readonly code: ChainErrorCode,
    message: string,
    readonly expected?: string,
    readonly got?: string,
  ) {
    super(message);
    this.name = "ChainError";
  }
}
