/** From a Stratum V1 job to a block header. */
import { foldBranches, sha256d } from "@openprime/bitcoin";
import { encodeHeader } from "../gateway/work.js";

/** `mining.notify`, as it comes: hex throughout. */
export interface StratumJob {
  readonly id: string;
  /** Internal order, but each group of four bytes reversed. */
  readonly prevhash: string;
  readonly coinb1: string;
  readonly coinb2: string;
  readonly branches: readonly string[];
  readonly version: string;
  readonly nbits: string;
  readonly ntime: string;
}

/** The parameters of `mining.notify`; undefined when they are not what the protocol says. */
export function readNotify(params: unknown): StratumJob | undefined {
  if (!Array.isArray(params)) return undefined;
  const [id, prevhash, coinb1, coinb2, branches, version, nbits, ntime] = params as unknown[];
  const texts = [id, prevhash, coinb1, coinb2, version, nbits, ntime];
  if (!texts.every((text) => typeof text === "string") || !Array.isArray(branches)) return undefined;
  return { id, prevhash, coinb1, coinb2, branches, version, nbits, ntime } as StratumJob;
}

/** The header with nonce 0. @param extranonce both parts, hex */
export function stratumHeader(job: StratumJob, extranonce: string): Uint8Array {
  const txid = sha256d(Buffer.from(job.coinb1 + extranonce + job.coinb2, "hex"));
  const prevhash = Buffer.from(job.prevhash, "hex").swap32();
  return encodeHeader({
    version: Number.parseInt(job.version, 16),
    prevhash,
    merkleRoot: foldBranches(txid, Buffer.from(job.branches.join(""), "hex")),
    ntime: Number.parseInt(job.ntime, 16),
    nbits: Number.parseInt(job.nbits, 16),
    nonce: 0,
  });
}
