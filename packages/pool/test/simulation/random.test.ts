import { describe, expect, it } from "vitest";
import { deviation, meanOf, Random } from "../../src/simulation/index.js";

const COUNT = 20_000;
const draws = (draw: () => number) => Array.from({ length: COUNT }, draw);

describe("Random", () => {
  it.each([0.3, 4, 15, 17, 60, 400, 9_000, 50_000])("draws Poisson numbers of mean %d", (mean) => {
    const random = new Random(1, `poisson ${mean}`);
    const values = draws(() => random.poisson(mean));
    expect(values.every((value) => Number.isInteger(value) && value >= 0)).toBe(true);
    const spread = Math.sqrt(mean / COUNT);
    expect(Math.abs(meanOf(values) - mean)).toBeLessThan(4 * spread);
    // Variance of a sample variance: (2 mean² + mean) / n.
    expect(Math.abs(deviation(values) ** 2 - mean)).toBeLessThan(4 * Math.sqrt((2 * mean * mean + mean) / COUNT));
  });

  it("draws zero of a Poisson number as often as it should", () => {
    const random = new Random(2, "zeros");
    const zeros = draws(() => random.poisson(2)).filter((value) => value === 0).length;
    const due = COUNT * Math.exp(-2);
    expect(Math.abs(zeros - due)).toBeLessThan(4 * Math.sqrt(due));
  });

  it.each([1, 3.5, 200])("draws gamma numbers of shape %d", (shape) => {
    const random = new Random(3, `gamma ${shape}`);
    const values = draws(() => random.gamma(shape));
    expect(Math.abs(meanOf(values) - shape)).toBeLessThan(4 * Math.sqrt(shape / COUNT));
    expect(Math.abs(deviation(values) ** 2 / shape - 1)).toBeLessThan(0.1);
  });

  it("draws exponential and even numbers", () => {
    const random = new Random(4, "others");
    expect(Math.abs(meanOf(draws(() => random.exponential())) - 1)).toBeLessThan(4 / Math.sqrt(COUNT));
    const even = draws(() => random.uniform());
    expect(Math.abs(meanOf(even) - 0.5)).toBeLessThan(4 * Math.sqrt(1 / 12 / COUNT));
    expect(even.every((value) => value >= 0 && value < 1)).toBe(true);
  });

  it("gives each stream of a seed its own draws, the same every time", () => {
    const of = (seed: number, stream: string) => {
      const random = new Random(seed, stream);
      return Array.from({ length: 4 }, () => random.uniform());
    };
    expect(of(1, "a")).toEqual(of(1, "a"));
    expect(of(1, "a")).not.toEqual(of(1, "b"));
    expect(of(1, "a")).not.toEqual(of(2, "a"));
  });
});
