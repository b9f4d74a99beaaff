/** Coinbases as a gateway builds them, of every kind, and what is wrong with others. */
import { parseCoinbase } from "@openprime/bitcoin";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CoinbaseFindings, HeldCoinbase, judgeCoinbase } from "../../src/work/coinbase.js";
import { type OfferedSplit, outputBudget } from "../../src/work/index.js";
import { type BuilderJob, type Built, buildJob, coinbaseInput, output, varint } from "./support/gateway-builder.js";
import { builderJob, POOL_SCRIPT, PRIME_ID, payee, section, split, TAG, VALUE } from "./support/world.js";

interface Trial {
  readonly job?: Partial<BuilderJob>;
  readonly kind?: number;
  readonly coinbaserId?: number;
  readonly splits?: readonly OfferedSplit[];
  readonly targetByteIndex?: number;
  readonly totalWeight?: number;
  readonly change?: (built: Built) => Built;
}

function judged(trial: Trial): CoinbaseFindings {
  const job = builderJob(trial.job);
  const built = buildJob(job);
  const kind = trial.kind ?? 0;
  const parts = built.coinbases.get(kind) as Built;
  const { coinb1, coinb2 } = trial.change === undefined ? parts : trial.change(parts);
  const splits = trial.splits ?? [];
  const coinbaserId = trial.coinbaserId ?? 0;
  return judgeCoinbase(new HeldCoinbase({ coinbaseId: kind, coinb1, coinb2 }), {
    job: section(built, job, {
      coinbaserId,
      ...(trial.targetByteIndex === undefined ? {} : { targetByteIndex: trial.targetByteIndex }),
      ...(trial.totalWeight === undefined ? {} : { totalWeight: trial.totalWeight }),
    }),
    primeId: PRIME_ID,
    payoutScripts: [POOL_SCRIPT],
    tag: job.primaryTag.length === 0 ? Buffer.alloc(0) : TAG,
    namedSplit: splits.find((offered) => offered.coinbaserId === coinbaserId),
    recentSplits: () => splits,
  });
}

const fine = (found: CoinbaseFindings) => [found.shape?.detail, found.payees?.detail, found.targetPlace?.detail];
const FINE = [undefined, undefined, undefined];
const text = (length: number) => Buffer.alloc(length, "t");

/** Splits of up to 600 outputs of the lengths that addresses have, and some odd ones. */
const scripts = fc.constantFrom(22, 22, 22, 23, 25, 34, 34, 2, 42, 64);
const anySplit = fc
  .oneof(fc.array(scripts, { minLength: 0, maxLength: 40 }), fc.array(scripts, { minLength: 300, maxLength: 600 }))
  .map((lengths) => lengths.map((bytes, index) => payee(index, BigInt(1000 + index), bytes)));

const anyJob = fc.record({
  height: fc.oneof(fc.integer({ min: 1, max: 17 }), fc.constantFrom(127, 128, 255, 256, 32767, 32768, 65536, 8388607), fc.nat(2_000_000)),
  secondaryTag: fc.oneof(fc.nat(12), fc.integer({ min: 40, max: 90 })).map(text),
  shortage: fc.oneof(fc.constant(0), fc.nat(900)),
  split: anySplit,
});

describe("what a gateway builds", () => {
  test("is right: every kind, any split, budget, height and tags", () => {
    fc.assert(
      fc.property(anyJob, fc.boolean(), (changes, named) => {
        // An empty split is answered in 0x11 but the gateway has no id for it.
        const coinbaserId = named && changes.split.length > 0 ? 7 : 0;
        for (const kind of [0, 1, 2, 3, 4, 5, 255]) {
          const found = judged({ job: changes, kind, coinbaserId, splits: [split(7, changes.split)] });
          expect([kind, ...fine(found)]).toEqual([kind, ...FINE]);
          if (kind === 0 || kind === 255) expect(found.split).toBeUndefined();
          else if (coinbaserId === 7) expect(found.split?.coinbaserId).toBe(7);
        }
      }),
      { numRuns: 150 },
    );
  });

  test("stays under its kind's size with 8 bytes of slack, and reaches over the size itself", () => {
    const many = Array.from({ length: 520 }, (_, index) => payee(index, 1n, 21 + (index % 2)));
    let over = 0;
    for (const [kind, size] of [
      [1, 500],
      [2, 755],
      [3, 6500],
      [4, 16000],
      [5, 2250],
    ] as const) {
      for (let tag = 0; tag < 40; tag++) {
        const job = builderJob({ split: many, secondaryTag: text(tag) });
        const { coinb1, coinb2 } = buildJob(job).coinbases.get(kind) as Built;
        const length = coinb1.length + 12 + coinb2.length;
        expect(length).toBeLessThan(size + 8);
        if (length > size) over++;
      }
    }
    expect(over).toBeGreaterThan(0);
  });

  test("kinds 1-5 of an empty split are kind 0, byte for byte", () => {
    for (const secondaryTag of [text(5), text(80)]) {
      const { coinbases } = buildJob(builderJob({ secondaryTag }));
      for (const kind of [1, 2, 3, 4, 5]) expect(coinbases.get(kind)).toEqual(coinbases.get(0));
    }
  });

  test("without any tag pushes a NUL", () => {
    for (const secondaryTag of [text(0), text(3)]) expect(fine(judged({ job: { primaryTag: text(0), secondaryTag } }))).toEqual(FINE);
  });

  test("the split is found among those offered when the job names none, the newest first", () => {
    const older = split(3, [payee(1, 1000n), payee(2, 2000n)]);
    const newer = split(4, [payee(1, 1000n), payee(2, 2000n)]);
    const other = split(5, [payee(1, 1001n)]);
    const trial = { job: { split: older.outputs }, kind: 1 };
    expect(judged({ ...trial, splits: [other, newer, older] }).split).toBe(newer);
    expect(judged({ ...trial, splits: [other] }).payees?.reason).toBe(27);
    expect(judged({ ...trial, splits: [] }).payees?.reason).toBe(27);
    expect(judged({ ...trial, coinbaserId: 3, splits: [newer, older] }).split).toBe(older);
    expect(judged({ ...trial, coinbaserId: 5, splits: [other, newer] }).payees?.reason).toBe(27);
    expect(judged({ ...trial, coinbaserId: 9, splits: [newer] }).payees?.reason).toBe(15);
    // A coinbase of kind 0 pays nobody: whatever id its job has does not matter.
    expect(fine(judged({ ...trial, kind: 0, coinbaserId: 9 }))).toEqual(FINE);
  });

  test("a template too full for any payee is paid to the pool, and is pinned to the split it was made from", () => {
    const offered = split(3, [payee(1, 1000n)]);
    for (const kind of [1, 2, 3, 4, 5]) {
      const found = judged({ job: { split: offered.outputs, shortage: 20_000 }, kind, coinbaserId: 3, splits: [offered] });
      expect([...fine(found), found.split]).toEqual([...FINE, offered]);
    }
  });
});

describe("what is refused", () => {
  test("a coinbase that makes a block of its job too heavy, whatever smaller one was judged with the job", () => {
    const many = Array.from({ length: 200 }, (_, index) => payee(index, 1n));
    const trial = { job: { split: many }, coinbaserId: 7, splits: [split(7, many)] };
    const size = (kind: number) => {
      const { coinb1, coinb2 } = buildJob(builderJob(trial.job)).coinbases.get(kind) as Built;
      return coinb1.length + 12 + coinb2.length;
    };
    // Header, a count of one byte, the coinbase and its witness.
    const room = (kind: number) => 4_000_000 - 4 * (81 + size(kind)) - 36;
    expect(fine(judged({ ...trial, kind: 4, totalWeight: room(4) }))).toEqual(FINE);
    expect(judged({ ...trial, kind: 4, totalWeight: room(4) + 1 }).shape).toMatchObject({
      reason: 17,
      detail: expect.stringContaining("4000001"),
    });
    expect(fine(judged({ ...trial, kind: 0, totalWeight: room(4) + 1 }))).toEqual(FINE);
    // Nothing but the coinbase is in a block of it.
    expect(fine(judged({ ...trial, kind: 255, totalWeight: 4_000_000 }))).toEqual(FINE);
  });

  const patch = (part: "coinb1" | "coinb2", at: number, bytes: string) => (built: Built) => {
    const copy = { coinb1: Buffer.from(built.coinb1), coinb2: Buffer.from(built.coinb2) };
    const target = copy[part];
    Buffer.from(bytes, "hex").copy(target, at < 0 ? target.length + at : at);
    return copy;
  };
  const input = coinbaseInput(builderJob()).bytes;
  const scriptSigAt = 42;
  const idsAt = scriptSigAt + input.length - 8;

  test.each([
    ["version 2", patch("coinb1", 0, "02"), /version 2/],
    ["two inputs", patch("coinb1", 4, "02"), /not a coinbase/],
    ["the witness form", patch("coinb1", 4, "0001"), /witness/],
    ["an outpoint that exists", patch("coinb1", 5, "01"), /null outpoint/],
    ["another outpoint index", patch("coinb1", 37, "00"), /null outpoint/],
    ["a sequence that is not final", patch("coinb2", 0, "fe"), /sequence/],
    ["a locktime", patch("coinb2", -1, "01"), /locktime/],
    ["bytes after the end", (built: Built) => ({ ...built, coinb2: Buffer.concat([built.coinb2, Buffer.from([0])]) }), /not a coinbase/],
    ["cut short", (built: Built) => ({ ...built, coinb2: built.coinb2.subarray(0, -1) }), /not a coinbase/],
    ["nothing at all", () => ({ coinb1: Buffer.alloc(0), coinb2: Buffer.alloc(0) }), /without witness/],
    ["another height", patch("coinb1", scriptSigAt + 1, "00"), /height/],
    ["no height", patch("coinb1", scriptSigAt, "00"), /push of the height/],
    ["an opcode for the tags", patch("coinb1", scriptSigAt + 4, "51"), /opcode 81|do not end|push of 7/],
    ["a push of 3 for the ids", patch("coinb1", idsAt, "03"), /push of 7/],
    ["another prime_id", patch("coinb1", idsAt + 4, "05"), /prime_id/],
    ["another push before the extranonce", patch("coinb1", -3, "0d"), /prefix and extranonce/],
  ])("26: %s", (_, change, detail) => {
    const { shape } = judged({ change });
    expect(shape?.reason).toBe(26);
    expect(shape?.detail).toMatch(detail);
  });

  test("26: an extranonce that is not where coinb1 ends, in scriptSig or output", () => {
    const moved = (built: Built) => ({
      coinb1: Buffer.concat([built.coinb1, Buffer.alloc(1)]),
      coinb2: Buffer.concat([Buffer.alloc(0), built.coinb2]),
    });
    expect(judged({ change: moved }).shape?.reason).toBe(26);
    // The same transaction, its 12 bytes of extranonce two bytes later than the push of 14 has them.
    const later = (built: Built) => {
      const whole = Buffer.concat([built.coinb1, Buffer.alloc(12), built.coinb2]);
      const at = built.coinb1.length + 2;
      return { coinb1: whole.subarray(0, at), coinb2: whole.subarray(at + 12) };
    };
    for (const secondaryTag of [text(5), text(80)]) expect(judged({ job: { secondaryTag }, change: later }).shape?.reason).toBe(26);
  });

  test("26: the extranonce in an output where scriptSig has room", () => {
    const offered = split(3, [payee(1, 1000n)]);
    const two = buildJob(builderJob({ split: offered.outputs })).coinbases.get(2) as Built;
    const found = judged({ job: { split: offered.outputs }, kind: 1, coinbaserId: 3, splits: [offered], change: () => two });
    expect(found.shape?.detail).toMatch(/scriptSig has room/);
  });

  test("28: no tag, another tag, a longer tag, the tag only among the gateway's own", () => {
    for (const primaryTag of ["OpenPrim", "OpenPrimex", "xOpenPrime", "openprime"]) {
      expect(judged({ job: { primaryTag: Buffer.from(primaryTag), secondaryTag: TAG } }).shape?.reason).toBe(28);
    }
    expect(judged({ change: patch("coinb1", scriptSigAt + 5, "00") }).shape?.reason).toBe(26);
  });

  test("17: from eight bytes over the kind's size on", () => {
    for (const kind of [0, 1, 2, 3, 4, 5, 255]) {
      const padded = (bytes: number) => ({ coinb1: Buffer.alloc(100), coinb2: Buffer.alloc(bytes - 112) });
      const limit = [296, 500, 755, 6500, 16_000, 2250][kind] ?? 296;
      expect(judged({ kind, change: () => padded(limit + 7) }).shape?.reason).toBe(26);
      expect(judged({ kind, change: () => padded(limit + 8) }).shape?.reason).toBe(17);
      expect(judged({ kind, change: () => padded(60_000) }).shape?.reason).toBe(17);
    }
  });

  test("19: another index, or a placeholder that is not 255", () => {
    const { targetByteIndex } = buildJob(builderJob());
    expect(judged({ targetByteIndex }).targetPlace).toBeUndefined();
    for (const wrong of [targetByteIndex - 1, targetByteIndex + 1, 0, 65_535]) {
      expect(judged({ targetByteIndex: wrong }).targetPlace?.reason).toBe(19);
    }
    expect(judged({ change: patch("coinb1", targetByteIndex, "08") }).targetPlace?.reason).toBe(19);
    // A push of 7 inside the gateway's own tag is not the place.
    const decoy = Buffer.concat([Buffer.from([7, 0xff, 1, 2]), text(6)]);
    expect(judged({ job: { secondaryTag: decoy }, targetByteIndex: scriptSigAt + 4 + 1 + TAG.length + 1 + 1 }).targetPlace?.reason).toBe(
      19,
    );
  });

  test("27: a payee of the gateway's own, in every kind", () => {
    const offered = split(3, [payee(1, 1000n), payee(2, 2000n)]);
    const theirs = [payee(1, 1000n), payee(66, 2000n)];
    for (const kind of [1, 2, 3, 4, 5]) {
      expect(judged({ job: { split: theirs }, kind, coinbaserId: 3, splits: [offered] }).payees?.reason).toBe(27);
      expect(judged({ job: { split: theirs }, kind, splits: [offered] }).payees?.reason).toBe(27);
    }
    for (const kind of [0, 255]) expect(judged({ job: { poolScript: payee(5, 0n).script }, kind }).payees?.reason).toBe(27);
  });

  test("27: a subsidy-only coinbase with fees, one of a halving too early", () => {
    const worth = (sats: bigint) => (built: Built) => {
      const [was, now] = [312_500_000n, sats].map((value) => output(value, POOL_SCRIPT));
      const at = built.coinb2.indexOf(was as Buffer);
      return {
        ...built,
        coinb2: Buffer.concat([built.coinb2.subarray(0, at), now as Buffer, built.coinb2.subarray(at + (was as Buffer).length)]),
      };
    };
    expect(judged({ kind: 255 }).payees).toBeUndefined();
    expect(judged({ kind: 255, change: worth(VALUE) }).payees?.reason).toBe(27);
    expect(judged({ kind: 255, change: worth(156_250_000n) }).payees?.reason).toBe(27);
  });

  test("nothing throws, whatever the bytes", () => {
    const built = buildJob(builderJob({ split: [payee(1, 5n)] })).coinbases.get(2) as Built;
    fc.assert(
      fc.property(fc.nat(built.coinb1.length - 1), fc.nat(255), fc.nat(20), fc.uint8Array({ maxLength: 400 }), (at, byte, cut, tail) => {
        const flipped = (parts: Built) => {
          const coinb1 = Buffer.from(parts.coinb1.subarray(0, parts.coinb1.length - cut));
          coinb1[at] = byte;
          return { coinb1, coinb2: Buffer.from(tail) };
        };
        expect(judged({ kind: 2, change: flipped }).shape?.reason).toBeOneOf([17, 26, 28, undefined]);
      }),
    );
  });
});

test("the space for payees is what is left of the kind's size", () => {
  expect(outputBudget(1, 22, 40, false)).toBe(500 - 119 - 22 - 40);
  expect(outputBudget(2, 22, 40, true)).toBe(755 - 119 - 22 - 40 - 10);
  expect(outputBudget(0, 22, 40, false)).toBe(0);
  expect(outputBudget(255, 22, 40, false)).toBe(0);
  expect(varint(253).length).toBe(3);
  expect(parseCoinbase(Buffer.concat(wholeKind4())).outputs.length).toBeGreaterThan(253);
});

/** Over 252 outputs the count takes three bytes. */
function wholeKind4(): Buffer[] {
  const many = Array.from({ length: 400 }, (_, index) => payee(index, 1n));
  const { coinb1, coinb2 } = buildJob(builderJob({ split: many })).coinbases.get(4) as Built;
  return [coinb1, Buffer.alloc(12), coinb2];
}
