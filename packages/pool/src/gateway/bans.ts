/**
 * Bans with decay. What a peer does wrong raises a score of its address, and of its network; both halve in a fixed time. An address over its
 * bar is banned until its score has fallen to half of the bar, so a ban lasts a half-life at least, and longer for who goes on.
 */

/** A network is banned at so many times the bar of an address: others live there. */
const PREFIX_FACTOR = 10;
/** Scores go no higher than so many times the bar: five half-lives from there a ban has ended. */
const MOST_BARS = 16;

export type BanScope = "address" | "prefix";

export interface BanOptions {
  /** The score at which an address is banned; 0 for no bans. */
  readonly score: number;
  readonly halfLifeMs: number;
  /** Addresses and networks that are remembered at most, each. */
  readonly remembered: number;
}

interface Score {
  value: number;
  /** When `value` was right. */
  at: number;
  banned: boolean;
}

/** Scores of one kind of key, in bounded memory: of too many, the one that was raised longest ago is forgotten. */
class Scores {
  readonly #scores = new Map<string, Score>();

  constructor(
    private readonly bar: number,
    private readonly options: BanOptions,
  ) {}

  /** @returns true when that began a ban */
  raise(key: string, points: number, now: number): boolean {
    const score = this.#current(key, now) ?? { value: 0, at: now, banned: false };
    score.value = Math.min(score.value + points, MOST_BARS * this.bar);
    const began = !score.banned && score.value >= this.bar;
    if (began) score.banned = true;
    // Map order is the order in which they were raised.
    this.#scores.delete(key);
    this.#scores.set(key, score);
    if (this.#scores.size > this.options.remembered) {
      for (const oldest of this.#scores.keys()) {
        this.#scores.delete(oldest);
        break;
      }
    }
    return began;
  }

  banned(key: string, now: number): boolean {
    return this.#current(key, now)?.banned ?? false;
  }

  count(now: number): number {
    let count = 0;
    for (const key of this.#scores.keys()) if (this.banned(key, now)) count += 1;
    return count;
  }

  #current(key: string, now: number): Score | undefined {
    const score = this.#scores.get(key);
    if (score === undefined) return undefined;
    score.value *= 0.5 ** ((now - score.at) / this.options.halfLifeMs);
    score.at = now;
    if (score.value <= this.bar / 2) score.banned = false;
    if (score.value >= this.bar / 100) return score;
    this.#scores.delete(key);
    return undefined;
  }
}

export class Bans {
  readonly #scores: Record<BanScope, Scores>;

  constructor(private readonly options: BanOptions) {
    this.#scores = { address: new Scores(options.score, options), prefix: new Scores(options.score * PREFIX_FACTOR, options) };
  }

  /** Something went wrong. `now`: milliseconds of a steady clock, here and below. @returns what is banned from now on */
  note(address: string, prefix: string, points: number, now: number): BanScope[] {
    if (this.options.score === 0 || points === 0) return [];
    const began: BanScope[] = [];
    if (this.#scores.address.raise(address, points, now)) began.push("address");
    if (this.#scores.prefix.raise(prefix, points, now)) began.push("prefix");
    return began;
  }

  /** Keys are those of `address-key.ts`. */
  banned(address: string, prefix: string, now: number): boolean {
    if (this.options.score === 0) return false;
    return this.#scores.address.banned(address, now) || this.#scores.prefix.banned(prefix, now);
  }

  /** How many are banned. */
  count(scope: BanScope, now: number): number {
    return this.#scores[scope].count(now);
  }
}
