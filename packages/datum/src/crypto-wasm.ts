/** DatumCrypto by libsodium's WebAssembly build: for platforms without a prebuilt native binding, and as the oracle in tests. */
import { argon2id } from "@noble/hashes/argon2.js";
import sodium from "libsodium-wrappers";
import { type DatumCrypto, MAC_BYTES, SEAL_BYTES } from "./crypto.js";

/** The wrappers throw where libsodium answers -1: forged input, which is an ordinary answer here. */
function unlessForged(open: () => Uint8Array): Uint8Array | undefined {
  try {
    return open();
  } catch {
    return undefined;
  }
}

export async function createWasmCrypto(): Promise<DatumCrypto> {
  await sodium.ready;
  return {
    name: "wasm",
    randomBytes: (length) => sodium.randombytes_buf(length),
    signKeyPair(seed) {
      const { publicKey, privateKey } = sodium.crypto_sign_seed_keypair(seed);
      return { publicKey, secretKey: privateKey };
    },
    boxKeyPair(seed) {
      const { publicKey, privateKey } = sodium.crypto_box_seed_keypair(seed);
      return { publicKey, secretKey: privateKey };
    },
    sign: (message, secretKey) => sodium.crypto_sign_detached(message, secretKey),
    verify: (signature, message, publicKey) => sodium.crypto_sign_verify_detached(signature, message, publicKey),
    seal: (message, publicKey) => sodium.crypto_box_seal(message, publicKey),
    openSealed(sealed, pair) {
      if (sealed.length < SEAL_BYTES) return undefined;
      return unlessForged(() => sodium.crypto_box_seal_open(sealed, pair.publicKey, pair.secretKey));
    },
    sharedKey: (peerPublicKey, secretKey) => unlessForged(() => sodium.crypto_box_beforenm(peerPublicKey, secretKey)),
    encryptInto(target, message, nonce, key) {
      target.set(sodium.crypto_secretbox_easy(message, nonce, key));
    },
    decrypt(box, nonce, key) {
      if (box.length < MAC_BYTES) return undefined;
      return unlessForged(() => sodium.crypto_secretbox_open_easy(box, nonce, key));
    },
    // The wrappers leave `crypto_pwhash` out. libsodium has one lane, and counts memory in bytes where Argon2 counts blocks of 1 KiB.
    passwordKey: (passphrase, salt, passes, memoryBytes) =>
      argon2id(passphrase, salt, { t: passes, m: Math.floor(memoryBytes / 1024), p: 1, dkLen: 32 }),
  };
}
