import { expect, it } from "vitest";
import { WorkCounter } from "../../src/simulation/work-counter.js";

it("stops at each of its marks, whatever the steps that lead there, and begins again", () => {
  const counter = new WorkCounter([1, 0.5, 0.5]);
  counter.unit = 300;
  expect(counter.left).toBe(150);
  for (let i = 0; i < 3; i++) counter.add(counter.left / (3 - i));
  expect(counter.age).toBe(0.5);
  expect(counter.left).toBe(150);
  counter.add(149.99999);
  expect(counter.age).toBe(1);
  expect(counter.left).toBe(Number.POSITIVE_INFINITY);
  counter.add(75);
  expect(counter.age).toBe(1.25);
  counter.restart(100);
  expect([counter.age, counter.left]).toEqual([0, 50]);
});

it("an age stays what it is when the unit changes, and nothing ever comes of an infinite one", () => {
  const counter = new WorkCounter([1]);
  counter.unit = 100;
  counter.add(50);
  counter.unit = 400;
  expect([counter.age, counter.left]).toEqual([0.5, 200]);
  counter.restart(Number.POSITIVE_INFINITY);
  counter.add(1e18);
  expect([counter.age, counter.left]).toEqual([0, Number.POSITIVE_INFINITY]);
});
