import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { largestRemainder, ShareWindow, tides } from "../src/index.js";
import { divide } from "./reference.js";

const MAX_VALUE = 2_100_000_000_000_000n;

describe("largest remainder", () => {
  const weights = fc.oneof(
    fc.array(fc.bigInt({ min: 0n, max: 50n }), { minLength: 1, maxLength: 40 }),
    fc.array(fc.bigInt({ min: 0n, max: 2n ** 180n }), { minLength: 1, maxLength: 40 }),
    // Many equal ones, and some apart by one unit: remainders that floating point can't tell from each other.
    fc.array(
      fc.integer({ min: -1, max: 1 }).map((d) => 2n ** 170n + BigInt(d)),
      { minLength: 1, maxLength: 40 },
    ),
  );

  test("is the plain integer rule, exactly", () => {
    fc.assert(
      fc.property(weights, fc.oneof(fc.bigInt({ min: 0n, max: 100n }), fc.bigInt({ min: 0n, max: MAX_VALUE })), (list, amount) => {
        const total = list.reduce((sum, weight) => sum + weight, 0n);
        fc.pre(total > 0n);
        const parts = largestRemainder(amount, list, total);
        expect(parts).toEqual(divide(amount, list, total));
        expect(parts.reduce((sum, part) => sum + part, 0n)).toBe(amount);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    [-1n, [1n], 1n],
    [2n ** 53n, [1n], 1n],
    [1n, [0n], 0n],
    [1n, [2n ** 1100n], 2n ** 1100n],
  ])("refuses %s over %s", (amount, list, total) => {
    expect(() => largestRemainder(amount, list, total)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^rewards\.invalid/) }),
    );
  });
});

describe("TIDES", () => {
  test("the window is floor(N × difficulty-one target / target)", () => {
    const difficultyOne = 0xffffn << 208n;
    expect(tides().windowSize({ difficultyOne, target: difficultyOne })).toBe(8n);
    expect(tides(3n).windowSize({ difficultyOne, target: difficultyOne / 7n })).toBe((3n * difficultyOne) / (difficultyOne / 7n));
    expect(tides().windowSize({ difficultyOne, target: difficultyOne * 100n })).toBe(1n);
    expect(() => tides(0n)).toThrow(expect.objectContaining({ code: "rewards.invalidPolicy" }));
    expect(() => tides().windowSize({ difficultyOne, target: 0n })).toThrow(expect.objectContaining({ code: "rewards.invalidPolicy" }));
  });

  test("fee and amounts add up to the value; the fee is each share's own; nobody gets more than a satoshi off its part", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            account: fc.integer({ min: 1, max: 30 }),
            weight: fc.bigInt({ min: 1n, max: 2n ** 63n }),
            feePpm: fc.integer({ min: 0, max: 1_000_000 }),
          }),
          {
            maxLength: 80,
          },
        ),
        fc.bigInt({ min: 0n, max: MAX_VALUE }),
        fc.bigInt({ min: 1n, max: 2n ** 66n }),
        (log, value, size) => {
          const window = new ShareWindow();
          log.forEach((share, i) => {
            if (i % 10 === 0) window.openSegment(i + 1);
            window.add(share);
          });
          const weights = window.weigh(size);
          const { fee, accounts, amounts } = tides().earned({ value }, weights);
          expect(fee + amounts.reduce((sum, amount) => sum + amount, 0n)).toBe(value);
          expect(accounts).toEqual(weights.accounts);
          const net = weights.totalNetWeight;
          if (net === 0n) return;
          const whole = weights.totalWeight * 1_000_000n;
          expect(fee).toBe((value * (whole - net)) / whole);
          amounts.forEach((amount, i) => {
            const floor = ((value - fee) * (weights.netWeights[i] as bigint)) / net;
            expect(amount === floor || amount === floor + 1n).toBe(true);
          });
        },
      ),
      { numRuns: 300 },
    );
  });

  test("an example worked by hand", () => {
    const window = new ShareWindow();
    window.openSegment(1);
    window.add({ account: 1, weight: 4n, feePpm: 0 });
    window.openSegment(2);
    window.add({ account: 1, weight: 2n, feePpm: 20_000 });
    window.add({ account: 2, weight: 4n, feePpm: 10_000 });
    // Window of 8: all of segment 2 (6 units) and half of segment 1: account 1 has 2 + 2, account 2 has 4 units.
    // Fee: (2 × 2 % + 4 × 1 %) / 8 = 1 % of 1000. Net: account 1 has 3.96, account 2 has 3.96 of 7.92: 495 each.
    expect(tides().earned({ value: 1000n }, window.weigh(8n))).toEqual({ fee: 10n, accounts: [1, 2], amounts: [495n, 495n] });
    // The odd satoshi goes to the first account.
    expect(tides().earned({ value: 1001n }, window.weigh(8n))).toEqual({ fee: 10n, accounts: [1, 2], amounts: [496n, 495n] });
  });

  test("over an empty window, and where the fee is all, everything is the pool's", () => {
    expect(tides().earned({ value: 5n }, new ShareWindow().weigh(10n))).toEqual({ fee: 5n, accounts: [], amounts: [] });
    const window = new ShareWindow();
    window.openSegment(1);
    window.add({ account: 1, weight: 1n, feePpm: 1_000_000 });
    expect(tides().earned({ value: 5n }, window.weigh(10n))).toEqual({ fee: 5n, accounts: [1], amounts: [0n] });
    expect(() => tides().earned({ value: -5n }, window.weigh(10n))).toThrow(expect.objectContaining({ code: "rewards.invalidAmount" }));
  });
});
