/** Keys and the two implementations of the cryptography, held against each other and against known answers. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodePublicKey,
  encodePublicKey,
  generateLongTermKeys,
  generateSessionKeys,
  loadCrypto,
  longTermKeysFromSeeds,
  signLongTerm,
  signStatement,
  verifyStatement,
} from "../src/index.js";
import { BOTH, datumError, hex, native, readJson, seed, unhex, wasm } from "./support.js";

const { valid, invalid, lowOrder } = readJson<{
  readonly valid: readonly { readonly name: string; readonly signSeed: string; readonly boxSeed: string; readonly publicKey: string }[];
  readonly invalid: readonly string[];
  readonly lowOrder: readonly string[];
}>("vectors/keys.json");

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const message = fc.uint8Array({ maxLength: 300, size: "max" });

describe.each(BOTH)("keys by the $name implementation", (crypto) => {
  it.each(valid)("$name", ({ signSeed, boxSeed, publicKey }) => {
    expect(encodePublicKey(longTermKeysFromSeeds(crypto, unhex(signSeed), unhex(boxSeed)))).toBe(publicKey);
  });

  it("Ed25519 is that of RFC 8032, section 7.1, test 2", () => {
    const pair = crypto.signKeyPair(unhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"));
    expect(hex(pair.publicKey)).toBe("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    expect(hex(crypto.sign(Uint8Array.of(0x72), pair.secretKey))).toBe(
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    );
  });

  it("the channel's key is that of Bernstein, Cryptography in NaCl, section 8: Bob's secret key, Alice's public one, the first key", () => {
    const bob = unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    const alice = unhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    const key = "1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389";
    expect(hex(crypto.sharedKey(alice, bob) ?? new Uint8Array(0))).toBe(key);
  });

  it.each(invalid)("%j is no public key", (text) => {
    expect(datumError(() => decodePublicKey(text)).code).toBe("badKey");
  });

  it("a public key comes back as it was written, in either case", () => {
    const keys = generateLongTermKeys(crypto);
    const text = encodePublicKey(keys);
    for (const spelling of [text, text.toUpperCase()]) {
      expect(hex(decodePublicKey(spelling).sign)).toBe(hex(keys.sign.publicKey));
      expect(hex(decodePublicKey(spelling).box)).toBe(hex(keys.box.publicKey));
    }
  });

  it("seeds of any other length are refused", () => {
    for (const length of [0, 31, 33, 64]) {
      expect(datumError(() => longTermKeysFromSeeds(crypto, new Uint8Array(length), seed(1))).code).toBe("badKey");
      expect(datumError(() => longTermKeysFromSeeds(crypto, seed(1), new Uint8Array(length))).code).toBe("badKey");
    }
  });

  it("new keys are new, their two pairs independent", () => {
    const keys = [generateLongTermKeys(crypto), generateLongTermKeys(crypto), generateSessionKeys(crypto), generateSessionKeys(crypto)];
    expect(new Set(keys.flatMap((key) => [hex(key.sign.publicKey), hex(key.box.publicKey)])).size).toBe(8);
  });

  it.each(lowOrder)("no secret is shared with the low-order key %s", (key) => {
    expect(crypto.sharedKey(unhex(key), crypto.boxKeyPair(seed(3)).secretKey)).toBeUndefined();
    // Nor does a box open that says it was sealed by such a key.
    expect(crypto.openSealed(Buffer.concat([unhex(key), new Uint8Array(40)]), crypto.boxKeyPair(seed(3)))).toBeUndefined();
  });
});

describe("a statement's signature", () => {
  it.each(BOTH)("is good for its words and key alone, and is none of the handshake's ($name)", (crypto) => {
    const keys = generateLongTermKeys(crypto);
    const text = Buffer.from("the next key is …");
    const signature = signStatement(crypto, keys, text);
    expect(verifyStatement(crypto, keys.sign.publicKey, text, signature)).toBe(true);
    expect(verifyStatement(crypto, keys.sign.publicKey, Buffer.from("the next key is …!"), signature)).toBe(false);
    expect(verifyStatement(crypto, generateLongTermKeys(crypto).sign.publicKey, text, signature)).toBe(false);
    expect(crypto.verify(signature, text, keys.sign.publicKey)).toBe(false);
    expect(verifyStatement(crypto, keys.sign.publicKey, text, signLongTerm(crypto, keys, text))).toBe(false);
  });
});

describe("the two implementations compute the same", () => {
  it("key pairs, signatures and shared keys", () => {
    const check = fc.property(bytes(32), bytes(32), bytes(32), message, (signSeed, mine, theirs, text) => {
      for (const make of ["signKeyPair", "boxKeyPair"] as const) {
        expect(hex(native[make](signSeed).publicKey)).toBe(hex(wasm[make](signSeed).publicKey));
        expect(hex(native[make](signSeed).secretKey)).toBe(hex(wasm[make](signSeed).secretKey));
      }
      const { secretKey, publicKey } = native.signKeyPair(signSeed);
      const signature = native.sign(text, secretKey);
      expect(hex(signature)).toBe(hex(wasm.sign(text, secretKey)));
      expect([native, wasm].map((crypto) => crypto.verify(signature, text, publicKey))).toEqual([true, true]);
      const [own, peer] = [native.boxKeyPair(mine), wasm.boxKeyPair(theirs)];
      const key = native.sharedKey(peer.publicKey, own.secretKey) as Uint8Array;
      expect(hex(key)).toBe(hex(wasm.sharedKey(peer.publicKey, own.secretKey) as Uint8Array));
      expect(hex(key)).toBe(hex(wasm.sharedKey(own.publicKey, peer.secretKey) as Uint8Array));
    });
    fc.assert(check, { numRuns: 100 });
  });

  it("boxes: what one closes the other opens, changed boxes neither", () => {
    const check = fc.property(message, bytes(24), bytes(32), fc.nat(), (text, nonce, key, at) => {
      const boxes = [native, wasm].map((crypto) => {
        const box = new Uint8Array(text.length + 16);
        crypto.encryptInto(box, text, nonce, key);
        return box;
      }) as [Uint8Array, Uint8Array];
      expect(hex(boxes[0])).toBe(hex(boxes[1]));
      const forged = Uint8Array.from(boxes[0]);
      forged[at % forged.length] = (forged[at % forged.length] ?? 0) ^ 1;
      for (const crypto of BOTH) {
        expect(hex(crypto.decrypt(boxes[0], nonce, key) ?? Uint8Array.of(0))).toBe(hex(text));
        expect(crypto.decrypt(forged, nonce, key)).toBeUndefined();
        expect(crypto.decrypt(boxes[0].subarray(0, at % 16), nonce, key)).toBeUndefined();
      }
    });
    fc.assert(check, { numRuns: 100 });
  });

  it("sealed boxes: what one seals the other opens, changed or short ones neither", () => {
    const check = fc.property(message, bytes(32), fc.nat(), (text, secret, at) => {
      const pair = native.boxKeyPair(secret);
      for (const [sealer, opener] of [
        [native, wasm],
        [wasm, native],
      ] as const) {
        const sealed = sealer.seal(text, pair.publicKey);
        expect(hex(opener.openSealed(sealed, pair) ?? Uint8Array.of(0))).toBe(hex(text));
        const forged = Uint8Array.from(sealed);
        forged[at % forged.length] = (forged[at % forged.length] ?? 0) ^ 1;
        expect(opener.openSealed(forged, pair)).toBeUndefined();
        expect(opener.openSealed(sealed.subarray(0, at % 48), pair)).toBeUndefined();
      }
    });
    fc.assert(check, { numRuns: 60 });
  });

  it("keys from passphrases are the same from both, and another for each input", () => {
    const salt = new Uint8Array(16);
    // The least that Argon2 takes, and a memory that is no multiple of its blocks.
    const check = fc.property(
      message,
      bytes(16),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 8192, max: 20_000 }),
      (text, some, passes, memory) => {
        const key = hex(native.passwordKey(text, some, passes, memory));
        expect(hex(wasm.passwordKey(text, some, passes, memory))).toBe(key);
        expect(hex(native.passwordKey(Uint8Array.of(...text, 1), some, passes, memory))).not.toBe(key);
      },
    );
    fc.assert(check, { numRuns: 20 });
    expect(hex(native.passwordKey(Buffer.from("x"), salt, 3, 256 * 1024 * 1024))).toBe(
      "3bfae233691ae8af6102b55abaa74464a96df2b7e94544cf3f96e32d6904bf55",
    );
  });

  it("the native one is taken when nothing is said", async () => {
    expect((await loadCrypto()).name).toBe("native");
  });
});
