/** What the listener asks of the rooms around it: plain values in and out, implemented by `ledger` and `chain`, wired by `cli`. */
import type { Share } from "@openprime/datum";
import type { BlockCandidate, JudgedShare, OfferedSplit, RestoredWork, SavedWork, Verdict, WorkSession } from "../work/index.js";

/** What became of a share that was handed to the log. */
export type CommitOutcome = "committed" | "duplicate" | "failed";

/** The durable share log. */
export interface ShareSink {
  /**
   * Takes a share into the next group commit. `done` is called exactly once, after the transaction ended; never when false is returned.
   * @returns false when the queue is full: nothing was taken, the share must be refused.
   */
  append(share: JudgedShare, done: (outcome: CommitOutcome) => void): boolean;
}

/** Makes splits from a prepared snapshot. */
export interface SplitSource {
  /** Synchronous and quick: a gateway waits for the answer before it makes a job. An empty split has id 0n. */
  offer(request: {
    readonly sessionId: bigint;
    readonly coinbaserId: number;
    /** Satoshis. */
    readonly value: bigint;
    readonly prevhash: Uint8Array;
    /** Script of the account that the gateway's last share was for; undefined before its first. */
    readonly finder: Uint8Array | undefined;
  }): OfferedSplit;
}

/** Takes blocks that were found. */
export interface BlockSink {
  /** Must not throw and must not block. `fetch` asks the gateway for the job's transactions (without the coinbase); it may be called again. */
  found(candidate: BlockCandidate, fetch: () => Promise<readonly Uint8Array[]>): void;
}

/** What the books remember of a gateway. */
export interface OpenedSession {
  readonly id: bigint;
  /** u32, never 0, this session's alone for ever. */
  readonly primeId: number;
  /** Recent splits, so that work from before a restart keeps its payees. */
  readonly splits: readonly OfferedSplit[];
  /** What was saved of its work last, and when (milliseconds, pool clock). */
  readonly work?: { readonly savedAt: number; readonly restored: RestoredWork } | undefined;
}

export interface SavedSession {
  readonly id: bigint;
  readonly work: SavedWork;
}

export interface SessionStore {
  /**
   * Finds or creates the session of a gateway's long-term key.
   *
   * @param onNew called once a gateway turns out to be new, before its session is made; whatever it throws keeps that from happening
   */
  open(gatewayKey: Uint8Array, version: string, onNew: () => void): Promise<OpenedSession>;
  /** Keeps the work of these sessions over a restart; what was saved of them before is replaced. */
  save(sessions: readonly SavedSession[]): Promise<void>;
}

/** The judge of shares, as the listener uses it (`work`'s ShareJudge). */
export interface Judge {
  judge(session: WorkSession, share: Share): Verdict;
  /** Takes a share that could not be committed out of the memory of seen ones, so that it can be sent again. */
  forget(share: JudgedShare): void;
}
