/** What a simulated gateway counts. */

/** One miner, as its gateway sees it. */
export interface MinerFigures {
  readonly username: string;
  readonly kind: number;
  /** Hashes per second that it was given. */
  readonly hashrate: number;
  readonly difficulty: number;
  readonly accepted: number;
  readonly rejected: number;
  /** Sum of the difficulties of accepted shares. */
  readonly acceptedDifficulty: number;
}

export interface GatewayFigures {
  readonly name: string;
  /** The pool has configured this connection. */
  readonly connected: boolean;
  /** Connections that were configured; one less is how often it came back. */
  readonly connections: number;
  /** Why the last connection ended. */
  readonly lastClosed: string | undefined;
  readonly primeId: number | undefined;
  readonly height: number | undefined;
  readonly jobs: number;
  readonly coinbasers: {
    readonly requested: number;
    readonly answered: number;
    /** Not within five seconds, or with another value than asked. */
    readonly missed: number;
    /** Answered without outputs. */
    readonly empty: number;
    /** Outputs of the latest answer. */
    readonly outputs: number;
  };
  readonly shares: {
    readonly sent: number;
    readonly accepted: number;
    readonly tentative: number;
    readonly rejected: number;
    /** By reason code. */
    readonly reasons: Readonly<Record<number, number>>;
    /** Answers to no share that is waiting. */
    readonly unknownResponses: number;
    /** Sent and not answered yet. */
    readonly waiting: number;
    /** Sent, and the connection ended before the answer. */
    readonly unanswered: number;
    /** Found while there was no connection, or too late, and never sent. */
    readonly dropped: number;
  };
  /** Milliseconds from sending a share to its answer. */
  readonly latency: { readonly mean: number; readonly max: number };
  readonly blocks: {
    readonly found: number;
    /** Taken by the gateway's own node. */
    readonly submitted: number;
    /** Display order, in the order they were found. */
    readonly hashes: readonly string[];
  };
  /** Requests 0x50 answered. */
  readonly validations: number;
  readonly miners: readonly MinerFigures[];
}
