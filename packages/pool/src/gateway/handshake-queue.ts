/**
 * The costly part of handshakes: opening a HELLO, answering it, loading the session. It costs most of a millisecond of the thread that judges
 * shares, and strangers can ask for it.
 *
 * One is done in each turn of the event loop at most, so that frames of open sessions go in between; so many per second; and never more than
 * half of the time. Networks take turns, however many wait from one. Addresses that gateways with accepted work came from lately go first,
 * four turns in five, so that nobody is shut out for good by them.
 */

/** A connection whose HELLO has arrived whole. */
export interface WaitingHandshake {
  /** Network that it came from. */
  readonly prefix: string;
  /** Work came from its address lately. */
  readonly known: boolean;
  /** Its turn. Resolves when the session is there, or will not be; one that has left by then is waited for no longer. */
  start(): Promise<void>;
  /** There is no room for it. */
  turnAway(): void;
}

export interface HandshakeQueueOptions {
  readonly perSecond: number;
  /** Handshakes that may wait. */
  readonly capacity: number;
  /** Sessions that may be loading at one time. */
  readonly loading: number;
}

/** Turns in a row that the known have before one of the others. */
const KNOWN_TURNS = 4;
/** A late turn is made up for within so many milliseconds, so that timers' coarseness does not lower the rate. */
const CATCH_UP_MS = 50;

/** Those who wait, by network, the networks in the order of their turns. */
class Lane {
  size = 0;
  readonly #prefixes = new Map<string, WaitingHandshake[]>();

  add(one: WaitingHandshake): void {
    const queue = this.#prefixes.get(one.prefix);
    if (queue === undefined) this.#prefixes.set(one.prefix, [one]);
    else queue.push(one);
    this.size += 1;
  }

  next(): WaitingHandshake | undefined {
    for (const [prefix, queue] of this.#prefixes) {
      const one = queue.shift();
      this.#prefixes.delete(prefix);
      if (queue.length > 0) this.#prefixes.set(prefix, queue);
      if (one !== undefined) this.size -= 1;
      return one;
    }
    return undefined;
  }

  remove(one: WaitingHandshake): boolean {
    const queue = this.#prefixes.get(one.prefix);
    const index = queue?.indexOf(one) ?? -1;
    if (queue === undefined || index < 0) return false;
    queue.splice(index, 1);
    if (queue.length === 0) this.#prefixes.delete(one.prefix);
    this.size -= 1;
    return true;
  }

  waiting(prefix: string): number {
    return this.#prefixes.get(prefix)?.length ?? 0;
  }

  /** The last to come of the network that has the most waiting. */
  lastOfLongest(): WaitingHandshake | undefined {
    let longest: WaitingHandshake[] = [];
    for (const queue of this.#prefixes.values()) if (queue.length > longest.length) longest = queue;
    return longest.at(-1);
  }
}

export class HandshakeQueue {
  readonly #known = new Lane();
  readonly #others = new Lane();
  readonly #intervalMs: number;
  readonly #loading = new Set<WaitingHandshake>();
  #knownTurns = 0;
  #nextAt = 0;
  #planned = false;

  constructor(
    private readonly options: HandshakeQueueOptions,
    /** Steady milliseconds. */
    private readonly monotonic: () => number,
  ) {
    this.#intervalMs = 1000 / options.perSecond;
  }

  get size(): number {
    return this.#known.size + this.#others.size;
  }

  /** Waits for its turn. Where there is no room, somebody is turned away: the last to come of the network that has the most waiting. */
  enter(one: WaitingHandshake): void {
    const lane = one.known ? this.#known : this.#others;
    if (this.size >= this.options.capacity) {
      const last = this.#others.lastOfLongest() ?? this.#known.lastOfLongest();
      const crowded = last === undefined || (!one.known && this.#others.waiting(last.prefix) <= lane.waiting(one.prefix) + 1);
      if (crowded) {
        one.turnAway();
        return;
      }
      this.leave(last);
      last.turnAway();
    }
    lane.add(one);
    this.#plan();
  }

  /** It waits no longer, or is over. */
  leave(one: WaitingHandshake): void {
    if (this.#loading.delete(one)) this.#plan();
    else if (!this.#known.remove(one)) this.#others.remove(one);
  }

  #plan(): void {
    if (this.#planned || this.size === 0 || this.#loading.size >= this.options.loading) return;
    this.#planned = true;
    const wait = this.#nextAt - this.monotonic();
    const run = (): void => {
      this.#planned = false;
      this.#turn();
    };
    if (wait > 0) setTimeout(run, wait);
    else setImmediate(run);
  }

  #turn(): void {
    const started = this.monotonic();
    const one = this.#next();
    if (one !== undefined) {
      this.#loading.add(one);
      const done = (): void => this.leave(one);
      one.start().then(done, done);
      const ended = this.monotonic();
      this.#nextAt = Math.max(this.#nextAt + this.#intervalMs, started - CATCH_UP_MS, ended + (ended - started));
    }
    this.#plan();
  }

  #next(): WaitingHandshake | undefined {
    const known = this.#known.size > 0 && (this.#knownTurns < KNOWN_TURNS || this.#others.size === 0);
    this.#knownTurns = known ? this.#knownTurns + 1 : 0;
    return (known ? this.#known : this.#others).next();
  }
}
