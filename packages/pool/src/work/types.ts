/** Plain values that pass between `work` and its neighbours. No handles, no sockets, no database. */

/**
 * A block that work is built on, as the pool's node sees it. `chain` keeps ONE object per block hash and changes its `state` in place,
 * so that judging a share against the tip costs one property read.
 */
export interface Parent {
  /** 32 bytes, internal order. */
  readonly hash: Uint8Array;
  /**
   * `unknown`: the node has not (yet) heard of it; `tip`: build on it; `stale`: the node has a better tip;
   * `invalid`: the node refuses it, or never had it within the time allowed.
   */
  state: "unknown" | "tip" | "stale" | "invalid";
  /** Height of the parent itself; the wire's claim while unknown. */
  height: number;
  /** Compact target that a block on this parent must carry; undefined while unknown. */
  childBits: number | undefined;
  /** Median time past of the parent, seconds; undefined while unknown. */
  medianTime: number | undefined;
  /** Milliseconds (pool clock) since which it is stale; undefined otherwise. */
  staleSince: number | undefined;
}

/** What judging needs of the chain. Implemented by `chain`. */
export interface ChainView {
  /** False until a node has answered, and while none does: then nothing is judged stale. */
  readonly reachable: boolean;
  /** The block that new work should be built on; undefined until a node has answered. */
  tip(): Parent | undefined;
  /** The parent of that hash if it is held; costs nothing and leaves nothing behind. */
  known(hash: Uint8Array): Parent | undefined;
  /**
   * The parent of that hash. One the node has not told of yet is entered as `unknown` (bounded: undefined when the bound is reached)
   * and the node is asked in the background: to be called for good work only, or anyone could fill the bound for nothing.
   */
  parent(hash: Uint8Array, claimedHeight: number): Parent | undefined;
}

/** One output of a split that was given to a gateway. */
export interface SplitOutput {
  readonly value: bigint;
  readonly script: Uint8Array;
}

/** A split as it was offered, kept with the session that asked. */
export interface OfferedSplit {
  /** Identity in the books; 0n for the empty split that was never stored. */
  readonly id: bigint;
  /** 1-255 on the wire. */
  readonly coinbaserId: number;
  readonly value: bigint;
  readonly prevhash: Uint8Array;
  readonly outputs: readonly SplitOutput[];
  /** Committed position of the share log that it was computed at. */
  readonly position: bigint;
}

/** A share that passed every check that needs no database. */
export interface JudgedShare {
  /** Header hash, 32 bytes, internal order. A copy of its own. */
  readonly hash: Uint8Array;
  readonly parent: Parent;
  /** The round: one per prevhash. */
  readonly prevhash: Uint8Array;
  /** scriptPubKey of the account. */
  readonly account: Uint8Array;
  /** The address as the miner wrote it first. */
  readonly address: string;
  /** "" for none. */
  readonly worker: string;
  /** Share difficulty in units of the network's difficulty one: 2^targetByte. */
  readonly weight: bigint;
  /** The pool's fee at acceptance, parts per million. */
  readonly feePpm: number;
  /** Database id of the gateway session. */
  readonly sessionId: bigint;
  /** Split that the coinbase pays, undefined for work without one (pinned when its job was first seen, see `pin`). */
  readonly splitId: bigint | undefined;
  /** Committed position of the share log that the job is pinned to. */
  readonly pin: bigint;
  readonly ntime: number;
  readonly targetByte: number;
  readonly coinbaseId: number;
  readonly height: number;
  /** Answered 0x55 and taken back unless the parent turns out to exist. */
  readonly tentative: boolean;
  /** Milliseconds, pool clock. */
  readonly receivedAt: number;
}

/** A share whose hash meets the network's target: it goes to `chain` before anything else is asked. */
export interface BlockCandidate {
  /** Header hash, internal order. */
  readonly hash: Uint8Array;
  /** 80 bytes. */
  readonly header: Uint8Array;
  /** Coinbase as hashed (non-witness form). */
  readonly coinbase: Uint8Array;
  readonly parent: Parent;
  readonly height: number;
  readonly coinbaseValue: bigint;
  /** Transactions besides the coinbase; 0 for subsidy-only work. */
  readonly transactionCount: number;
  readonly jobId: number;
  /** Changes whenever the slot `jobId` is filled anew, so that a late answer is not taken for another job's. */
  readonly jobSerial: number;
  readonly sessionId: bigint;
  readonly splitId: bigint | undefined;
  readonly pin: bigint;
  /** Raw bytes of the username, for the record. */
  readonly username: Uint8Array;
  /** Whose share it was, where the username is good. */
  readonly finder: { readonly script: Uint8Array; readonly address: string } | undefined;
}

export type Verdict =
  | { readonly kind: "accepted"; readonly share: JudgedShare; readonly block?: BlockCandidate }
  | { readonly kind: "refused"; readonly reason: number; readonly detail: string; readonly block?: BlockCandidate };
