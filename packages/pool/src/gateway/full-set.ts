/** Requests to one gateway for the transactions of a job (0x50 0x12), each with a deadline. */
import type { TransactionsReply } from "@openprime/datum";

export type FullSetErrorCode = "disconnected" | "timeout" | "slotRefilled" | "refused";

/** The transactions of a found block could not be had from its gateway. */
export class FullSetError extends Error {
  constructor(
    readonly code: FullSetErrorCode,
    detail: string,
  ) {
    super(detail);
    this.name = "FullSetError";
  }
}

interface Waiter {
  /** Serial of the slot when asked: a slot filled anew since then would answer for another job. */
  readonly serial: number | undefined;
  readonly timer: NodeJS.Timeout;
  readonly resolve: (transactions: readonly Uint8Array[]) => void;
  readonly reject: (error: FullSetError) => void;
}

/**
 * The reply names only the slot. A slot that was filled anew between question and reply is refused here; whether the transactions are those of
 * the block is decided by the merkle root in `chain`, which may then ask again.
 */
export class FullSetRequests {
  readonly #waiters = new Map<number, Set<Waiter>>();
  /** Questions per slot not yet answered, also after the deadline, so that a late reply is told from one nobody asked for. */
  readonly #asked = new Map<number, number>();

  constructor(
    private readonly deadlineMs: number,
    private readonly jobSerial: (jobId: number) => number | undefined,
  ) {}

  /** Waits for the set of a slot. `ask` sends the request; not called when one is on its way for the slot as it is filled now. */
  request(jobId: number, ask: () => void): Promise<readonly Uint8Array[]> {
    const serial = this.jobSerial(jobId);
    const waiters = this.#waiters.get(jobId) ?? new Set<Waiter>();
    this.#waiters.set(jobId, waiters);
    const asked = this.#asked.has(jobId) && [...waiters].some((waiter) => waiter.serial === serial);
    const promise = new Promise<readonly Uint8Array[]>((resolve, reject) => {
      const timer = setTimeout(() => {
        waiters.delete(waiter);
        reject(new FullSetError("timeout", `no full set of job ${jobId} within ${this.deadlineMs} ms`));
      }, this.deadlineMs);
      const waiter: Waiter = { serial, timer, resolve, reject };
      waiters.add(waiter);
    });
    if (!asked) {
      this.#asked.set(jobId, (this.#asked.get(jobId) ?? 0) + 1);
      ask();
    }
    return promise;
  }

  /** True while a reply may come, however late: until then one big frame must be let in. */
  get outstanding(): boolean {
    return this.#asked.size > 0;
  }

  /** Takes a reply. False when nobody had asked. */
  reply(reply: TransactionsReply): boolean {
    // An error may name slot 0xFF (bad job index) instead of ours; with one slot asked it can only be that one.
    const jobId = this.#asked.has(reply.jobId) || this.#asked.size !== 1 ? reply.jobId : ([...this.#asked.keys()][0] as number);
    if (reply.error === undefined && reply.jobId !== jobId) return false;
    const asked = this.#asked.get(jobId);
    if (asked === undefined) return false;
    if (asked > 1) this.#asked.set(jobId, asked - 1);
    else this.#asked.delete(jobId);
    const waiters = this.#waiters.get(jobId);
    this.#waiters.delete(jobId);
    const serial = this.jobSerial(jobId);
    for (const waiter of waiters ?? []) {
      clearTimeout(waiter.timer);
      if (reply.error !== undefined) waiter.reject(new FullSetError("refused", `the gateway answered ${reply.error} for job ${jobId}`));
      else if (waiter.serial !== serial)
        waiter.reject(new FullSetError("slotRefilled", `job slot ${jobId} was filled anew before the reply`));
      else waiter.resolve(reply.transactions);
    }
    return true;
  }

  /** The connection has gone. */
  disconnect(): void {
    this.#asked.clear();
    for (const [jobId, waiters] of this.#waiters) {
      for (const waiter of waiters) {
        clearTimeout(waiter.timer);
        waiter.reject(new FullSetError("disconnected", `the gateway left before it sent the full set of job ${jobId}`));
      }
    }
    this.#waiters.clear();
  }
}
