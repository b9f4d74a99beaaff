/** A pool at work as lines of text: the demo's table and `openprime top`'s. */
import type { PoolStatusDocument } from "../api/index.js";
import { hashrateText, reasonsText } from "./figures.js";

/** What the table may take. Narrower ones than 60 columns are cut off at the right. */
export interface TableSize {
  readonly columns: number;
  /** Rows that don't fit are summed up in one that says how many they are. */
  readonly rows: number;
}

type Gateway = PoolStatusDocument["gateways"]["list"][number];

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
/** Shares that wait for their commit for longer are worth a line, seconds. */
const LONG_LAG = 2;

/** The pool as its status says, in lines that fit `size`. @param heading begins the first line */
export function liveTable(status: PoolStatusDocument, heading: string, size: TableSize): string[] {
  const columns = Math.min(Math.max(size.columns, LEAST_COLUMNS), MOST_COLUMNS);
  const { list } = status.gateways;
  const name = columns - FIGURES;
  const top = [
    ...firstLines(heading, placeText(status), size.columns),
    ...troubles(status),
    "",
    row(name, "gateway / miner", "hash rate", "accepted", "refused"),
  ];
  const totals = totalLines(status, name, columns);
  const splitHead = splitHeading(status, columns);
  // What is left for gateways, their miners and for payees, after the totals and the blank line.
  const room = Math.max(0, size.rows - top.length - totals.length - 1 - splitHead.length);
  const shown = fitting(list.length, Math.max(1, room - FEW_PAYEES));
  const more = status.gateways.connected - shown;
  const left = room - shown - (more > 0 ? 1 : 0);
  const miners = list.slice(0, shown).reduce((sum, { workers }) => sum + workers.length, 0);
  const payeeLines = Math.max(0, Math.min(status.split.list.length, Math.max(FEW_PAYEES, left - miners), left));
  const minerLines = Math.max(0, Math.floor((left - payeeLines) / Math.max(1, shown)));
  return [
    ...top,
    ...list.slice(0, shown).flatMap((gateway) => gatewayLines(gateway, name, minerLines)),
    ...(more > 0 ? [`… ${more} more gateways`] : []),
    ...totals,
    "",
    ...splitHead,
    ...splitLines(status, columns, payeeLines),
  ].map((line) => line.slice(0, size.columns).trimEnd());
}

/** One line where both fit. */
const firstLines = (heading: string, place: string, columns: number): string[] =>
  heading.length + place.length + 3 <= columns ? [`${heading}   ${place}`] : [heading, place];

function placeText({ tip, blocks }: PoolStatusDocument): string {
  const place = tip === undefined ? "no tip yet" : `tip ${tip.height} ${tip.hash.slice(0, 12)}…`;
  return `${place}   ${blocks === undefined ? "blocks unknown" : `blocks ${blocks.found} found, ${blocks.accepted} accepted`}`;
}

/** A line for each thing that is not as it should be. */
function troubles({ state, nodes, nodeReachable, log }: PoolStatusDocument): string[] {
  const lines: string[] = [];
  if (state !== "running") lines.push(`the pool is ${state}`);
  for (const node of nodes) {
    if (node.state !== "good" && node.state !== "unchecked")
      lines.push(`node ${node.name} is ${node.state}${node.why === undefined ? "" : `: ${node.why}`}`);
  }
  if (!nodeReachable && lines.length === 0) lines.push("no node can be followed");
  if (log !== undefined && log.state !== "running") lines.push(`the share log is ${log.state}: ${log.waiting} entries wait`);
  else if (log !== undefined && log.lagSeconds > LONG_LAG)
    lines.push(`the database is behind: the oldest share waits for ${log.lagSeconds.toFixed(1)} s`);
  return lines.map((line) => `! ${printable(line)}`);
}

const row = (width: number, name: string, ...figures: readonly (string | number)[]): string =>
  shorten(name, width).padEnd(width) + figures.map((figure, index) => String(figure).padStart(index === 0 ? RATE : COUNT)).join("");

const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((total, count) => total + count, 0);

function gatewayLines(gateway: Gateway, width: number, minerLines: number): string[] {
  const { workers, workerCount, key, primeId, accepted, tentative, hashrate, refusedByReason } = gateway;
  const lines = [row(width, `gateway ${primeId}, key ${key}…`, hashrateText(hashrate), accepted + tentative, sum(refusedByReason))];
  const shown = fitting(workers.length, minerLines);
  for (const worker of workers.slice(0, shown)) {
    lines.push(row(width, `  ${shorten(worker.name, width - 2)}`, hashrateText(worker.hashrate), worker.accepted));
  }
  if (shown < workers.length && minerLines > 0) lines.push(`  … ${workerCount - shown} more miners`);
  return lines;
}

function totalLines({ gateways, hashrate, shares }: PoolStatusDocument, width: number, columns: number): string[] {
  const name = `${gateways.connected} gateways, ${gateways.workers} miners`;
  const total = row(width, name, hashrateText(hashrate), shares.accepted + shares.tentative, sum(shares.refusedByReason));
  return ["─".repeat(columns), total, `refused by reason: ${reasonsText(shares.refusedByReason) || "none"}`];
}

function splitHeading({ split }: PoolStatusDocument, columns: number): string[] {
  const name = `present split of the next subsidy: ${split.payees} payees`;
  return [name.padEnd(columns - 24) + `${coins(BigInt(split.value))} BTC`.padStart(15) + "100.00 %".padStart(9)];
}

function splitLines({ split }: PoolStatusDocument, columns: number, lines: number): string[] {
  const total = BigInt(split.value);
  const line = (name: string, value: bigint): string => {
    const percent = total === 0n ? 0 : Number((value * 10_000n) / total) / 100;
    return name.padEnd(columns - 24) + `${coins(value)}    `.padStart(15) + `${percent.toFixed(2)} %`.padStart(9);
  };
  const shown = fitting(split.payees, lines);
  const rows = split.list.slice(0, shown).map(({ address, value }) => line(`  ${shorten(address, columns - 26)}`, BigInt(value)));
  const rest = total - split.list.slice(0, shown).reduce((part, { value }) => part + BigInt(value), 0n);
  if (split.payees > shown && lines > 0) rows.push(line(`  … ${split.payees - shown} more`, rest));
  return rows;
}

/** How many of `count` rows are shown on `lines`, the last of which tells of those that are not. */
const fitting = (count: number, lines: number): number => (count <= lines ? count : Math.max(0, lines - 1));

const coins = (sats: bigint): string => (Number(sats) / COIN).toFixed(8);

/** Cut in the middle: an address is known by its ends. */
function shorten(text: string, length: number): string {
  const plain = printable(text);
  return plain.length <= length ? plain : `${plain.slice(0, length - 13)}…${plain.slice(-12)}`;
}

/** Names are strangers' words: none of them moves the cursor. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what has to go
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}
