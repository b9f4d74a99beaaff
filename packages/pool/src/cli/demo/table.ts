/** The demo's live table, and its summary in words. */
import { type Network, reverseHex, scriptToAddress } from "@openprime/bitcoin";
import type { GatewaySnapshot } from "../../gateway/index.js";
import type { PreviewRow } from "../../ledger/index.js";
import { hashesPerDifficulty, hashrateText, reasonsText } from "../figures.js";
import type { PoolStatus } from "../pool.js";
import type { DemoReport } from "./report.js";

export interface TableFigures {
  readonly network: Network;
  readonly status: PoolStatus;
  readonly split: readonly PreviewRow[];
  readonly blocks: { readonly found: number; readonly accepted: number };
  readonly seconds: number;
}

/** What the table may take. Narrower ones than 60 columns are cut off at the right. */
export interface TableSize {
  readonly columns: number;
  /** Rows that don't fit are summed up in one that says how many they are. */
  readonly rows: number;
}

/** Wider lines are hard to follow with the eye. */
const MOST_COLUMNS = 110;
const LEAST_COLUMNS = 60;
/** Widths of the figures at the right, each with the space before it. */
const RATE = 12;
const COUNT = 10;
const FIGURES = RATE + 2 * COUNT;
/** Lines of the split that are kept when the terminal is low. */
const FEW_PAYEES = 4;
const COIN = 100_000_000;

/** The pool as it is now, in lines that fit `size`. */
export function liveTable(figures: TableFigures, size: TableSize): string[] {
  const columns = Math.min(Math.max(size.columns, LEAST_COLUMNS), MOST_COLUMNS);
  const { gateways } = figures.status;
  const name = columns - FIGURES;
  const top = [heading(figures), "", row(name, "gateway / miner", "hash rate", "accepted", "refused")];
  const totals = totalLines(figures, name, columns);
  const splitHead = splitHeading(figures.split, columns);
  // What is left for gateways' miners and for payees, after the gateways themselves, their totals and the blank line.
  const room = size.rows - top.length - totals.length - 1 - splitHead.length - gateways.length;
  const miners = gateways.reduce((sum, { workers }) => sum + workers.length, 0);
  const payeeLines = Math.min(figures.split.length, Math.max(FEW_PAYEES, room - miners));
  const minerLines = Math.max(0, Math.floor((room - payeeLines) / Math.max(1, gateways.length)));
  return [
    ...top,
    ...gateways.flatMap((gateway) => gatewayLines(gateway, figures.network, name, minerLines)),
    ...totals,
    "",
    ...splitHead,
    ...splitLines(figures, columns, payeeLines),
  ].map((line) => line.slice(0, size.columns).trimEnd());
}

function heading({ status: { tip }, blocks, seconds }: TableFigures): string {
  const place = tip === undefined ? "no tip yet" : `tip ${tip.height} ${reverseHex(tip.hash).slice(0, 12)}…`;
  return `OpenPrime demo, ${Math.floor(seconds)} s   ${place}   blocks ${blocks.found} found, ${blocks.accepted} accepted`;
}

const row = (width: number, name: string, ...figures: readonly (string | number)[]): string =>
  shorten(name, width).padEnd(width) + figures.map((figure, index) => String(figure).padStart(index === 0 ? RATE : COUNT)).join("");

const rateOf = (network: Network, recent: { readonly recentWeight: number; readonly recentSeconds: number }): number =>
  (recent.recentWeight * hashesPerDifficulty(network)) / Math.max(1, recent.recentSeconds);

const refusedBy = ({ refusedByReason }: GatewaySnapshot): number => Object.values(refusedByReason).reduce((sum, count) => sum + count, 0);

function gatewayLines(gateway: GatewaySnapshot, network: Network, width: number, minerLines: number): string[] {
  const { workers, keyPrefix, primeId, accepted, tentative } = gateway;
  const rate = hashrateText(rateOf(network, gateway));
  const lines = [row(width, `gateway ${primeId}, key ${keyPrefix}…`, rate, accepted + tentative, refusedBy(gateway))];
  const shown = fitting(workers.length, minerLines);
  for (const worker of workers.slice(0, shown)) {
    lines.push(row(width, `  ${shorten(worker.name, width - 2)}`, hashrateText(rateOf(network, worker)), worker.accepted));
  }
  if (shown < workers.length && minerLines > 0) lines.push(`  … ${workers.length - shown} more miners`);
  return lines;
}

function totalLines({ status: { gateways }, network }: TableFigures, width: number, columns: number): string[] {
  const sum = (pick: (gateway: GatewaySnapshot) => number): number => gateways.reduce((total, gateway) => total + pick(gateway), 0);
  const byReason: Record<number, number> = {};
  for (const { refusedByReason } of gateways) {
    for (const [code, count] of Object.entries(refusedByReason)) byReason[Number(code)] = (byReason[Number(code)] ?? 0) + count;
  }
  const name = `${gateways.length} gateways, ${sum(({ workerCount }) => workerCount)} miners`;
  const rate = hashrateText(sum((gateway) => rateOf(network, gateway)));
  const total = row(
    width,
    name,
    rate,
    sum(({ accepted, tentative }) => accepted + tentative),
    sum(refusedBy),
  );
  return ["─".repeat(columns), total, `refused by reason: ${reasonsText(byReason) || "none"}`];
}

function splitHeading(split: readonly PreviewRow[], columns: number): string[] {
  const total = split.reduce((sum, { value }) => sum + value, 0n);
  const name = `present split of the next subsidy: ${split.length} payees`;
  return [name.padEnd(columns - 24) + `${coins(total)} BTC`.padStart(15) + "100.00 %".padStart(9)];
}

function splitLines({ split, network }: TableFigures, columns: number, lines: number): string[] {
  const total = split.reduce((sum, { value }) => sum + value, 0n);
  const line = (name: string, value: bigint): string => {
    const percent = total === 0n ? 0 : Number((value * 10_000n) / total) / 100;
    return name.padEnd(columns - 24) + `${coins(value)}    `.padStart(15) + `${percent.toFixed(2)} %`.padStart(9);
  };
  const shown = fitting(split.length, lines);
  const rows = split
    .slice(0, shown)
    .map(({ script, value }) => line(`  ${shorten(scriptToAddress(script, network) ?? "", columns - 26)}`, value));
  const rest = split.slice(shown);
  if (rest.length > 0)
    rows.push(
      line(
        `  … ${rest.length} more`,
        rest.reduce((sum, { value }) => sum + value, 0n),
      ),
    );
  return rows;
}

/** How many of `count` rows are shown on `lines`, the last of which tells of those that are not. */
const fitting = (count: number, lines: number): number => (count <= lines ? count : Math.max(0, lines - 1));

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

const coins = (sats: bigint): string => (Number(sats) / COIN).toFixed(8);

/** Cut in the middle: an address is known by its ends. */
function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 13)}…${text.slice(-12)}`;
}
