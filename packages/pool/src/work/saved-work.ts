/**
 * What of a session's work must outlive the process, so that a restart changes nothing for miner or money. A stock gateway sends its jobs and
 * coinbases again on a new connection, so those are not here: only what can't be told from them, above all the point of the log that a job was
 * pinned to.
 */
import { sha256d } from "@openprime/bitcoin";
import type { JobSection } from "@openprime/datum";
import type { SavedMinimum } from "./minimum.js";
import type { JobTemplate, OfferedSplit } from "./types.js";

/** What is known of the job that a slot holds. */
export interface SavedJob {
  readonly slot: number;
  /** `jobDigest` of the slot and the job's claims, 32 bytes. */
  readonly digest: Uint8Array;
  readonly pin: bigint;
  /** The split that its coinbaser id names. */
  readonly splitId: bigint | undefined;
  /** Its number among the templates, where it has done work and is judged. */
  readonly templateId: bigint | undefined;
  /** What its coinbases commit to, 32 bytes. */
  readonly commitment: Uint8Array | undefined;
}

/** Under 1.5 kB when it is stored. */
export interface SavedWork {
  readonly minimum: SavedMinimum;
  /** Script of the account that had a share accepted last. */
  readonly payee: Uint8Array | undefined;
  /** Has done enough work to be no stranger. */
  readonly proven: boolean;
  readonly jobs: readonly SavedJob[];
}

/** The same as it comes back: names have become what they name, where the books still have it. */
export interface RestoredJob extends SavedJob {
  readonly split: OfferedSplit | undefined;
  /** Final verdicts only: whatever else a job's template was, it is judged anew. */
  readonly template: JobTemplate | undefined;
}

export interface RestoredWork extends Omit<SavedWork, "jobs"> {
  readonly jobs: readonly RestoredJob[];
}

/** Two sections have the same digest in the same slot only if they are the same job. 32 bytes. */
export function jobDigest(slot: number, job: JobSection): Uint8Array {
  const { prevhash, branches } = job;
  const bytes = Buffer.alloc(50 + prevhash.length + branches.length);
  let at = bytes.writeUInt8(slot, 0);
  at = bytes.writeUInt8(job.coinbaserId, at);
  at = bytes.writeBigUInt64LE(job.coinbaseValue, at);
  for (const claim of [
    job.height,
    job.nbits,
    job.targetByteIndex,
    job.transactionCount,
    job.totalWeight,
    job.totalSize,
    job.totalSigops,
    prevhash.length,
    branches.length,
  ]) {
    at = bytes.writeUInt32LE(claim, at);
  }
  bytes.set(prevhash, at);
  bytes.set(branches, at + prevhash.length);
  return new Uint8Array(sha256d(bytes));
}
