/** Makes many distinct valid shares on one job: regtest's difficulty one takes two hashes a share. */
import type { CoinbaserResponse, Configuration, Share } from "@openprime/datum";
import { SimulatorError } from "../errors.js";
import type { CoinbaseKind } from "../gateway/coinbase.js";
import { Job } from "../gateway/job.js";
import { shareTargetBytes } from "../gateway/targets.js";
import type { Template } from "../gateway/template.js";
import { makeWork } from "../gateway/work.js";
import { Scanner } from "../mining/scanner.js";
import type { LoadOptions, LoadWork } from "./load.js";

/** Shares with one extranonce: few, so that no pool can do with hashing the coinbase once. */
const SHARES_PER_EXTRANONCE = 8;
const JOB_SLOT = 0;

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));

/** A template without the transactions themselves. Its room is a nearly empty block's. */
export function loadTemplate(work: LoadWork): Template {
  return {
    height: work.height,
    version: work.version,
    prevhash: bytes(work.prevhash),
    nbits: work.nbits,
    curtime: work.ntime,
    mintime: work.ntime,
    value: BigInt(work.value),
    subsidy: BigInt(work.value),
    witnessCommitment: bytes(work.witnessCommitment),
    transactions: [],
    branches: bytes(work.branches),
    totalSize: 0,
    totalWeight: 0,
    totalSigops: 0,
    sizeLimit: 4_000_000,
    weightLimit: 4_000_000,
  };
}

export interface PreparedLoad {
  readonly shares: readonly Share[];
  readonly coinbaseBytes: number;
  readonly coinbaseOutputs: number;
}

/** The shares, in the order to send them; the first carries both sections. */
export function prepareLoad(options: LoadOptions, configuration: Configuration, split: CoinbaserResponse): PreparedLoad {
  const template = loadTemplate(options.work);
  const job = new Job(template, JOB_SLOT, 0xb10c, { configuration, secondaryTag: new Uint8Array(), uniqueId: 1 });
  job.setSplit(split.outputs.length === 0 ? 0 : split.coinbaserId, split.outputs);
  const kind: CoinbaseKind = options.coinbaseKind;
  const targetByte = Math.log2(Number(configuration.minimumDifficulty));
  const built = job.coinbase(kind);
  const scanner = new Scanner();
  const usernames = options.usernames.map((name) => new TextEncoder().encode(name));
  const shares: Share[] = [];

  for (let extranonce2 = 0n; shares.length < options.shares; extranonce2++) {
    const extranonce = new Uint8Array(12);
    new DataView(extranonce.buffer).setBigUint64(4, extranonce2, true);
    const work = makeWork(job, kind, { quickdiff: false, targetByte, extranonce, rolledVersion: 0 });
    scanner.load(work.header, shareTargetBytes(targetByte));
    let from = 0;
    for (let i = 0; i < SHARES_PER_EXTRANONCE && shares.length < options.shares; i++) {
      const found = scanner.search(from, 0x1_0000_0000 - from);
      if (found === undefined)
        throw new SimulatorError("loadFailed", `no nonce meets target byte ${targetByte}: lower the pool's minimum difficulty`);
      from = found.nonce + 1;
      const first = shares.length === 0;
      shares.push({
        type: "share",
        jobId: JOB_SLOT,
        coinbaseId: kind,
        isBlock: false,
        subsidyOnly: false,
        quickdiff: false,
        unknownFlags: 0,
        targetByte,
        ntime: work.ntime,
        nonce: found.nonce,
        version: work.version,
        extranonce,
        username: usernames[shares.length % usernames.length]!,
        reserved: 0,
        ...(first
          ? {
              job: { ...job.jobSection(), transactionCount: options.work.transactionCount },
              coinbase: job.coinbaseSection(kind),
            }
          : {}),
      });
    }
  }
  return { shares, coinbaseBytes: built.coinb1.length + 12 + built.coinb2.length, coinbaseOutputs: built.paidOutputs };
}
