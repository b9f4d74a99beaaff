/** A gateway's questions whom its coinbases shall pay: one at a time, with a deadline, always for the newest job. */
import type { CoinbaserRequest, CoinbaserResponse } from "@openprime/datum";
import type { Job } from "./job.js";

const WAIT_MS = 5000;
/** Below it the gateway asks for no split, satoshis. */
const LEAST_VALUE = 31_250_000n;

interface Wanted {
  readonly job: Job;
  readonly ready: () => void;
}

export class SplitRequests {
  readonly counts = { requested: 0, answered: 0, missed: 0, empty: 0, outputs: 0 };
  readonly #waitMs: number;
  readonly #send: (request: CoinbaserRequest) => boolean;
  /** The job that waits next. */
  #next: Wanted | undefined;
  #done: ((answer: CoinbaserResponse | undefined) => void) | undefined;

  /** @param send answers whether there is a pool to ask */
  constructor(waitMs: number | undefined, send: (request: CoinbaserRequest) => boolean) {
    this.#waitMs = waitMs ?? WAIT_MS;
    this.#send = send;
  }

  /** Asks for a job's split, after the one that is asked for now; `ready` is called when the job has what there is to be had. */
  want(job: Job, ready: () => void): void {
    const waiting = this.#next !== undefined || this.#done !== undefined;
    this.#next = { job, ready };
    if (!waiting) void this.#fetchAll();
  }

  answered(response: CoinbaserResponse): void {
    this.#done?.(response);
  }

  disconnected(): void {
    this.#done?.(undefined);
  }

  async #fetchAll(): Promise<void> {
    for (let next = this.#next; next !== undefined; next = this.#next) {
      this.#next = undefined;
      await this.#fetch(next.job);
      next.ready();
    }
  }

  async #fetch(job: Job): Promise<void> {
    const { value, prevhash } = job.template;
    if (value < LEAST_VALUE) return job.setSplit(0, []);
    const answer = await new Promise<CoinbaserResponse | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), this.#waitMs);
      this.#done = (response) => {
        clearTimeout(timer);
        resolve(response);
      };
      if (this.#send({ type: "coinbaserRequest", value, prevhash })) this.counts.requested += 1;
      else this.#done(undefined);
    });
    this.#done = undefined;
    if (answer?.value !== value) {
      this.counts.missed += 1;
      return;
    }
    this.counts.answered += 1;
    this.counts.outputs = answer.outputs.length;
    if (answer.outputs.length === 0) this.counts.empty += 1;
    job.setSplit(answer.outputs.length === 0 ? 0 : answer.coinbaserId, answer.outputs);
  }
}
