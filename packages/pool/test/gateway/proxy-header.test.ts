import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { looksLikeProxyHeader, type ProxyHeader, readProxyHeader } from "../../src/gateway/proxy-header.js";

interface Case {
  readonly name: string;
  readonly text?: string;
  readonly hex?: string;
}
const cases = JSON.parse(readFileSync(new URL("data/proxy-headers.json", import.meta.url), "utf8")) as {
  valid: (Case & { source: string | null })[];
  invalid: Case[];
};
const bytesOf = ({ text, hex }: Case): Buffer => (text === undefined ? Buffer.from(hex!, "hex") : Buffer.from(text, "latin1"));

describe("a PROXY header", () => {
  it.each(cases.valid)("is read: $name", (one) => {
    const bytes = bytesOf(one);
    const header = { kind: "header", source: one.source ?? undefined, length: bytes.length };
    expect(readProxyHeader(bytes)).toEqual(header);
    expect(readProxyHeader(Buffer.concat([bytes, Buffer.from("HELLO\r\n")]))).toEqual(header);
    for (let end = 0; end < bytes.length; end++) expect(readProxyHeader(bytes.subarray(0, end))).toEqual({ kind: "more" });
    expect(looksLikeProxyHeader(bytes)).toBe(true);
  });

  it.each(cases.invalid)("is refused: $name", (one) => {
    const bytes = bytesOf(one);
    expect(readProxyHeader(bytes)).toEqual({ kind: "bad", why: expect.any(String) });
    // Once refused, refused whatever comes; and nothing before that was taken.
    const kinds = Array.from({ length: bytes.length + 1 }, (_, end) => readProxyHeader(bytes.subarray(0, end)).kind);
    expect(kinds.join(" ")).toMatch(/^(more )+(bad ?)+$/);
  });

  it("says the address that it was made of", () => {
    const port = fc.integer({ min: 0, max: 65535 });
    const tlv = fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 40 }));
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV6(), port, port, fc.array(tlv, { maxLength: 5 }), (v4, v6, from, to, tlvs) => {
        expect(readProxyHeader(Buffer.from(`PROXY TCP4 ${v4} 10.0.0.1 ${from} ${to}\r\n`))).toMatchObject({ source: v4 });
        const six = readProxyHeader(Buffer.from(`PROXY TCP6 ${v6} ::1 ${from} ${to}\r\n`));
        expect(six.kind).toBe("header");
        const extensions = tlvs.map(([type, value]) => Buffer.concat([Buffer.from([type, value.length >> 8, value.length & 255]), value]));
        const body = Buffer.concat([Buffer.from(v4.split(".").map(Number)), Buffer.alloc(8), ...extensions]);
        const fixed = Buffer.from("0d0a0d0a000d0a515549540a21110000", "hex");
        fixed.writeUInt16BE(body.length, 14);
        expect(readProxyHeader(Buffer.concat([fixed, body]))).toEqual({ kind: "header", source: v4, length: 16 + body.length });
      }),
    );
  });

  it("of any bytes is an answer, never a fault, and never one that changes with more bytes", () => {
    const signature = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
    const begin = fc.constantFrom(Buffer.alloc(0), Buffer.from("PROXY "), Buffer.from("PROXY TCP4 1.2.3.4 "), signature);
    fc.assert(
      fc.property(begin, fc.uint8Array({ maxLength: 300 }), (start, rest) => {
        const bytes = Buffer.concat([start, rest]);
        let settled: ProxyHeader | undefined;
        for (let end = 0; end <= bytes.length; end++) {
          const header = readProxyHeader(bytes.subarray(0, end));
          if (settled !== undefined) expect(header.kind).toBe(settled.kind);
          else if (header.kind !== "more") settled = header;
          if (header.kind === "header") expect(header.source === undefined || isIP(header.source) > 0).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });
});
