/** Plain values that pass between `work` and its neighbours. No handles, no sockets, no database. */
import type { JobSection } from "@openprime/datum";

/**
 * A block that work is built on, as the pool's node sees it. `chain` keeps ONE object per block hash and changes its `state` in place,
 * so that judging a share against the tip costs one property read.
 */
export interface Parent {
  /** 32 bytes, internal order. */
  readonly hash: Uint8Array;
  /**
   * `unknown`: the node has not (yet) heard of it; `tip`: new work should be built on it; `stale`: the node has it, and another tip: a rival at
   * the tip's height, or a block that the chain has passed (see `staleSince`);
   * `invalid`: the node refuses it (also one that was invalidated after it had been the tip), or never had it within the time allowed.
   */
  state: "unknown" | "tip" | "stale" | "invalid";
  /** Height of the parent itself; the wire's claim while unknown. */
  height: number;
  /** Compact target that a block on this parent must carry; undefined while unknown. */
  childBits: number | undefined;
  /** Median time past of the parent, seconds; undefined while unknown. */
  medianTime: number | undefined;
  /**
   * Milliseconds (pool clock) since which the chain is higher than this block: work on it is good for the grace time from then on. Undefined
   * while it is the tip, a rival at the tip's height (work on either is good until one wins), `unknown` or `invalid`. A block that becomes the
   * tip again, or whose height the tip falls back to, is undefined again.
   */
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
   *
   * @param proven whether whoever names it has done work on parents that the node knows: a part of the room is for those alone
   */
  parent(hash: Uint8Array, claimedHeight: number, proven?: boolean): Parent | undefined;
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
  /** The outputs as on the wire (DATUM.md section 7), where they are kept so: `outputs` is made of it then, at each look. */
  readonly packed?: Uint8Array;
}

/**
 * What is known of the transactions behind a job. `chain` makes one object for each filling of a slot and changes its `state` in place, so that
 * judging a share costs one property read.
 */
export interface JobTemplate {
  /** Its number in the books, from 1: shares that come while it is `pending` carry it, so that they can be taken back. */
  readonly id: bigint;
  /** `pending`: being judged; `sound`: a block of it would be valid; `unjudged`: taken on trust (not asked for, or it can't be told); `unsound`: refused. */
  state: "pending" | "sound" | "unjudged" | "unsound";
  /** Why it is unsound, in words for the miner. */
  why: string | undefined;
}

/**
 * What the transactions of a job are asked with. Each call is one question to the gateway, with a deadline, and rejects with a SourceError of the
 * gateway room. What comes is as many as the question wants, but may be another job's when the gateway filled its slot anew: only the job's
 * branches tell.
 */
export interface TransactionSource {
  /** Key of the short ids between this gateway and the pool, 16 bytes; that of the connection it has now, or had last. */
  readonly shortIdKey: Uint8Array;
  /** 6-byte ids in the job's order, and the XOR of all wtxids (undefined for no transactions). */
  shortIds(jobId: number, jobSerial: number): Promise<{ readonly ids: Uint8Array; readonly crosscheck: Uint8Array | undefined }>;
  /** Raw transactions with witness, in the order of the positions asked for (the coinbase not counted, none twice). */
  byIndex(jobId: number, jobSerial: number, indices: readonly number[]): Promise<readonly Uint8Array[]>;
  /** All of them. */
  fullSet(jobId: number, jobSerial: number): Promise<readonly Uint8Array[]>;
  /** A line for the gateway's log (INFO), cut and held back where it would flood that: to be called once for a thing, not at every share. */
  tell(text: string): void;
}

/** A job as it is handed over to be judged: by its first share that is good for everything else. */
export interface OpenedJob {
  readonly sessionId: bigint;
  readonly jobId: number;
  readonly jobSerial: number;
  readonly job: JobSection;
  /** Its first coinbase that did work, as hashed (non-witness form). */
  readonly coinbase: Uint8Array;
  /** The header of the share that did it, 80 bytes. */
  readonly header: Uint8Array;
  readonly parent: Parent;
  readonly source: TransactionSource;
}

/** Judges the templates behind jobs. Implemented by `chain`. */
export interface TemplateDesk {
  /** Synchronous, quick, and never throws: the verdict comes later, into what is returned. */
  open(job: OpenedJob): JobTemplate;
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
  /** The template that was being judged when the share came: it is answered 0x55 and taken back if that turns out unsound. */
  readonly templateId?: bigint | undefined;
  /** Its parent was passed by the chain a moment ago: taken by the grace. */
  readonly late?: boolean | undefined;
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

export type Verdict = (
  | { readonly kind: "accepted"; readonly share: JudgedShare }
  | { readonly kind: "refused"; readonly reason: number; readonly detail: string }
) & {
  readonly block?: BlockCandidate;
  /** It would be a candidate, but the session had its number of those on parents that the node does not know. */
  readonly overLimit?: true;
};
