import { expect, it } from "vitest";
import { StrangersTurns } from "../../src/gateway/strangers-turns.js";
import { until } from "./pool.js";

it("gives strangers a few milliseconds of each turn of the event loop, one after the other", async () => {
  const clock = { now: 0 };
  const turns = new StrangersTurns(() => clock.now);
  const ran: string[] = [];
  // Each takes two milliseconds and has frames for three turns.
  const stranger = (name: string, left: number): void =>
    turns.add(() => {
      ran.push(name);
      clock.now += 2;
      if (left > 1) stranger(name, left - 1);
    });
  for (const name of ["a", "b", "c", "d"]) stranger(name, 3);
  expect(turns.busy).toBe(true);
  await new Promise((resolve) => setImmediate(resolve));
  // 5 ms are over after three of them; the fourth goes before those come again.
  expect(ran).toEqual(["a", "b", "c"]);
  await until(() => expect(ran).toHaveLength(12));
  expect(ran.join("")).toBe("abcdabcdabcd");
  expect(turns.busy).toBe(false);
});
