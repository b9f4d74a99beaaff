import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  createScheme,
  EMPTY_WINDOW,
  type SchemeOptions,
  ShareWindow,
  schemeFromJson,
  schemeToJson,
  tides,
  type WindowContext,
  windowSize,
} from "../src/index.js";

const difficultyOne = 0xffffn << 208n;
const code = (name: string) => expect.objectContaining({ code: `rewards.${name}` });
const ppm = fc.integer({ min: 0, max: 1_000_000 });
const sats = fc.bigInt({ min: 0n, max: 2_100_000_000_000_000n });

describe("schemes by name", () => {
  const all: SchemeOptions[] = [
    { name: "tides", multiplier: 8n },
    { name: "pplns", multiplier: 2n ** 63n - 1n },
    { name: "pplns", blocks: 3 },
    { name: "solo" },
    { name: "pps" },
    { name: "fpps" },
  ];

  test("each can be made again from what is published of it", () => {
    for (const options of all) {
      const scheme = createScheme(options);
      expect(scheme.name).toBe(options.name);
      expect(scheme.options).toEqual(options);
      expect(schemeFromJson(JSON.parse(JSON.stringify(schemeToJson(scheme.options))))).toEqual(options);
    }
    expect(all.map((options) => JSON.stringify(schemeToJson(options)))).toEqual([
      '{"name":"tides","multiplier":"8"}',
      '{"name":"pplns","multiplier":"9223372036854775807"}',
      '{"name":"pplns","blocks":3}',
      '{"name":"solo"}',
      '{"name":"pps"}',
      '{"name":"fpps"}',
    ]);
  });

  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["a name alone", "tides"],
    ["another name", { name: "proportional" }],
    ["a name of Object's", { name: "constructor" }],
    ["no multiplier", { name: "tides" }],
    ["a multiplier of 0", { name: "tides", multiplier: "0" }],
    ["a multiplier over 64 bits", { name: "tides", multiplier: "9223372036854775808" }],
    ["a number for text", { name: "tides", multiplier: 8 }],
    ["zeros in front", { name: "tides", multiplier: "08" }],
    ["hex", { name: "tides", multiplier: "0x8" }],
    ["a sign", { name: "pplns", multiplier: "-8" }],
    ["0 blocks", { name: "pplns", blocks: 0 }],
    ["half a block", { name: "pplns", blocks: 1.5 }],
    ["blocks as text", { name: "pplns", blocks: "3" }],
    ["both windows", { name: "pplns", blocks: 3, multiplier: "8" }],
    ["neither window", { name: "pplns" }],
    ["blocks of TIDES", { name: "tides", blocks: 3 }],
    ["a window of solo", { name: "solo", multiplier: "8" }],
    ["something else besides", { name: "fpps", fee: 1 }],
  ])("refuses %s", (_, value) => {
    expect(() => schemeFromJson(value)).toThrow(code("invalidPolicy"));
  });

  test("refuses options without their parameter, though they have its name", () => {
    for (const name of ["multiplier", "blocks"]) {
      expect(() => createScheme({ name: "pplns", [name]: undefined } as unknown as SchemeOptions)).toThrow(code("invalidPolicy"));
    }
  });

  test("whatever the scheme, a block's value is fee plus amounts, and the same arguments give the same numbers", () => {
    const window = new ShareWindow();
    window.openSegment(1);
    for (const account of [3, 1, 2]) window.add({ account, weight: BigInt(account * 7), feePpm: account * 1000 });
    fc.assert(
      fc.property(
        fc.constantFrom(...all),
        sats,
        fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
        ppm,
        (options, value, finder, feePpm) => {
          const block = { value, feePpm, ...(finder !== undefined && { finder }) };
          const scheme = createScheme(options);
          const weights = scheme.window.kind === "none" ? EMPTY_WINDOW : window.weigh(30n);
          const earnings = scheme.earned(block, weights);
          expect(earnings.fee + earnings.amounts.reduce((sum, amount) => sum + amount, 0n)).toBe(value);
          expect(earnings.fee >= 0n && earnings.amounts.every((amount) => amount >= 0n)).toBe(true);
          expect(createScheme(options).earned(block, weights)).toEqual(earnings);
          expect(() => scheme.earned({ ...block, value: -1n }, weights)).toThrow(code("invalidAmount"));
        },
      ),
    );
  });
});

describe("PPLNS", () => {
  const rule = createScheme({ name: "pplns", blocks: 2 }).window;
  const context = (changes: Partial<WindowContext>): WindowContext => ({
    targets: { difficultyOne, target: difficultyOne },
    logWeight: 1000n,
    blockWeights: [],
    ...changes,
  });

  test("the window of blocks is everything since the pin of the B-th last one", () => {
    expect(windowSize(rule, context({ blockWeights: [100n, 400n, 900n] }))).toBe(600n);
    expect(windowSize(rule, context({ blockWeights: [400n, 400n] }))).toBe(600n);
    // Fewer blocks than B: the whole log.
    expect(windowSize(rule, context({ blockWeights: [900n] }))).toBe(1000n);
    // Nothing came since, or less than what was taken back: the window is never empty.
    expect(windowSize(rule, context({ blockWeights: [1000n, 1000n] }))).toBe(1n);
    expect(windowSize(rule, context({ blockWeights: [1001n, 1001n] }))).toBe(1n);
    expect(windowSize(rule, context({ logWeight: 0n }))).toBe(1n);
  });

  test("the window of difficulty is that of TIDES, and so is the division", () => {
    const scheme = createScheme({ name: "pplns", multiplier: 3n });
    const targets = { difficultyOne, target: difficultyOne / 7n };
    expect(windowSize(scheme.window, context({ targets }))).toBe(windowSize(tides(3n).window, context({ targets })));
    const window = new ShareWindow();
    window.openSegment(1);
    for (const account of [1, 2, 3]) window.add({ account, weight: BigInt(account), feePpm: 20_000 });
    for (const other of [scheme, createScheme({ name: "pplns", blocks: 1 })]) {
      expect(other.earned({ value: 1001n }, window.weigh(5n))).toEqual(tides().earned({ value: 1001n }, window.weigh(5n)));
    }
  });
});

describe("solo", () => {
  const scheme = createScheme({ name: "solo" });

  test("the finder takes the value less floor(value × fee), whoever else has shares", () => {
    expect(windowSize(scheme.window, { targets: { difficultyOne, target: 1n }, logWeight: 5n, blockWeights: [] })).toBe(0n);
    expect(scheme.earned({ value: 1999n, finder: 7, feePpm: 1500 }, EMPTY_WINDOW)).toEqual({ fee: 2n, accounts: [7], amounts: [1997n] });
    expect(scheme.earned({ value: 1999n, finder: 7 }, EMPTY_WINDOW)).toEqual({ fee: 0n, accounts: [7], amounts: [1999n] });
    expect(scheme.earned({ value: 1999n, finder: 7, feePpm: 1_000_000 }, EMPTY_WINDOW)).toEqual({
      fee: 1999n,
      accounts: [7],
      amounts: [0n],
    });
  });

  test("without a finder everything is the pool's; fees that can't be are refused", () => {
    expect(scheme.earned({ value: 1999n, feePpm: 0 }, EMPTY_WINDOW)).toEqual({ fee: 1999n, accounts: [], amounts: [] });
    for (const feePpm of [-1, 0.5, 1_000_001, Number.NaN]) {
      expect(() => scheme.earned({ value: 1n, finder: 1, feePpm }, EMPTY_WINDOW)).toThrow(code("invalidFee"));
    }
  });
});

describe("pay per share", () => {
  const value = { difficultyOne, target: difficultyOne / 1000n, subsidy: 312_500_000n, averageFees: 12_345_678n };
  const credit = (name: "pps" | "fpps") => createScheme({ name }).credit as NonNullable<ReturnType<typeof createScheme>["credit"]>;

  test("blocks are the pool's", () => {
    for (const name of ["pps", "fpps"] as const) {
      expect(createScheme({ name }).earned({ value: 5n, finder: 1, feePpm: 0 }, EMPTY_WINDOW)).toEqual({
        fee: 5n,
        accounts: [],
        amounts: [],
      });
    }
    expect(createScheme({ name: "solo" }).credit).toBeUndefined();
  });

  test("a difficulty's worth of shares is a block, less the fee; full pay-per-share pays fees too", () => {
    const even = { ...value, target: 4n, difficultyOne: 4000n };
    const sums = [
      { account: 2, weight: 1000n, feeWeight: 0n },
      { account: 1, weight: 500n, feeWeight: 500n * 20_000n },
      { account: 3, weight: 0n, feeWeight: 0n },
      { account: 4, weight: 7n, feeWeight: 7n * 1_000_000n },
    ];
    expect(credit("pps")(sums, even)).toEqual([312_500_000n, 153_125_000n, 0n, 0n]);
    expect(credit("fpps")(sums, even)).toEqual([324_845_678n, 159_174_382n, 0n, 0n]);
  });

  test("each sum by floor, and never more than its exact worth", () => {
    const sums = fc.array(fc.tuple(fc.bigInt({ min: 0n, max: 2n ** 60n }), ppm), { maxLength: 8 });
    fc.assert(
      fc.property(sums, sats, sats, fc.bigInt({ min: 1n, max: 2n ** 255n }), (list, subsidy, averageFees, target) => {
        const rows = list.map(([weight, fee], account) => ({ account, weight, feeWeight: weight * BigInt(fee) }));
        credit("fpps")(rows, { difficultyOne, target, subsidy, averageFees }).forEach((amount, i) => {
          const [weight, fee] = list[i] as [bigint, number];
          const worth = weight * BigInt(1_000_000 - fee) * (subsidy + averageFees) * target;
          const unit = difficultyOne * 1_000_000n;
          expect(amount * unit <= worth && worth < (amount + 1n) * unit).toBe(true);
        });
      }),
    );
  });

  test("refuses what can't be", () => {
    const sums = [{ account: 1, weight: 1n, feeWeight: 0n }];
    expect(() => credit("pps")(sums, { ...value, target: 0n })).toThrow(code("invalidPolicy"));
    expect(() => credit("pps")(sums, { ...value, difficultyOne: 0n })).toThrow(code("invalidPolicy"));
    expect(() => credit("pps")(sums, { ...value, averageFees: -1n })).toThrow(code("invalidAmount"));
    expect(() => credit("pps")([{ account: 1, weight: 1n, feeWeight: 1_000_001n }], value)).toThrow(code("invalidWeight"));
  });
});
