/** The cryptography that the protocol needs, as one small interface: injected, so that one implementation can be held against another. */

export interface SealPair {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

/** libsodium's functions under their own names; all byte arrays, no state. Functions that open answer undefined for forged input. */
export interface DatumCrypto {
  readonly name: "native" | "wasm";
  randomBytes(length: number): Uint8Array;
  /** Ed25519 pair of a 32-byte seed (`crypto_sign_seed_keypair`); the secret key has 64 bytes. */
  signKeyPair(seed: Uint8Array): SealPair;
  /** X25519 pair of a 32-byte seed (`crypto_box_seed_keypair`). */
  boxKeyPair(seed: Uint8Array): SealPair;
  /** Detached Ed25519 signature, 64 bytes. */
  sign(message: Uint8Array, secretKey: Uint8Array): Uint8Array;
  verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
  /** `crypto_box_seal`: 48 bytes longer than the message. */
  seal(message: Uint8Array, publicKey: Uint8Array): Uint8Array;
  openSealed(sealed: Uint8Array, pair: SealPair): Uint8Array | undefined;
  /** `crypto_box_beforenm`: the channel's key; undefined for a peer key of low order. */
  sharedKey(peerPublicKey: Uint8Array, secretKey: Uint8Array): Uint8Array | undefined;
  /** `crypto_box_easy_afternm`: writes MAC and ciphertext, 16 bytes longer than the message, into `target`. */
  encryptInto(target: Uint8Array, message: Uint8Array, nonce: Uint8Array, key: Uint8Array): void;
  /** `crypto_box_open_easy_afternm` into a buffer of its own. */
  decrypt(box: Uint8Array, nonce: Uint8Array, key: Uint8Array): Uint8Array | undefined;
  /**
   * A key of 32 bytes from a passphrase: Argon2id as `crypto_pwhash` with ALG_ARGON2ID13. Slow on purpose.
   *
   * @param salt 16 bytes
   * @param memoryBytes at least 8 KiB
   */
  passwordKey(passphrase: Uint8Array, salt: Uint8Array, passes: number, memoryBytes: number): Uint8Array;
}

/** Bytes that a MAC adds in front of a message. */
export const MAC_BYTES = 16;
/** Bytes that a sealed box adds. */
export const SEAL_BYTES = 48;
export const SIGNATURE_BYTES = 64;

/**
 * The best implementation this machine can load: libsodium's prebuilt native binding, or its WebAssembly build (about 0.75 of the speed).
 *
 * @param prefer take this one, and fail when it can't be loaded
 */
export async function loadCrypto(prefer?: "native" | "wasm"): Promise<DatumCrypto> {
  if (prefer !== "wasm") {
    try {
      return (await import("./crypto-native.js")).createNativeCrypto();
    } catch (error) {
      // No prebuilt binary for this platform: the other implementation computes the same. `name` tells which one it became.
      if (prefer === "native") throw error;
    }
  }
  return (await import("./crypto-wasm.js")).createWasmCrypto();
}
