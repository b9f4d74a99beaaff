/** The charts of a simulation, as files. */
import { strategyOf } from "../../simulation/index.js";
import type { SimulateResult } from "./simulate.js";
import { bounds, errorChart, lineChart } from "./svg.js";

/** Miners whose earnings are drawn. */
const DRAWN = ["steady 30 %", "steady 1 %", "steady 0.1 %", "steady 0.001 %"];
/** Fee that the operator's funds are drawn for. */
const DRAWN_FEE = 0.02;
/** Error bars are so many standard errors long. */
const ERRORS = 3;

/** Name and text of each chart. */
export function charts(result: SimulateResult): [name: string, text: string][] {
  const files: [string, string][] = [];
  for (const { scheme, miners, gains } of result.summary.schemes) {
    const name = scheme.replaceAll(":", "-");
    const lines = miners
      .filter((miner) => DRAWN.includes(miner.name))
      .map((miner) => ({ name: miner.name, points: miner.path.map((ratio, day) => [day + 1, ratio] as const) }));
    files.push([`reward-${name}.svg`, rewardChart(scheme, result.options.days, lines)]);
    files.push([`gains-${name}.svg`, gainChart(scheme, gains)]);
  }
  for (const { scheme, fee, weeks } of result.risks) {
    if (fee === DRAWN_FEE) files.push([`reserve-${scheme}.svg`, reserveChart(scheme, weeks)]);
  }
  return files;
}

function rewardChart(scheme: string, days: number, lines: { name: string; points: (readonly [number, number])[] }[]): string {
  // The first weeks are wild under any scheme; where later ones are too, the axis is wider.
  const later = lines.flatMap(({ points }) => points.slice(points.length >> 2).map(([, ratio]) => ratio));
  const reach = later.every((ratio) => Math.abs(ratio - 1) <= 0.3) ? 0.3 : 1;
  return lineChart({
    title: `${scheme}: earned so far over the fair value of the hashes`,
    x: { label: "days", from: 0, to: days, text: String },
    y: { label: "earned / fair", from: 1 - reach, to: 1 + reach, text: (value) => value.toFixed(1) },
    level: 1,
    lines,
  });
}

function gainChart(scheme: string, gains: SimulateResult["summary"]["schemes"][number]["gains"]): string {
  // The founder's gain of the pool's first days is no choice that anybody has later, and would dwarf the others.
  const rows = gains
    .filter(({ strategy }) => strategy !== "founder")
    .map(({ strategy, total }) => {
      return { name: strategyOf(strategy).text, value: 100 * total.mean, error: ERRORS * 100 * (total.error || 0) };
    });
  const ends = rows.flatMap(({ value, error }) => [value - error, value + error]);
  const digits = Math.max(...ends.map(Math.abs)) < 0.5 ? 2 : 1;
  const x = { label: `gain over a steady miner, % (bars: ${ERRORS} standard errors)`, ...bounds([0, ...ends]) };
  return errorChart(`${scheme}: what each strategy brings`, { ...x, text: (value) => value.toFixed(digits) }, rows);
}

function reserveChart(scheme: string, weeks: SimulateResult["risks"][number]["weeks"]): string {
  const points = (values: readonly number[]) => values.map((value, week) => [week * 7, value] as const);
  const all = [...weeks.low, ...weeks.high, ...weeks.one];
  return lineChart({
    title: `${scheme} at a fee of ${100 * DRAWN_FEE} %: the operator's funds`,
    x: { label: "days", from: 0, to: (weeks.middle.length - 1) * 7, text: String },
    y: { label: "block subsidies since the start", ...bounds([0, ...all]), text: (value) => value.toFixed(0) },
    level: 0,
    bands: [{ name: "90 of 100 runs", points: weeks.low.map((low, week) => [week * 7, low, weeks.high[week] ?? low] as const) }],
    lines: [
      { name: "median", points: points(weeks.middle) },
      { name: "one run", points: points(weeks.one) },
    ],
  });
}
