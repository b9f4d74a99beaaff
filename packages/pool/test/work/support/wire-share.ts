/** A decoder of share messages (0x27) and splits (0x11) written from DATUM.md alone, so that the recordings are read by a second pair of eyes. */
import type { CoinbaseSection, JobSection, Share } from "@openprime/datum";
import type { SplitOutput } from "../../../src/work/index.js";

/** Decode a plaintext that begins with 0x27. */
export function readShare(plain: Buffer): Share {
  let at = 1;
  const bytes = (n: number) => {
    at += n;
    return plain.subarray(at - n, at);
  };
  const u8 = () => bytes(1).readUInt8();
  const u16 = () => bytes(2).readUInt16LE();
  const u32 = () => bytes(4).readUInt32LE();
  const u64 = () => bytes(8).readBigUInt64LE();
  const jobId = u8();
  const coinbaseId = u8();
  const flags = u8();
  const targetByte = u8();
  const ntime = u32();
  const nonce = u32();
  const version = u32();
  const extranonce = bytes(u8());
  const username = bytes(plain.indexOf(0, at) - at);
  at++;
  const reserved = u32();
  let job: JobSection | undefined;
  let coinbase: CoinbaseSection | undefined;
  for (let section = u8(); section !== 0xfe; section = u8()) {
    if (section === 1) {
      const prevhash = bytes(32);
      const targetByteIndex = u16();
      const nbits = u32();
      const coinbaserId = u8();
      const height = u32();
      const coinbaseValue = u64();
      const transactionCount = u32();
      const totalWeight = u32();
      const totalSize = u32();
      const totalSigops = u32();
      const branches = bytes(u8() * 32);
      job = {
        prevhash,
        targetByteIndex,
        nbits,
        coinbaserId,
        height,
        coinbaseValue,
        transactionCount,
        totalWeight,
        totalSize,
        totalSigops,
        branches,
      };
    } else if (section === 2) {
      const id = u8();
      const length1 = u16();
      const length2 = u16();
      coinbase = { coinbaseId: id, coinb1: bytes(length1), coinb2: bytes(length2) };
    } else {
      throw new Error(`section ${section} at ${at}`);
    }
  }
  return {
    type: "share",
    jobId,
    coinbaseId,
    isBlock: (flags & 1) !== 0,
    subsidyOnly: (flags & 2) !== 0,
    quickdiff: (flags & 4) !== 0,
    unknownFlags: flags & ~7,
    targetByte,
    ntime,
    nonce,
    version,
    extranonce,
    username,
    reserved,
    ...(job === undefined ? {} : { job }),
    ...(coinbase === undefined ? {} : { coinbase }),
  };
}

/** Decode a plaintext that begins with 0x11. */
export function readSplit(plain: Buffer): { value: bigint; coinbaserId: number; outputs: SplitOutput[] } {
  const value = plain.readBigUInt64LE(1);
  const blob = plain.subarray(13, 13 + plain.readUInt32LE(9));
  const outputs: SplitOutput[] = [];
  for (let at = 1; at < blob.length; ) {
    const length = blob.readUInt8(at + 8);
    outputs.push({ value: blob.readBigUInt64LE(at), script: blob.subarray(at + 9, at + 9 + length) });
    at += 9 + length;
  }
  return { value, coinbaserId: blob.readUInt8(0), outputs };
}
