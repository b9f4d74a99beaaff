/** Weight of accepted shares over the recent past, in fixed memory: what a hash rate is estimated from. For display, never for money. */
export class RateWindow {
  readonly #sums: Float64Array;
  #startedAt: number;
  #bucket: number;

  /** @param now milliseconds. */
  constructor(
    now: number,
    private readonly bucketMs = 10_000,
    buckets = 30,
  ) {
    this.#sums = new Float64Array(buckets);
    this.#startedAt = now;
    this.#bucket = Math.floor(now / bucketMs);
  }

  add(now: number, weight: number): void {
    this.#advance(now);
    const index = this.#bucket % this.#sums.length;
    this.#sums[index] = this.#sums[index]! + weight;
  }

  /** Summed weight and the seconds it was gathered in (at least one, so that a rate can be formed). */
  read(now: number): { weight: number; seconds: number } {
    this.#advance(now);
    const since = Math.max(this.#startedAt, (this.#bucket - this.#sums.length + 1) * this.bucketMs);
    return { weight: this.#sums.reduce((sum, one) => sum + one, 0), seconds: Math.max(1, (now - since) / 1000) };
  }

  #advance(now: number): void {
    const bucket = Math.floor(now / this.bucketMs);
    // A clock set back keeps counting into the present bucket.
    for (let step = Math.max(this.#bucket + 1, bucket - this.#sums.length + 1); step <= bucket; step++) {
      this.#sums[step % this.#sums.length] = 0;
    }
    if (bucket > this.#bucket) this.#bucket = bucket;
  }
}
