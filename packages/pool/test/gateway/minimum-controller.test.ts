/** The minimum of farms that mine by chance, as the gateway's variable difficulty lets them. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type MinimumBounds, MinimumController } from "../../src/gateway/minimum-controller.js";

const BOUNDS: MinimumBounds = { floor: 10, ceiling: 30, sharesPerMinute: 600 };
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const STEP_MS = 10_000;
const JOB_MS = 40_000;
const TERA = 1e12;

interface Miners {
  readonly count: number;
  /** Hashes per second, of each. */
  readonly hashrate: number;
}

/** mulberry32: uniform in [0, 1), the same for the same seed. */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function poisson(mean: number, random: () => number): number {
  if (mean > 50) {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal));
  }
  let count = 0;
  for (let left = Math.exp(-mean), product = random(); product > left; product *= random()) count++;
  return count;
}

/** A gateway with all its miners: each at about eight shares a minute, or at the pool's minimum, which the next job brings. */
class Farm {
  now = 0;
  readonly controller: MinimumController;
  readonly changes: { at: number; targetByte: number }[] = [];
  /** Shares of the last step. */
  shares = 0;
  #applied: number;
  readonly #random: () => number;

  constructor(
    public miners: readonly Miners[],
    seed: number,
    readonly bounds: MinimumBounds = BOUNDS,
  ) {
    this.controller = new MinimumController(bounds, 0);
    this.#applied = bounds.floor;
    this.#random = uniform(seed);
  }

  /** Difficulty-one shares a minute of everyone. */
  get work(): number {
    return this.miners.reduce((sum, { count, hashrate }) => sum + (count * hashrate * 60) / 2 ** 32, 0);
  }

  run(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) {
      if (this.now % JOB_MS === 0) this.#applied = this.controller.targetByte;
      this.shares = 0;
      for (const { count, hashrate } of this.miners) {
        const own = Math.round(Math.log2((hashrate * 60) / 2 ** 32 / 8));
        const difficulty = 2 ** Math.max(own, this.#applied);
        const found = poisson(((count * hashrate) / 2 ** 32 / difficulty) * (STEP_MS / 1000), this.#random);
        for (let share = 0; share < found; share++) this.controller.note(this.now, difficulty);
        this.shares += found;
      }
      this.now += STEP_MS;
      const targetByte = this.controller.check(this.now);
      if (targetByte !== undefined) this.changes.push({ at: this.now, targetByte });
    }
  }
}

const seeds = fc.integer({ min: 1, max: 2 ** 31 });
/** 1 TH/s to 1 EH/s in one gateway, of equal miners or of unlike ones. */
const farms: fc.Arbitrary<Miners[]> = fc.array(
  fc.record({
    count: fc.double({ min: 0, max: Math.log10(5000), noNaN: true }).map((log) => Math.round(10 ** log)),
    hashrate: fc.double({ min: 0, max: Math.log10(200), noNaN: true }).map((log) => TERA * 10 ** log),
  }),
  { minLength: 1, maxLength: 3 },
);

/** The powers of two that leave at most `sharesPerMinute`, and more than half of it, with the hysteresis on both sides. */
function expectSettled(farm: Farm): void {
  const { floor, ceiling, sharesPerMinute } = farm.bounds;
  const exact = Math.log2(farm.work / sharesPerMinute);
  const { targetByte } = farm.controller;
  if (targetByte < ceiling) expect(targetByte).toBeGreaterThan(exact - 0.75);
  if (targetByte > floor) expect(targetByte).toBeLessThan(exact + 2);
}

describe("a gateway's minimum", () => {
  it("settles within half an hour and then stays for a day, whatever the farm and its luck", () => {
    fc.assert(
      fc.property(farms, seeds, (miners, seed) => {
        const farm = new Farm(miners, seed);
        farm.run(HOUR / 2);
        expectSettled(farm);
        expect(farm.changes.length).toBeLessThanOrEqual(4);
        const settled = farm.changes.length;
        farm.run(24 * HOUR);
        // One more where the work stands at the edge of the hysteresis, never back and forth.
        expect(farm.changes.length - settled).toBeLessThanOrEqual(1);
      }),
      { numRuns: 25 },
    );
  }, 60_000);

  it.each([
    ["1 TH/s", { count: 1, hashrate: TERA }, 10],
    ["100 TH/s", { count: 1, hashrate: 100 * TERA }, 12],
    ["10 PH/s", { count: 100, hashrate: 100 * TERA }, 18],
    ["1 EH/s", { count: 5000, hashrate: 200 * TERA }, 25],
  ])("of %s ends where theory has it", (_name, miners, targetByte) => {
    const farm = new Farm([miners], 7);
    farm.run(HOUR);
    expect(Math.max(BOUNDS.floor, Math.ceil(Math.log2(farm.work / BOUNDS.sharesPerMinute)))).toBe(targetByte);
    expect(Math.abs(farm.controller.targetByte - targetByte)).toBeLessThanOrEqual(targetByte === BOUNDS.floor ? 0 : 1);
  });

  it("stems a flood within three minutes", () => {
    const farm = new Farm([{ count: 5000, hashrate: 200 * TERA }], 3);
    farm.run(STEP_MS);
    expect(farm.shares * 6).toBeGreaterThan(10 * BOUNDS.sharesPerMinute);
    farm.run(3 * MINUTE);
    expect(farm.shares * 6).toBeLessThan(2 * BOUNDS.sharesPerMinute);
  });

  it("comes down, with nine tenths of the miners gone, and with all but one small one", () => {
    fc.assert(
      fc.property(fc.integer({ min: 500, max: 5000 }), seeds, (count, seed) => {
        const farm = new Farm([{ count, hashrate: 200 * TERA }], seed);
        farm.run(HOUR);
        const before = farm.controller.targetByte;
        farm.miners = [{ count: Math.round(count / 10), hashrate: 200 * TERA }];
        farm.run(15 * MINUTE);
        expectSettled(farm);
        expect(farm.controller.targetByte).toBeLessThanOrEqual(before - 2);
        farm.miners = [{ count: 1, hashrate: TERA }];
        farm.run(15 * MINUTE);
        expect(farm.controller.targetByte).toBe(BOUNDS.floor);
        // Up at most three times, and one power of two at a time at worst on the way down.
        expect(farm.changes.length).toBeLessThanOrEqual(3 + before - BOUNDS.floor);
      }),
      { numRuns: 10 },
    );
  });

  it("leaves a gateway with one miner, however large, at its eight shares a minute", () => {
    fc.assert(
      fc.property(fc.double({ min: 1, max: 1e6, noNaN: true }), seeds, (tera, seed) => {
        const farm = new Farm([{ count: 1, hashrate: tera * TERA }], seed);
        farm.run(HOUR);
        const own = Math.round(Math.log2((tera * TERA * 60) / 2 ** 32 / 8));
        expect(farm.controller.targetByte).toBeLessThanOrEqual(Math.max(BOUNDS.floor, own));
      }),
      { numRuns: 50 },
    );
  });

  it("does not rise for a few lucky shares of a high difficulty", () => {
    const controller = new MinimumController(BOUNDS, 0);
    for (let share = 0; share < 15; share++) controller.note(1000, 2 ** 40);
    expect(controller.check(STEP_MS)).toBeUndefined();
    for (let share = 0; share < 5; share++) controller.note(STEP_MS, 2 ** 40);
    expect(controller.check(2 * STEP_MS)).toBe(BOUNDS.ceiling);
  });

  it("stays in its bounds, and still where they are one", () => {
    const ceiling = new Farm([{ count: 5000, hashrate: 200 * TERA }], 5, { ...BOUNDS, ceiling: 20 });
    ceiling.run(HOUR);
    expect(ceiling.controller.targetByte).toBe(20);
    const fixed = new Farm([{ count: 50, hashrate: 200 * TERA }], 5, { ...BOUNDS, ceiling: 10 });
    fixed.run(HOUR);
    expect(fixed.changes).toEqual([]);
  });

  it("is kept while the gateway is away, and for ten minutes of silence after it", () => {
    const farm = new Farm([{ count: 5000, hashrate: 200 * TERA }], 9);
    farm.run(HOUR);
    const before = farm.controller.targetByte;
    const back = farm.now + HOUR / 2;
    farm.controller.note(back, 2 ** before);
    for (let now = back; now < back + 10 * MINUTE; now += 1000) expect(farm.controller.check(now)).toBeUndefined();
    expect(farm.controller.targetByte).toBe(before);
    expect(farm.controller.check(back + 10 * MINUTE)).toBe(BOUNDS.floor);
  });

  it("changes at most once a minute", () => {
    const farm = new Farm([{ count: 5000, hashrate: 200 * TERA }], 11);
    farm.run(HOUR);
    farm.miners = [];
    farm.run(HOUR);
    const times = farm.changes.map(({ at }) => at);
    expect(times.length).toBeGreaterThan(2);
    for (let index = 1; index < times.length; index++) expect(times[index]! - times[index - 1]!).toBeGreaterThanOrEqual(MINUTE);
  });
});
