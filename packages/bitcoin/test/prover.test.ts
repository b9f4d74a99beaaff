import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import {
  meetsTarget,
  NETWORKS,
  type Network,
  ProverError,
  parseCoinbase,
  type ShareProofInput,
  ShareProver,
  shareTarget,
  targetBytes,
} from "../src/index.js";
import { bytes, data, hex, thrown } from "./support.js";

interface RecordedShare {
  recording: "ordinary" | "new-blocks" | "quickdiff" | "real-work";
  coinbaseId: number;
  flags: number;
  targetByte: number;
  targetByteIndex: number;
  version: number;
  prevhash: string;
  ntime: number;
  nbits: number;
  nonce: number;
  extranonce: string;
  coinb1: string;
  coinb2: string;
  branches: string;
  coinbaseValue: string;
  transactionCount: number;
  hash: string;
}

let prover: ShareProver;
beforeAll(async () => {
  prover = await ShareProver.create();
});

const twice = (value: Uint8Array) => createHash("sha256").update(createHash("sha256").update(value).digest()).digest();

/** DATUM.md section 9 in its plainest form. */
function reference(input: ShareProofInput): { coinbase: Buffer; header: Buffer; hash: Buffer } {
  const coinb1 = Buffer.from(input.coinb1);
  if (input.quickdiff) {
    const end = coinb1.subarray(-2);
    end.set(end.equals(Buffer.of(0x44, 0x51)) ? [0xbb, 0xae] : [0x44, 0x51]);
  }
  const coinbase = Buffer.concat([coinb1, input.extranonce, input.coinb2]);
  coinbase[input.targetByteIndex] = input.targetByte;
  let root = twice(coinbase);
  for (let at = 0; at < input.branches.length && !input.subsidyOnly; at += 32) {
    root = twice(Buffer.concat([root, input.branches.subarray(at, at + 32)]));
  }
  const u32 = (value: number) => Buffer.of(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
  const header = Buffer.concat([u32(input.version), input.prevhash, root, u32(input.ntime), u32(input.nbits), u32(input.nonce)]);
  return { coinbase, header, hash: twice(header) };
}

const u32 = fc.nat(0xffff_ffff);
const sized = (min: number, max: number) =>
  // A seed instead of every byte: fast-check would spend its time on making (and shrinking) kilobytes.
  fc.tuple(fc.integer({ min, max }), u32).map(([length, seed]) => {
    const block = createHash("sha256").update(String(seed)).digest();
    return Uint8Array.from({ length }, (_, i) => block[i % 32]! ^ (i >>> 5));
  });

const coinb1 = fc.oneof(
  sized(2, 130),
  sized(2, 1200),
  sized(1000, 20_000),
  // As quickdiff leaves it.
  sized(2, 200).map((value) => Uint8Array.of(...value, 0x44, 0x51)),
);

const anyInput: fc.Arbitrary<ShareProofInput> = fc
  .record({
    coinb1,
    extranonce: fc.oneof(sized(12, 12), sized(0, 255)),
    coinb2: fc.oneof(sized(0, 700), sized(0, 19_000)),
    at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    targetByte: fc.nat(255),
    quickdiff: fc.boolean(),
    branches: fc.integer({ min: 0, max: 32 }).chain((count) => sized(32 * count, 32 * count)),
    subsidyOnly: fc.boolean(),
    version: u32,
    prevhash: sized(32, 32),
    ntime: u32,
    nbits: u32,
    nonce: u32,
  })
  .map(({ at, ...rest }) => ({ ...rest, targetByteIndex: Math.floor(at * rest.coinb1.length) }));

const simple: ShareProofInput = {
  coinb1: new Uint8Array(100).fill(1),
  extranonce: new Uint8Array(12).fill(2),
  coinb2: new Uint8Array(100).fill(3),
  targetByteIndex: 50,
  targetByte: 20,
  quickdiff: false,
  branches: new Uint8Array(64).fill(4),
  subsidyOnly: false,
  version: 0x2000_0000,
  prevhash: new Uint8Array(32).fill(5),
  ntime: 1_700_000_000,
  nbits: 0x1d00ffff,
  nonce: 42,
};

describe("prove", () => {
  test("agrees with node:crypto on any share", () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        const expected = reference(input);
        expect(hex(prover.prove(input))).toBe(hex(expected.hash));
        expect(hex(prover.header())).toBe(hex(expected.header));
        expect(Buffer.compare(prover.coinbase(), expected.coinbase)).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test("agrees at every length over three of SHA-256's blocks, and about the switch to the other hasher", () => {
    const lengths = [...Array.from({ length: 193 }, (_, i) => i + 1), 1022, 1023, 1024, 1025, 16_005, 40_000];
    for (const length of lengths) {
      const input = { ...simple, coinb1: new Uint8Array(length).fill(7), extranonce: bytes(""), coinb2: bytes(""), targetByteIndex: 0 };
      expect([length, hex(prover.prove(input))]).toEqual([length, hex(reference(input).hash)]);
    }
  });

  describe.each(data<{ shares: RecordedShare[] }>("shares").shares)(
    "$recording: coinbase $coinbaseId, flags $flags, target byte $targetByte",
    (share) => {
      const input: ShareProofInput = {
        ...share,
        coinb1: bytes(share.coinb1),
        extranonce: bytes(share.extranonce),
        coinb2: bytes(share.coinb2),
        branches: bytes(share.branches),
        prevhash: bytes(share.prevhash),
        quickdiff: (share.flags & 4) !== 0,
        subsidyOnly: (share.flags & 2) !== 0,
      };
      // In the recordings difficulty one is 2^31 times easier than the real one.
      const difficultyOne = share.recording === "real-work" ? NETWORKS.mainnet.difficultyOne : 0xffffn << 239n;
      const network: Network = { ...NETWORKS.regtest, difficultyOne };

      test("its hash meets the target that its byte claims", () => {
        const hash = prover.prove(input);
        expect(hex(hash)).toBe(share.hash);
        expect(meetsTarget(hash, targetBytes(shareTarget(share.targetByte, network)))).toBe(true);
      });

      test("the coinbase that was hashed pays the job's value", () => {
        prover.prove(input);
        const { outputs, scriptSig, scriptSigOffset } = parseCoinbase(prover.coinbase());
        expect(scriptSig[share.targetByteIndex - scriptSigOffset]).toBe(share.targetByte);
        const paid = outputs.reduce((sum, { value }) => sum + value, 0n);
        expect(paid).toBe(input.subsidyOnly ? 5_000_000_000n : BigInt(share.coinbaseValue));
        expect(input.branches.length / 32).toBe(Math.ceil(Math.log2(share.transactionCount + 1)));
      });
    },
  );

  test("the real work has 32 zero bits on top", () => {
    const real = data<{ shares: RecordedShare[] }>("shares").shares.filter(({ recording }) => recording === "real-work");
    expect(new Set(real.map(({ hash }) => hash.slice(-8)))).toEqual(new Set(["00000000"]));
  });

  test("the hash is a view that the next call overwrites; header and coinbase are copies", () => {
    const hash = prover.prove(simple);
    const [first, header, coinbase] = [hex(hash), prover.header(), prover.coinbase()];
    const expected = reference(simple);
    prover.prove({ ...simple, nonce: 43, coinb1: new Uint8Array(100).fill(9) });
    expect(hex(hash)).not.toBe(first);
    expect([hex(header), hex(coinbase)]).toEqual([hex(expected.header), hex(expected.coinbase)]);
  });

  test("two provers don't share memory", async () => {
    const other = await ShareProver.create();
    const hash = prover.prove(simple);
    const before = hex(hash);
    other.prove({ ...simple, nonce: 1 });
    expect(hex(hash)).toBe(before);
  });

  test("subsidy-only work has the coinbase's txid as its root, whatever the branches", () => {
    prover.prove({ ...simple, subsidyOnly: true, branches: new Uint8Array(5) });
    expect(hex(prover.header().subarray(36, 68))).toBe(hex(twice(prover.coinbase())));
  });

  test.each<[string, Partial<ShareProofInput>, string]>([
    ["a coinbase over 40,000 bytes", { coinb2: new Uint8Array(40_000) }, "coinbaseTooLarge"],
    ["33 branches", { branches: new Uint8Array(33 * 32) }, "badBranches"],
    ["branches that aren't whole", { branches: new Uint8Array(33) }, "badBranches"],
    ["a target byte behind the coinbase", { targetByteIndex: 212 }, "badTargetByte"],
    ["a target byte before it", { targetByteIndex: -1 }, "badTargetByte"],
    ["a target byte between two", { targetByteIndex: 1.5 }, "badTargetByte"],
    ["a target byte over 255", { targetByte: 256 }, "badTargetByte"],
    ["quickdiff without two bytes to replace", { quickdiff: true, coinb1: Uint8Array.of(1), targetByteIndex: 0 }, "badQuickdiff"],
    ["a short prevhash", { prevhash: new Uint8Array(31) }, "badPrevhash"],
    ["no coinbase at all", { coinb1: bytes(""), extranonce: bytes(""), coinb2: bytes(""), targetByteIndex: 0 }, "badTargetByte"],
  ])("%s is refused, and the next share is proved as if nothing had been", (_, change, code) => {
    expect(thrown(ProverError, () => prover.prove({ ...simple, ...change })).code).toBe(code);
    expect(prover.coinbase().length).toBe(0);
    expect(hex(prover.prove(simple))).toBe(hex(reference(simple).hash));
  });
});
