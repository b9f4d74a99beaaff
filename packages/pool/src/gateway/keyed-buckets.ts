/** Budgets by key (a network, an address), in bounded memory. */
import { TokenBucket } from "./token-bucket.js";

export class KeyedBuckets {
  /** In the order in which they were used; those used longest ago, which are the fullest, are forgotten first. */
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(
    private readonly burst: number,
    private readonly perSecond: number,
    private readonly capacity: number,
  ) {}

  /** Takes one, or `cost`, of that key's if it is there. `now`: milliseconds of a steady clock. */
  take(key: string, now: number, cost = 1): boolean {
    const bucket = this.#buckets.get(key) ?? new TokenBucket(this.burst, this.perSecond, now);
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > this.capacity) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest);
        break;
      }
    }
    return bucket.take(now, cost);
  }
}
