import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { inSlices } from "../../src/ledger/index.js";
import { sorting } from "../../src/ledger/sorting.js";

/** Works for that many milliseconds without a pause. */
function work(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

describe("inSlices", () => {
  it("lets the event loop turn between slices, and answers with what the work returns", async () => {
    let turns = 0;
    let on = true;
    const count = (): void => {
      turns++;
      if (on) setImmediate(count);
    };
    setImmediate(count);
    const answer = await inSlices(
      (function* () {
        for (let i = 0; i < 20; i++) {
          work(5);
          yield;
        }
        return "done";
      })(),
    );
    on = false;
    expect(answer).toBe("done");
    expect(turns).toBeGreaterThanOrEqual(20);
  });

  it("rejects with what the work throws, between two pauses too", async () => {
    const failing = function* (after: number): Generator<undefined, void> {
      for (let i = 0; i < after; i++) {
        work(5);
        yield;
      }
      throw new RangeError("broken");
    };
    await expect(inSlices(failing(0))).rejects.toThrow(new RangeError("broken"));
    await expect(inSlices(failing(2))).rejects.toThrow(new RangeError("broken"));
  });
});

describe("sorting", () => {
  it("sorts as one go does, equal items in their order", async () => {
    const items = fc.array(fc.record({ key: fc.nat(50), id: fc.nat() }), { maxLength: 1200, size: "max" });
    const byKey = (a: { key: number }, b: { key: number }): number => a.key - b.key;
    await fc.assert(
      fc.asyncProperty(items, async (list) => {
        const before = [...list];
        expect(await inSlices(sorting(list, byKey))).toEqual([...list].sort(byKey));
        expect(list).toEqual(before);
      }),
      { numRuns: 60 },
    );
  });
});
