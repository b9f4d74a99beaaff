/**
 * Turns of gateways without accepted work. Hundreds of them may have frames at once, and each may take a slice of the thread that judges
 * shares; in one turn of the event loop they get a few milliseconds together, one after the other in the order they came, so that the frames of
 * proven gateways never wait for all of them.
 */

/** For all strangers, in one turn of the event loop. */
const TURN_MS = 5;

export class StrangersTurns {
  readonly #waiting: (() => void)[] = [];
  #planned = false;

  /** @param monotonic steady milliseconds */
  constructor(private readonly monotonic: () => number) {}

  /** Somebody waits already: who has frames now comes after them. */
  get busy(): boolean {
    return this.#waiting.length > 0;
  }

  /** Runs it when its turn comes; it must not throw. */
  add(run: () => void): void {
    this.#waiting.push(run);
    this.#plan();
  }

  #plan(): void {
    if (this.#planned || this.#waiting.length === 0) return;
    this.#planned = true;
    setImmediate(() => {
      this.#planned = false;
      const until = this.monotonic() + TURN_MS;
      // Those that come back meanwhile wait for the next turn.
      for (let left = this.#waiting.length; left > 0 && this.monotonic() < until; left--) this.#waiting.shift()?.();
      this.#plan();
    });
  }
}
