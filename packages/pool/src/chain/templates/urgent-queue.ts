/** A bounded queue whose most urgent goes first; when it is full the least urgent goes without. */

export interface Urgency {
  /** Smaller goes first. */
  readonly rank: number;
  /** Satoshis that are claimed in fees: among one rank the highest claim goes first, and of equals the oldest. */
  readonly fees: bigint;
}

export class UrgentQueue<T extends { readonly urgency: Urgency }> {
  readonly #items: T[] = [];

  constructor(private readonly bound: number) {}

  get size(): number {
    return this.#items.length;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#items[Symbol.iterator]();
  }

  /** @returns what has no place: an item that is less urgent than all others, maybe the new one. */
  add(item: T): T | undefined {
    this.#items.push(item);
    if (this.#items.length <= this.bound) return undefined;
    const last = this.#items.reduce((least, one) => (compareUrgency(one.urgency, least.urgency) >= 0 ? one : least));
    this.remove(last);
    return last;
  }

  /** The most urgent of those that may go now; it leaves the queue. */
  take(ready: (item: T) => boolean = () => true): T | undefined {
    let first: T | undefined;
    for (const item of this.#items) {
      if (ready(item) && (first === undefined || compareUrgency(item.urgency, first.urgency) < 0)) first = item;
    }
    if (first !== undefined) this.remove(first);
    return first;
  }

  remove(item: T): void {
    const index = this.#items.indexOf(item);
    if (index >= 0) this.#items.splice(index, 1);
  }
}

/** Negative when `a` goes first. */
export function compareUrgency(a: Urgency, b: Urgency): number {
  if (a.rank !== b.rank) return a.rank - b.rank;
  return a.fees > b.fees ? -1 : a.fees < b.fees ? 1 : 0;
}
