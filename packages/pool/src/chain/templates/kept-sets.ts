/** Transaction sets of judged jobs, so that a found block needs no question to its gateway. One copy of each set; bounded memory. */
import type { TransactionSet } from "./transaction-set.js";

/** Jobs whose set is remembered. */
const MAX_JOBS = 20_000;

export class KeptSets {
  /** By key, the one used last at the end. */
  readonly #sets = new Map<string, TransactionSet>();
  /** By session and slot. */
  readonly #jobs = new Map<string, { readonly serial: number; readonly key: string }>();
  #bytes = 0;

  /** @param maxBytes raw bytes; ids and branches come to a fifth on top */
  constructor(private readonly maxBytes: number) {}

  /** Raw bytes in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  keep(sessionId: bigint, jobId: number, serial: number, set: TransactionSet): void {
    if (this.get(set.key) === undefined) {
      this.#sets.set(set.key, set);
      this.#bytes += set.size;
    }
    const job = nameOf(sessionId, jobId);
    this.#jobs.delete(job);
    this.#jobs.set(job, { serial, key: set.key });
    const [oldestJob] = this.#jobs.keys();
    if (this.#jobs.size > MAX_JOBS && oldestJob !== undefined) this.#jobs.delete(oldestJob);
    for (const [key, oldest] of this.#sets) {
      if (this.#bytes <= this.maxBytes) break;
      this.#sets.delete(key);
      this.#bytes -= oldest.size;
    }
  }

  get(key: string): TransactionSet | undefined {
    const set = this.#sets.get(key);
    if (set === undefined) return undefined;
    this.#sets.delete(key);
    this.#sets.set(key, set);
    return set;
  }

  /** The set of a job; undefined when it was never had, or had to go. */
  of(sessionId: bigint, jobId: number, serial: number): TransactionSet | undefined {
    const job = this.#jobs.get(nameOf(sessionId, jobId));
    return job?.serial === serial ? this.get(job.key) : undefined;
  }
}

function nameOf(sessionId: bigint, jobId: number): string {
  return `${sessionId}/${jobId}`;
}
