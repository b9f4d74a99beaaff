/** The grammar of a DATUM coinbase's scriptSig. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { hasPrimaryTag, heightPush, parseScriptSig } from "../../src/work/script-sig.js";

interface Vectors {
  readonly valid: readonly {
    readonly about: string;
    readonly hex: string;
    readonly heightPush: string;
    readonly tags: string;
    readonly targetByteOffset: number;
    readonly primeId: number;
    readonly before: number;
    readonly extranonce: number | null;
  }[];
  readonly invalid: readonly { readonly about: string; readonly hex: string; readonly error: string }[];
}

const vectors = JSON.parse(readFileSync(new URL("data/script-sig.json", import.meta.url), "utf8")) as Vectors;
const bytes = (hex: string) => Buffer.from(hex.replaceAll(" ", ""), "hex");

describe("parseScriptSig", () => {
  test.each(vectors.valid)("takes $about", (vector) => {
    const parsed = parseScriptSig(bytes(vector.hex));
    if (typeof parsed === "string") throw new Error(parsed);
    expect({
      heightPush: Buffer.from(parsed.heightPush).toString("hex"),
      tags: Buffer.from(parsed.tags).toString("hex"),
      targetByteOffset: parsed.targetByteOffset,
      primeId: parsed.primeId,
      before: parsed.bytesBeforeExtranonce,
      extranonce: parsed.extranonceOffset ?? null,
    }).toEqual({
      heightPush: vector.heightPush,
      tags: vector.tags,
      targetByteOffset: vector.targetByteOffset,
      primeId: vector.primeId,
      before: vector.before,
      extranonce: vector.extranonce,
    });
  });

  test.each(vectors.invalid)("refuses $about", ({ hex, error }) => {
    expect(parseScriptSig(bytes(hex))).toContain(error);
  });
});

test.each([
  [0, "0100"],
  [1, "0101"],
  [16, "0110"],
  [127, "017f"],
  [128, "028000"],
  [255, "02ff00"],
  [256, "020001"],
  [32768, "03008000"],
  [900_000, "03a0bb0d"],
  [8_388_608, "0400008000"],
  [0xffffffff, "05ffffffff00"],
])("height %i is pushed as %s", (height, push) => {
  expect(Buffer.from(heightPush(height)).toString("hex")).toBe(push);
});

test("the primary tag stands alone or before the separator", () => {
  const has = (tags: string, tag: string) => hasPrimaryTag(Buffer.from(tags), Buffer.from(tag));
  expect(has("pool", "pool")).toBe(true);
  expect(has("pool\x0fmine", "pool")).toBe(true);
  expect(has("pool2", "pool")).toBe(false);
  expect(has("poo", "pool")).toBe(false);
  expect(has("mine\x0fpool", "pool")).toBe(false);
  expect(has("", "")).toBe(true);
  expect(has("\x0fmine", "")).toBe(true);
  expect(has("mine", "")).toBe(false);
});
