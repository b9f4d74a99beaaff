import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeSettlement,
  encodeSettlement,
  merkleSumRoot,
  ProofError,
  type Settlement,
  type SettlementLine,
  type Steps,
  settlementDecoding,
  settlementEncoding,
} from "../../src/proofs/index.js";
import { settlements } from "./arbitrary.js";

const sample = (seed: number): Omit<Settlement, "root"> => {
  const found = fc.sample(
    settlements.filter(({ lines, entries, kind }) => kind === "settlement" && lines.length > 2 && entries.length > 0),
    { seed, numRuns: 1 },
  )[0];
  if (found === undefined) throw new Error("no sample");
  return found;
};

/** What decoding refuses a text with. */
function refusal(text: string): ProofError {
  try {
    decodeSettlement(text);
  } catch (error) {
    if (error instanceof ProofError) return error;
    throw error;
  }
  throw new Error(`taken: ${text}`);
}

/** Runs steps, and counts their pauses. */
function steps<T>(work: Steps<T>): { result: T; pauses: number } {
  for (let pauses = 0; ; pauses++) {
    const step = work.next();
    if (step.done === true) return { result: step.value, pauses };
  }
}

describe("settlement documents", () => {
  it("come back as they were, and their hash is that of their text", () => {
    fc.assert(
      fc.property(settlements, (settlement) => {
        const { text, hash, root } = encodeSettlement(settlement);
        expect(decodeSettlement(text)).toEqual({ ...settlement, root: merkleSumRoot(settlement.lines).root });
        expect(root).toEqual(merkleSumRoot(settlement.lines).root);
        expect(Buffer.from(hash)).toEqual(createHash("sha256").update(text, "utf8").digest());
        expect(encodeSettlement(decodeSettlement(text)).text).toBe(text);
      }),
      { numRuns: 100 },
    );
  });

  it("have one line for the header, each entry, each account and the totals", () => {
    const settlement = sample(1);
    const { text } = encodeSettlement(settlement);
    const rows = text.split("\n");
    expect(rows).toHaveLength(3 + settlement.entries.length + settlement.lines.length);
    expect(rows.at(-1)).toBe("");
    expect(text).not.toMatch(/[ \t\r]/);
    expect(rows[0]).toMatch(/^\{"format":"openprime-settlement\/1","number":/);
  });

  it("are refused, or mean something else, with any one character changed", () => {
    const settlement = sample(2);
    const { text } = encodeSettlement(settlement);
    const before = decodeSettlement(text);
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom(...'0123456789abcfFxn-"{}[],: \n'), (place, character) => {
        fc.pre(text[place] !== character);
        const changed = text.slice(0, place) + character + text.slice(place + 1);
        try {
          expect(decodeSettlement(changed)).not.toEqual(before);
        } catch (error) {
          if (!(error instanceof ProofError)) throw error;
        }
      }),
      { numRuns: 400 },
    );
  });

  it("are refused when anything in the lines was changed, by the root", () => {
    const settlement = sample(3);
    const rows = encodeSettlement(settlement).text.split("\n");
    const first = 1 + settlement.entries.length;
    for (const field of ["weight", "netWeight", "before", "earned", "fee", "paid", "balance"]) {
      const line = JSON.parse(rows[first] as string) as Record<string, string>;
      const changed = JSON.stringify({ ...line, [field]: String(BigInt(line[field] as string) + 1n) });
      expect(refusal(rows.with(first, changed).join("\n"))).toMatchObject({ code: "proof.totals", place: { line: rows.length - 1 } });
    }
    expect(refusal(rows.toSpliced(first, 1).join("\n"))).toMatchObject({ code: "proof.badLine", place: { line: 1, field: "lines" } });
    expect(refusal([...rows.slice(0, first), rows[first + 1], rows[first], ...rows.slice(first + 2)].join("\n"))).toMatchObject({
      code: "proof.order",
      place: { line: first + 2, field: "script" },
    });
  });

  it.each<[string, (text: string) => string, string, number | undefined, string | undefined]>([
    ["no end of the last line", (text) => text.slice(0, -1), "proof.badLine", undefined, undefined],
    ["nothing", () => "", "proof.badLine", undefined, undefined],
    ["no JSON", () => "x\n", "proof.badLine", 1, ""],
    ["another format", (text) => text.replace("settlement/1", "settlement/2"), "proof.badValue", 1, "format"],
    ["an unknown field", (text) => text.replace('"kind"', '"more":1,"kind"'), "proof.notCanonical", 1, ""],
    ["a space", (text) => text.replace('"kind":', '"kind": '), "proof.notCanonical", 1, ""],
    ["a leading zero", (text) => text.replace(/"pin":"/, '"pin":"0'), "proof.notCanonical", 1, ""],
    ["a negative position", (text) => text.replace(/"pin":"/, '"pin":"-1'), "proof.badValue", 1, "pin"],
    ["an amount as a number", (text) => text.replace(/"value":"(\d+)"/, '"value":$1'), "proof.badValue", 1, "value"],
    ["a huge number", (text) => text.replace(/"value":"/, `"value":"${"9".repeat(5000)}`), "proof.badValue", 1, "value"],
    ["a hash cut short", (text) => text.replace(/"previous":".."?/, '"previous":"'), "proof.badValue", 1, "previous"],
    [
      "hex in upper case",
      (text) => text.replace(/"coinbase":"[0-9a-f]+/, (found) => found.toUpperCase()),
      "proof.badValue",
      1,
      "block.coinbase",
    ],
    ["one line more", (text) => `${text}{}\n`, "proof.badLine", 1, "lines"],
    ["a negative payment", (text) => text.replace(/"paid":"\d+","balance"/, '"paid":"-1","balance"'), "proof.badValue", undefined, "paid"],
    ["another total", (text) => text.replace(/"owed":"/, '"owed":"1'), "proof.totals", undefined, "owed"],
    ["another root", (text) => text.replace(/"root":".{8}/, '"root":"00000000'), "proof.totals", undefined, "root"],
  ])("refuse %s", (_, change, code, line, field) => {
    const { text } = encodeSettlement(sample(4));
    const changed = change(text);
    expect(changed).not.toBe(text);
    const error = refusal(changed);
    expect(error.code).toBe(code);
    if (line !== undefined) expect(error.place?.line).toBe(line);
    if (field !== undefined) expect(error.place?.field).toBe(field);
  });

  it("are not written with values that could not be read again", () => {
    const settlement = sample(5);
    const encode = (change: Partial<Settlement>) => () => encodeSettlement({ ...settlement, ...change });
    const [first, second] = settlement.lines;
    if (first === undefined || second === undefined) throw new Error("too few lines");
    expect(encode({ lines: [second, first] })).toThrow(expect.objectContaining({ code: "proof.order" }));
    expect(encode({ lines: [first, first] })).toThrow(expect.objectContaining({ code: "proof.order" }));
    expect(encode({ lines: [{ ...first, paid: -1n }] })).toThrow(expect.objectContaining({ code: "proof.badValue" }));
    expect(encode({ lines: [{ ...first, balance: 1n << 63n }] })).toThrow(expect.objectContaining({ code: "proof.overflow" }));
    expect(encode({ value: -1n })).toThrow(expect.objectContaining({ code: "proof.badValue" }));
    expect(encode({ number: 0 })).toThrow(expect.objectContaining({ code: "proof.badValue" }));
  });

  it("of many accounts and amounts are made and read in short steps, and refused at the amount that is wrong", () => {
    const script = (i: number): Uint8Array => Uint8Array.from([0, i >> 8, i & 255]);
    const amounts = Array.from({ length: 2000 }, (_, i) => ({ script: script(i), amount: BigInt(i) - 1000n }));
    const [first] = sample(6).lines;
    if (first === undefined) throw new Error("no line");
    const settlement = {
      ...sample(6),
      entries: [{ id: 7n, kind: "credit" as const, block: undefined, txid: undefined, amounts }],
      lines: amounts.map((one, i) => ({ ...first, script: one.script, account: i + 1, weight: BigInt(i), netWeight: 0n })),
    };
    const encoded = steps(settlementEncoding(settlement));
    expect(encoded.result).toEqual(encodeSettlement(settlement));
    const { text, root } = encoded.result;
    const decoded = steps(settlementDecoding(text));
    expect(decoded.result).toEqual({ ...settlement, root });
    expect(Math.min(encoded.pauses, decoded.pauses)).toBeGreaterThan(300);
    const wrong = (from: string, to: string): ProofError => refusal(text.replace(`"amount":"${from}"`, `"amount":"${to}"`));
    expect(wrong("777", "x")).toMatchObject({ code: "proof.badValue", place: { line: 2, field: "amounts[1777].amount" } });
    expect(wrong("777", "0777")).toMatchObject({ code: "proof.notCanonical", place: { line: 2, field: "" } });
    expect(refusal(text.replace('"amounts":[', '"amounts": ['))).toMatchObject({ code: "proof.notCanonical", place: { line: 2 } });
    expect(refusal(text.replace("}]}", "},]}"))).toMatchObject({ code: "proof.badLine", place: { line: 2 } });
  });

  it.each<[keyof SettlementLine, bigint | number | Uint8Array, string]>([
    ["account", 0, "proof.badValue"],
    ["account", 2 ** 31, "proof.badValue"],
    ["account", 1.5, "proof.overflow"],
    ["script", new Uint8Array(0), "proof.badValue"],
    ["script", new Uint8Array(10_001), "proof.overflow"],
    ["weight", -1n, "proof.overflow"],
    ["netWeight", 1n << 256n, "proof.overflow"],
    ["before", -(1n << 63n) - 1n, "proof.overflow"],
    ["earned", -1n, "proof.badValue"],
    ["fee", -1n, "proof.badValue"],
    ["paid", -1n, "proof.badValue"],
  ])("are not written with a %s of %s", (field, value, code) => {
    const settlement = sample(7);
    const [first] = settlement.lines;
    const lines = [{ ...first, [field]: value } as SettlementLine];
    expect(() => encodeSettlement({ ...settlement, lines })).toThrow(expect.objectContaining({ code }));
  });

  it("are written with the ends of each range", () => {
    const settlement = sample(8);
    const most = (1n << 63n) - 1n;
    const weights = { weight: (1n << 256n) - 1n, netWeight: (1n << 256n) - 1n };
    const high = { account: 2 ** 31 - 1, script: new Uint8Array(10_000), before: most, earned: most, fee: most, paid: most, balance: most };
    const low = { account: 1, script: Uint8Array.of(1), before: -most - 1n, earned: 0n, fee: 0n, paid: 0n, balance: -most - 1n };
    for (const line of [
      { ...high, ...weights },
      { ...low, weight: 0n, netWeight: 0n },
    ]) {
      const { text } = encodeSettlement({ ...settlement, kind: "settlement", lines: [line] });
      expect(decodeSettlement(text).lines).toEqual([line]);
    }
  });
});
