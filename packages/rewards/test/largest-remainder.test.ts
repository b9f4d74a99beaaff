import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { largestRemainder, Proportions } from "../src/index.js";
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

  test("several amounts over the same weights are as each alone", () => {
    fc.assert(
      fc.property(weights, fc.array(fc.bigInt({ min: 0n, max: MAX_VALUE }), { minLength: 2, maxLength: 4 }), (list, amounts) => {
        const total = list.reduce((sum, weight) => sum + weight, 0n);
        fc.pre(total > 0n);
        const proportions = new Proportions(list, total);
        for (const amount of amounts) expect(proportions.divide(amount)).toEqual(divide(amount, list, total));
      }),
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

test("parts that are asked for alone are those of the whole division", () => {
  const weights = fc
    .array(fc.bigInt({ min: 0n, max: 2n ** 70n }), { minLength: 1, maxLength: 40 })
    .filter((list) => list.some((one) => one > 0n));
  fc.assert(
    fc.property(weights, fc.bigInt({ min: 0n, max: 2_100_000_000_000_000n }), fc.integer({ min: 1, max: 5 }), (list, amount, step) => {
      const proportions = new Proportions(
        list,
        list.reduce((sum, one) => sum + one, 0n),
      );
      const all = proportions.divide(amount);
      const only = list.map((_, place) => place).filter((place) => place % step === 0);
      expect(proportions.divide(amount, only)).toEqual(only.map((place) => all[place]));
    }),
  );
});
