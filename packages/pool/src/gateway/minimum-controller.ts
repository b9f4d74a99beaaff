/**
 * The least difficulty that one gateway is asked for, after the work it brings: a large farm does not flood the pool, a small one is not starved.
 *
 * It goes by the work and not by the number of shares: the work says how many shares there would be if every miner mined at the minimum, and
 * it stays the same whatever the minimum is. So nothing swings, and a gateway whose miners are slowed down by its own variable difficulty is
 * never slowed down further.
 */
import { RateWindow } from "./rate-window.js";

/** Work of the last 9.5 to 10 minutes counts. */
const BUCKET_MS = 30_000;
const BUCKETS = 20;
const WINDOW_MS = BUCKET_MS * BUCKETS;
const CHECK_MS = 10_000;
/** A gateway takes a new minimum with its next job, up to 40 s later: sooner than this, nothing can be learned from a change. */
const SETTLE_MS = 60_000;
/** Not looked at for so long: the gateway was away. */
const AWAY_MS = 60_000;
/** A minimum is changed when the work is this many times off the range that it is meant for. */
const HYSTERESIS = Math.SQRT2;
/** ... and when luck does not explain that: standard deviations of the work that was counted. */
const DEVIATIONS = 4;

export interface MinimumBounds {
  /** log2 of the least minimum, which every session begins with. */
  readonly floor: number;
  /** log2 of the highest minimum; as the floor: it never changes. */
  readonly ceiling: number;
  /** Shares a minute that all of a gateway's work may make at the minimum: once settled, between half of it and all of it. */
  readonly sharesPerMinute: number;
}

/** Times are milliseconds of a clock that is never set. */
export class MinimumController {
  #targetByte: number;
  #work!: RateWindow;
  /** Squares of the shares' weights: how far luck may have moved the work. */
  #squares!: RateWindow;
  #since = 0;
  #checkAt = 0;
  #seenAt = 0;

  constructor(
    private readonly bounds: MinimumBounds,
    now: number,
    /** log2 of the minimum to begin with. */
    targetByte = bounds.floor,
  ) {
    this.#targetByte = targetByte;
    this.#begin(now);
  }

  /** log2 of the minimum. */
  get targetByte(): number {
    return this.#targetByte;
  }

  /** A good share came. `weight` is its difficulty. */
  note(now: number, weight: number): void {
    this.#work.add(now, weight);
    this.#squares.add(now, weight * weight);
  }

  /**
   * Looks at the work; called about once a second while the gateway is connected, and not else: a gateway that returns keeps its minimum, and
   * the time that it was away is no silence.
   *
   * @returns log2 of the new minimum, if it changed
   */
  check(now: number): number | undefined {
    if (now - this.#seenAt >= AWAY_MS) this.#begin(now);
    this.#seenAt = now;
    if (now < this.#checkAt) return undefined;
    this.#checkAt = now + CHECK_MS;
    const next = this.#wanted(now);
    if (next === this.#targetByte) return undefined;
    this.#targetByte = next;
    this.#checkAt = now + SETTLE_MS;
    return next;
  }

  #begin(now: number): void {
    this.#work = new RateWindow(now, BUCKET_MS, BUCKETS);
    this.#squares = new RateWindow(now, BUCKET_MS, BUCKETS);
    this.#since = now;
    this.#seenAt = now;
    this.#checkAt = now + CHECK_MS;
  }

  #wanted(now: number): number {
    const { floor, ceiling, sharesPerMinute } = this.bounds;
    const { weight, seconds } = this.#work.read(now);
    // The first shares come in bursts: less than a bucket's time would make too much of them.
    const minutes = Math.max(seconds, BUCKET_MS / 1000) / 60;
    const minimum = 2 ** this.#targetByte;
    const luck = DEVIATIONS * Math.sqrt(this.#squares.read(now).weight + minimum * minimum);
    const most = sharesPerMinute * minutes * minimum;
    const tooMuch = weight - luck > most * HYSTERESIS;
    // Miners that have only just begun, or come back, say little by being silent.
    const tooLittle = now - this.#since >= WINDOW_MS && weight + luck < most / 2 / HYSTERESIS;
    if (!tooMuch && !tooLittle) return this.#targetByte;
    return Math.min(ceiling, Math.max(floor, Math.ceil(Math.log2(weight / (sharesPerMinute * minutes)))));
  }
}
