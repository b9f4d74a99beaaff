/** The simulation's result as tables for people and as one object for programs. */
import { type Estimate, strategyOf } from "../../simulation/index.js";
import { RESERVES, type SimulateResult } from "./simulate.js";

/** Text of several tables. */
export function reportText(result: SimulateResult): string {
  const { options, summary } = result;
  const { days, replicas, seed, poolShare, fee } = options;
  const { network, pool, orphaned } = summary.blocks;
  const lines = [
    `${replicas} × ${days} days, seed ${seed}, pool ${percent(poolShare)} of the network, fee ${percent(fee)}:`,
    `${network} blocks of the network, ${pool} of the pool, ${orphaned} of them orphaned.`,
    "",
    "Earned over the fair value of the hashes made here (1 = fair), ± standard error",
    "",
    ...minerTable(result),
    "",
    "Spread of what a miner earns over its fair value: standard deviation over mean of a day, a week, and the whole run",
    "",
    ...spreadTable(result),
    "",
    "Gain of each strategy over a steady miner with the same hashes, %, ± standard error",
    "(hashes made elsewhere earn what a steady miner earns here; so only the choice of moments counts)",
    "",
    ...gainTable(result),
    "",
    ...(result.risks.length === 0 ? [] : [...riskTable(result), ""]),
    "Luck of the first replica: blocks handed in and expected, and how probable it is that an honest miner finds so few",
    "",
    ...luckTable(result),
    "",
    "Turns: balances over their threshold where coinbases hold few outputs. Waits in blocks of the pool; turns: outputs for those due longest",
    "",
    ...turnsTable(result),
    "",
  ];
  return lines.join("\n");
}

/** Everything, for programs. */
export function reportJson({ options, miners, summary, risks, turns }: SimulateResult): unknown {
  return { options, miners, ...summary, risks: { reserves: RESERVES, cases: risks }, turns };
}

function minerTable({ summary, miners }: SimulateResult): string[] {
  const rows = miners.flatMap(({ name, strategy }, i) => {
    if (strategy !== "steady") return [];
    return [[name, ...summary.schemes.map((one) => plusMinus(one.miners[i]?.ratio, 1, 4))]];
  });
  const all = ["all steady, luck averaged out", ...summary.schemes.map(({ steady }) => plusMinus(steady, 1, 4))];
  const poolRow = ["the pool: kept of what it paid out", ...summary.schemes.map(({ result }) => plusMinus(result, 1, 4))];
  return table([["", ...summary.schemes.map(({ scheme }) => scheme)], ...rows, all, poolRow]);
}

function spreadTable({ summary, miners }: SimulateResult): string[] {
  const rows = miners.flatMap(({ name, strategy }, i) => {
    if (strategy !== "steady") return [];
    return [
      [name, ...summary.schemes.map(({ miners: all }) => `${figure(all[i]?.daily)} ${figure(all[i]?.weekly)} ${figure(all[i]?.whole)}`)],
    ];
  });
  return table([["", ...summary.schemes.map(({ scheme }) => scheme)], ...rows]);
}

function gainTable({ summary }: SimulateResult): string[] {
  const [first] = summary.schemes;
  const rows = (first?.gains ?? []).map(({ strategy, here }, i) => {
    return [strategyOf(strategy).text, percent(here), ...summary.schemes.map(({ gains }) => plusMinus(gains[i]?.total, 100, 3))];
  });
  return table([["", "hashes here", ...summary.schemes.map(({ scheme }) => scheme)], ...rows]);
}

function riskTable({ risks }: SimulateResult): string[] {
  const head = ["scheme", "fee", "left", "half", "95 %", "99 %", ...RESERVES.map((reserve) => `ruin at ${reserve}`)];
  const rows = risks.map(({ scheme, fee, mean, drawdown, ruin }) => {
    const amounts = [mean, drawdown.half, drawdown.most, drawdown.nearlyAll].map((amount) => amount.toFixed(1));
    return [scheme, percent(fee), ...amounts, ...ruin.map(percent)];
  });
  return [
    "The operator's risk in block subsidies: what the run leaves on average; the drawdown that half, 95 % and 99 % of runs stay within;",
    "and the part of runs that use up a reserve",
    "",
    ...table([head, ...rows]),
  ];
}

function luckTable({ summary }: SimulateResult): string[] {
  const rows = summary.luck.map(({ name, found, expected, pValue }) => [name, String(found), expected.toFixed(1), pValue.toPrecision(2)]);
  return table([["", "found", "expected", "p"], ...rows]);
}

function turnsTable({ turns }: SimulateResult): string[] {
  const head = [
    "accounts",
    "outputs",
    "without a split",
    "longest wait",
    "of the largest",
    "mean",
    "open",
    "turns",
    "allowed",
    "late",
    "paid by coinbases",
  ];
  const rows = turns.map(({ accounts, outputs, noSplit, longest, longestLarge, mean, open, mostTurns, turnsAllowed, late, paid }) => {
    const counts = [longest, longestLarge, mean.toFixed(1), open, mostTurns, turnsAllowed, late].map(String);
    return [String(accounts), String(outputs), percent(noSplit), ...counts, percent(paid)];
  });
  return table([head, ...rows]);
}

/** Columns as wide as their widest cell, the first to the left, the others to the right. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

function plusMinus(estimate: Estimate | undefined, scale: number, digits: number): string {
  if (estimate === undefined) return "-";
  const mean = (scale * estimate.mean).toFixed(digits);
  return Number.isNaN(estimate.error) ? mean : `${mean}±${(scale * estimate.error).toFixed(digits)}`;
}

function figure(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? "-" : value.toPrecision(2);
}

function percent(part: number): string {
  return `${Number((100 * part).toFixed(1))} %`;
}
