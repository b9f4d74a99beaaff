/**
 * The operator's own risk in pay-per-share: its funds pay every share, and receive the blocks. Many years of the pool as a whole; the luck of single
 * miners' shares is left out (about a thousandth of a day's pay), so what a round pays is its work at the scheme's price.
 */
import { DAY, Network, type NetworkOptions } from "./network.js";
import { Random } from "./random.js";
import { meanOf, quantile } from "./statistics.js";

/** A scheme at a fee: a part of each share's price. */
export interface ReserveCase {
  readonly scheme: "pps" | "fpps";
  readonly fee: number;
}

export interface ReserveOptions {
  readonly cases: readonly ReserveCase[];
  readonly network: NetworkOptions;
  readonly days: number;
  readonly seed: number;
  /** How many times the run is lived through. */
  readonly paths: number;
  readonly poolShare: number;
  readonly orphans: number;
  /** Parts of the pool's hash rate that withhold blocks, and that make empty ones. */
  readonly withheld: number;
  readonly empty: number;
  /** Reserves to try, in block subsidies. */
  readonly reserves: readonly number[];
}

/** All amounts in block subsidies. */
export interface ReserveRisk extends ReserveCase {
  /** What the run leaves to the pool on average. */
  readonly mean: number;
  /** The lowest that the pool's funds come below their start: half of the paths stay above the first, 95 and 99 of a hundred above the others. */
  readonly drawdown: { readonly half: number; readonly most: number; readonly nearlyAll: number };
  /** By reserve: part of the paths that use it up. */
  readonly ruin: readonly number[];
  /** Funds less their start by week: what 5, 50 and 95 of a hundred paths are below, and the first path. */
  readonly weeks: {
    readonly low: readonly number[];
    readonly middle: readonly number[];
    readonly high: readonly number[];
    readonly one: readonly number[];
  };
}

/** Lives through all paths. Yields how many are done. @returns the risks in the order of the cases */
export function* reserveRisks(options: ReserveOptions): Generator<number, ReserveRisk[], void> {
  const paths: Funds[][] = [];
  while (paths.length < options.paths) {
    paths.push(walk(options, paths.length));
    yield paths.length;
  }
  return options.cases.map((one, index) => {
    const funds = paths.map((path) => path[index] as Funds);
    const lowest = funds.map(({ lowest }) => -lowest);
    const byWeek = (part: number) =>
      (funds[0]?.weeks ?? []).map((_, week) =>
        quantile(
          funds.map(({ weeks }) => weeks[week] ?? 0),
          part,
        ),
      );
    return {
      ...one,
      mean: meanOf(funds.map(({ now }) => now)),
      drawdown: { half: quantile(lowest, 0.5), most: quantile(lowest, 0.95), nearlyAll: quantile(lowest, 0.99) },
      ruin: options.reserves.map((reserve) => lowest.filter((low) => low > reserve).length / funds.length),
      weeks: { low: byWeek(0.05), middle: byWeek(0.5), high: byWeek(0.95), one: funds[0]?.weeks ?? [] },
    };
  });
}

interface Funds {
  now: number;
  lowest: number;
  readonly weeks: number[];
}

function walk(options: ReserveOptions, path: number): Funds[] {
  const { cases, poolShare, orphans, withheld, empty, days } = options;
  const { subsidy } = options.network;
  const random = new Random(options.seed, `reserve ${path}`);
  const network = new Network(options.network, new Random(options.seed, `reserve network ${path}`), 0);
  const all = cases.map((): Funds => ({ now: 0, lowest: 0, weeks: [0] }));
  const live = 1 - poolShare * withheld;
  const chance = (poolShare * (1 - withheld)) / live;
  for (let week = 1; network.time < days * DAY; ) {
    const { rate, difficulty, fees, averageFees } = network;
    const work = random.exponential() / live;
    const found = random.uniform() < chance && random.uniform() >= orphans;
    const income = found ? 1 + (random.uniform() * (1 - withheld) < empty ? 0 : fees / subsidy) : 0;
    for (const [i, { scheme, fee }] of cases.entries()) {
      const funds = all[i] as Funds;
      funds.now -= poolShare * work * (1 + (scheme === "fpps" ? averageFees / subsidy : 0)) * (1 - fee);
      if (funds.now < funds.lowest) funds.lowest = funds.now;
      funds.now += income;
    }
    network.found((work * difficulty) / rate);
    for (; network.time >= week * 7 * DAY && week * 7 <= days; week++) for (const { now, weeks } of all) weeks.push(now);
  }
  return all;
}
