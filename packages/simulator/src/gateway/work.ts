/** From a job to a header that a miner can hash. */
import { foldBranches, sha256d } from "@openprime/bitcoin";
import { type CoinbaseKind, finishCoinbase, SUBSIDY_ONLY } from "./coinbase.js";
import type { Job } from "./job.js";

/** What one miner hashes on. */
export interface Work {
  readonly job: Job;
  readonly kind: CoinbaseKind;
  readonly quickdiff: boolean;
  readonly targetByte: number;
  /** 12 bytes. */
  readonly extranonce: Uint8Array;
  readonly ntime: number;
  readonly version: number;
  /** The coinbase as it is hashed, non-witness form. */
  readonly coinbase: Uint8Array;
  /** 80 bytes with nonce 0. */
  readonly header: Uint8Array;
}

/** BIP320: version bits that miners may roll. */
export const VERSION_ROLLING_MASK = 0x1fffe000;

/** An 80-byte block header. Hashes in internal order. */
export function encodeHeader(fields: {
  readonly version: number;
  readonly prevhash: Uint8Array;
  readonly merkleRoot: Uint8Array;
  readonly ntime: number;
  readonly nbits: number;
  readonly nonce: number;
}): Uint8Array {
  const header = new Uint8Array(80);
  const view = new DataView(header.buffer);
  view.setUint32(0, fields.version, true);
  header.set(fields.prevhash, 4);
  header.set(fields.merkleRoot, 36);
  view.setUint32(68, fields.ntime, true);
  view.setUint32(72, fields.nbits, true);
  view.setUint32(76, fields.nonce, true);
  return header;
}

/** Builds the header of a job's coinbase. `rolledVersion` holds BIP320 bits to add. */
export function makeWork(
  job: Job,
  kind: CoinbaseKind,
  miner: { readonly quickdiff: boolean; readonly targetByte: number; readonly extranonce: Uint8Array; readonly rolledVersion: number },
): Work {
  const coinbase = finishCoinbase(job.coinbase(kind), miner.extranonce, {
    targetByteIndex: job.targetByteIndex,
    targetByte: miner.targetByte,
    quickdiff: miner.quickdiff,
  });
  const txid = sha256d(coinbase);
  const version = (job.template.version | (miner.rolledVersion & VERSION_ROLLING_MASK)) >>> 0;
  const header = encodeHeader({
    version,
    prevhash: job.template.prevhash,
    merkleRoot: kind === SUBSIDY_ONLY ? txid : foldBranches(txid, job.template.branches),
    ntime: job.template.curtime,
    nbits: job.template.nbits,
    nonce: 0,
  });
  return {
    job,
    kind,
    quickdiff: miner.quickdiff,
    targetByte: miner.targetByte,
    extranonce: miner.extranonce,
    ntime: job.template.curtime,
    version,
    coinbase,
    header,
  };
}

/** The header with its nonce. */
export function headerWithNonce(work: Work, nonce: number): Uint8Array {
  const header = new Uint8Array(work.header);
  new DataView(header.buffer).setUint32(76, nonce, true);
  return header;
}
