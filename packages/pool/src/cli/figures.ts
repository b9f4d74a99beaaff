/** Figures as people read them: hash rates and counts of reject reasons. */
import type { Network } from "@openprime/bitcoin";
import { rejectReasonName } from "@openprime/datum";

/** Hashes that a share of difficulty one takes on average. */
export function hashesPerDifficulty(network: Network): number {
  return Number((1n << 256n) / (network.difficultyOne + 1n));
}

const UNITS = ["H/s", "kH/s", "MH/s", "GH/s", "TH/s", "PH/s", "EH/s"];

/** `17.6 kH/s` of hashes per second. */
export function hashrateText(perSecond: number): string {
  let value = perSecond;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value.toFixed(value < 100 ? 1 : 0)} ${UNITS[unit]}`;
}

/** `stale 12, duplicate 3`, the most frequent first; "" for none. @param byReason counts by reason code */
export function reasonsText(byReason: Readonly<Record<number, number>>): string {
  return Object.entries(byReason)
    .sort(([, a], [, b]) => b - a)
    .map(([code, count]) => `${rejectReasonName(Number(code)) ?? code} ${count}`)
    .join(", ");
}
