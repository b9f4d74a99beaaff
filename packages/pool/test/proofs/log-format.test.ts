/** The text of log files: what is written is read, and nothing else is. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodeLogLine,
  encodeLogEnd,
  encodeLogEntry,
  encodeLogHeader,
  type LogEntry,
  type LogHeader,
  type LogShare,
  type ProofError,
} from "../../src/proofs/index.js";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const int64 = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n });
const weight = fc.bigInt({ min: 0n, max: 2n ** 63n });
const script = fc.uint8Array({ minLength: 1, maxLength: 100 });
const feePpm = fc.integer({ min: 0, max: 1_000_000 });
const byte = fc.integer({ min: 0, max: 255 });
const int32 = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });

const header: fc.Arbitrary<LogHeader> = fc.record({
  kind: fc.constant("header" as const),
  network: fc.constantFrom("mainnet", "regtest"),
  segment: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  prevhash: fc.option(bytes(32), { nil: undefined }),
  after: int64,
  previous: bytes(32),
  perShare: fc.boolean(),
});
const share: fc.Arbitrary<LogShare> = fc.record({
  kind: fc.constant("share" as const),
  position: int64,
  time: fc.integer({ min: 0, max: 8_640_000_000_000 }),
  hash: bytes(32),
  prevhash: bytes(32),
  height: int32,
  script,
  worker: fc.string({ unit: "binary", maxLength: 40 }),
  weight,
  feePpm,
  split: fc.option(int64, { nil: undefined }),
  pin: int64,
  primeId: uint32,
  targetByte: byte,
  coinbaseId: byte,
  ntime: uint32,
});
const entry: fc.Arbitrary<LogEntry> = fc.oneof(
  share,
  fc.record({
    kind: fc.constant("void" as const),
    position: int64,
    share: int64,
    hash: bytes(32),
    script,
    weight,
    feePpm,
    segment: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
    reason: fc.constantFrom("parent" as const, "template" as const),
  }),
);

const HEADER = { network: "regtest", segment: 3, prevhash: undefined, after: 7n, previous: new Uint8Array(32) };

const SHARE: LogShare = {
  kind: "share",
  position: 9_007_199_254_740_993n,
  time: 1_790_000_000_123,
  hash: Uint8Array.from({ length: 32 }, (_, i) => i),
  prevhash: new Uint8Array(32).fill(7),
  height: 840_000,
  script: Uint8Array.from([0x51]),
  worker: 'rig "1"\n',
  weight: 2n ** 63n,
  feePpm: 10_000,
  split: undefined,
  pin: 5n,
  primeId: 4_294_967_295,
  targetByte: 63,
  coinbaseId: 255,
  ntime: 4_000_000_000,
};

describe("log lines", () => {
  test("what is written is read again, on one line", () => {
    fc.assert(
      fc.property(header, entry, (head, one) => {
        for (const [line, text] of [
          [head, encodeLogHeader(head)],
          [one, encodeLogEntry(one)],
        ] as const) {
          expect(text).not.toContain("\n");
          expect(decodeLogLine(text)).toEqual(line);
        }
      }),
    );
    const end = { kind: "end", last: 2n ** 62n, shares: 12, voids: 0 } as const;
    expect(decodeLogLine(encodeLogEnd(end))).toEqual(end);
  });

  test("the text of a share: hashes in display order, large numbers as text", () => {
    expect(encodeLogEntry(SHARE)).toBe(
      '{"position":"9007199254740993","time":1790000000123,' +
        '"hash":"1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100",' +
        '"prevhash":"0707070707070707070707070707070707070707070707070707070707070707","height":840000,"script":"51",' +
        '"worker":"rig \\"1\\"\\n","weight":"9223372036854775808","feePpm":10000,"split":null,"pin":"5","primeId":4294967295,' +
        '"targetByte":63,"coinbaseId":255,"ntime":4000000000}',
    );
  });

  test("the header of a segment whose shares are paid one by one says so, and no other", () => {
    const text = encodeLogHeader({ ...HEADER, perShare: true });
    expect(text).toMatch(/,"previous":"0{64}","paid":"per-share"}$/);
    expect(encodeLogHeader({ ...HEADER, perShare: false })).toBe(text.replace(',"paid":"per-share"', ""));
  });

  test.each([
    ["no JSON", "{", "proof.badLine"],
    ["another format", '{"format":"openprime-log/2"}', "proof.badValue"],
    ["a field too many", encodeLogEntry(SHARE).replace("}", ',"more":1}'), "proof.notCanonical"],
    ["another order of fields", '{"voids":0,"shares":0,"end":"1"}', "proof.notCanonical"],
    ["a space", encodeLogEntry(SHARE).replace(",", ", "), "proof.notCanonical"],
    ["upper-case hex", encodeLogEntry(SHARE).replace("1f1e", "1F1E"), "proof.notCanonical"],
    ["a leading zero", encodeLogEntry(SHARE).replace('"pin":"5"', '"pin":"05"'), "proof.notCanonical"],
    ["a number where text stands", encodeLogEntry(SHARE).replace('"pin":"5"', '"pin":5'), "proof.badValue"],
    ["a fee above the whole", encodeLogEntry({ ...SHARE, feePpm: 1_000_001 }), "proof.badValue"],
    ["a position past 64 bits", encodeLogEntry({ ...SHARE, position: 2n ** 63n }), "proof.badValue"],
    ["another way of paying", encodeLogHeader({ ...HEADER, perShare: true }).replace("per-share", "window"), "proof.badValue"],
    ["a line without end", `{"worker":"${"x".repeat(70_000)}"}`, "proof.tooLarge"],
  ])("refuses %s", (_, text, code) => {
    let error: ProofError | undefined;
    try {
      decodeLogLine(text, 4);
    } catch (thrown) {
      error = thrown as ProofError;
    }
    expect(error).toMatchObject({ code });
    expect(error?.message).toContain("line 4");
  });
});
