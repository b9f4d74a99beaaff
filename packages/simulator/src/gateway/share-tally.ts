/** Shares of a gateway on their way to the pool, and what became of them. */
import type { ShareResponse } from "@openprime/datum";
import type { GatewayFigures } from "./figures.js";
import type { SimulatedMiner } from "./miner.js";

interface WaitingShare {
  readonly miner: SimulatedMiner;
  readonly sentAt: number;
}

/** All that an answer says of the share that it is for. */
type ShareName = Pick<ShareResponse, "nonce" | "targetByte" | "jobId">;
const nameOf = ({ nonce, targetByte, jobId }: ShareName): string => `${nonce}:${targetByte}:${jobId}`;

export class ShareTally {
  readonly #counts = { sent: 0, accepted: 0, tentative: 0, rejected: 0, unknownResponses: 0, unanswered: 0, dropped: 0 };
  readonly #reasons: Record<number, number> = {};
  readonly #latency = { sum: 0, count: 0, max: 0 };
  readonly #waiting = new Map<string, WaitingShare[]>();

  /** Found, and never sent. */
  dropped(): void {
    this.#counts.dropped += 1;
  }

  sent(share: ShareName, miner: SimulatedMiner): void {
    this.#counts.sent += 1;
    const name = nameOf(share);
    const waiting = { miner, sentAt: performance.now() };
    const others = this.#waiting.get(name);
    if (others === undefined) this.#waiting.set(name, [waiting]);
    else others.push(waiting);
  }

  answered(response: ShareResponse): void {
    const name = nameOf(response);
    const queue = this.#waiting.get(name);
    const share = queue?.shift();
    if (queue?.length === 0) this.#waiting.delete(name);
    this.#counts[response.status] += 1;
    if (response.status === "rejected") this.#reasons[response.reason] = (this.#reasons[response.reason] ?? 0) + 1;
    if (share === undefined) {
      this.#counts.unknownResponses += 1;
      return;
    }
    const figures = share.miner.figures;
    if (response.status === "rejected") {
      figures.rejected += 1;
    } else {
      figures.accepted += 1;
      figures.acceptedDifficulty += 2 ** response.targetByte;
    }
    const took = performance.now() - share.sentAt;
    this.#latency.sum += took;
    this.#latency.count += 1;
    this.#latency.max = Math.max(this.#latency.max, took);
  }

  /** The connection has ended: what waits is not answered any more. */
  disconnected(): void {
    this.#counts.unanswered += this.#waitingCount();
    this.#waiting.clear();
  }

  #waitingCount(): number {
    let count = 0;
    for (const queue of this.#waiting.values()) count += queue.length;
    return count;
  }

  snapshot(): Pick<GatewayFigures, "shares" | "latency"> {
    const { sum, count, max } = this.#latency;
    return {
      shares: { ...this.#counts, reasons: { ...this.#reasons }, waiting: this.#waitingCount() },
      latency: { mean: count === 0 ? 0 : sum / count, max },
    };
  }
}
