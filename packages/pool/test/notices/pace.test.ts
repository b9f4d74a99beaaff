/** When a silence is one: the rate of false alarms of honest workers at their own pace, and that a worker that is gone is told. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { FALSE_ALARM, Pace, SHORTEST_SILENCE_MS } from "../../src/notices/pace.js";

const HOUR = 3_600_000;
const START = 1_790_000_000_000;

/** Mulberry32. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const single = (weight: number, at: number) => ({ count: 1, weight, shareWeight: weight, firstAt: at, lastAt: at });

interface Outcome {
  shares: number;
  /** Sum of the chances that an interval is longer than the silence that is told, by the true pace. */
  chance: number;
}

/**
 * An honest worker's life from its first share on. Instead of waiting for a silence of one in a hundred million, the chance of one is worked out at each
 * share from the true pace, which the watch does not know: their sum over the shares is the expected number of false alarms.
 *
 * @param meanMs between shares. @param weightOf of the share with that number: a vardiff's steps; the pace in work stays
 */
function live(seed: number, meanMs: number, shares: number, weightOf: (share: number) => number): Outcome {
  const random = seeded(seed);
  const pace = new Pace();
  let at = START;
  const outcome = { shares: 0, chance: 0 };
  for (let share = 0; share < shares; share++) {
    const weight = weightOf(share);
    at += -Math.log(1 - random()) * meanMs * weight;
    pace.add(single(weight, at), false);
    const next = meanMs * weightOf(share + 1);
    outcome.shares += 1;
    outcome.chance += Math.exp(-pace.silence(0) / next);
  }
  return outcome;
}

test("an honest worker of any pace is taken for gone at most once in a hundred million shares", () => {
  for (const meanMs of [1_000, 7_500, 33_000, 120_000, HOUR, 6 * HOUR]) {
    let shares = 0;
    let chance = 0;
    for (let life = 0; life < 200; life++) {
      const outcome = live(life * 7919 + meanMs, meanMs, 400, () => 1);
      shares += outcome.shares;
      chance += outcome.chance;
    }
    // From its second share on. What simulation adds is noise: the true figure is the bound itself while a rate is known from few shares.
    expect(chance / shares, `a share in ${meanMs} ms`).toBeLessThan(2 * FALSE_ALARM);
  }
});

test("the least that is known is weighed as little: with few shares the bound holds too", () => {
  // Exactly: the mean over all lives of the chance that the next interval passes the told one is the bound. The lives that make it up are rare, so it is
  // worked out by integrating over the Gamma distribution of the seconds that n shares take.
  for (const count of [1, 2, 3, 5, 10, 30, 100]) {
    const pace = new Pace();
    pace.add(single(1, START), false);
    pace.add({ ...single(1, START + 1e9), count, weight: count }, false);
    const factor = pace.silence(0) / 1e9;
    // E[exp(-factor × S)] with S ~ Gamma(count, 1).
    expect((1 + factor) ** -count / FALSE_ALARM).toBeCloseTo(1, 6);
  }
});

test("steps of a vardiff don't make a silence", () => {
  // Weights go up and down by powers of two; work stays. A step up in the middle of a silence is what is not known.
  for (const seed of [1, 2, 3, 4, 5]) {
    const random = seeded(seed);
    let weight = 1024;
    const weights: number[] = [];
    for (let share = 0; share <= 2000; share++) {
      if (share % 40 === 0) weight = Math.max(256, Math.min(4096, random() < 0.5 ? weight * 2 : weight / 2));
      weights.push(weight);
    }
    // About eight shares a minute, as vardiff wants it.
    const { chance } = live(seed, 7_500 / 1024, 2000, (share) => weights[share] as number);
    expect(chance).toBeLessThan(1e-6);
  }
});

test("a minimum that was raised makes the pool wait as much longer", () => {
  const pace = new Pace();
  for (let share = 0; share < 100; share++) pace.add(single(1, START + share * 60_000), false);
  expect(pace.silence(16) / pace.silence(0)).toBeCloseTo(16, 6);
});

test("who is gone is told: after ten minutes for a farm, after about twenty intervals for a small miner", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 * 3600 }), (seconds) => {
      const pace = new Pace();
      for (let share = 0; share < 150; share++) pace.add(single(1, START + share * seconds * 1000), false);
      const silence = pace.silence(0);
      expect(silence).toBeGreaterThanOrEqual(SHORTEST_SILENCE_MS);
      expect(silence).toBeLessThanOrEqual(Math.max(SHORTEST_SILENCE_MS, 21 * seconds * 1000));
    }),
  );
});

test("shares that come in one look count as one by one, and time away counts for nothing", () => {
  const one = new Pace();
  const batch = new Pace();
  for (let share = 0; share < 10; share++) one.add(single(2, START + share * 30_000), false);
  batch.add({ count: 4, weight: 8, shareWeight: 2, firstAt: START, lastAt: START + 90_000 }, false);
  batch.add({ count: 6, weight: 12, shareWeight: 2, firstAt: START + 120_000, lastAt: START + 270_000 }, false);
  expect({ ...batch }).toEqual({ ...one });
  const away = new Pace();
  for (let share = 0; share < 5; share++) away.add(single(2, START + share * 30_000), false);
  away.add(single(2, START + 10 * HOUR), true);
  expect(away.seconds).toBe(120);
  expect(away.shares).toBe(4);
});

test("nothing is said of somebody whose pace is not known", () => {
  const pace = new Pace();
  expect(pace.silence(0)).toBe(Number.POSITIVE_INFINITY);
  pace.add(single(5, START), false);
  expect(pace.silence(0)).toBe(Number.POSITIVE_INFINITY);
});
