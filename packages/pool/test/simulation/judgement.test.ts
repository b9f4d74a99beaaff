/**
 * What the schemes are worth, by the code that pays. Seeds are fixed, so nothing here can fail by luck; bounds are three standard errors.
 * Theory: M. Rosenfeld, Analysis of Bitcoin Pooled Mining Reward Systems (2011), arXiv:1112.4980.
 */
import { SEGMENTS_PER_WINDOW } from "@openprime/rewards";
import { describe, expect, it } from "vitest";
import { estimate, type Miner, NETWORK, type StrategyName } from "../../src/simulation/index.js";
import { live } from "./support.js";

const STEADY: Miner[] = [0.3, 0.1, 0.01, 0.001].map((part) => ({ name: `steady ${part}`, part, strategy: "steady" }));
const rest = (miners: readonly Miner[]): Miner => {
  return { name: "rest", part: 1 - miners.reduce((sum, { part }) => sum + part, 0), strategy: "steady" };
};
const one = (strategy: StrategyName, part = 0.01): Miner => ({ name: strategy, part, strategy });

describe("under TIDES", () => {
  const some = [...STEADY, one("churn"), one("hopEarly"), one("hopLate"), one("noSplit"), one("bestPin"), one("late"), one("withhold")];
  const miners = [...some, rest(some)];
  const { replicas, summary } = live({
    schemes: ["tides", "pplns-blocks:1"],
    miners,
    replicas: 8,
    days: 90,
    poolShare: 0.02,
    network: NETWORK,
    orphans: 0.01,
  });
  const gainOf = (scheme: number, strategy: StrategyName) => {
    const gain = summary.schemes[scheme]?.gains.find((each) => each.strategy === strategy);
    if (gain === undefined) throw new Error(`no gain of ${strategy}`);
    return gain.total;
  };

  it.each(STEADY.map(({ name }, i) => [name, i] as const))("%s earns its part of the hash rate", (_, i) => {
    const ratios = replicas.map(({ miners: facts, tallies }) => {
      const all = (values: Iterable<number>) => [...values].reduce((sum, value) => sum + value, 0);
      const earned = (tallies[0]?.realised[i] ?? 0) / all(tallies[0]?.realised ?? []);
      return earned / ((facts[i]?.fair ?? 0) / all(facts.map(({ fair }) => fair)));
    });
    const { mean, error } = estimate(ratios);
    expect(error).toBeLessThan(0.005);
    expect(Math.abs(mean - 1)).toBeLessThanOrEqual(3 * error);
  });

  it.each(["hopEarly", "hopLate", "churn", "noSplit", "bestPin", "late", "withhold"] as const)("%s gains nothing", (strategy) => {
    const { mean, error } = gainOf(0, strategy);
    expect(error).toBeLessThan(0.001);
    expect(mean - 3 * error).toBeLessThanOrEqual(0);
  });

  it("the judge sees a gain where theory has one: after a block under the proportional scheme", () => {
    const { mean, error } = gainOf(1, "hopEarly");
    expect(mean - 3 * error).toBeGreaterThan(0.2);
    expect(gainOf(1, "hopLate").mean).toBeLessThan(-0.1);
  });

  it("withholding costs everyone, and shows in the luck of who does it", () => {
    const { mean, error } = summary.schemes[0]?.steady ?? { mean: 0, error: 0 };
    expect(Math.abs(mean - 0.99)).toBeLessThanOrEqual(3 * error + 0.0005);
    const luck = summary.luck.find(({ name }) => name === "withhold");
    expect(luck?.found).toBe(0);
    expect(luck?.pValue).toBeCloseTo(Math.exp(-(luck?.expected ?? 0)), 10);
  });

  it("what is expected and what is realised have the same mean", () => {
    for (const scheme of [0, 1]) {
      for (const i of miners.keys()) {
        const gaps = replicas.map(({ miners: facts, tallies }) => {
          return ((tallies[scheme]?.realised[i] ?? 0) - (tallies[scheme]?.expected[i] ?? 0)) / (facts[i]?.fair ?? 0);
        });
        const { mean, error } = estimate(gaps);
        expect(Math.abs(mean)).toBeLessThanOrEqual(3 * error);
      }
    }
  });
});

it("hopping a proportional pool brings the 28 % of Rosenfeld's appendix B", () => {
  const miners = [one("hopEarly", 0.001), one("steady", 0.999)];
  const { summary } = live({ schemes: ["pplns-blocks:1"], miners, replicas: 8, days: 120, poolShare: 0.1, jobSeconds: 0 });
  const { mean, error } = summary.schemes[0]?.gains[0]?.total ?? { mean: 0, error: 0 };
  expect(error).toBeLessThan(0.01);
  expect(Math.abs(mean - 0.2815)).toBeLessThanOrEqual(3 * error);
});

describe("the left edge, cut by segment,", () => {
  const miners = [one("hopTip"), one("hopSegment"), one("steady", 0.98)];
  const { summary } = live({ schemes: ["tides"], miners, replicas: 4, days: 30, poolShare: 0.2 });
  const gainOf = (strategy: StrategyName) => {
    const { mean, error } = summary.schemes[0]?.gains.find((each) => each.strategy === strategy)?.perHashHere ?? { mean: 0, error: 0 };
    return { low: mean - 3 * error, high: mean + 3 * error };
  };
  const segment = 1 / Number(SEGMENTS_PER_WINDOW);

  it("gives a quarter of a segment to each hash of who mines the first half of each, and so no more than half of one to any", () => {
    const { low, high } = gainOf("hopSegment");
    expect(high - low).toBeLessThan(segment / 8);
    expect(low).toBeLessThanOrEqual(segment / 4);
    expect(high).toBeGreaterThanOrEqual(segment / 4);
  });

  it("gives next to nothing to who goes by the tip: a tip has many segments", () => {
    // Were segments as long as tips, it would be about 0.007.
    expect(gainOf("hopTip").high).toBeLessThan(segment / 8);
  });
});

it("who mines while the log is shorter than the window earns half as much again", () => {
  // The first eight blocks' worth of work takes eight blocks whole, and half of the next eight: twelve for eight.
  const miners = [one("founder"), one("steady", 0.99)];
  const { summary } = live({ schemes: ["tides"], miners, replicas: 8, days: 7, poolShare: 0.05 });
  const { mean, error } = summary.schemes[0]?.gains[0]?.total ?? { mean: 0, error: 0 };
  expect(Math.abs(mean - 0.5)).toBeLessThanOrEqual(3 * error);
});

it("solo pays a finder its blocks and nobody else's, and pay-per-share pays without luck", () => {
  const some = [one("withhold", 0.05), one("steady", 0.05)];
  const { summary } = live({
    schemes: ["solo", "pps", "fpps"],
    miners: [...some, rest(some)],
    replicas: 4,
    days: 60,
    poolShare: 0.2,
    fee: 0.02,
  });
  const [solo, pps, fpps] = summary.schemes;
  expect(solo?.gains[0]?.total.mean).toBe(-1);
  expect(solo?.miners[1]?.weekly).toBeGreaterThan(0.3);
  // All blocks hold the same fees here: 3 of 315.5 parts, which PPS keeps.
  expect(pps?.steady.mean).toBeCloseTo((0.98 * 312.5) / 315.5, 5);
  expect(fpps?.steady.mean).toBeCloseTo(0.98, 5);
  expect(pps?.gains[0]?.total.mean).toBeCloseTo(0, 5);
  expect(pps?.miners[1]?.weekly).toBeLessThan(0.01);
});

it("the same seed gives the same run, another seed another", () => {
  const world = { schemes: ["tides"], miners: [one("steady", 0.4), one("churn", 0.6)], replicas: 1, days: 7, poolShare: 0.1 };
  const [first, again, other] = [live(world), live(world), live({ ...world, seed: 2 })].map(
    ({ replicas }) => replicas[0]?.tallies[0]?.realised,
  );
  expect(again).toEqual(first);
  expect(other).not.toEqual(first);
});
