/**
 * Session keys of gateways that were seen in a HELLO. A gateway makes a new pair for every connection, so one that comes twice is a recording.
 *
 * Bounded in number and time. Forgetting costs nothing but the early refusal: the pool's session keys are always fresh, so the frames that
 * follow a replayed HELLO can't be opened, and what is sent to the replayer can only be opened with the recorded gateway's secret key.
 */
export class SeenHellos {
  /** Insertion order is age order. */
  readonly #seen = new Map<string, number>();

  constructor(
    private readonly capacity: number,
    private readonly lifeMs: number,
  ) {}

  /** Remembers the key; true when it was there already. `now`: milliseconds of a steady clock. */
  check(sessionSignKey: Uint8Array, now: number): boolean {
    for (const [old, at] of this.#seen) {
      if (now - at < this.lifeMs) break;
      this.#seen.delete(old);
    }
    const key = Buffer.from(sessionSignKey).toString("latin1");
    if (this.#seen.has(key)) return true;
    if (this.#seen.size >= this.capacity) {
      for (const oldest of this.#seen.keys()) {
        this.#seen.delete(oldest);
        break;
      }
    }
    this.#seen.set(key, now);
    return false;
  }

  get size(): number {
    return this.#seen.size;
  }
}
