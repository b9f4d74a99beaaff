/** Keeps a flood of the same log line from filling a disk: so many per key and minute, the rest is counted and told with the next one. */
export class LogLimiter {
  readonly #keys = new Map<string, { minute: number; written: number; suppressed: number }>();

  /** Keys must be few (error codes, reasons), never bytes from a peer. */
  constructor(private readonly perMinute: number) {}

  /** The number of lines suppressed since the last one when this line may be written, else undefined. `now` in milliseconds. */
  allow(key: string, now: number): number | undefined {
    const minute = Math.floor(now / 60_000);
    let entry = this.#keys.get(key);
    if (entry === undefined) {
      entry = { minute, written: 0, suppressed: 0 };
      this.#keys.set(key, entry);
    }
    if (entry.minute !== minute) {
      entry.minute = minute;
      entry.written = 0;
    }
    if (entry.written >= this.perMinute) {
      entry.suppressed += 1;
      return undefined;
    }
    entry.written += 1;
    const suppressed = entry.suppressed;
    entry.suppressed = 0;
    return suppressed;
  }
}
