/** The set of hashes against JavaScript's own. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { HashSet } from "../../src/work/hash-set.js";

test("adds and deletes as a Set does, with runs that wrap round the end", () => {
  // First words around the table's end and start, so that probes meet and wrap.
  const hash = fc.record({ low: fc.constantFrom(1021, 1022, 1023, 2047, 0, 1, 1024), high: fc.nat(12) }).map(({ low, high }) => {
    const bytes = Buffer.alloc(32);
    bytes.writeUInt32LE(low, 0);
    bytes.writeUInt32LE(high + 1, 4);
    return bytes;
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), hash), { maxLength: 200 }), (steps) => {
      const set = new HashSet();
      const model = new Set<string>();
      for (const [adding, bytes] of steps) {
        const name = bytes.toString("hex");
        if (adding) {
          expect(set.add(bytes)).toBe(!model.has(name));
          model.add(name);
        } else {
          expect(set.delete(bytes)).toBe(model.delete(name));
        }
        expect(set.size).toBe(model.size);
      }
    }),
    { numRuns: 300 },
  );
});

test("keeps all it has while it grows", () => {
  const set = new HashSet();
  const hashes = Array.from({ length: 20_000 }, (_, index) => {
    const bytes = Buffer.alloc(32);
    bytes.writeUInt32LE(Math.imul(index, 2_654_435_761) >>> 0, 0);
    bytes.writeUInt32LE(index, 4);
    return bytes;
  });
  expect(hashes.every((hash) => set.add(hash))).toBe(true);
  expect(hashes.some((hash) => set.add(hash))).toBe(false);
  expect(set.size).toBe(20_000);
  for (const hash of hashes.filter((_, index) => index % 2 === 0)) expect(set.delete(hash)).toBe(true);
  expect(hashes.map((hash) => set.add(hash))).toEqual(hashes.map((_, index) => index % 2 === 0));
});

test("a hash of zeros is one too", () => {
  const set = new HashSet();
  expect([set.add(Buffer.alloc(32)), set.add(Buffer.alloc(32)), set.delete(Buffer.alloc(32)), set.size]).toEqual([true, false, true, 0]);
});
