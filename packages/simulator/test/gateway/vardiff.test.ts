import { describe, expect, it } from "vitest";
import { Vardiff } from "../../src/gateway/vardiff.js";

/** A miner that finds a share every `periodMs`, given new work every 40 s: its difficulty after `seconds`. */
function run(vardiff: Vardiff, seconds: number, periodMs: (difficulty: number) => number): number {
  let nextShare = periodMs(vardiff.difficulty);
  for (let now = 0, nextWork = 40_000; now < seconds * 1000; now += 50) {
    if (now >= nextShare) {
      vardiff.share(now);
      nextShare = now + periodMs(vardiff.difficulty);
    }
    if (now >= nextWork) {
      vardiff.settle(now);
      nextWork += 40_000;
    }
  }
  return vardiff.difficulty;
}

describe("variable difficulty", () => {
  it("settles near eight shares a minute, from far below", () => {
    const sharesPerMinute = 60_000 / (run(new Vardiff(8, 1, 0), 3600, (difficulty) => 3 * difficulty) * 3);
    expect(sharesPerMinute).toBeGreaterThan(3);
    expect(sharesPerMinute).toBeLessThan(20);
  });

  it("jumps at least fourfold when a miner is eight times too fast", () => {
    const vardiff = new Vardiff(8, 1, 0);
    for (let i = 1; i <= 7; i++) expect(vardiff.share(i * 200)).toBe(false);
    expect(vardiff.share(1600)).toBe(true);
    expect(vardiff.difficulty).toBe(32);
  });

  it("halves for a silent miner, but never under the minimum", () => {
    const vardiff = new Vardiff(8, 16, 0);
    vardiff.setMinimum(64);
    expect(vardiff.settle(1000)).toBe(64);
    expect(vardiff.settle(70_000)).toBe(64);
    vardiff.setMinimum(16);
    expect(vardiff.settle(140_000)).toBe(32);
  });

  it("is always a power of two", () => {
    for (const speed of [1, 7, 40, 900]) {
      const difficulty = run(new Vardiff(8, 1, 0), 600, (at) => speed * at);
      expect(Math.log2(difficulty) % 1).toBe(0);
    }
  });
});
