import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Bans } from "../../src/gateway/bans.js";

const MINUTE = 60_000;
const bans = (change: Partial<ConstructorParameters<typeof Bans>[0]> = {}): Bans =>
  new Bans({ score: 100, halfLifeMs: 10 * MINUTE, remembered: 1000, ...change });

describe("a ban", () => {
  it("begins at the bar, once, and ends when the score has fallen to half of it", () => {
    const all = bans();
    expect(all.note("a", "p", 99, 0)).toEqual([]);
    expect(all.banned("a", "p", 0)).toBe(false);
    expect(all.note("a", "p", 1, 0)).toEqual(["address"]);
    expect(all.note("a", "p", 20, 0)).toEqual([]);
    expect(all.banned("a", "p", 0)).toBe(true);
    expect(all.banned("b", "p", 0)).toBe(false);
    // 120 points have fallen to 50 after 12.6 minutes.
    expect(all.banned("a", "p", 12.6 * MINUTE)).toBe(true);
    expect(all.banned("a", "p", 12.7 * MINUTE)).toBe(false);
    expect(all.note("a", "p", 50, 12.7 * MINUTE)).toEqual([]);
    expect(all.note("a", "p", 1, 12.7 * MINUTE)).toEqual(["address"]);
  });

  it("of a network takes ten times as much, from any of its addresses", () => {
    const all = bans();
    for (let i = 0; i < 19; i++) expect(all.note(`a${i}`, "p", 50, 0)).toEqual([]);
    expect(all.note("a19", "p", 50, 0)).toEqual(["prefix"]);
    expect(all.banned("stranger", "p", 0)).toBe(true);
    expect(all.banned("stranger", "q", 0)).toBe(false);
    expect([all.count("address", 0), all.count("prefix", 0)]).toEqual([0, 1]);
  });

  it("has an end, however much was done", () => {
    const all = bans();
    for (let i = 0; i < 1000; i++) all.note("a", "p", 100, 0);
    expect(all.banned("a", "p", 49 * MINUTE)).toBe(true);
    expect(all.banned("a", "p", 51 * MINUTE)).toBe(false);
  });

  it("is never reached by one who stays under the bar's rate", () => {
    const all = bans();
    // A gateway with a mistyped key: a point every 12 s; the score tends to 72.
    for (let second = 0; second < 86_400; second += 12) expect(all.note("a", "p", 1, second * 1000)).toEqual([]);
    expect(all.banned("a", "p", 86_400_000)).toBe(false);
  });

  it("can be switched off", () => {
    const all = bans({ score: 0 });
    expect(all.note("a", "p", 1e9, 0)).toEqual([]);
    expect(all.banned("a", "p", 0)).toBe(false);
  });

  it("is remembered for a bounded number of addresses, those that misbehaved last", () => {
    const all = bans({ remembered: 3 });
    for (const address of ["a", "b", "c"]) all.note(address, address, 100, 0);
    all.note("a", "a", 1, 1);
    all.note("d", "d", 100, 2);
    expect(["a", "b", "c", "d"].map((address) => all.banned(address, "", 2))).toEqual([true, false, true, true]);
    expect(all.count("address", 2)).toBe(3);
  });

  it("follows the decayed sum of what was done", () => {
    const step = fc.record({ wait: fc.nat(20 * MINUTE), points: fc.integer({ min: 1, max: 60 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const all = bans();
        let [now, score, banned] = [0, 0, false];
        for (const { wait, points } of steps) {
          now += wait;
          score *= 0.5 ** (wait / (10 * MINUTE));
          if (score <= 50) banned = false;
          expect(all.banned("a", "p", now)).toBe(banned);
          score += points;
          if (score >= 100) banned = true;
          all.note("a", "p", points, now);
          expect(all.banned("a", "p", now)).toBe(banned);
        }
      }),
    );
  });
});
