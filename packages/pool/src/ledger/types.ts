/**
 * The plain values that the ledger takes and gives. `work` declares the same shapes; the ledger does not import it (the design's table),
 * so they are declared here again and TypeScript compares them by structure where the rooms are wired together.
 */

/** Where the ledger's log lines go; pino's logger is one. */
export interface LedgerLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** One output of a split that was given to a gateway. */
export interface SplitOutput {
  /** Satoshis. */
  readonly value: bigint;
  readonly script: Uint8Array;
}

/** A split as it was offered. */
export interface OfferedSplit {
  /** Identity in the books; 0n for the empty split, which is not stored. */
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

/** A share to be credited. Hashes are 32 bytes in internal order. */
export interface LoggedShare {
  readonly hash: Uint8Array;
  /** The round: one per prevhash, for ever. */
  readonly prevhash: Uint8Array;
  /** scriptPubKey of the account. */
  readonly account: Uint8Array;
  /** The address as the miner wrote it first. */
  readonly address: string;
  /** "" for none. */
  readonly worker: string;
  /** Share difficulty. */
  readonly weight: bigint;
  /** Parts per million. */
  readonly feePpm: number;
  readonly sessionId: bigint;
  readonly splitId: bigint | undefined;
  /** Committed position that the job is pinned to. */
  readonly pin: bigint;
  readonly ntime: number;
  readonly targetByte: number;
  readonly coinbaseId: number;
  readonly height: number;
  readonly tentative: boolean;
  /** The template that was being judged when it came: `ShareLog.voidTemplate` takes it back. */
  readonly templateId?: bigint | undefined;
  /** Milliseconds, pool clock. */
  readonly receivedAt: number;
}

/** What became of a share: stored, already there (this round holds its hash), or refused by the database for good. */
export type AppendOutcome = "committed" | "duplicate" | "failed";

/** A block candidate to be recorded. */
export interface RecordedBlock {
  readonly hash: Uint8Array;
  readonly header: Uint8Array;
  readonly coinbase: Uint8Array;
  readonly parent: { readonly hash: Uint8Array };
  readonly height: number;
  readonly coinbaseValue: bigint;
  readonly transactionCount: number;
  readonly sessionId: bigint;
  readonly splitId: bigint | undefined;
  readonly pin: bigint;
  readonly username: Uint8Array;
  /** Whose share it was, where the username is good. */
  readonly finder?: { readonly script: Uint8Array; readonly address: string } | undefined;
}

/** What a block on a segment's tip is worth, for schemes that pay per share. */
export interface BlockWorth {
  /** Compact target. */
  readonly bits: number;
  /** Satoshis. */
  readonly subsidy: bigint;
  /** Satoshis that recent blocks paid in fees, on average. */
  readonly averageFees: bigint;
}

/**
 * Hears of every change of the committed log, in order, before the one who appended is answered. `perShare`: the share's segment has a worth, so its shares
 * are paid one by one and count in no window.
 */
export interface LogFollower {
  /** `worth`: as given to `ShareLog.openSegment`. */
  segmentOpened(segment: number, worth: BlockWorth | undefined): void;
  shareCommitted(segment: number, account: number, weight: bigint, feePpm: number, perShare: boolean): void;
  shareVoided(segment: number, account: number, weight: bigint, feePpm: number, perShare: boolean): void;
}
