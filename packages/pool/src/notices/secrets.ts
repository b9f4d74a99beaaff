/**
 * Everything secret of notices follows from one key, which lies in a file and in no database: the secrets that webhooks are signed with, the pool's own
 * Nostr key, and the key that seals receivers' targets in the books. So nothing secret has to be stored, and what is stored says nothing without the file.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { NoticeError } from "./errors.js";

const KEY_BYTES = 32;
const SALT = "openprime notices";
const CIPHER = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export class NoticeSecrets {
  readonly #key: Uint8Array;
  readonly #sealing: Uint8Array;

  /** @param text the key file's text: 64 hex digits. @throws NoticeError `notices.badKey`, which does not tell what is in it */
  constructor(text: string) {
    if (!/^[0-9a-f]{64}\s*$/i.test(text)) throw new NoticeError("notices.badKey", "expected 64 hex digits and nothing else");
    this.#key = Buffer.from(text.trim(), "hex");
    this.#sealing = this.#derive("targets");
  }

  /** A fresh key, as its file holds it. */
  static newKey(): string {
    return `${randomBytes(KEY_BYTES).toString("hex")}\n`;
  }

  /** What webhooks of a receiver are signed with. @param name the receiver's id, or `operator` */
  webhookSecret(name: string): Uint8Array {
    return this.#derive(`webhook ${name}`);
  }

  /** The secret key of the pool's messages on Nostr: not the pool's long-term key, and of no use to find that. */
  nostrKey(): Uint8Array {
    return this.#derive("nostr");
  }

  /** A receiver's target as the books keep it. It opens for the same receiver only. */
  seal(receiver: bigint, target: string): Uint8Array {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#sealing, nonce).setAAD(owner(receiver));
    return Buffer.concat([nonce, cipher.update(target, "utf8"), cipher.final(), cipher.getAuthTag()]);
  }

  /** @throws NoticeError `notices.sealed` when it was sealed with another key or for another receiver */
  open(receiver: bigint, sealed: Uint8Array): string {
    try {
      const bytes = Buffer.from(sealed);
      const decipher = createDecipheriv(CIPHER, this.#sealing, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
      decipher.setAAD(owner(receiver)).setAuthTag(bytes.subarray(-TAG_BYTES));
      const text = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
      return text.toString("utf8");
    } catch (cause) {
      throw new NoticeError("notices.sealed", `the target of receiver ${receiver} was sealed with another notice key`, { cause });
    }
  }

  #derive(purpose: string): Uint8Array {
    return new Uint8Array(hkdfSync("sha256", this.#key, SALT, purpose, KEY_BYTES));
  }
}

const owner = (receiver: bigint): Buffer => Buffer.from(`receiver ${receiver}`);
