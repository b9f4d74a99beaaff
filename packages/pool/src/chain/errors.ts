/** What can be wrong with the node: at start, and while the books follow its chain. */

export type ChainErrorCode =
  | "wrongNetwork"
  | "wrongGenesis"
  | "stopped"
  /** A block that is not the one asked for, or not whole. */
  | "wrongBlock"
  /** A block of its own best chain that the node can't give. */
  | "blockUnavailable"
  /** The node is catching up, or has fallen back below the books without another branch. */
  | "nodeBehind"
  /** The node's chain and the books' have not one block in common. */
  | "noCommonBlock";

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

export type MempoolErrorCode =
  /** The thread that holds the mempool has ended, or can't be started. */
  | "threadEnded"
  /** Too many questions wait for their answers. */
  | "busy"
  /** A question that can't be answered. */
  | "failed";

/** The mempool can't be asked now: nothing is said about any transaction. */
export class MempoolError extends Error {
  override readonly name = "MempoolError";

  constructor(
    readonly code: MempoolErrorCode,
    message: string,
  ) {
    super(message);
  }
}
