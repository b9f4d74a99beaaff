/** What the gateways of one process did, and what became of it. */
import type { ShareResponse } from "@openprime/datum";
import type { SoakLoadReport } from "./messages.js";

export class SoakTally {
  /** The soak has ended: who is cut off does not come back. */
  over = false;
  #sums = { connected: 0, filled: 0, jobs: 0, withoutSplit: 0, sent: 0, accepted: 0, tentative: 0, lost: 0, disconnects: 0, outputs: 0 };
  readonly #refused: Record<number, number> = {};
  #latencies: number[] = [];

  connected(): void {
    this.#sums.connected += 1;
  }

  /** @param wasConnected the pool had configured it; else it was an attempt that failed */
  disconnected(wasConnected: boolean, unanswered: number): void {
    if (wasConnected) this.#sums.connected -= 1;
    if (!this.over) this.#sums.disconnects += 1;
    this.#sums.lost += unanswered;
  }

  /** @param paid outputs of the split in its first coinbase @param filled it was the eighth */
  job(offered: number, paid: number, filled: boolean): void {
    this.#sums.jobs += 1;
    if (offered === 0) this.#sums.withoutSplit += 1;
    if (filled) this.#sums.filled += 1;
    this.#sums.outputs = paid;
  }

  sent(): void {
    this.#sums.sent += 1;
  }

  answered({ status, reason }: ShareResponse, tookMs: number | undefined): void {
    if (status === "rejected") this.#refused[reason] = (this.#refused[reason] ?? 0) + 1;
    else this.#sums[status] += 1;
    if (tookMs !== undefined) this.#latencies.push(Math.round(tookMs * 10) / 10);
  }

  /** Sums so far, and the latencies since the last report. */
  report(): SoakLoadReport {
    const latencies = this.#latencies;
    this.#latencies = [];
    return { ...this.#sums, refused: { ...this.#refused }, latencies };
  }
}
