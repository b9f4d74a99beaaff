/** The demo's live table, and its summary in words. */
import { type Network, reverseHex, scriptToAddress } from "@openprime/bitcoin";
import { rejectReasonName } from "@openprime/datum";
import type { Pool } from "../pool.js";
import type { DemoReport } from "./report.js";

/** Rows of the present split that are shown. */
const SPLIT_ROWS = 12;
const COIN = 100_000_000;

/** Hashes that a share of difficulty one takes on average. */
export function hashesPerDifficulty(network: Network): number {
  return Number((1n << 256n) / (network.difficultyOne + 1n));
}

/** The pool as it is now, in lines of at most 100 characters. */
export function liveTable(
  pool: Pool,
  network: Network,
  blocks: { readonly accepted: number; readonly known: number },
  elapsedSeconds: number,
): string[] {
  const status = pool.status();
  const perDifficulty = hashesPerDifficulty(network);
  const rate = (weight: number, seconds: number): string => hashrate((weight * perDifficulty) / Math.max(1, seconds));
  const { tip } = status;
  const lines = [
    `OpenPrime demo, ${Math.floor(elapsedSeconds)} s   tip ${tip === undefined ? "none" : `${tip.height} ${reverseHex(tip.hash).slice(0, 16)}…`}   blocks found ${blocks.known}, accepted ${blocks.accepted}   share log at ${status.position}`,
    "",
    `${"gateway / worker".padEnd(44)} ${"hash rate".padStart(12)} ${"accepted".padStart(9)} ${"refused (by reason)"}`,
  ];
  for (const gateway of status.gateways) {
    const name = `${gateway.keyPrefix} prime ${gateway.primeId}`;
    const refused = reasons(gateway.refusedByReason);
    lines.push(
      `${name.padEnd(44)} ${rate(gateway.recentWeight, gateway.recentSeconds).padStart(12)} ${String(gateway.accepted + gateway.tentative).padStart(9)} ${refused}`,
    );
    for (const worker of gateway.workers) {
      lines.push(
        `  ${shorten(worker.name, 42).padEnd(42)} ${rate(worker.recentWeight, gateway.recentSeconds).padStart(12)} ${String(worker.accepted).padStart(9)}`,
      );
    }
  }
  const split = pool.presentSplit();
  const total = split.reduce((sum, { value }) => sum + value, 0n);
  lines.push("", `present split: ${split.length} payees, ${coins(total)} BTC of the next block's subsidy`);
  for (const { value, script } of split.slice(0, SPLIT_ROWS)) {
    const share = total === 0n ? 0 : Number((value * 10_000n) / total) / 100;
    lines.push(
      `  ${shorten(scriptToAddress(script, network) ?? "", 62).padEnd(62)} ${coins(value).padStart(14)} ${share.toFixed(2).padStart(6)} %`,
    );
  }
  return lines;
}

/** What the demo did, in words. */
export function summary(report: DemoReport): string[] {
  const { shares, blocks, books } = report;
  const lines = [
    `${report.gateways} gateways with ${report.miners} miners (${hashrate(report.hashrate)}) ran for ${report.seconds.toFixed(0)} s.`,
    `shares: ${shares.accepted} accepted, ${shares.refused} refused${shares.refused > 0 ? ` (${reasons(shares.byReason)})` : ""}, ${books.sharesStored} in the books.`,
    `blocks: ${blocks.found} found, ${blocks.onChain} on the chain, ${blocks.paidSplit} of them pay a split.`,
  ];
  if (books.differences.length === 0) lines.push("The books agree with the chain.");
  else lines.push("The books do NOT agree with the chain:", ...books.differences.map((difference) => `  ${difference}`));
  return lines;
}

function reasons(byReason: Readonly<Record<number, number>>): string {
  const entries = Object.entries(byReason).map(([code, count]) => `${rejectReasonName(Number(code)) ?? code} ${count}`);
  return entries.length === 0 ? "0" : entries.join(", ");
}

function hashrate(perSecond: number): string {
  const units = ["H/s", "kH/s", "MH/s", "GH/s", "TH/s", "PH/s", "EH/s"];
  let value = perSecond;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value.toFixed(value < 100 ? 1 : 0)} ${units[unit]}`;
}

const coins = (sats: bigint): string => (Number(sats) / COIN).toFixed(8);

function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 13)}…${text.slice(-12)}`;
}
