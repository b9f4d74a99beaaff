import fc from "fast-check";
import { expect, test } from "vitest";
import { type AccountSum, type SegmentSums, ShareWindow } from "../src/index.js";
import { type LoggedShare, weigh } from "./reference.js";

/** Around the bounds of what a stored sum may be packed in, and far past the largest share. */
const weights = fc.oneof(
  fc.bigInt({ min: 1n, max: 9n }),
  fc.tuple(fc.constantFrom(32n, 53n, 63n, 64n, 96n), fc.bigInt({ min: -3n, max: 3n })).map(([bits, off]) => 2n ** bits + off),
);
/** Logs of one fee rate, and logs whose rate changes. */
const logs = fc.constantFrom([10_000], [0], [0, 10_000, 999_999, 1_000_000]).chain((rates) =>
  fc.array(
    fc.record({
      segment: fc.integer({ min: 1, max: 6 }),
      account: fc.integer({ min: 1, max: 4 }),
      weight: weights,
      feePpm: fc.constantFrom(...rates),
    }),
    { maxLength: 30 },
  ),
);
const sizes = fc.array(fc.oneof(weights, fc.bigInt({ min: 1n, max: 2n ** 100n })), { minLength: 1, maxLength: 5 });

function stored(log: readonly LoggedShare[], id: number): SegmentSums {
  const sums = new Map<number, AccountSum>();
  for (const { account, weight, feePpm } of log.filter(({ segment }) => segment === id)) {
    const sum = sums.get(account) ?? { account, weight: 0n, feeWeight: 0n };
    sums.set(account, { account, weight: sum.weight + weight, feeWeight: sum.feeWeight + weight * BigInt(feePpm) });
  }
  return { id, sums: [...sums.values()] };
}

function expectSame(window: ShareWindow, log: readonly LoggedShare[], asked: readonly bigint[]): void {
  for (const size of asked) {
    const { rows, denominator, firstSegment } = weigh(log, size);
    const got = window.weigh(size);
    expect({ accounts: got.accounts, weights: got.weights, netWeights: got.netWeights }).toEqual({
      accounts: rows.map(({ account }) => account),
      weights: rows.map(({ weight }) => weight),
      netWeights: rows.map(({ netWeight }) => netWeight),
    });
    expect([got.denominator, got.firstSegment, got.complete]).toEqual([denominator, firstSegment, true]);
    expect([got.totalWeight, got.totalNetWeight]).toEqual([
      rows.reduce((sum, { weight }) => sum + weight, 0n),
      rows.reduce((sum, { netWeight }) => sum + netWeight, 0n),
    ]);
  }
}

test("sums of any size are weighed exactly, loaded or followed, and after voids in segments that are closed", () => {
  fc.assert(
    fc.property(
      logs,
      fc.integer({ min: 0, max: 6 }),
      fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }),
      sizes,
      (log, cut, voided, asked) => {
        const window = new ShareWindow();
        window.load(
          [1, 2, 3, 4, 5, 6].slice(0, cut).map((id) => stored(log, id)),
          false,
        );
        for (let id = cut + 1; id <= 6; id++) {
          window.openSegment(id);
          for (const share of log.filter(({ segment }) => segment === id)) window.add(share);
        }
        expectSame(window, log, asked);
        window.openSegment(7);
        for (const share of log.filter((_, i) => voided[i])) expect(window.void(share.segment, share)).toBe(true);
        const kept = log.filter((_, i) => !voided[i]);
        expectSame(window, kept, asked);
        expect(window.weight).toBe(kept.reduce((sum, { weight }) => sum + weight, 0n));
      },
    ),
    { numRuns: 200 },
  );
});

test("a void of more than a closed segment holds is refused and changes nothing", () => {
  const share = { segment: 1, account: 1, weight: 2n ** 64n, feePpm: 10_000 };
  const window = new ShareWindow();
  window.openSegment(1);
  window.add(share);
  window.openSegment(2);
  const voids = [
    { ...share, weight: 2n ** 64n + 1n },
    { ...share, feePpm: 9_999 },
    { ...share, account: 2 },
  ];
  for (const wrong of voids) expect(() => window.void(1, wrong)).toThrow(expect.objectContaining({ code: "rewards.unknownShare" }));
  expectSame(window, [share], [1n, 2n ** 63n, 2n ** 65n]);
});
