import { expect, it } from "vitest";
import { createScheme, segmentLimit } from "../src/index.js";

const targets = { difficultyOne: 1n << 224n, target: 1n << 180n };

it("is a part of a window of difficulty, and at least 1", () => {
  expect(segmentLimit(createScheme({ name: "tides", multiplier: 8n }).window, targets)).toBe(2n ** 38n);
  expect(segmentLimit(createScheme({ name: "pplns", multiplier: 2n }).window, targets)).toBe(2n ** 36n);
  expect(segmentLimit(createScheme({ name: "tides", multiplier: 8n }).window, { ...targets, target: 1n << 218n })).toBe(1n);
  expect(segmentLimit(createScheme({ name: "tides", multiplier: 8n }).window, { ...targets, target: 1n << 224n })).toBe(1n);
});

it("is none where the window counts blocks or where there is none", () => {
  expect(segmentLimit(createScheme({ name: "pplns", blocks: 8 }).window, targets)).toBeUndefined();
  for (const name of ["solo", "pps", "fpps"] as const) expect(segmentLimit(createScheme({ name }).window, targets)).toBeUndefined();
});
