import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EMPTY_WINDOW, type NetworkTargets, type Scheme, ShareWindow, tides, windowSize } from "../src/index.js";

const MAX_VALUE = 2_100_000_000_000_000n;

const sizeOf = (scheme: Scheme, targets: NetworkTargets) => windowSize(scheme.window, { targets, logWeight: 0n, blockWeights: [] });

describe("TIDES", () => {
  test("the window is floor(N × difficulty-one target / target)", () => {
    const difficultyOne = 0xffffn << 208n;
    expect(sizeOf(tides(), { difficultyOne, target: difficultyOne })).toBe(8n);
    expect(sizeOf(tides(3n), { difficultyOne, target: difficultyOne / 7n })).toBe((3n * difficultyOne) / (difficultyOne / 7n));
    expect(sizeOf(tides(), { difficultyOne, target: difficultyOne * 100n })).toBe(1n);
    expect(() => tides(2n ** 63n)).toThrow(expect.objectContaining({ code: "rewards.invalidPolicy" }));
    expect(() => tides(0n)).toThrow(expect.objectContaining({ code: "rewards.invalidPolicy" }));
    expect(() => sizeOf(tides(), { difficultyOne, target: 0n })).toThrow(expect.objectContaining({ code: "rewards.invalidPolicy" }));
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
    expect(tides().earned({ value: 5n }, EMPTY_WINDOW)).toEqual({ fee: 5n, accounts: [], amounts: [] });
    expect(() => tides().earned({ value: -5n }, window.weigh(10n))).toThrow(expect.objectContaining({ code: "rewards.invalidAmount" }));
  });

  test("a window that is loaded in part is not divided over", () => {
    const window = new ShareWindow();
    window.load([{ id: 5, sums: [{ account: 1, weight: 10n, feeWeight: 0n }] }], true);
    expect(tides().earned({ value: 5n }, window.weigh(10n)).amounts).toEqual([5n]);
    expect(() => tides().earned({ value: 5n }, window.weigh(11n))).toThrow(expect.objectContaining({ code: "rewards.incompleteWindow" }));
  });
});
