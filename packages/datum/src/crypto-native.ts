/** DatumCrypto by sodium-native. It has no `crypto_box_beforenm`: the key is HSalsa20 of the X25519 secret, the box a secretbox. */
import { hsalsa } from "@noble/ciphers/salsa.js";
import sodium from "sodium-native";
import { type DatumCrypto, MAC_BYTES, SEAL_BYTES, SIGNATURE_BYTES } from "./crypto.js";

/** "expand 32-byte k" as four little-endian words, the constant of Salsa20. */
const SIGMA = Uint32Array.of(0x61707865, 0x3320646e, 0x79622d32, 0x6b206574);

const copyBuffer = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes);

function hsalsaOf(secret: Uint8Array): Uint8Array {
  const key = copyBuffer(secret);
  const output = new Uint32Array(8);
  hsalsa(SIGMA, new Uint32Array(key.buffer), new Uint32Array(4), output);
  return new Uint8Array(output.buffer);
}

export function createNativeCrypto(): DatumCrypto {
  return {
    name: "native",
    randomBytes(length) {
      const bytes = Buffer.alloc(length);
      sodium.randombytes_buf(bytes);
      return bytes;
    },
    signKeyPair(seed) {
      const publicKey = Buffer.alloc(32);
      const secretKey = Buffer.alloc(64);
      sodium.crypto_sign_seed_keypair(publicKey, secretKey, seed);
      return { publicKey, secretKey };
    },
    boxKeyPair(seed) {
      const publicKey = Buffer.alloc(32);
      const secretKey = Buffer.alloc(32);
      sodium.crypto_box_seed_keypair(publicKey, secretKey, seed);
      return { publicKey, secretKey };
    },
    sign(message, secretKey) {
      const signature = Buffer.alloc(SIGNATURE_BYTES);
      sodium.crypto_sign_detached(signature, message, secretKey);
      return signature;
    },
    verify: (signature, message, publicKey) => sodium.crypto_sign_verify_detached(signature, message, publicKey),
    seal(message, publicKey) {
      const sealed = Buffer.alloc(message.length + SEAL_BYTES);
      sodium.crypto_box_seal(sealed, message, publicKey);
      return sealed;
    },
    openSealed(sealed, pair) {
      if (sealed.length < SEAL_BYTES) return undefined;
      const message = Buffer.alloc(sealed.length - SEAL_BYTES);
      return sodium.crypto_box_seal_open(message, sealed, pair.publicKey, pair.secretKey) ? message : undefined;
    },
    sharedKey(peerPublicKey, secretKey) {
      const secret = Buffer.alloc(32);
      try {
        sodium.crypto_scalarmult(secret, secretKey, peerPublicKey);
      } catch {
        // A public key of low order: libsodium refuses it.
        return undefined;
      }
      return hsalsaOf(secret);
    },
    encryptInto(target, message, nonce, key) {
      sodium.crypto_secretbox_easy(target, message, nonce, key);
    },
    decrypt(box, nonce, key) {
      if (box.length < MAC_BYTES) return undefined;
      const message = Buffer.allocUnsafe(box.length - MAC_BYTES);
      return sodium.crypto_secretbox_open_easy(message, box, nonce, key) ? message : undefined;
    },
    passwordKey(passphrase, salt, passes, memoryBytes) {
      const key = Buffer.alloc(32);
      sodium.crypto_pwhash(key, passphrase, salt, passes, memoryBytes, sodium.crypto_pwhash_ALG_ARGON2ID13);
      return key;
    },
  };
}
