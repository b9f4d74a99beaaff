/** Shares since the start, read back from the counters that Prometheus gets: whether their gateways are still there or not. */
import type { Registry } from "prom-client";

export interface ShareCounts {
  readonly accepted: number;
  readonly tentative: number;
  /** By reason code; those that never came are not there. */
  readonly refusedByReason: Record<string, number>;
}

export async function shareCounts(metrics: Registry): Promise<ShareCounts> {
  const counter = await metrics.getSingleMetric("openprime_shares_total")?.get();
  const counts = { accepted: 0, tentative: 0, refusedByReason: {} as Record<string, number> };
  for (const { labels, value } of counter?.values ?? []) {
    if (labels.result === "accepted" || labels.result === "tentative") counts[labels.result] += value;
    else if (value > 0) counts.refusedByReason[String(labels.reason)] = value;
  }
  return counts;
}
