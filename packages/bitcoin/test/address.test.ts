import { Address, NETWORK, OutScript, TEST_NETWORK } from "@scure/btc-signer";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AddressError, addressToScript, NETWORKS, type NetworkName, scriptToAddress } from "../src/index.js";
import { bytes, data, hex, thrown } from "./support.js";

interface Vectors {
  valid: { network: NetworkName; address: string; script: string }[];
  invalid: { why: string; network: NetworkName; address: string; code: string; names?: string[] }[];
}

const vectors = data<Vectors>("addresses");
const hash = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const standardScript = fc.oneof(
  hash(20).map((h) => Uint8Array.of(0x76, 0xa9, 20, ...h, 0x88, 0xac)),
  hash(20).map((h) => Uint8Array.of(0xa9, 20, ...h, 0x87)),
  hash(20).map((h) => Uint8Array.of(0, 20, ...h)),
  hash(32).map((h) => Uint8Array.of(0, 32, ...h)),
  hash(32).map((h) => Uint8Array.of(0x51, 32, ...h)),
);
const anyNetwork = fc.constantFrom(...Object.values(NETWORKS));

describe("addressToScript", () => {
  test.each(vectors.valid)("$network takes $address", ({ network, address, script }) => {
    expect(hex(addressToScript(address, NETWORKS[network]))).toBe(script);
  });

  test.each(vectors.invalid)("$network refuses $address ($why)", ({ network, address, code, names }) => {
    const error = thrown(AddressError, () => addressToScript(address, NETWORKS[network]));
    expect(error.code).toBe(code);
    for (const name of names ?? []) expect(error.message).toContain(name);
    if (address.length > 0) expect(error.message).not.toContain(address);
  });

  test("every standard script survives the way there and back, on every network", () => {
    fc.assert(
      fc.property(standardScript, anyNetwork, (script, network) => {
        expect(addressToScript(scriptToAddress(script, network)!, network)).toEqual(script);
      }),
    );
  });

  test("agrees with @scure/btc-signer", () => {
    fc.assert(
      fc.property(standardScript, fc.boolean(), (script, main) => {
        // Its taproot codec also asks for a point on the curve; an address doesn't.
        fc.pre(script[0] !== 0x51);
        const theirs = Address(main ? NETWORK : TEST_NETWORK).encode(OutScript.decode(script));
        expect(scriptToAddress(script, main ? NETWORKS.mainnet : NETWORKS.testnet)).toBe(theirs);
      }),
    );
  });

  test("a changed character never passes", () => {
    fc.assert(
      fc.property(standardScript, anyNetwork, fc.nat(), fc.integer({ min: 0x21, max: 0x7e }), (script, network, at, code) => {
        const address = scriptToAddress(script, network)!;
        const index = at % address.length;
        const changed = address.slice(0, index) + String.fromCharCode(code) + address.slice(index + 1);
        fc.pre(changed !== address);
        thrown(AddressError, () => addressToScript(changed, network));
      }),
    );
  });

  test("any text ends in a script or an AddressError", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string({ minLength: 20, maxLength: 120 }),
      fc.string().map((tail) => `bc1${tail}`),
      fc.base64String().map((tail) => `1${tail}`),
    );
    fc.assert(
      fc.property(text, (address) => {
        try {
          expect(addressToScript(address, NETWORKS.mainnet).length).toBeGreaterThanOrEqual(22);
        } catch (error) {
          expect(error).toBeInstanceOf(AddressError);
        }
      }),
    );
  });
});

describe("scriptToAddress", () => {
  test("writes regtest's own prefix", () => {
    expect(scriptToAddress(bytes("0014751e76e8199196d454941c45d1b3a323f1433bd6"), NETWORKS.regtest)).toBe(
      "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
    );
  });

  test.each([
    ["empty", ""],
    ["OP_RETURN", "6a0100"],
    ["P2PK", `21${"02".repeat(33)}ac`],
    ["witness version 2", `5220${"00".repeat(32)}`],
    ["P2WPKH with a byte more", `0014${"00".repeat(21)}`],
    ["34 bytes that push 31", `001f${"00".repeat(32)}`],
    ["P2PKH without CHECKSIG", `76a914${"00".repeat(20)}8800`],
    ["P2SH without EQUAL", `a914${"00".repeat(20)}88`],
  ])("knows none for %s", (_, script) => {
    expect(scriptToAddress(bytes(script), NETWORKS.mainnet)).toBeUndefined();
  });
});
