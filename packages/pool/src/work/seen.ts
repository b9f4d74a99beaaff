/**
 * Shares seen lately, by round. It spares the database most duplicates; the database has the last word, so forgetting is safe.
 */
import { key } from "./bytes.js";
import { HashSet } from "./hash-set.js";

/** 16 to 32 bytes of memory a share: 32 MB when full. */
const MAX_SHARES = 1_000_000;
/** Rounds held at a time: the tip's, a few stale ones, and parents that the node has not heard of. At least 8 kB each. */
const MAX_ROUNDS = 64;

interface Round {
  hashes: HashSet;
  /** Value of the filter's counter when a share was last added. */
  usedAt: number;
}

export class SeenShares {
  readonly #rounds = new Map<string, Round>();
  readonly #maxShares: number;
  readonly #maxRounds: number;
  #size = 0;
  #uses = 0;

  constructor(maxShares: number = MAX_SHARES, maxRounds: number = MAX_ROUNDS) {
    this.#maxShares = maxShares;
    this.#maxRounds = maxRounds;
  }

  /** Shares held. */
  get size(): number {
    return this.#size;
  }

  /**
   * Enter a share.
   *
   * @param prevhash the round, 32 bytes
   * @param hash header hash, 32 bytes, internal order
   * @returns false when it is there already
   */
  add(prevhash: Uint8Array, hash: Uint8Array): boolean {
    return this.addTo(key(prevhash), hash);
  }

  /** `add` for a caller that has the `key` of the round at hand. */
  addTo(round: string, hash: Uint8Array): boolean {
    const held = this.#rounds.get(round) ?? this.#open(round);
    held.usedAt = ++this.#uses;
    if (!held.hashes.add(hash)) return false;
    if (++this.#size > this.#maxShares) this.#makeRoom(held, hash);
    return true;
  }

  /** Take a share out again that could not be queued: the gateway may send it once more. */
  forget(prevhash: Uint8Array, hash: Uint8Array): void {
    if (this.#rounds.get(key(prevhash))?.hashes.delete(hash)) this.#size--;
  }

  #open(round: string): Round {
    if (this.#rounds.size >= this.#maxRounds) this.#dropOldestRound();
    const held = { hashes: new HashSet(), usedAt: 0 };
    this.#rounds.set(round, held);
    return held;
  }

  #dropOldestRound(): void {
    let oldest: string | undefined;
    let usedAt = Number.POSITIVE_INFINITY;
    for (const [round, held] of this.#rounds) {
      if (held.usedAt < usedAt) {
        usedAt = held.usedAt;
        oldest = round;
      }
    }
    if (oldest === undefined) return;
    this.#size -= this.#rounds.get(oldest)?.hashes.size ?? 0;
    this.#rounds.delete(oldest);
  }

  /** Drop other rounds; a round that fills the memory alone begins anew with its newest share. */
  #makeRoom(current: Round, newest: Uint8Array): void {
    while (this.#rounds.size > 1 && this.#size > this.#maxShares) this.#dropOldestRound();
    if (this.#size <= this.#maxShares) return;
    current.hashes = new HashSet();
    current.hashes.add(newest);
    this.#size = 1;
  }
}
