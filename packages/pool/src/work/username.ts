/**
 * From the bytes of a username to an account. `address` or `address.worker`; an account is a scriptPubKey, so all spellings of an address
 * are one. What is seen once is remembered, refusals too, so that a share costs one look-up.
 */
import { addressToScript, type Network } from "@openprime/bitcoin";
import { key, sameBytes, shortHash } from "./bytes.js";
import { type Refusal, refusal } from "./refusal.js";

/** Longest username that is looked at, bytes: the longest address (90) and a worker name of several times what is kept of it. */
const MAX_USERNAME_BYTES = 256;
/** Code points kept of a worker's name. */
export const MAX_WORKER_LENGTH = 64;
/** The name that workers over the session's bound share. */
export const FOLDED_WORKER = "(others)";
/** Usernames remembered for a session; the oldest is forgotten for a new one. */
const MAX_REMEMBERED = 4096;

const CONTROL = /\p{Cc}/u;
/** Invisible and directional characters, lone surrogates, private and unassigned code points, line separators. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** Bounds on what one session may bring into the books. */
export interface UsernameLimits {
  readonly accountsPerSession: number;
  /** Over all accounts of the session; further ones are folded into one per account. */
  readonly workersPerSession: number;
}

/** Whom a share is credited to. */
export interface Miner {
  /** scriptPubKey. */
  readonly account: Uint8Array;
  /** As it was written first in this session. */
  readonly address: string;
  /** "" for none. */
  readonly worker: string;
}

interface Remembered {
  readonly username: Uint8Array;
  readonly found: Miner | Refusal;
}

/**
 * The usernames of one session.
 *
 * Memory: at most 4096 remembered names of under 1.2 kB each, plus about 250 bytes for an account and 200 for a worker, as many as the
 * limits allow.
 */
export class Usernames {
  /** By the short hash of the name. One name per hash: of two that collide, each displaces the other and only costs its own look. */
  readonly #remembered = new Map<number, Remembered>();
  readonly #accounts = new Map<string, { readonly account: Uint8Array; readonly address: string }>();
  readonly #workers = new Set<string>();

  /**
   * @param username raw bytes as they came
   * @returns the miner, or the refusal (14)
   */
  resolve(username: Uint8Array, network: Network, limits: UsernameLimits): Miner | Refusal {
    if (username.length > MAX_USERNAME_BYTES) {
      return refusal("badUsername", `username of ${username.length} bytes, at most ${MAX_USERNAME_BYTES}`);
    }
    const hash = shortHash(username);
    const known = this.#remembered.get(hash);
    if (known !== undefined && sameBytes(known.username, username)) return known.found;
    const found = this.#read(username, network, limits);
    if (known === undefined && this.#remembered.size >= MAX_REMEMBERED) {
      const oldest = this.#remembered.keys().next();
      if (!oldest.done) this.#remembered.delete(oldest.value);
    }
    this.#remembered.set(hash, { username: new Uint8Array(username), found });
    return found;
  }

  #read(username: Uint8Array, network: Network, limits: UsernameLimits): Miner | Refusal {
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(username);
    } catch {
      return refusal("badUsername", "username is not UTF-8");
    }
    if (CONTROL.test(text)) return refusal("badUsername", "username holds control characters");
    const dot = text.indexOf(".");
    const address = dot < 0 ? text : text.slice(0, dot);
    let script: Uint8Array;
    try {
      script = addressToScript(address, network);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      // The text itself is a stranger's and stays out of the log.
      return refusal("badUsername", `username is not an address of ${network.name}: ${why}`);
    }
    const id = key(script);
    let account = this.#accounts.get(id);
    if (account === undefined) {
      if (this.#accounts.size >= limits.accountsPerSession) {
        return refusal("badUsername", `this gateway already brought ${this.#accounts.size} accounts, its limit`);
      }
      account = { account: script, address };
      this.#accounts.set(id, account);
    }
    return { ...account, worker: this.#worker(id, dot < 0 ? "" : text.slice(dot + 1), limits) };
  }

  /** A name that is safe to show anywhere: printable, single-line, bounded; folded into one when the session has too many. */
  #worker(account: string, raw: string, limits: UsernameLimits): string {
    const printable = raw.replace(UNPRINTABLE, "").normalize("NFC").trim();
    const name = [...printable].slice(0, MAX_WORKER_LENGTH).join("");
    if (name === "") return "";
    const id = `${account}.${name}`;
    if (!this.#workers.has(id)) {
      if (this.#workers.size >= limits.workersPerSession) return FOLDED_WORKER;
      this.#workers.add(id);
    }
    return name;
  }
}
