/**
 * Whether a gateway takes the splits it is given. Empty and early work (kinds 0xFF and 0) pays all to the pool and is good for as long as the
 * gateway really lacks a split; one that has them and never uses them keeps its miners from being paid by the coinbase, and should be told.
 */

/** Jobs come every 40 s or so: a gateway that has had splits for this long could have used one. */
const OVERDUE_MS = 90_000;
/** So many shares without a split, over so long, with none in between that has one: the gateway never takes it. */
const IGNORED_SHARES = 10;
const IGNORED_MS = 5 * 60_000;
const TELL_AGAIN_MS = 60 * 60_000;

/** What such a gateway's log is told. */
export const SPLIT_IGNORED =
  "Your gateway is sent splits for its coinbases and mines without them: a block of it pays all to the pool, and its miners only later. " +
  "Update datum_gateway, and look for coinbaser errors in this log.";

export class SplitUse {
  /** Accepted shares without a split although there was one. */
  unused = 0;
  /** Since the last share with a split: the first split given, and the shares that did not use one. */
  #offeredAt: number | undefined;
  #count = 0;
  #since = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  /** A split with payees was given. `now` is steady milliseconds here and below. */
  offered(now: number): void {
    this.#offeredAt ??= now;
  }

  /** Whether a share without a split is worth a look: the gateway has had splits for long, and used none. */
  overdue(now: number): boolean {
    return this.#offeredAt !== undefined && now - this.#offeredAt > OVERDUE_MS;
  }

  /** A share that pays a split was accepted. */
  took(): void {
    this.#offeredAt = undefined;
    this.#count = 0;
  }

  /** A share without a split was accepted, on a job that one was given for. @returns true when the gateway should be told, once an hour */
  passedOver(now: number): boolean {
    this.unused += 1;
    if (this.#count === 0) this.#since = now;
    this.#count += 1;
    if (!this.ignores(now) || now - this.#toldAt < TELL_AGAIN_MS) return false;
    this.#toldAt = now;
    return true;
  }

  /** The gateway never takes the split. */
  ignores(now: number): boolean {
    return this.#count >= IGNORED_SHARES && now - this.#since >= IGNORED_MS;
  }
}
