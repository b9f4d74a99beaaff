import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromReverseHex, HexError, reverseHex, sha256, sha256d } from "../src/index.js";
import { bytes, hex, thrown } from "./support.js";

describe("hashes", () => {
  test("of 'abc' (FIPS 180-4) and of the genesis header", () => {
    expect(hex(sha256(Buffer.from("abc")))).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const header = bytes(
      "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c",
    );
    expect(reverseHex(sha256d(header))).toBe("000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f");
  });
});

describe("display order", () => {
  test("there and back, and the bytes given stay as they are", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (value) => {
        const before = Uint8Array.from(value);
        expect(fromReverseHex(reverseHex(value))).toEqual(before);
        expect(value).toEqual(before);
      }),
    );
    expect(reverseHex(Uint8Array.of(1, 2, 0xff))).toBe("ff0201");
    expect(fromReverseHex("FF0201")).toEqual(Uint8Array.of(1, 2, 0xff));
  });

  test.each(["0", "0g", "0x00", " 00", "é0"])("refuses %j", (text) => {
    expect(thrown(HexError, () => fromReverseHex(text)).code).toBe("badHex");
  });
});
