/** The gateway's variable difficulty: about eight shares a minute from each miner, in powers of two, with a jump when a miner is far too fast. */

/** Shares before a jump is considered. */
const QUICK_SHARES = 8;
/** How many times too fast a miner must be for a jump. */
const QUICK_FACTOR = 8;
/** Shares before one step up. */
const STEP_SHARES = 16;
/** Silence after which the difficulty is halved. */
const SILENCE_MS = 60_000;
/** Less time than this says nothing. */
const SHORTEST_MS = 1000;

/** Difficulty of one miner. Times are milliseconds of the gateway's (possibly scaled) clock. */
export class Vardiff {
  readonly #sharePeriodMs: number;
  #difficulty: number;
  #minimum: number;
  /** What the miner was told last; a change waits for its next work. */
  #told: number;
  #shares = 0;
  #since: number;
  #jumping = false;

  /** @param minimum power of two, in units of the network's difficulty one */
  constructor(sharesPerMinute: number, minimum: number, now: number) {
    this.#sharePeriodMs = Math.floor(60_000 / sharesPerMinute);
    this.#minimum = minimum;
    this.#difficulty = minimum;
    this.#told = minimum;
    this.#since = now;
  }

  /** The pool's minimum, or the gateway's own if higher. */
  setMinimum(minimum: number): void {
    this.#minimum = minimum;
  }

  /** Difficulty of the miner's present work. */
  get difficulty(): number {
    return this.#told;
  }

  #restart(now: number): void {
    this.#shares = 0;
    this.#since = now;
  }

  #lower(now: number): void {
    this.#difficulty = Math.max(this.#minimum, this.#difficulty / 2);
    this.#restart(now);
  }

  /** The miner gets ordinary work: settles its difficulty. */
  settle(now: number): number {
    this.#adjust(now);
    this.#difficulty = Math.max(this.#minimum, this.#difficulty);
    this.#told = this.#difficulty;
    this.#jumping = false;
    return this.#told;
  }

  #adjust(now: number): void {
    if (this.#difficulty !== this.#told) return;
    const elapsed = now - this.#since;
    if (this.#shares === 0) {
      if (elapsed > SILENCE_MS) this.#lower(now);
      return;
    }
    if (elapsed < SHORTEST_MS) return;
    const period = Math.max(1, Math.floor(elapsed / this.#shares));
    if (period > this.#sharePeriodMs * 2) {
      this.#lower(now);
    } else if (this.#shares >= STEP_SHARES && period < this.#sharePeriodMs / 2) {
      this.#difficulty *= 2;
      this.#restart(now);
    }
  }

  /**
   * The miner found a share. True when it is so much too fast that it must get quickdiff work at once; {@link difficulty} is then the new one.
   *
   * @param mayJump false while there is no work that quickdiff can be made of
   */
  share(now: number, mayJump = true): boolean {
    this.#shares += 1;
    const elapsed = now - this.#since;
    if (this.#difficulty !== this.#told || this.#shares < QUICK_SHARES || elapsed < SHORTEST_MS) return false;
    const period = Math.max(1, Math.floor(elapsed / this.#shares));
    if (!mayJump || this.#jumping || period >= Math.floor(this.#sharePeriodMs / QUICK_FACTOR)) {
      this.#adjust(now);
      return false;
    }
    const wanted = Math.floor(this.#sharePeriodMs / period) * this.#difficulty;
    this.#difficulty = Math.max(this.#difficulty * 4, 2 ** Math.floor(Math.log2(wanted)));
    this.#told = this.#difficulty;
    this.#jumping = true;
    this.#restart(now);
    return true;
  }
}
