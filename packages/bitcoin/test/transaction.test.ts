import { Transaction as ScureTransaction } from "@scure/btc-signer";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCoinbase, parseTransaction, reverseHex, TransactionError } from "../src/index.js";
import { bytes, data, hex, thrown } from "./support.js";

interface Template {
  transactions: string[];
  totalWeight: number;
  totalSize: number;
  wtxidCheck: string;
}

const template = data<Template>("template");

/** BIP143's native P2WPKH example: one input with a witness, one without. */
const bip143 =
  "01000000000102fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f00000000494830450221008b9d1dc26ba6a9cb62127b02742fa9d754cd3bebf337f7a55d114c8e5cdd30be022040529b194ba3f9281a99f2b1c0a19c0489bc22ede944ccf4ecbab4cc618ef3ed01eeffffffef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac000247304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a0220573a954c4518331561406f90300e8f3358f51928d43c212a8caed02de67eebee0121025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee635711000000";

/** Genesis coinbase. */
const genesis =
  "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000";

const NULL_OUTPOINT = `${"00".repeat(32)}ffffffff`;
const coinbaseWith = (scriptSig: string, outpoint = NULL_OUTPOINT, outputs = "0100f2052a010000000151") =>
  bytes(`0200000001${outpoint}${(scriptSig.length / 2).toString(16).padStart(2, "0")}${scriptSig}ffffffff${outputs}00000000`);

describe("parseTransaction", () => {
  test("a real template: sizes, weights and wtxids as its gateway counts them", () => {
    const parsed = template.transactions.map((raw) => parseTransaction(bytes(raw)));
    expect(parsed.reduce((sum, { size }) => sum + size, 0)).toBe(template.totalSize);
    expect(parsed.reduce((sum, { weight }) => sum + weight, 0)).toBe(template.totalWeight);
    // DATUM.md section 8: all wtxids XORed onto the protocol's constant.
    const check = bytes("a34fc19c5e8876120a793ef16c9354afb81de85a20c794386fa102d94a7bf011");
    for (const { wtxid } of parsed) {
      for (let i = 0; i < 32; i++) check[i]! ^= wtxid[i]!;
    }
    expect(hex(check)).toBe(template.wtxidCheck);
  });

  test("has the txids that @scure/btc-signer finds", () => {
    for (const raw of [bip143, ...template.transactions].map(bytes)) {
      const theirs = ScureTransaction.fromRaw(raw, { allowUnknownInputs: true, allowUnknownOutputs: true, disableScriptCheck: true });
      expect(reverseHex(parseTransaction(raw).txid)).toBe(theirs.id);
    }
  });

  test("a transaction with witness, in parts", () => {
    const raw = bytes(bip143);
    const parsed = parseTransaction(raw);
    expect(parsed).toMatchObject({ version: 1, locktime: 17, hasWitness: true, size: raw.length });
    expect(parsed.inputs.map(({ previousIndex, sequence }) => [previousIndex, sequence])).toEqual([
      [0, 0xffff_ffee],
      [1, 0xffff_ffff],
    ]);
    expect(parsed.outputs.map(({ value }) => value)).toEqual([112_340_000n, 223_450_000n]);
    const { scriptSig, scriptSigOffset } = parsed.inputs[0]!;
    expect(scriptSig).toEqual(raw.subarray(scriptSigOffset, scriptSigOffset + 0x49));
    expect(parsed.txid).not.toEqual(parsed.wtxid);
  });

  test("the genesis coinbase", () => {
    const parsed = parseTransaction(bytes(genesis));
    expect(hex(parsed.txid.reverse())).toBe("4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b");
    expect(parsed).toMatchObject({ hasWitness: false, size: 204, weight: 816 });
  });

  test("cut anywhere, or longer by a byte, it is refused", () => {
    const raw = bytes(bip143);
    for (let length = 0; length < raw.length; length++) {
      expect(["truncated", "badStructure"]).toContain(thrown(TransactionError, () => parseTransaction(raw.subarray(0, length))).code);
    }
    expect(thrown(TransactionError, () => parseTransaction(Uint8Array.of(...raw, 0))).code).toBe("trailingBytes");
  });

  test("bytes in a larger buffer are read from their own beginning", () => {
    const raw = bytes(bip143);
    const larger = Uint8Array.of(9, 9, 9, ...raw, 9);
    expect(parseTransaction(larger.subarray(3, -1)).wtxid).toEqual(parseTransaction(raw).wtxid);
  });

  test.each([
    ["no inputs and no flag", "02000000000000000000", "badStructure"],
    ["an unknown flag", "020000000002", "badStructure"],
    ["no inputs behind the flag", "02000000000100", "badStructure"],
    ["no outputs", `0200000001${NULL_OUTPOINT}0151ffffffff0000000000`, "badStructure"],
    ["a flag without any witness", `02000000000101${NULL_OUTPOINT}0151ffffffff0100f2052a0100000001510000000000`, "badStructure"],
    ["four thousand million inputs", "02000000fefffffffe", "truncated"],
    ["a size of nine bytes", "02000000ffffffffffffffffff", "truncated"],
    ["a count in too long a form", `02000000fd0100${NULL_OUTPOINT}0151ffffffff0100f2052a01000000015100000000`, "nonCanonicalSize"],
    ["a count of five bytes that needs three", "02000000feffff0000", "nonCanonicalSize"],
    ["a count of nine bytes that needs five", "02000000ffffffffff00000000", "nonCanonicalSize"],
    ["a script over the end", `0200000001${NULL_OUTPOINT}fdffff51`, "truncated"],
    ["an output over 21 million coins", `0200000001${NULL_OUTPOINT}0151ffffffff010140075af0750700015100000000`, "badValue"],
    [
      "outputs that sum to more than 2^64",
      `0200000001${NULL_OUTPOINT}0151ffffffff02ffffffffffffffff0001000000000000000000000000`,
      "badValue",
    ],
  ])("%s", (_, raw, code) => {
    expect(thrown(TransactionError, () => parseTransaction(bytes(raw))).code).toBe(code);
  });

  test("more bytes than a block holds", () => {
    expect(thrown(TransactionError, () => parseTransaction(new Uint8Array(4_000_001))).code).toBe("tooLarge");
  });

  test("any bytes, and a good transaction with any byte changed, end in a value or a TransactionError", () => {
    const raw = bytes(bip143);
    const changed = fc.tuple(fc.nat(raw.length - 1), fc.nat(255)).map(([at, byte]) => raw.with(at, byte));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), changed), (value) => {
        try {
          const { size, weight } = parseTransaction(value);
          expect(size).toBe(value.length);
          expect(weight).toBeLessThanOrEqual(4 * size);
        } catch (error) {
          expect(error).toBeInstanceOf(TransactionError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe("parseCoinbase", () => {
  test("the genesis coinbase, scriptSig at its place", () => {
    const raw = bytes(genesis);
    const coinbase = parseCoinbase(raw);
    expect(coinbase).toMatchObject({ version: 1, scriptSigOffset: 42, sequence: 0xffff_ffff, locktime: 0 });
    expect(coinbase.scriptSig).toEqual(raw.subarray(42, 42 + 0x4d));
    expect(coinbase.outputs.map(({ value, script }) => [value, script.length])).toEqual([[5_000_000_000n, 67]]);
  });

  test("the same with a witness, two bytes further on", () => {
    const plain = coinbaseWith("5151");
    const witness = Uint8Array.of(...plain.subarray(0, 4), 0, 1, ...plain.subarray(4, -4), 1, 32, ...new Uint8Array(32), 0, 0, 0, 0);
    expect(parseCoinbase(witness)).toEqual({ ...parseCoinbase(plain), scriptSigOffset: 44 });
  });

  test("scriptSigs of 2 and of 100 bytes, but not of 1 and of 101", () => {
    for (const length of [2, 100]) expect(parseCoinbase(coinbaseWith("51".repeat(length))).scriptSig.length).toBe(length);
    for (const length of [0, 1, 101]) {
      expect(thrown(TransactionError, () => parseCoinbase(coinbaseWith("51".repeat(length)))).code).toBe("notCoinbase");
    }
  });

  test.each([
    ["an outpoint with an index", `${"00".repeat(32)}00000000`],
    ["an outpoint with a txid", `01${"00".repeat(31)}ffffffff`],
  ])("%s is none", (_, outpoint) => {
    expect(thrown(TransactionError, () => parseCoinbase(coinbaseWith("5151", outpoint))).code).toBe("notCoinbase");
  });

  test("an ordinary transaction is none", () => {
    expect(thrown(TransactionError, () => parseCoinbase(bytes(bip143))).code).toBe("notCoinbase");
  });
});
