/** The demo's summary in words. */
import { hashrateText, reasonsText } from "../figures.js";
import type { DemoReport } from "./report.js";

/** What the demo did, in words. */
export function summary(report: DemoReport): string[] {
  const { shares, blocks, books } = report;
  const tentative = shares.tentative > 0 ? `, ${shares.tentative} accepted on trust` : "";
  const reasons = shares.refused > 0 ? ` (${reasonsText(shares.byReason)})` : "";
  const lines = [
    `${report.gateways} gateways with ${report.miners} miners (${hashrateText(report.hashrate)}) ran for ${report.seconds.toFixed(0)} s.`,
    `shares: ${shares.accepted} accepted${tentative}, ${shares.refused} refused${reasons}, ${books.sharesStored} in the books.`,
    `blocks: ${blocks.found} found, ${blocks.onChain} on the chain, ${blocks.paidSplit} of them pay a split.`,
  ];
  if (books.differences.length === 0) lines.push("The books agree with the chain.");
  else lines.push("The books do NOT agree with the chain:", ...books.differences.map((difference) => `  ${difference}`));
  return lines;
}
