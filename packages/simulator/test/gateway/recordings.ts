/**
 * Reads the recorded conversations of a real gateway (packages/datum/test/recordings) with a reader of its own, as far as the coinbase
 * builder's known answers need it: splits, job sections, coinbase sections.
 */
import { readFileSync } from "node:fs";

interface Frame {
  readonly dir: "gateway>pool" | "pool>gateway";
  readonly cmd: number;
  readonly plain: string;
}

export interface Recording {
  readonly config: { readonly payoutHex: string; readonly tag: string; readonly primeId: number };
  readonly connections: readonly { readonly frames: readonly Frame[] }[];
}

export const RECORDINGS = ["ordinary", "new-blocks", "quickdiff"] as const;

export function readRecording(name: string): Recording {
  return JSON.parse(readFileSync(new URL(`../../../datum/test/recordings/${name}.json`, import.meta.url), "utf8")) as Recording;
}

export interface RecordedSplit {
  readonly value: bigint;
  readonly outputs: readonly { readonly value: bigint; readonly script: Uint8Array }[];
}

export interface RecordedJob {
  readonly prevhash: Buffer;
  readonly targetByteIndex: number;
  readonly nbits: number;
  readonly coinbaserId: number;
  readonly height: number;
  readonly value: bigint;
  readonly totalWeight: number;
  readonly totalSize: number;
  readonly branches: Buffer;
}

export interface RecordedShare {
  readonly jobId: number;
  readonly coinbaseId: number;
  readonly subsidyOnly: boolean;
  readonly quickdiff: boolean;
  readonly targetByte: number;
  readonly ntime: number;
  readonly nonce: number;
  readonly version: number;
  readonly extranonce: Buffer;
  readonly job?: RecordedJob;
  readonly coinbase?: { readonly coinb1: Buffer; readonly coinb2: Buffer };
}

/** 0x11. */
export function readSplit(plain: Buffer): RecordedSplit & { readonly coinbaserId: number } {
  const value = plain.readBigUInt64LE(1);
  const end = 13 + plain.readUInt32LE(9);
  const outputs = [];
  for (let at = 14; at < end; ) {
    const length = plain[at + 8]!;
    outputs.push({ value: plain.readBigUInt64LE(at), script: new Uint8Array(plain.subarray(at + 9, at + 9 + length)) });
    at += 9 + length;
  }
  return { value, coinbaserId: plain[13]!, outputs };
}

/** 0x27. */
export function readShare(plain: Buffer): RecordedShare {
  let at = plain.indexOf(0, 30) + 5;
  const sections: { job?: RecordedJob; coinbase?: { coinb1: Buffer; coinb2: Buffer } } = {};
  if (plain[at] === 0x01) {
    const branchBytes = plain[at + 68]! * 32;
    sections.job = {
      prevhash: plain.subarray(at + 1, at + 33),
      targetByteIndex: plain.readUInt16LE(at + 33),
      nbits: plain.readUInt32LE(at + 35),
      coinbaserId: plain[at + 39]!,
      height: plain.readUInt32LE(at + 40),
      value: plain.readBigUInt64LE(at + 44),
      totalWeight: plain.readUInt32LE(at + 56),
      totalSize: plain.readUInt32LE(at + 60),
      branches: plain.subarray(at + 69, at + 69 + branchBytes),
    };
    at += 69 + branchBytes;
  }
  if (plain[at] === 0x02) {
    const first = plain.readUInt16LE(at + 2);
    const second = plain.readUInt16LE(at + 4);
    sections.coinbase = {
      coinb1: plain.subarray(at + 6, at + 6 + first),
      coinb2: plain.subarray(at + 6 + first, at + 6 + first + second),
    };
    at += 6 + first + second;
  }
  if (plain[at] !== 0xfe) throw new Error(`end of share expected at ${at}, got ${plain[at]}`);
  return {
    jobId: plain[1]!,
    coinbaseId: plain[2]!,
    subsidyOnly: (plain[3]! & 2) !== 0,
    quickdiff: (plain[3]! & 4) !== 0,
    targetByte: plain[4]!,
    ntime: plain.readUInt32LE(5),
    nonce: plain.readUInt32LE(9),
    version: plain.readUInt32LE(13),
    extranonce: plain.subarray(18, 30),
    ...sections,
  };
}
