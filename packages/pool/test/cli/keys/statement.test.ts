import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodePublicKey, generateLongTermKeys, loadCrypto, signLongTerm, verifyStatement } from "@openprime/datum";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KeyDesk } from "../../../src/cli/keys/desk.js";
import { STATEMENT_KINDS, sign, verify } from "../../../src/cli/keys/statement.js";
import { createKeyFile } from "../../../src/cli/keys.js";
import { encodeIndex, INDEX_FILE } from "../../../src/proofs/index.js";
import { capture, folder } from "../support.js";

const crypto = await loadCrypto();
const keys = generateLongTermKeys(crypto);
const key = encodePublicKey(keys);
const AT = new Date("2026-11-23T07:00:00.000Z");

const kind = fc.constantFrom(...STATEMENT_KINDS);
const line = fc.string({ unit: "grapheme" }).filter((text) => !/\p{Cc}|\u2028|\u2029/u.test(text));
// Lines that look like the format's own are the body's all the same.
const tricky = fc.constantFrom(`signature ${"0".repeat(128)}`, "", "key x", "openprime-statement/1");
const body = fc.array(fc.oneof(line, tricky), { minLength: 1, maxLength: 20 }).map((lines) => `${lines.join("\n")}\n`);

describe("a statement", () => {
  it("reads back as what was signed", () => {
    fc.assert(
      fc.property(kind, body, (given, text) => {
        expect(verify(sign(given, text, AT, keys, crypto), key, crypto)).toEqual({ kind: given, key, at: AT, body: text });
      }),
    );
  });

  it("is good to the letter only", () => {
    fc.assert(
      fc.property(kind, body, fc.nat(), fc.integer({ min: 1, max: 127 }), (given, text, place, change) => {
        const bytes = Buffer.from(sign(given, text, AT, keys, crypto));
        bytes[place % bytes.length]! ^= change;
        expect(() => verify(bytes.toString("utf8"), key, crypto)).toThrow(expect.objectContaining({ code: "statementInvalid" }) as Error);
      }),
    );
  });

  it("is no other key's, and no signature of the protocol makes one", () => {
    const text = sign("text", "hello", AT, keys, crypto);
    const other = encodePublicKey(generateLongTermKeys(crypto));
    expect(() => verify(text, other, crypto)).toThrow(`expected ${other}`);
    const signed = text.slice(0, text.lastIndexOf("signature "));
    const protocol = signLongTerm(crypto, keys, Buffer.from(signed));
    expect(verifyStatement(crypto, keys.sign.publicKey, Buffer.from(signed), protocol)).toBe(false);
    const forged = `${signed}signature ${Buffer.from(protocol).toString("hex")}\n`;
    expect(() => verify(forged, key, crypto)).toThrow("the signature is not that key's");
  });

  it.each([
    ["a control character", "red \u001b[31m"],
    ["a carriage return", "a\r\nb"],
    ["half a character", "\ud800"],
    ["more than 64 KiB", "x".repeat(65_536)],
  ])("can't hold %s", (_, text) => {
    expect(() => sign("text", text, AT, keys, crypto)).toThrow(expect.objectContaining({ code: "statementInvalid" }) as Error);
  });

  it.each([
    ["nothing", ""],
    ["no signature", "openprime-statement/1\nkind text\n"],
    ["more than 64 KiB", "x".repeat(70_000)],
  ])("of %s is none", (_, text) => {
    expect(() => verify(text, key, crypto)).toThrow(expect.objectContaining({ code: "statementInvalid" }) as Error);
  });
});

describe("openprime sign settlements", () => {
  it("names the newest settlement that is published", () => {
    const dir = folder();
    const file = join(dir, "keys.json");
    const made = createKeyFile(file, crypto, crypto.randomBytes, AT);
    const publishDir = join(dir, "public");
    mkdirSync(publishDir);
    const one = { kind: "settlement", height: 7, block: Buffer.alloc(32, 1), hash: Buffer.alloc(32, 2) } as const;
    const two = { kind: "reversal", height: 7, block: Buffer.from(`aa${"00".repeat(31)}`, "hex"), hash: Buffer.alloc(32, 3) } as const;
    writeFileSync(
      join(publishDir, INDEX_FILE),
      encodeIndex({
        settlements: [
          { number: 1, ...one },
          { number: 2, ...two },
        ],
      }),
    );
    const io = capture();
    new KeyDesk({ file }, { crypto, randomBytes: crypto.randomBytes, now: () => AT, publishDir, json: false }, io).sign(
      "settlements",
      undefined,
      undefined,
    );
    const { body: told } = verify(io.out(), made.publicKey, crypto);
    expect(told).toBe(`settlement 2\nheight 7\nblock ${"00".repeat(31)}aa\nsha256 ${"03".repeat(32)}\n`);
  });
});
