import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PackedSums, PackedTotals, type Sum } from "../src/packed-sums.js";

/** Around the bounds of a word, of safe integers, of two words and of three. */
const weights = fc.oneof(
  fc.bigInt({ min: 0n, max: 20n }),
  fc.bigInt({ min: 0n, max: 2n ** 100n }),
  fc
    .tuple(fc.constantFrom(31n, 32n, 33n, 52n, 53n, 63n, 64n, 65n, 95n, 96n), fc.bigInt({ min: -2n, max: 2n }))
    .map(([bits, off]) => 2n ** bits + off),
);
const slots = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 65_533, max: 65_538 }));
const netOf = (weight: bigint, part: number) => (weight * BigInt(part)) / 7n;

/** Sums of which all, some or none have the same whole rate. */
const segments = fc
  .tuple(
    fc.constantFrom<bigint | undefined>(undefined, 0n, 1n, 990_000n, 1_000_000n),
    fc.uniqueArray(fc.tuple(slots, weights, fc.integer({ min: 0, max: 7_000_000 })), { selector: ([slot]) => slot, maxLength: 12 }),
  )
  .map(
    ([rate, rows]) =>
      new Map<number, Sum>(
        rows.map(([slot, weight, part]) => [slot, { weight, netWeight: rate === undefined ? netOf(weight, part) : weight * rate }]),
      ),
  );

const rowsOf = (sums: { forEach(visit: (sum: Sum, slot: number) => void): void }) => {
  const rows: [number, bigint, bigint][] = [];
  sums.forEach(({ weight, netWeight }, slot) => {
    rows.push([slot, weight, netWeight]);
  });
  return rows;
};
const ascending = (sums: ReadonlyMap<number, Sum>) => rowsOf(sums).sort(([a], [b]) => a - b);

describe("packed sums", () => {
  test("are the sums that were packed, of any size and rate, by ascending slot", () => {
    fc.assert(
      fc.property(segments, slots, (sums, other) => {
        const packed = new PackedSums(sums);
        expect(rowsOf(packed)).toEqual(ascending(sums));
        expect([...packed.slots]).toEqual([...sums.keys()].sort((a, b) => a - b));
        for (const [slot, sum] of sums) expect(packed.get(slot)).toEqual(sum);
        expect(packed.get(other)).toEqual(sums.get(other));
      }),
      { numRuns: 300 },
    );
  });

  test("become less in place, at one rate or another", () => {
    const parts = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 100 }), fc.option(fc.integer({ min: 0, max: 100 }))), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(segments, parts, (sums, voids) => {
        fc.pre(sums.size > 0);
        const packed = new PackedSums(sums);
        const keys = [...sums.keys()];
        for (const [which, percent, netPercent] of voids) {
          const slot = keys[which % keys.length] as number;
          const sum = sums.get(slot) as Sum;
          const weight = (sum.weight * BigInt(percent)) / 100n;
          // Null: at the rate of the whole sum as nearly as can be.
          const share = sum.weight === 0n ? 0n : (sum.netWeight * weight) / sum.weight;
          const netWeight = netPercent === null ? share : (sum.netWeight * BigInt(netPercent)) / 100n;
          packed.lessen(slot, weight, netWeight);
          sums.set(slot, { weight: sum.weight - weight, netWeight: sum.netWeight - netWeight });
          expect(rowsOf(packed)).toEqual(ascending(sums));
        }
      }),
      { numRuns: 300 },
    );
  });

  test("take a fixed number of bytes for each sum", () => {
    const bytesOf = (count: number, weight: bigint, netWeights: (slot: number) => bigint) => {
      const packed = new PackedSums(
        new Map(Array.from({ length: count }, (_, slot) => [slot, { weight, netWeight: netWeights(slot) }] as const)),
      );
      const columns = typeof packed.netWeights === "bigint" ? [packed.weights] : [packed.weights, packed.netWeights];
      const words = columns.flatMap((column) => column.words);
      return [packed.slots, ...words].reduce((bytes, array) => bytes + array.byteLength, 0) / count;
    };
    const fee = (weight: bigint) => () => weight * 990_000n;
    expect(bytesOf(100, 2n ** 32n - 1n, fee(2n ** 32n - 1n))).toBe(6);
    expect(bytesOf(65_537, 7n, fee(7n))).toBe(8);
    expect(bytesOf(100, 2n ** 32n, fee(2n ** 32n))).toBe(10);
    expect(bytesOf(100, 2n ** 64n - 1n, fee(2n ** 64n - 1n))).toBe(10);
    expect(bytesOf(100, 2n ** 64n, fee(2n ** 64n))).toBe(14);
    expect(bytesOf(100, 10n ** 8n, (slot) => 10n ** 8n * 990_000n + BigInt(slot))).toBe(14);
  });
});

describe("totals over packed sums", () => {
  test("are what adding one by one gives, whatever was added before and in between", () => {
    const moves = fc.array(fc.tuple(segments, fc.constantFrom<1 | -1>(1, -1), fc.boolean()), { maxLength: 6 });
    fc.assert(
      fc.property(moves, fc.bigInt({ min: 0n, max: 2n ** 70n }), (all, start) => {
        const size = 65_539;
        const to = { weights: new Array<bigint>(size).fill(start), netWeights: new Array<bigint>(size).fill(start) };
        const totals = new PackedTotals(to);
        const expected = new Map<number, [bigint, bigint]>();
        for (const [sums, sign, flush] of all) {
          totals.add(new PackedSums(sums), sign);
          if (flush) totals.flush();
          for (const [slot, { weight, netWeight }] of sums) {
            const [w, n] = expected.get(slot) ?? [start, start];
            expected.set(slot, [w + BigInt(sign) * weight, n + BigInt(sign) * netWeight]);
          }
        }
        totals.flush();
        for (const [slot, [weight, netWeight]] of expected) expect([to.weights[slot], to.netWeights[slot]]).toEqual([weight, netWeight]);
        const touched = to.weights.filter((weight, slot) => weight !== start && !expected.has(slot));
        expect(touched).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });
});
