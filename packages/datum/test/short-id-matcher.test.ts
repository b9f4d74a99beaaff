import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { ShortIdMatcher, shortId } from "../src/index.js";

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  return { ...real, readFile: vi.fn(real.readFile) };
});

const matcher = await ShortIdMatcher.create();

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const ascending = (length: number) => Uint8Array.from({ length }, (_, i) => i);
const join = (parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

/** Positions as they would be found one by one. */
function plainly(key: Uint8Array, wtxids: readonly Uint8Array[], ids: readonly Uint8Array[]): number[] {
  const hex = ids.map((id) => Buffer.from(id).toString("hex"));
  const known = wtxids.map((wtxid) => Buffer.from(shortId(key, wtxid)).toString("hex"));
  return hex.map((id) => {
    const found = known.flatMap((one, i) => (one === id ? [i] : []));
    if (found.length > 1 || hex.indexOf(id) !== hex.lastIndexOf(id)) return ShortIdMatcher.SEVERAL;
    return found[0] ?? ShortIdMatcher.NONE;
  });
}

describe("ShortIdMatcher", () => {
  test("has SipHash-2-4's own vector for 32 bytes (its authors' vectors.h, entry 32)", () => {
    const id = Uint8Array.of(0xce, 0x7c, 0xf2, 0x72, 0x2f, 0x51);
    expect(shortId(ascending(16), ascending(32))).toEqual(Buffer.from(id));
    expect([...matcher.match(ascending(16), ascending(32), id)]).toEqual([0]);
  });

  test("finds what shortId says, in any order, with strangers on both sides and pieces that are not full", () => {
    fc.assert(
      fc.property(
        bytes(16),
        fc.array(bytes(32), { maxLength: 60 }),
        fc.array(fc.oneof(fc.nat(200), bytes(6)), { maxLength: 60 }),
        (key, random, asked) => {
          const wtxids = [...new Map(random.map((wtxid) => [String(wtxid), wtxid])).values()];
          const known = (one: number) => wtxids[one % Math.max(1, wtxids.length)] ?? ascending(32);
          const ids = asked.map((one) => (typeof one === "number" ? shortId(key, known(one)) : one));
          expect([...matcher.match(key, join(wtxids), join(ids))]).toEqual(plainly(key, wtxids, ids));
        },
      ),
    );
  });

  test("finds each of many, over several pieces", () => {
    const key = ascending(16);
    const count = 5000;
    const wtxids = new Uint8Array(32 * count);
    for (let i = 0; i < count; i++) new DataView(wtxids.buffer).setUint32(32 * i, i);
    const all = Array.from({ length: count }, (_, i) => i);
    const ids = join(all.map((i) => shortId(key, wtxids.subarray(32 * i, 32 * i + 32))));
    expect([...matcher.match(key, wtxids, ids)]).toEqual(all);
  });

  test("several wtxids with one id, and one id asked for twice, are not told apart", () => {
    const [key, one, other] = [ascending(16), new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
    const [first, second] = [shortId(key, one), shortId(key, other)];
    expect([...matcher.match(key, join([one, other, one]), join([second, first]))]).toEqual([1, ShortIdMatcher.SEVERAL]);
    expect([...matcher.match(key, join([one, other]), join([first, second, first]))]).toEqual([-2, 1, -2]);
  });

  test("ids of the peer's choice that share their upper bits cost no more", () => {
    const ids = new Uint8Array(6 * 65536).fill(0x7f);
    for (let i = 0; i < 65536; i++) new DataView(ids.buffer).setUint16(6 * i, i);
    const key = ascending(16);
    const wtxid = new Uint8Array(32).fill(9);
    ids.set(shortId(key, wtxid), 6 * 40_000);
    const found = matcher.match(key, wtxid, ids);
    expect(found[40_000]).toBe(0);
    expect(found.filter((position) => position !== -1).length).toBe(1);
  });

  test.each([
    ["a short key", 15, 32, 6],
    ["half a wtxid", 16, 33, 6],
    ["half an id", 16, 32, 7],
    ["too many ids", 16, 32, 6 * 65537],
  ])("refuses %s", (_, key, wtxids, ids) => {
    expect(() => matcher.match(new Uint8Array(key), new Uint8Array(wtxids), new Uint8Array(ids))).toThrow(
      expect.objectContaining({ name: "DatumError", code: "badValue" }),
    );
  });
});

describe("the module", () => {
  test("that was never built is a typed error that says what to run", async () => {
    vi.mocked(readFile).mockRejectedValueOnce(Object.assign(new Error("no such file"), { code: "ENOENT" }));
    await expect(ShortIdMatcher.create()).rejects.toMatchObject({
      name: "DatumError",
      code: "moduleMissing",
      message: expect.stringMatching(/ENOENT.*npm run setup/) as string,
    });
  });

  test.each([
    ["no WebAssembly", "garbage"],
    // The shortest WebAssembly module there is: it exports nothing.
    ["a module of another kind", "\0asm\x01\0\0\0"],
  ])("%s is a typed error too", async (_, file) => {
    vi.mocked(readFile).mockResolvedValueOnce(Buffer.from(file, "latin1"));
    await expect(ShortIdMatcher.create()).rejects.toMatchObject({ name: "DatumError", code: "moduleInvalid" });
  });
});
