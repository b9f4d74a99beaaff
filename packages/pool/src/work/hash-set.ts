/**
 * A set of block hashes, each known by its low 64 bits (no target touches them). Open addressing in one typed array: 16 to 32 bytes a hash
 * where a JavaScript Set of strings takes 70, quicker, and with nothing for the garbage collector to walk. Among a million hashes a new one is
 * taken for another with a chance of 2^-44.
 */

const FIRST_SLOTS = 1024;

export class HashSet {
  /** Two words a slot; a second word of 0 marks a free one. */
  #words = new Uint32Array(2 * FIRST_SLOTS);
  #mask = FIRST_SLOTS - 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** @returns false when the hash (at least 8 bytes) is there already */
  add(hash: Uint8Array): boolean {
    const first = firstWord(hash);
    const second = secondWord(hash);
    const at = this.#find(first, second);
    if (this.#words[2 * at + 1] !== 0) return false;
    this.#words[2 * at] = first;
    this.#words[2 * at + 1] = second;
    // Half full at most, so that runs stay short.
    if (++this.#size * 2 > this.#mask) this.#grow();
    return true;
  }

  /** @returns whether the hash was there */
  delete(hash: Uint8Array): boolean {
    const words = this.#words;
    const mask = this.#mask;
    let hole = this.#find(firstWord(hash), secondWord(hash));
    if (words[2 * hole + 1] === 0) return false;
    this.#size--;
    words[2 * hole + 1] = 0;
    // Whatever a probe would now miss moves up into the hole.
    for (let at = (hole + 1) & mask; words[2 * at + 1] !== 0; at = (at + 1) & mask) {
      const home = words[2 * at]! & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      words[2 * hole] = words[2 * at]!;
      words[2 * hole + 1] = words[2 * at + 1]!;
      words[2 * at + 1] = 0;
      hole = at;
    }
    return true;
  }

  /** The slot that holds the words, or the free one where they belong. */
  #find(first: number, second: number): number {
    const words = this.#words;
    const mask = this.#mask;
    let at = first & mask;
    while (words[2 * at + 1] !== 0 && (words[2 * at] !== first || words[2 * at + 1] !== second)) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const old = this.#words;
    this.#words = new Uint32Array(2 * old.length);
    this.#mask = old.length - 1;
    for (let i = 0; i < old.length; i += 2) {
      if (old[i + 1] === 0) continue;
      const at = this.#find(old[i]!, old[i + 1]!);
      this.#words[2 * at] = old[i]!;
      this.#words[2 * at + 1] = old[i + 1]!;
    }
  }
}

function firstWord(hash: Uint8Array): number {
  return (hash[0]! | (hash[1]! << 8) | (hash[2]! << 16) | (hash[3]! << 24)) >>> 0;
}

/** Never 0. */
function secondWord(hash: Uint8Array): number {
  return (hash[4]! | (hash[5]! << 8) | (hash[6]! << 16) | (hash[7]! << 24)) >>> 0 || 1;
}
