import { describe, expect, it } from "vitest";
import { bounds, errorChart, lineChart } from "../../../src/cli/simulate/svg.js";

const AXIS = { label: "days", from: 0, to: 10, text: String };

/** Names of open tags; throws where one closes what is not open. */
function openTags(text: string): string[] {
  const open: string[] = [];
  for (const [, closing, name = "", own] of text.matchAll(/<(\/?)([a-zA-Z]+)[^<>]*?(\/?)>/g)) {
    if (own === "/") continue;
    if (closing !== "/") open.push(name);
    else expect(open.pop()).toBe(name);
  }
  return open;
}

describe("a line chart", () => {
  const chart = lineChart({
    title: "a < b & c",
    x: AXIS,
    y: { label: "BTC", from: -1, to: 1, text: (value) => value.toFixed(1) },
    level: 0,
    lines: [{ name: "one", points: [[0, -1], [5, 1]] }], // biome-ignore format: points are pairs
    bands: [{ name: "band", points: [[0, -1, 0], [10, 0, 1]] }], // biome-ignore format: points are triples
  });

  it("is well-formed, labelled, and fit for light and dark", () => {
    expect(openTags(chart)).toEqual([]);
    for (const text of ["a &lt; b &amp; c", ">days<", ">BTC<", ">one<", ">band<", "prefers-color-scheme: dark"])
      expect(chart).toContain(text);
  });

  it("puts points where the axes say", () => {
    // 760 wide, 380 high; the plot is 68 to 736 and 44 to 332.
    expect(chart).toContain('<polyline points="68,332 402,44"');
    expect(chart).toContain('<polygon points="68,188 736,44 736,188 68,332"');
  });
});

it("draws error bars as long as the error", () => {
  const chart = errorChart("gains", { ...AXIS, from: -10 }, [{ name: "hopper", value: 0, error: 5 }]);
  expect(openTags(chart)).toEqual([]);
  // The plot is 330 to 736: half of it either way of zero, a quarter of it for 5.
  expect(chart).toContain('<line x1="431.5" x2="634.5"');
  expect(chart).toContain('<circle cx="533"');
});

it("bounds values at round numbers", () => {
  expect(bounds([0, 9.3])).toEqual({ from: 0, to: 10 });
  expect(bounds([-0.013, 0.021])).toEqual({ from: expect.closeTo(-0.02), to: expect.closeTo(0.03) });
  expect(bounds([0])).toEqual({ from: 0, to: 1 });
});
