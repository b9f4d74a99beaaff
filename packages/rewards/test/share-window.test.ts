import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type AccountSum, EMPTY_WINDOW, RewardsError, type SegmentSums, ShareWindow, type WindowWeights } from "../src/index.js";
import { type LoggedShare, weigh } from "./reference.js";

const shares = fc.array(
  fc.record({
    segment: fc.integer({ min: 1, max: 6 }),
    account: fc.integer({ min: 1, max: 9 }),
    weight: fc.oneof(
      fc.bigInt({ min: 1n, max: 20n }),
      fc.integer({ min: 0, max: 63 }).map((bits) => 2n ** BigInt(bits)),
    ),
    feePpm: fc.constantFrom(0, 1, 10_000, 999_999, 1_000_000),
  }),
  { maxLength: 60 },
);
const sizes = fc.array(fc.oneof(fc.bigInt({ min: 1n, max: 400n }), fc.bigInt({ min: 1n, max: 2n ** 68n })), { minLength: 1, maxLength: 6 });

const inOrder = (log: readonly LoggedShare[]) => [...log].sort((a, b) => a.segment - b.segment);

/** Weighs as asked between the shares too, so that the edge has to move. */
function windowOf(log: readonly LoggedShare[], between: readonly bigint[] = []): ShareWindow {
  const window = new ShareWindow();
  inOrder(log).forEach((share, i) => {
    while ((window.headSegment ?? 0) < share.segment) window.openSegment((window.headSegment ?? 0) + 1);
    window.add(share);
    const size = between[i % Math.max(1, between.length)];
    if (size !== undefined) window.weigh(size);
  });
  return window;
}

function stored(log: readonly LoggedShare[]): SegmentSums[] {
  return [1, 2, 3, 4, 5, 6].map((id) => {
    const sums = new Map<number, AccountSum>();
    for (const { account, weight, feePpm } of log.filter(({ segment }) => segment === id)) {
      const sum = sums.get(account) ?? { account, weight: 0n, feeWeight: 0n };
      sums.set(account, { account, weight: sum.weight + weight, feeWeight: sum.feeWeight + weight * BigInt(feePpm) });
    }
    return { id, sums: [...sums.values()] };
  });
}

function expectSame(got: WindowWeights, log: readonly LoggedShare[], size: bigint): void {
  const { rows, denominator, firstSegment } = weigh(log, size);
  expect(got).toEqual({
    accounts: rows.map(({ account }) => account),
    weights: rows.map(({ weight }) => weight),
    netWeights: rows.map(({ netWeight }) => netWeight),
    totalWeight: rows.reduce((sum, { weight }) => sum + weight, 0n),
    totalNetWeight: rows.reduce((sum, { netWeight }) => sum + netWeight, 0n),
    denominator,
    firstSegment,
    complete: true,
  });
}

describe("share window", () => {
  test("is the plain per-share rule, exactly, whatever was weighed before", () => {
    fc.assert(
      fc.property(shares, sizes, (log, asked) => {
        const window = windowOf(log, asked);
        for (const size of asked) expectSame(window.weigh(size), log, size);
      }),
      { numRuns: 300 },
    );
  });

  test("a window within the log weighs exactly its size; a longer one is the log", () => {
    fc.assert(
      fc.property(shares, sizes, (log, asked) => {
        const window = windowOf(log);
        const whole = log.reduce((sum, { weight }) => sum + weight, 0n);
        for (const size of asked) {
          const { totalWeight, denominator } = window.weigh(size);
          expect(totalWeight).toBe(size <= whole ? size * denominator : whole);
        }
      }),
    );
  });

  test("the order of shares within a segment, and of accounts, changes nothing", () => {
    fc.assert(
      fc.property(
        shares.chain((log) => fc.tuple(fc.constant(log), fc.shuffledSubarray(log, { minLength: log.length }))),
        sizes,
        ([log, shuffled], asked) => {
          const [a, b] = [windowOf(log), windowOf(shuffled, asked)];
          for (const size of asked) expect(b.weigh(size)).toEqual(a.weigh(size));
        },
      ),
    );
  });

  test("a voided share is as if it had never come", () => {
    fc.assert(
      fc.property(shares, fc.array(fc.boolean(), { minLength: 60, maxLength: 60 }), sizes, (log, voided, asked) => {
        const window = windowOf(log, asked);
        for (const share of log.filter((_, i) => voided[i])) expect(window.void(share.segment, share)).toBe(true);
        const kept = log.filter((_, i) => !voided[i]);
        for (const size of asked) expectSame(window.weigh(size), kept, size);
      }),
    );
  });

  test("sums from the books give the same window as the shares did, loaded at once or piece by piece, and followed on", () => {
    fc.assert(
      fc.property(shares, fc.integer({ min: 1, max: 5 }), sizes, (log, cut, asked) => {
        const segments = stored(log);
        const window = new ShareWindow();
        window.load(segments.slice(cut), true);
        const more: LoggedShare = { segment: 6, account: 4, weight: 33n, feePpm: 5 };
        window.add(more);
        for (const size of asked) window.weigh(size);
        window.load(segments.slice(0, cut), false);
        for (const size of asked) expectSame(window.weigh(size), [...log, more], size);
      }),
    );
  });

  test("what is not loaded is never passed over in silence", () => {
    fc.assert(
      fc.property(shares, sizes, fc.bigInt({ min: 1n, max: 300n }), (log, asked, keep) => {
        const window = windowOf(log, asked);
        const whole = window.weight;
        for (const size of asked) {
          const { complete } = window.weigh(size);
          window.forget(keep);
          // Never so much that the window just weighed is not whole any more.
          expect(window.weigh(size).complete).toBe(complete);
        }
        expect(window.weight >= keep || window.weight === whole).toBe(true);
        for (const size of asked) {
          const weights = window.weigh(size);
          if (weights.complete) expectSame(weights, log, size);
          else expect(size > window.weight && window.olderRemain).toBe(true);
        }
      }),
    );
  });

  test("accounts that are forgotten with their segments and come back are counted once", () => {
    fc.assert(
      fc.property(shares, shares, fc.bigInt({ min: 1n, max: 300n }), sizes, (log, later, keep, asked) => {
        const window = windowOf(log, asked);
        window.weigh(keep);
        const forgotten = window.forget(keep);
        const more = inOrder(later).map((share) => ({ ...share, segment: share.segment + 6 }));
        for (const share of more) {
          while ((window.headSegment ?? 0) < share.segment) window.openSegment((window.headSegment ?? 0) + 1);
          window.add(share);
        }
        if (forgotten > 0)
          window.load(
            stored(log).filter(({ id }) => id < (window.oldestSegment ?? 0)),
            false,
          );
        for (const size of asked) expectSame(window.weigh(size), [...log, ...more], size);
      }),
    );
  });

  test("what was weighed stays as it was, whatever comes after", () => {
    fc.assert(
      fc.property(shares, shares, fc.bigInt({ min: 1n, max: 300n }), (log, later, size) => {
        fc.pre(log.length > 0);
        const window = windowOf(log);
        const weights = window.weigh(size);
        const first = log[0] as LoggedShare;
        window.void(first.segment, first);
        for (const share of later) window.add({ ...share, account: share.account + 5 });
        window.weigh(size * 2n);
        expectSame(weights, log, size);
      }),
    );
  });

  describe("difficulty that changes", () => {
    /** 40 segments of 100 units: each account i = 1..4 has 10 i of each. */
    const sums = [1, 2, 3, 4].map((account) => ({ account, weight: BigInt(10 * account), feeWeight: 0n }));
    const segments: SegmentSums[] = Array.from({ length: 40 }, (_, i) => ({ id: i + 1, sums }));
    const log = segments.flatMap(({ id }) => sums.map(({ account, weight }) => ({ segment: id, account, weight, feePpm: 0 })));
    const window = () => {
      const made = new ShareWindow();
      made.load(segments.slice(20), true);
      return made;
    };

    test("fourfold and back: the edge goes back over old segments and forth again, each time exactly", () => {
      const followed = window();
      followed.load(segments.slice(0, 20), false);
      for (const size of [450n, 1800n, 450n, 112n, 3950n, 451n]) expectSame(followed.weigh(size), log, size);
      // 450 units are segments 37 to 40 and half of 36; 1800 are segments 23 to 40 whole.
      expect([450n, 1800n, 1801n].map((size) => followed.weigh(size).firstSegment)).toEqual([36, 23, 22]);
    });

    test("past what is loaded says so, keeps its head, and is whole once the rest is there", () => {
      const followed = window();
      expect(followed.weigh(500n).complete).toBe(true);
      const part = followed.weigh(2001n);
      expect(part.complete).toBe(false);
      expect(part.totalWeight).toBe(2000n);
      expectSame(followed.weigh(500n), log, 500n);
      followed.load(segments.slice(0, 20), false);
      expectSame(followed.weigh(2001n), log, 2001n);
      // The log ends here: a longer window is the log.
      const whole = followed.weigh(4001n);
      expect([whole.complete, whole.totalWeight, whole.firstSegment]).toEqual([true, 4000n, 1]);
    });

    test("forgetting keeps a rise's worth, and never a part of the present window", () => {
      const followed = window();
      followed.load(segments.slice(0, 20), false);
      followed.weigh(500n);
      expect(followed.forget(2000n)).toBe(20);
      expectSame(followed.weigh(2000n), log, 2000n);
      expect(followed.forget(1n)).toBe(0);
      expect(followed.weigh(2001n).complete).toBe(false);
    });
  });

  test("the first segment is one of which something counts", () => {
    const window = new ShareWindow();
    expect(window.weigh(5n).firstSegment).toBeUndefined();
    expect(window.weigh(5n)).toEqual(EMPTY_WINDOW);
    const share = { account: 1, weight: 5n, feePpm: 0 };
    for (const id of [1, 2, 3, 4]) window.openSegment(id);
    window.add(share);
    expect(window.weigh(100n).firstSegment).toBe(4);
    window.openSegment(5);
    expect(window.weigh(5n).firstSegment).toBe(4);
    window.void(4, share);
    expect(window.weigh(5n).firstSegment).toBeUndefined();
  });

  test("a segment that was let go takes voids without complaint, because it will be loaded without them", () => {
    const window = new ShareWindow();
    window.load([{ id: 5, sums: [] }], true);
    expect(window.void(4, { account: 1, weight: 1n, feePpm: 0 })).toBe(false);
  });

  test("knows what the open segment weighs", () => {
    const window = new ShareWindow();
    expect(window.headWeight).toBe(0n);
    window.load([{ id: 1, sums: [{ account: 1, weight: 7n, feeWeight: 0n }] }], false);
    expect(window.headWeight).toBe(7n);
    window.add({ account: 2, weight: 5n, feePpm: 0 });
    window.void(1, { account: 1, weight: 4n, feePpm: 0 });
    expect(window.headWeight).toBe(8n);
    window.openSegment(2);
    expect(window.headWeight).toBe(0n);
  });

  describe("refuses what can't be", () => {
    const open = () => {
      const window = new ShareWindow();
      window.openSegment(3);
      return window;
    };
    const share = { account: 1, weight: 5n, feePpm: 10 };
    test.each<[string, string, () => unknown]>([
      ["a share without a segment", "rewards.segmentOrder", () => new ShareWindow().add(share)],
      ["a segment that is not newer", "rewards.segmentOrder", () => open().openSegment(3)],
      ["loading what is loaded", "rewards.segmentOrder", () => open().load([{ id: 3, sums: [] }], false)],
      [
        "loading out of order",
        "rewards.segmentOrder",
        () =>
          open().load(
            [2, 1].map((id) => ({ id, sums: [] })),
            false,
          ),
      ],
      ["no weight", "rewards.invalidWeight", () => open().add({ ...share, weight: 0n })],
      ["a fee over everything", "rewards.invalidFee", () => open().add({ ...share, feePpm: 1_000_001 })],
      ["a fraction of a ppm", "rewards.invalidFee", () => open().add({ ...share, feePpm: 0.5 })],
      [
        "sums with more fee than weight",
        "rewards.invalidWeight",
        () => open().load([{ id: 1, sums: [{ account: 1, weight: 1n, feeWeight: 1_000_001n }] }], false),
      ],
      ["a void of nothing", "rewards.unknownShare", () => open().void(3, share)],
      ["a void of no segment", "rewards.unknownShare", () => open().void(2, share)],
      ["an empty window", "rewards.invalidWeight", () => open().weigh(0n)],
    ])("%s", (_, code, call) => {
      expect(call).toThrow(RewardsError);
      expect(call).toThrow(expect.objectContaining({ code }));
    });
  });
});
