/** The minimum difficulty over time. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { DifficultyMinimum, MINIMUM_GRACE_MS } from "../../src/work/minimum.js";

test("an earlier lower minimum is good for 300 s after a change", () => {
  const minimum = new DifficultyMinimum(10);
  expect(minimum.at(0)).toBe(10);
  minimum.set(14, 1000);
  expect(minimum.current).toBe(14);
  expect(minimum.at(1000 + 299_999)).toBe(10);
  expect(minimum.at(1000 + 300_000)).toBe(14);
});

test("a lowered minimum is good at once", () => {
  const minimum = new DifficultyMinimum(10);
  minimum.set(6, 0);
  expect(minimum.at(0)).toBe(6);
  expect(minimum.at(1_000_000)).toBe(6);
});

test("after any changes the lowest of the last 300 s is in force", () => {
  const changes = fc.array(fc.record({ targetByte: fc.nat(63), wait: fc.nat(200_000) }), { maxLength: 60 });
  fc.assert(
    fc.property(fc.nat(63), changes, fc.nat(400_000), (first, list, later) => {
      const minimum = new DifficultyMinimum(first);
      const history: { targetByte: number; until: number }[] = [{ targetByte: first, until: Number.POSITIVE_INFINITY }];
      let now = 0;
      for (const { targetByte, wait } of list) {
        now += wait;
        const last = history[history.length - 1];
        if (last !== undefined) last.until = now + MINIMUM_GRACE_MS;
        history.push({ targetByte, until: Number.POSITIVE_INFINITY });
        minimum.set(targetByte, now);
      }
      now += later;
      expect(minimum.at(now)).toBe(Math.min(...history.filter(({ until }) => until > now).map(({ targetByte }) => targetByte)));
    }),
  );
});
