/** What a few replicas of a year say about the schemes. */
import { type Luck, luckOf } from "@openprime/rewards";
import type { Miner, StrategyName } from "./miners.js";
import type { Replay } from "./replay.js";
import type { JudgedScheme } from "./schemes.js";
import { type Estimate, estimate, variation } from "./statistics.js";

export interface Summary {
  readonly schemes: readonly SchemeSummary[];
  /** Of the first replica. */
  readonly luck: readonly MinerLuck[];
  /** Of all replicas together. */
  readonly blocks: Replay["blocks"];
}

export interface SchemeSummary {
  readonly scheme: string;
  /** What steady miners earn, over the fair value of their hashes. Under 1 by what withheld blocks and empty templates cost all, and by the fee. */
  readonly steady: Estimate;
  readonly miners: readonly MinerSummary[];
  readonly gains: readonly Gain[];
  /** Pay-per-share: what the pool received of blocks less what it paid for shares, as a part of what it paid. */
  readonly result: Estimate | undefined;
}

export interface MinerSummary {
  readonly name: string;
  /** What it earned, with all luck, over the fair value of its hashes. */
  readonly ratio: Estimate;
  /** Standard deviation over mean of what a day, a week and the whole run earn (the last over the replicas). NaN where nothing was earned. */
  readonly daily: number;
  readonly weekly: number;
  readonly whole: number;
  /** Of the first replica: earned since the beginning over the fair value since the beginning, day by day. */
  readonly path: readonly number[];
}

/** What a strategy brings, compared with a steady miner who makes the same hashes. 0.01 is 1 % more. */
export interface Gain {
  readonly strategy: StrategyName;
  /** Part of its hashes, by value, that it makes here. */
  readonly here: number;
  /** For each hash it makes here. */
  readonly perHashHere: Estimate;
  /** For all its hashes: those made elsewhere earn what a steady miner earns. So only the choice of moments counts. */
  readonly total: Estimate;
}

/** Blocks handed in, and expected by the work. */
export interface MinerLuck extends Luck {
  readonly name: string;
}

/** @param replicas at least one, of the same miners and schemes */
export function summarise(miners: readonly Miner[], schemes: readonly JudgedScheme[], replicas: readonly Replay[]): Summary {
  const [first] = replicas;
  if (first === undefined) throw new RangeError("expected at least one replica, got none");
  return {
    schemes: schemes.map(({ label }, index) => schemeSummary(label, index, miners, replicas)),
    luck: first.miners.map(({ found, due }, i) => ({ name: nameOf(miners, i), ...luckOf(due, found) })),
    blocks: {
      network: replicas.reduce((sum, { blocks }) => sum + blocks.network, 0),
      pool: replicas.reduce((sum, { blocks }) => sum + blocks.pool, 0),
      orphaned: replicas.reduce((sum, { blocks }) => sum + blocks.orphaned, 0),
    },
  };
}

function schemeSummary(scheme: string, index: number, miners: readonly Miner[], replicas: readonly Replay[]): SchemeSummary {
  const steady = replicas.map((replica) => steadyRatio(index, miners, replica));
  const gains: Gain[] = [];
  for (const [i, { strategy }] of miners.entries()) {
    if (strategy === "steady") continue;
    const hereParts = replicas.map(({ miners: facts }) => partHere(facts[i]));
    const perHash = replicas.map(({ miners: facts, tallies }, r) => {
      return (tallies[index]?.expected[i] ?? 0) / (facts[i]?.credited ?? 0) / (steady[r] as number) - 1;
    });
    gains.push({
      strategy,
      here: estimate(hereParts).mean,
      perHashHere: estimate(perHash),
      total: estimate(perHash.map((gain, r) => gain * (hereParts[r] as number))),
    });
  }
  const results = replicas.map(({ tallies }) => {
    const paid = sum(tallies[index]?.paid ?? []);
    return sum(tallies[index]?.received ?? []) / paid - 1;
  });
  return {
    scheme,
    steady: estimate(steady),
    miners: miners.map((_, i) => minerSummary(i, index, miners, replicas)),
    gains,
    result: results.every(Number.isFinite) ? estimate(results) : undefined,
  };
}

function steadyRatio(index: number, miners: readonly Miner[], { miners: facts, tallies }: Replay): number {
  let earned = 0;
  let credited = 0;
  for (const [i, { strategy }] of miners.entries()) {
    if (strategy !== "steady") continue;
    earned += tallies[index]?.expected[i] ?? 0;
    credited += facts[i]?.credited ?? 0;
  }
  return earned / credited;
}

function partHere(facts: { readonly fair: number; readonly elsewhere: number } | undefined): number {
  return facts === undefined ? 0 : facts.fair / (facts.fair + facts.elsewhere);
}

function minerSummary(miner: number, index: number, miners: readonly Miner[], replicas: readonly Replay[]): MinerSummary {
  const ratios = replicas.map(({ miners: facts, tallies }) => (tallies[index]?.realised[miner] ?? 0) / (facts[miner]?.fair ?? 0));
  const daily: number[] = [];
  const weekly: number[] = [];
  const paths = replicas.map(({ miners: facts, tallies }) => {
    const fair = [...(facts[miner]?.fairByDay ?? [])];
    const earned = fair.map((_, day) => tallies[index]?.byDay[day * miners.length + miner] ?? 0);
    daily.push(...periods(earned, fair, 1));
    weekly.push(...periods(earned, fair, 7));
    return path(earned, fair);
  });
  return {
    name: nameOf(miners, miner),
    ratio: estimate(ratios),
    daily: variation(daily),
    weekly: variation(weekly),
    whole: variation(ratios),
    path: paths[0] ?? [],
  };
}

/** Earned over fair value for each whole period in which the miner was here. */
function periods(earned: readonly number[], fair: readonly number[], days: number): number[] {
  const ratios: number[] = [];
  for (let start = 0; start + days <= fair.length; start += days) {
    const value = sum(fair.slice(start, start + days));
    if (value > 0) ratios.push(sum(earned.slice(start, start + days)) / value);
  }
  return ratios;
}

function path(earned: readonly number[], fair: readonly number[]): number[] {
  let total = 0;
  let value = 0;
  return fair.map((worth, day) => {
    total += earned[day] ?? 0;
    value += worth;
    return value > 0 ? total / value : 0;
  });
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function nameOf(miners: readonly Miner[], index: number): string {
  return miners[index]?.name ?? "";
}
