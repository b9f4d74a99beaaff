/** A budget that allows bursts: so many at once, then so many per second. */
export class TokenBucket {
  #tokens: number;
  #at: number;

  /** @param now milliseconds of any steady clock, the same that `take` gets. */
  constructor(
    private readonly burst: number,
    private readonly perSecond: number,
    now: number,
  ) {
    this.#tokens = burst;
    this.#at = now;
  }

  /** Takes one, or `cost`, if it is there. */
  take(now: number, cost = 1): boolean {
    this.#refill(now);
    if (this.#tokens < cost) return false;
    this.#tokens -= cost;
    return true;
  }

  /** Takes `cost`, which may be more than is there. @returns milliseconds until the budget is balanced again; 0 when it is */
  spend(now: number, cost: number): number {
    this.#refill(now);
    this.#tokens -= cost;
    return this.#tokens >= 0 ? 0 : (-this.#tokens / this.perSecond) * 1000;
  }

  #refill(now: number): void {
    this.#tokens = Math.min(this.burst, this.#tokens + (Math.max(0, now - this.#at) / 1000) * this.perSecond);
    this.#at = now;
  }
}
