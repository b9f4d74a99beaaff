import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  bitsFromTarget,
  meetsTarget,
  NETWORKS,
  networkDifficulty,
  shareTarget,
  TargetError,
  targetBytes,
  targetFromBits,
} from "../src/index.js";
import { data, hex, thrown } from "./support.js";

interface Vectors {
  valid: { bits: string; target: string; canonical?: string }[];
  invalid: { bits: string; code: string }[];
}

const vectors = data<Vectors>("targets");
const bitsOf = (text: string) => Number.parseInt(text, 16);
const anyTarget = fc.bigInt({ min: 1n, max: (1n << 256n) - 1n });
const { mainnet, regtest } = NETWORKS;

describe("compact targets", () => {
  test.each(vectors.valid)("$bits is $target", ({ bits, target, canonical }) => {
    expect(targetFromBits(bitsOf(bits)).toString(16)).toBe(target);
    expect(bitsFromTarget(BigInt(`0x${target}`))).toBe(bitsOf(canonical ?? bits));
  });

  test.each(vectors.invalid)("$bits is refused: $code", ({ bits, code }) => {
    expect(thrown(TargetError, () => targetFromBits(bitsOf(bits))).code).toBe(code);
  });

  test.each([-1, 0.5, 2 ** 32, Number.NaN])("bits of %s are out of range", (bits) => {
    expect(thrown(TargetError, () => targetFromBits(bits)).code).toBe("range");
  });

  test("any u32 is a target or a TargetError, and what is written reads the same", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (bits) => {
        let target: bigint;
        try {
          target = targetFromBits(bits);
        } catch (error) {
          expect(error).toBeInstanceOf(TargetError);
          return;
        }
        expect(target > 0n && target >> 256n === 0n).toBe(true);
        expect(targetFromBits(bitsFromTarget(target))).toBe(target);
      }),
    );
  });

  test("a target is rounded down, by less than a part in 32768", () => {
    fc.assert(
      fc.property(anyTarget, (target) => {
        const rounded = targetFromBits(bitsFromTarget(target));
        expect(rounded <= target).toBe(true);
        expect((target - rounded) << 15n < target).toBe(true);
      }),
    );
  });

  test.each([
    [0n, "zero"],
    [-1n, "negative"],
    [1n << 256n, "overflow"],
  ])("no bits for the target %s", (target, code) => {
    expect(thrown(TargetError, () => bitsFromTarget(target)).code).toBe(code);
  });
});

describe("difficulty", () => {
  test("is 1 at each network's limit, signet's apart", () => {
    for (const { name, powLimitBits } of Object.values(NETWORKS)) {
      const difficulty = networkDifficulty(powLimitBits, NETWORKS[name]);
      expect([name, difficulty]).toEqual([name, name === "signet" ? 0n : 1n]);
    }
  });

  test("multiplies before it rounds", () => {
    // Block 800000: difficulty 53911173001054.59 by the node.
    const bits = 0x17053894;
    expect(networkDifficulty(bits, mainnet)).toBe(53_911_173_001_054n);
    expect(networkDifficulty(bits, mainnet, 8n)).toBe(431_289_384_008_436n);
  });

  test("on regtest is counted in units of its own limit", () => {
    // DATUM.md section 13: 1e7fffff is a block every 2^17 hashes, each of which is worth a half.
    expect(networkDifficulty(0x1e7fffff, regtest)).toBe(65_536n);
  });

  test("a share's target halves with each step of the target byte", () => {
    expect(shareTarget(0, mainnet)).toBe(0xffffn << 208n);
    expect(shareTarget(17, mainnet)).toBe((0xffffn << 208n) / 2n ** 17n);
    expect(shareTarget(63, regtest)).toBe((0x7fffffn << 232n) / 2n ** 63n);
    expect(shareTarget(255, mainnet)).toBe(0n);
    for (const byte of [-1, 256, 1.5]) expect(thrown(TargetError, () => shareTarget(byte, mainnet)).code).toBe("range");
  });
});

describe("meetsTarget", () => {
  test("compares as numbers do", () => {
    const near = fc.tuple(anyTarget, fc.bigInt({ min: -2n, max: 2n })).map(([a, d]) => [a, a + d] as const);
    fc.assert(
      fc.property(fc.oneof(near, fc.tuple(anyTarget, anyTarget)), ([hash, target]) => {
        fc.pre(target >= 0n && target >> 256n === 0n);
        expect(meetsTarget(targetBytes(hash), targetBytes(target))).toBe(hash <= target);
      }),
    );
  });

  test("target bytes are little-endian", () => {
    expect(hex(targetBytes(0x1234n))).toBe(`3412${"00".repeat(30)}`);
    expect(thrown(TargetError, () => targetBytes(-1n)).code).toBe("negative");
    expect(thrown(TargetError, () => targetBytes(1n << 256n)).code).toBe("overflow");
  });
});
