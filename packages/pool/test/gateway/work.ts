/** Work as a gateway makes it (DATUM.md section 10), for a chain that a test holds still: coinbase kinds 0 and 1, shares that meet the least target. */
import {
  foldBranches,
  meetsTarget,
  merkleBranches,
  NETWORKS,
  parseTransaction,
  ShareProver,
  scriptToAddress,
  shareTarget,
  targetBytes,
} from "@openprime/bitcoin";
import type { CoinbaserOutput, Share } from "@openprime/datum";
import type { Parent } from "../../src/work/index.js";

export const NETWORK = NETWORKS.regtest;
export const POOL_SCRIPT = Buffer.concat([Buffer.from([0x00, 0x14]), Buffer.alloc(20, 0x50)]);
export const MINER_SCRIPT = Buffer.concat([Buffer.from([0x00, 0x14]), Buffer.alloc(20, 0x4d)]);
export const MINER = scriptToAddress(MINER_SCRIPT, NETWORK)!;
export const TAG = Buffer.from("OpenPrime");
const TARGET = targetBytes(shareTarget(0, NETWORK));
const TAG_SEPARATOR = 0x0f;

export interface WorkOptions {
  readonly primeId: number;
  readonly parent: Parent;
  /** Compact target of the job; the parent's by default. */
  readonly nbits?: number;
  readonly jobId?: number;
  readonly value?: bigint;
  /** Who is paid everything; the pool by default. */
  readonly payTo?: Uint8Array;
  readonly transactions?: readonly Uint8Array[];
  readonly username?: Uint8Array;
  /** Makes a coinbase of kind 1 that pays it. */
  readonly split?: { readonly coinbaserId: number; readonly outputs: readonly CoinbaserOutput[] };
}

export class GatewayWork {
  readonly #prover: ShareProver;
  readonly #base: Omit<Share, "nonce" | "job" | "coinbase">;
  readonly #sections: Required<Pick<Share, "job" | "coinbase">>;
  #nonce = 0;

  private constructor(prover: ShareProver, options: WorkOptions) {
    this.#prover = prover;
    const jobId = options.jobId ?? 0;
    const height = options.parent.height + 1;
    const tags = Buffer.concat([TAG, Buffer.from([TAG_SEPARATOR]), Buffer.from("test"), Buffer.from([0])]);
    const ids = Buffer.alloc(7, 0xff);
    ids.writeUInt16LE(1, 1);
    ids.writeUInt32LE(options.primeId, 3);
    const beforeExtranonce = Buffer.concat([
      heightPush(height),
      Buffer.from([tags.length]),
      tags,
      Buffer.from([7]),
      ids,
      Buffer.from([14, 0, jobId]),
    ]);
    const scriptLength = beforeExtranonce.length + 12;
    const start = Buffer.concat([
      Buffer.from("0100000001", "hex"),
      Buffer.alloc(32),
      Buffer.from("ffffffff", "hex"),
      Buffer.from([scriptLength]),
    ]);
    const coinb1 = Buffer.concat([start, beforeExtranonce]);
    const value = options.value ?? 5_000_000_000n;
    const commitment = Buffer.concat([Buffer.from("6a24aa21a9ed", "hex"), Buffer.alloc(32, jobId)]);
    const payees = options.split?.outputs ?? [];
    const rest = payees.reduce((left, payee) => left - payee.value, value);
    const coinbaseId = options.split === undefined ? 0 : 1;
    const coinb2 = Buffer.concat([
      Buffer.from("ffffffff", "hex"),
      Buffer.from([payees.length + 2]),
      ...payees.map((payee) => output(payee.value, payee.script)),
      output(rest, options.payTo ?? POOL_SCRIPT),
      output(0n, commitment),
      Buffer.alloc(4),
    ]);
    const transactions = options.transactions ?? [];
    this.#base = {
      type: "share",
      jobId,
      coinbaseId,
      isBlock: false,
      subsidyOnly: false,
      quickdiff: false,
      unknownFlags: 0,
      targetByte: 0,
      ntime: Math.floor(Date.now() / 1000),
      version: 0x20000000,
      extranonce: new Uint8Array(12).fill(7),
      username: options.username ?? Buffer.from(MINER),
      reserved: 0,
    };
    this.#sections = {
      job: {
        prevhash: options.parent.hash,
        targetByteIndex: start.length + beforeExtranonce.length - 3 - 7,
        nbits: options.nbits ?? options.parent.childBits ?? 0x1b00ffff,
        coinbaserId: options.split?.coinbaserId ?? 0,
        height,
        coinbaseValue: value,
        transactionCount: transactions.length,
        totalWeight: 4000,
        totalSize: 1000,
        totalSigops: 4,
        branches: merkleBranches(transactions.map((raw) => parseTransaction(raw).txid)),
      },
      coinbase: { coinbaseId, coinb1, coinb2 },
    };
  }

  static async make(options: WorkOptions): Promise<GatewayWork> {
    return new GatewayWork(await ShareProver.create(), options);
  }

  /** Another share that meets the least target. @param sections with the job and the coinbase, as the first of a connection. */
  share(sections: boolean, change: Partial<Share> = {}): Share {
    for (;;) {
      const share: Share = { ...this.#base, nonce: this.#nonce++, ...(sections ? this.#sections : {}), ...change };
      const { job, coinbase } = this.#sections;
      const hash = this.#prover.prove({ ...share, ...coinbase, ...job });
      if (meetsTarget(hash, TARGET)) return share;
    }
  }

  /** Merkle root over the coinbase's txid and the branches. */
  root(coinbaseTxid: Uint8Array): Uint8Array {
    return foldBranches(coinbaseTxid, this.#sections.job.branches);
  }
}

function heightPush(height: number): Buffer {
  const bytes: number[] = [];
  for (let rest = height; rest > 0; rest >>>= 8) bytes.push(rest & 0xff);
  if ((bytes.at(-1) ?? 0) >= 0x80) bytes.push(0);
  return Buffer.from([bytes.length, ...bytes]);
}

function output(value: bigint, script: Uint8Array): Buffer {
  const amount = Buffer.alloc(8);
  amount.writeBigUInt64LE(value);
  return Buffer.concat([amount, Buffer.from([script.length]), script]);
}
