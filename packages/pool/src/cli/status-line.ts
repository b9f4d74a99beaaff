/** The line by which an operator sees, once a minute, that the pool lives and what it did meanwhile. */
import type { Network } from "@openprime/bitcoin";
import { hashesPerDifficulty, hashrateText, reasonsText } from "./figures.js";
import type { Pool } from "./pool.js";
import { shareCounts } from "./share-counts.js";

/** What {@link StatusLine} reads of a pool. */
export type WatchedPool = Pick<Pool, "status" | "metrics">;

/** Names in the line are those of the log's other lines. */
export interface StatusFields {
  /** Connected now, with the workers that they have brought. */
  readonly gateways: number;
  readonly workers: number;
  /** Over the last minutes. */
  readonly hashrate: string;
  /** Since the last line; accepted ones include the tentative. */
  readonly accepted: number;
  readonly refused: number;
  /** There when any was refused. */
  readonly reasons?: string;
  /** Height of the node's best block; "none" before the first. */
  readonly tip: number | "none";
  /** There when the node does not answer. */
  readonly node?: "away";
  /** Committed position of the share log. */
  readonly position: string;
  /** Shares that wait for their commit; there when any does. */
  readonly waiting?: number;
}

export class StatusLine {
  #accepted = 0;
  #refused: Readonly<Record<string, number>> = {};

  constructor(
    private readonly pool: WatchedPool,
    private readonly network: Network,
  ) {}

  /** The figures of now; shares are counted from one call to the next, whether their gateways are still there or not. */
  async next(): Promise<StatusFields> {
    const { gateways, tip, nodeReachable, position, waiting } = this.pool.status();
    const { accepted, byReason } = await this.#shares();
    const connected = gateways.filter(({ proven }) => proven);
    const weight = connected.reduce((sum, { recentWeight, recentSeconds }) => sum + recentWeight / recentSeconds, 0);
    const refused = Object.values(byReason).reduce((sum, count) => sum + count, 0);
    return {
      gateways: connected.length,
      workers: connected.reduce((sum, { workerCount }) => sum + workerCount, 0),
      hashrate: hashrateText(weight * hashesPerDifficulty(this.network)),
      accepted,
      refused,
      ...(refused > 0 && { reasons: reasonsText(byReason) }),
      tip: tip?.height ?? "none",
      ...(!nodeReachable && { node: "away" }),
      position: position.toString(),
      ...(waiting > 0 && { waiting }),
    };
  }

  /** What the counters have gained since they were last read. */
  async #shares(): Promise<{ accepted: number; byReason: Record<number, number> }> {
    const { accepted, tentative, refusedByReason } = await shareCounts(this.pool.metrics);
    const byReason: Record<number, number> = {};
    for (const [reason, value] of Object.entries(refusedByReason)) {
      const gained = value - (this.#refused[reason] ?? 0);
      if (gained > 0) byReason[Number(reason)] = gained;
    }
    this.#refused = refusedByReason;
    const total = accepted + tentative;
    const gained = total - this.#accepted;
    this.#accepted = total;
    return { accepted: gained, byReason };
  }
}
