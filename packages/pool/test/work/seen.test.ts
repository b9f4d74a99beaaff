/** The memory of shares seen. */
import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { SeenShares } from "../../src/work/index.js";

const round = (n: number) => Buffer.alloc(32, n);

test("a share is new once in its round, and again after it was forgotten", () => {
  const seen = new SeenShares();
  const hash = randomBytes(32);
  expect([seen.add(round(1), hash), seen.add(round(1), hash), seen.add(round(2), hash)]).toEqual([true, false, true]);
  seen.forget(round(1), hash);
  expect(seen.size).toBe(1);
  expect([seen.add(round(1), hash), seen.add(round(1), hash)]).toEqual([true, false]);
});

test("forgetting what was never seen changes nothing", () => {
  const seen = new SeenShares();
  seen.add(round(1), Buffer.alloc(32, 9));
  seen.forget(round(2), Buffer.alloc(32, 9));
  seen.forget(round(1), Buffer.alloc(32, 8));
  expect(seen.size).toBe(1);
});

test("hashes whose low 64 bits differ are told apart", () => {
  const seen = new SeenShares();
  const hash = Buffer.alloc(32, 7);
  const other = Buffer.from(hash);
  other[7] = 8;
  expect([seen.add(round(1), hash), seen.add(round(1), other)]).toEqual([true, true]);
});

test("the round used longest ago goes first when there are too many", () => {
  const seen = new SeenShares(1000, 2);
  const hash = Buffer.alloc(32, 7);
  seen.add(round(1), hash);
  seen.add(round(2), hash);
  seen.add(round(1), Buffer.alloc(32, 8));
  seen.add(round(3), hash);
  expect(seen.size).toBe(3);
  expect(seen.add(round(1), hash)).toBe(false);
  expect(seen.add(round(2), hash)).toBe(true);
});

test("memory stays under its bound, in one round and in many, and the newest stays", () => {
  const seen = new SeenShares(100, 8);
  const hashes = Array.from({ length: 1000 }, () => randomBytes(32));
  for (const hash of hashes) {
    expect(seen.add(round(1), hash)).toBe(true);
    expect(seen.add(round(1), hash)).toBe(false);
    expect(seen.size).toBeLessThanOrEqual(100);
  }
  for (let n = 2; n < 30; n++) {
    for (const hash of hashes.slice(0, 40)) seen.add(round(n), hash);
    expect(seen.size).toBeLessThanOrEqual(100);
    for (const hash of hashes.slice(0, 40)) expect(seen.add(round(n), hash)).toBe(false);
  }
});
