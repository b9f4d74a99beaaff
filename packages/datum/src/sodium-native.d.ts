// sodium-native ships no types; these are the functions used here.
declare module "sodium-native" {
  interface Sodium {
    randombytes_buf(target: Uint8Array): void;
    crypto_sign_seed_keypair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void;
    crypto_box_seed_keypair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void;
    crypto_sign_detached(signature: Uint8Array, message: Uint8Array, secretKey: Uint8Array): void;
    crypto_sign_verify_detached(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
    crypto_box_seal(target: Uint8Array, message: Uint8Array, publicKey: Uint8Array): void;
    crypto_box_seal_open(target: Uint8Array, sealed: Uint8Array, publicKey: Uint8Array, secretKey: Uint8Array): boolean;
    crypto_scalarmult(target: Uint8Array, secretKey: Uint8Array, publicKey: Uint8Array): void;
    crypto_secretbox_easy(target: Uint8Array, message: Uint8Array, nonce: Uint8Array, key: Uint8Array): void;
    readonly crypto_pwhash_ALG_ARGON2ID13: number;
    crypto_pwhash(
      target: Uint8Array,
      passphrase: Uint8Array,
      salt: Uint8Array,
      passes: number,
      memoryBytes: number,
      algorithm: number,
    ): void;
    crypto_secretbox_open_easy(target: Uint8Array, box: Uint8Array, nonce: Uint8Array, key: Uint8Array): boolean;
  }
  const sodium: Sodium;
  export default sodium;
}
