import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { expectedBlocks, luckOf, poissonTail } from "../src/index.js";

const code = (name: string) => expect.objectContaining({ code: `rewards.${name}` });

describe("luck", () => {
  // Worked out with 60 digits.
  test.each([
    [0, 0, 1.0],
    [0, 3, 1.0],
    [0.001, 0, 0.999000499833375],
    [0.5, 0, 0.6065306597126334],
    [0.5, 2, 0.9856123220330293],
    [1, 1, 0.7357588823428847],
    [3, 0, 0.049787068367863944],
    [5, 10, 0.986304731401617],
    [10, 3, 0.010336050675925718],
    [15.5, 15, 0.5170112472697082],
    [16, 16, 0.5659624230098765],
    [20, 5, 7.190884052842893e-5],
    [100, 60, 1.0812218170244077e-5],
    [100, 100, 0.5265621985299984],
    [100, 140, 0.9999359873627851],
    [700, 600, 5.927296273542696e-5],
    [1000, 900, 0.0006977673277963068],
    [1e4, 9600, 2.905280157176168e-5],
    [123456.789, 122000, 1.6451434998762097e-5],
    [1e5, 100_000, 0.5008410430993401],
    [1e6, 995_000, 2.8148203838965314e-7],
    [1e6, 999_000, 0.1587762998117256],
    [1e6, 1_001_000, 0.8414656709634282],
    [1e6, 990_000, 6.477757015289886e-24],
  ])("with %d blocks due, at most %d are found with probability %d", (expected, found, probability) => {
    expect(Math.abs(poissonTail(expected, found) / probability - 1)).toBeLessThan(1e-12);
  });

  test("is a distribution: from 0 to 1, growing with what was found, falling with what was due", () => {
    const due = fc.oneof(fc.double({ min: 0, max: 50, noNaN: true }), fc.double({ min: 0, max: 1e6, noNaN: true }));
    fc.assert(
      fc.property(due, fc.double({ min: -6, max: 6, noNaN: true }), (expected, deviations) => {
        const found = Math.max(0, Math.round(expected + deviations * Math.sqrt(expected)));
        const p = poissonTail(expected, found);
        expect(p >= 0 && p <= 1).toBe(true);
        expect(poissonTail(expected, found + 1)).toBeGreaterThanOrEqual(p * (1 - 1e-12));
        expect(poissonTail(expected * 1.01, found)).toBeLessThanOrEqual(p * (1 + 1e-12));
      }),
    );
  });

  test("the tails on both sides of the mean are one sum", () => {
    // P(X <= k) - P(X <= k - 1) = P(X = k), across the place where the other tail is summed.
    for (let k = 1; k < 30; k++) {
      let probability = Math.exp(-12);
      for (let i = 1; i <= k; i++) probability *= 12 / i;
      expect(poissonTail(12, k) - poissonTail(12, k - 1)).toBeCloseTo(probability, 13);
    }
  });

  test("of an account: half the blocks that were due, and how likely that is", () => {
    expect(luckOf(20, 10)).toEqual({ expected: 20, found: 10, ratio: 0.5, pValue: poissonTail(20, 10) });
    expect(luckOf(0, 0)).toEqual({ expected: 0, found: 0, ratio: undefined, pValue: 1 });
    const difficultyOne = 0xffffn << 208n;
    expect(expectedBlocks(10n ** 15n, { difficultyOne, target: difficultyOne / 10n ** 14n })).toBeCloseTo(10, 9);
  });

  test.each([
    [-1, 0],
    [Number.NaN, 0],
    [Number.POSITIVE_INFINITY, 0],
    [1.1e9, 0],
    [1, -1],
    [1, 0.5],
    [1, Number.NaN],
  ])("refuses %d due and %d found", (expected, found) => {
    expect(() => poissonTail(expected, found)).toThrow(code("invalidLuck"));
  });

  test("refuses a weight below 0 and a target of 0", () => {
    expect(() => expectedBlocks(-1n, { difficultyOne: 1n, target: 1n })).toThrow(code("invalidWeight"));
    expect(() => expectedBlocks(1n, { difficultyOne: 1n, target: 0n })).toThrow(code("invalidPolicy"));
  });
});
