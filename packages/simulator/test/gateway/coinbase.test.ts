import { foldBranches, meetsTarget, NETWORKS, sha256d, shareTarget, targetBytes } from "@openprime/bitcoin";
import { describe, expect, it } from "vitest";
import { buildCoinbase, type CoinbaseKind, type CoinbaseRecipe, finishCoinbase, targetByteIndex } from "../../src/gateway/coinbase.js";
import { mainnetSubsidy } from "../../src/gateway/template.js";
import { encodeHeader } from "../../src/gateway/work.js";
import { RECORDINGS, type RecordedJob, type RecordedSplit, readRecording, readShare, readSplit } from "./recordings.js";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** What the gateway put into its scriptSig of its own accord, read from a recorded coinb1. */
function ownParts(coinb1: Buffer, index: number): { secondaryTag: Buffer; uniqueId: number } {
  const tags = coinb1.subarray(42 + 1 + coinb1[42]!, index - 1);
  const push = tags[0] === 0x4c ? tags.subarray(2) : tags.subarray(1);
  const separator = push.indexOf(0x0f);
  return {
    secondaryTag: separator < 0 ? Buffer.alloc(0) : push.subarray(separator + 1, push.length - 1),
    uniqueId: coinb1.readUInt16LE(index + 1),
  };
}

describe.each(RECORDINGS)("recorded conversation %s", (name) => {
  const recording = readRecording(name);
  const payoutScript = Buffer.from(recording.config.payoutHex, "hex");

  it("has its coinbases rebuilt byte for byte", () => {
    const kinds = new Set<number>();
    let rebuilt = 0;
    for (const { frames } of recording.connections) {
      const splits = new Map<string, RecordedSplit>();
      const jobs = new Map<number, RecordedJob>();
      for (const frame of frames) {
        const plain = Buffer.from(frame.plain, "hex");
        if (frame.cmd !== 5) continue;
        if (frame.dir === "pool>gateway" && plain[0] === 0x11) {
          const split = readSplit(plain);
          splits.set(`${split.coinbaserId}:${split.value}`, split);
          // A job that was used before its split came has id 0, and its later coinbases pay the latest split all the same.
          splits.set(`0:${split.value}`, split);
        }
        if (frame.dir !== "gateway>pool" || plain[0] !== 0x27) continue;
        const share = readShare(plain);
        if (share.job !== undefined) jobs.set(share.jobId, share.job);
        if (share.coinbase === undefined) continue;
        const job = jobs.get(share.jobId)!;
        const { coinb1, coinb2 } = share.coinbase;
        const split = splits.get(`${job.coinbaserId}:${job.value}`);
        const commitment = coinb2.subarray(coinb2.length - 42, coinb2.length - 4);
        const recipe: CoinbaseRecipe = {
          height: job.height,
          primaryTag: Buffer.from(recording.config.tag),
          ...ownParts(coinb1, job.targetByteIndex),
          primeId: recording.config.primeId,
          extranoncePrefix: coinb1.readUInt16BE(coinb1.length - 2),
          poolScript: payoutScript,
          value: job.value,
          subsidy: mainnetSubsidy(job.height),
          witnessCommitment: commitment,
          outputs: split?.outputs ?? [],
          room: { size: job.totalSize, weight: job.totalWeight, sizeLimit: 4_000_000, weightLimit: 4_000_000 },
        };
        const built = buildCoinbase(recipe, share.coinbaseId as CoinbaseKind);
        expect(hex(built.coinb1), `coinb1 of kind ${share.coinbaseId}`).toBe(hex(coinb1));
        expect(hex(built.coinb2), `coinb2 of kind ${share.coinbaseId}`).toBe(hex(coinb2));
        expect(targetByteIndex(recipe)).toBe(job.targetByteIndex);
        kinds.add(share.coinbaseId);
        rebuilt += 1;
      }
    }
    expect(rebuilt).toBeGreaterThan(1);
    if (name === "ordinary") expect([...kinds].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5]);
    if (name === "new-blocks") expect(kinds).toContain(0xff);
  });

  it("has shares whose headers meet their targets when built as here", () => {
    let quickdiffs = 0;
    let checked = 0;
    for (const { frames } of recording.connections) {
      const jobs = new Map<number, { job: RecordedJob; coinbases: Map<number, { coinb1: Buffer; coinb2: Buffer }> }>();
      for (const frame of frames) {
        const plain = Buffer.from(frame.plain, "hex");
        if (frame.cmd !== 5 || frame.dir !== "gateway>pool" || plain[0] !== 0x27) continue;
        const share = readShare(plain);
        if (share.job !== undefined) jobs.set(share.jobId, { job: share.job, coinbases: new Map() });
        const held = jobs.get(share.jobId)!;
        if (share.coinbase !== undefined) held.coinbases.set(share.coinbaseId, share.coinbase);
        const { job } = held;
        const coinbase = finishCoinbase(held.coinbases.get(share.coinbaseId)!, share.extranonce, {
          targetByteIndex: job.targetByteIndex,
          targetByte: share.targetByte,
          quickdiff: share.quickdiff,
        });
        const txid = sha256d(coinbase);
        const merkleRoot = share.subsidyOnly ? txid : foldBranches(txid, job.branches);
        const header = encodeHeader({ ...share, merkleRoot, prevhash: job.prevhash, nbits: job.nbits });
        // The relaxed gateway's difficulty one is 0x7fff8000…, a little harder than regtest's.
        expect(meetsTarget(sha256d(header), targetBytes(shareTarget(share.targetByte, NETWORKS.regtest)))).toBe(true);
        checked += 1;
        if (share.quickdiff) quickdiffs += 1;
      }
    }
    expect(checked).toBeGreaterThan(20);
    if (name === "quickdiff") expect(quickdiffs).toBeGreaterThan(0);
  });
});

const recipe: CoinbaseRecipe = {
  height: 900_000,
  primaryTag: Buffer.from("OpenPrime"),
  secondaryTag: Buffer.from("a gateway"),
  uniqueId: 4242,
  primeId: 0xaabbccdd,
  extranoncePrefix: 0x1234,
  poolScript: Buffer.from("0014751e76e8199196d454941c45d1b3a323f1433bd6", "hex"),
  value: 312_500_000n,
  subsidy: 312_500_000n,
  witnessCommitment: Buffer.from(`6a24aa21a9ed${"11".repeat(32)}`, "hex"),
  outputs: Array.from({ length: 600 }, (_, i) => ({
    value: 500_000n,
    script: Uint8Array.of(0, 0x14, ...new Uint8Array(20).fill(i & 0xff)),
  })),
  room: { size: 0, weight: 0, sizeLimit: 4_000_000, weightLimit: 4_000_000 },
};
const sizeOf = (built: { coinb1: Uint8Array; coinb2: Uint8Array }): number => built.coinb1.length + 12 + built.coinb2.length;

describe("sizes", () => {
  it.each([
    [1, 500],
    [2, 755],
    [5, 2250],
    [3, 6500],
    [4, 16000],
  ] as const)("kind %i fills its %i bytes and hardly more", (kind, limit) => {
    const built = buildCoinbase(recipe, kind);
    expect(sizeOf(built)).toBeGreaterThan(limit - 40);
    expect(sizeOf(built)).toBeLessThan(limit + 8);
    expect(built.paidOutputs).toBeGreaterThan(5);
  });

  it("leaves fewer outputs, down to none, when the template is full", () => {
    const withRoom = (free: number): number =>
      buildCoinbase({ ...recipe, room: { size: 3_000_000, weight: 4_000_000 - free, sizeLimit: 4_000_000, weightLimit: 4_000_000 } }, 4)
        .paidOutputs;
    expect(withRoom(0)).toBe(0);
    expect(withRoom(8_000)).toBeGreaterThan(0);
    expect(withRoom(8_000)).toBeLessThan(withRoom(40_000));
  });
});

describe("forms", () => {
  it("puts a dummy where the split claims every satoshi", () => {
    const built = buildCoinbase({ ...recipe, outputs: [{ value: recipe.value, script: recipe.outputs[0]!.script }] }, 3);
    expect(hex(built.coinb2)).toContain("0000000000000000036a0100");
  });

  it("moves the extranonce to an OP_RETURN when the scriptSig is too long for it", () => {
    const long = { ...recipe, primaryTag: Buffer.from("x".repeat(70)) };
    const built = buildCoinbase(long, 3);
    expect(hex(built.coinb1).endsWith("0000000000000000106a0e1234")).toBe(true);
    expect(hex(buildCoinbase(recipe, 3).coinb1).endsWith("0e1234")).toBe(true);
    expect(hex(buildCoinbase(long, 0xff).coinb1)).toContain("ffffffff02");
  });

  it("cuts the secondary tag to the room that is left, and refuses a primary tag that has none", () => {
    const cut = buildCoinbase({ ...recipe, primaryTag: Buffer.from("x".repeat(80)), secondaryTag: Buffer.from("abcdefgh") }, 0);
    expect(Buffer.from(cut.coinb1).toString("latin1")).toContain("x\u000fabcd\u0000");
    expect(() => buildCoinbase({ ...recipe, primaryTag: Buffer.from("x".repeat(84)) }, 0)).toThrow(RangeError);
  });

  it("makes kinds 1 to 5 of an empty split byte for byte kind 0", () => {
    const empty = { ...recipe, outputs: [] };
    for (const kind of [1, 2, 3, 4, 5] as const) expect(buildCoinbase(empty, kind)).toEqual(buildCoinbase(empty, 0));
  });

  it("marks quickdiff work in the last two bytes of coinb1, whatever they were", () => {
    const place = { targetByteIndex: targetByteIndex(recipe), targetByte: 3, quickdiff: true };
    const at = buildCoinbase(recipe, 0).coinb1.length - 2;
    const marked = (prefix: number): string =>
      hex(finishCoinbase(buildCoinbase({ ...recipe, extranoncePrefix: prefix }, 0), new Uint8Array(12), place).subarray(at, at + 2));
    expect(marked(0x1234)).toBe("4451");
    expect(marked(0x4451)).toBe("bbae");
  });
});
