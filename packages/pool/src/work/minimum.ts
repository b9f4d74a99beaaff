/**
 * The least difficulty that a session's shares may have. Miners work on for a while with what they were told before, so a share made under
 * an earlier, lower minimum stays good for some minutes after the minimum was raised.
 */

/** The gateway's work is at most 150 + 120 s old when it comes; the rest is for the way. */
export const MINIMUM_GRACE_MS = 300_000;

/** A lower minimum of before. */
export interface EarlierMinimum {
  readonly targetByte: number;
  /** Shares under it are good until then, milliseconds. */
  readonly until: number;
}

/** All of it, as plain values. */
export interface SavedMinimum {
  readonly targetByte: number;
  /** The lowest first and, with that, the first to end. */
  readonly earlier: readonly EarlierMinimum[];
}

export class DifficultyMinimum {
  #current: number;
  /** The lowest first and, with that, the first to end: never more entries than there are target bytes. */
  readonly #earlier: EarlierMinimum[];

  constructor(targetByte: number, earlier: readonly EarlierMinimum[] = []) {
    this.#current = targetByte;
    this.#earlier = [...earlier];
  }

  saved(): SavedMinimum {
    return { targetByte: this.#current, earlier: [...this.#earlier] };
  }

  /** The minimum that is announced now. */
  get current(): number {
    return this.#current;
  }

  /**
   * Announce another minimum.
   *
   * @param targetByte log2 of the difficulty
   * @param now milliseconds
   */
  set(targetByte: number, now: number): void {
    const before = this.#current;
    this.#current = targetByte;
    if (targetByte <= before) return;
    // Those that are no lower than this one also end sooner: it stands for them.
    while (this.#earlier.length > 0 && (this.#earlier[this.#earlier.length - 1]?.targetByte ?? 0) >= before) this.#earlier.pop();
    this.#earlier.push({ targetByte: before, until: now + MINIMUM_GRACE_MS });
  }

  /** The lowest target byte that is good at `now` (milliseconds). */
  at(now: number): number {
    while (this.#earlier.length > 0 && (this.#earlier[0]?.until ?? 0) <= now) this.#earlier.shift();
    return Math.min(this.#current, this.#earlier[0]?.targetByte ?? this.#current);
  }
}
