/** A jump in refusals is told, chance and habit are not. */
import { expect, test } from "vitest";
import { RefusalWatch } from "../../src/notices/refusals.js";

const MINUTE = 60_000;
const START = 1_790_000_040_000;

function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
}

/** Minutes of so many shares, each refused with that chance. @returns jumps seen */
function minutes(
  watch: RefusalWatch,
  from: number,
  count: number,
  shares: number,
  chance: number,
  reason: number,
  random: () => number,
): number {
  let jumps = 0;
  for (let minute = from; minute < from + count; minute++) {
    let refused = 0;
    for (let share = 0; share < shares; share++) if (random() < chance) refused += 1;
    watch.add({ accepted: shares - refused, refused: new Map([[reason, refused]]) }, START + minute * MINUTE, true);
    if (watch.jump() !== undefined) jumps += 1;
  }
  return jumps;
}

test("a habit of one or two refused in a hundred is no jump, for a month and at any size", () => {
  for (const shares of [2, 8, 60, 600]) {
    expect(minutes(new RefusalWatch(), 0, 43_200 / Math.ceil(shares / 20), shares, 0.015, 27, seeded(shares))).toBe(0);
  }
});

test("a tenth refused where there was next to none is a jump within minutes", () => {
  const watch = new RefusalWatch();
  const random = seeded(3);
  minutes(watch, 0, 600, 60, 0.002, 27, random);
  expect(minutes(watch, 600, 10, 60, 0.15, 27, random)).toBeGreaterThan(3);
  const jump = watch.jump();
  expect(jump?.reasons[0]?.reason).toBe(27);
  expect(jump?.refused).toBeGreaterThan(50);
  expect(watch.over()).toBe(false);
  minutes(watch, 610, 11, 60, 0, 27, random);
  expect(watch.over()).toBe(true);
});

test("what honest gateways earn at a change of block is none, unless it is much", () => {
  const watch = new RefusalWatch();
  watch.add({ accepted: 480, refused: new Map([[25, 60]]) }, START, true);
  expect(watch.jump()).toBeUndefined();
  // The same number for another reason would be.
  const hard = new RefusalWatch();
  hard.add({ accepted: 480, refused: new Map([[26, 60]]) }, START, true);
  expect(hard.jump()).toMatchObject({ shares: 540, refused: 60, reasons: [{ reason: 26, count: 60 }] });
  watch.add({ accepted: 0, refused: new Map([[20, 300]]) }, START + MINUTE, true);
  expect(watch.jump()).toMatchObject({ refused: 360 });
});

test("few shares say nothing", () => {
  const watch = new RefusalWatch();
  watch.add({ accepted: 0, refused: new Map([[26, 49]]) }, START, true);
  expect(watch.jump()).toBeUndefined();
  watch.add({ accepted: 0, refused: new Map([[26, 1]]) }, START, true);
  expect(watch.jump()).toBeDefined();
});

test("what is usual is learned, and a jump does not become usual while it is told", () => {
  const watch = new RefusalWatch();
  const random = seeded(9);
  // A gateway with a bad miner behind it: an eighth refused, for days. It is a jump at first, and a habit later.
  expect(minutes(watch, 0, 20, 60, 0.12, 23, random)).toBeGreaterThan(0);
  minutes(watch, 20, 3000, 60, 0.12, 23, random);
  expect(watch.jump()).toBeUndefined();
  const held = new RefusalWatch();
  for (let minute = 0; minute < 3000; minute++) {
    held.add({ accepted: 53, refused: new Map([[23, 7]]) }, START + minute * MINUTE, false);
  }
  expect(held.jump()).toBeDefined();
});
