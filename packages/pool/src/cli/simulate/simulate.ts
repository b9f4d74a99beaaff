/** `openprime simulate`: runs the replicas, prints what they say, writes the charts. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import {
  DEFAULT_SCHEMES,
  type JudgedScheme,
  type Miner,
  NETWORK,
  population,
  type Replay,
  type ReserveRisk,
  replay,
  reserveRisks,
  schemeNamed,
  summarise,
  TURNS,
  type TurnsReport,
  takeTurns,
} from "../../simulation/index.js";
import { CliError } from "../errors.js";
import type { CommandIo } from "../io.js";
import { charts } from "./charts.js";
import { reportJson, reportText } from "./report.js";

export interface SimulateOptions {
  /** Labels as `schemeNamed` takes them; all when undefined. */
  readonly scheme?: readonly string[];
  readonly days: number;
  readonly seed: number;
  readonly replicas: number;
  /** Parts of the whole, 0 to 1. */
  readonly poolShare: number;
  readonly fee: number;
  readonly json: boolean;
  /** Folder of the charts; none when undefined. */
  readonly svg?: string;
}

/** What a run found, and what it was told to do. */
export interface SimulateResult {
  readonly options: SimulateOptions;
  readonly miners: readonly Miner[];
  readonly summary: ReturnType<typeof summarise>;
  /** Pay-per-share only. */
  readonly risks: readonly ReserveRisk[];
  readonly turns: readonly TurnsReport[];
}

/** Part of blocks that are orphaned, and the age at which a gateway replaces its job: its default setting. */
const ORPHANS = 0.002;
const JOB_SECONDS = 40;
/** Fees that the operator's risk is shown for, and the reserves, in block subsidies. */
const RISK_FEES = [0, 0.02, 0.04];
export const RESERVES = [10, 25, 50, 100, 200];
const RISK_PATHS = 400;
/** Parts of the pool's blocks that are found by work without a split, for the order of outputs. */
const NO_SPLIT = [0, 0.05];

/**
 * Runs the command.
 *
 * @returns 0, or 1 when it was asked to end before it was done
 * @throws CliError `optionInvalid` for a scheme that there is not
 */
export async function simulate(options: SimulateOptions, io: CommandIo): Promise<number> {
  const schemes = (options.scheme ?? DEFAULT_SCHEMES).flatMap((label) => label.split(",")).map(schemeOf);
  const miners = population();
  const say = (text: string): unknown => (options.json ? undefined : io.stderr.write(`simulate: ${text}\n`));
  const { days, seed, poolShare, fee } = options;
  const chain = { network: NETWORK, days, poolShare, orphans: ORPHANS };

  const replicas: Replay[] = [];
  while (replicas.length < options.replicas) {
    const run = replay({ ...chain, schemes, miners, fee, seed: seed * 1000 + replicas.length, jobSeconds: JOB_SECONDS });
    const done = await drained(run, io.signal);
    if (done === undefined) return 1;
    replicas.push(done);
    say(`${replicas.length} of ${options.replicas} replicas of ${days} days`);
  }
  const cases = schemes.flatMap(({ options: { name } }) => {
    return name === "pps" || name === "fpps" ? [...new Set([...RISK_FEES, fee])].map((one) => ({ scheme: name, fee: one })) : [];
  });
  const part = (strategy: Miner["strategy"]) => miners.reduce((sum, miner) => sum + (miner.strategy === strategy ? miner.part : 0), 0);
  const rivals = { withheld: part("withhold"), empty: part("empty") };
  const paths = cases.length === 0 ? 0 : RISK_PATHS;
  const risks = await drained(reserveRisks({ ...chain, ...rivals, cases, seed, paths, reserves: RESERVES }), io.signal);
  if (risks === undefined) return 1;
  const result = {
    options,
    miners,
    summary: summarise(miners, schemes, replicas),
    risks,
    turns: NO_SPLIT.map((noSplit) => takeTurns({ ...TURNS, seed, noSplit })),
  };
  io.stdout.write(options.json ? `${JSON.stringify(reportJson(result))}\n` : reportText(result));
  if (options.svg !== undefined) {
    mkdirSync(options.svg, { recursive: true });
    for (const [name, text] of charts(result)) writeFileSync(join(options.svg, name), text);
    say(`charts are in ${options.svg}`);
  }
  return 0;
}

function schemeOf(label: string): JudgedScheme {
  const scheme = schemeNamed(label);
  if (scheme !== undefined) return scheme;
  const allowed = "tides, pplns-difficulty, pplns-blocks (each with :number for the length of its window), solo, pps, fpps";
  throw new CliError("optionInvalid", `--scheme is "${label}". Allowed: ${allowed}`, "give one of the schemes named");
}

/** The run's end, letting the process breathe in between; undefined when it was asked to end. */
async function drained<Result>(run: Generator<number, Result, void>, signal: AbortSignal): Promise<Result | undefined> {
  for (;;) {
    const step = run.next();
    if (step.done === true) return step.value;
    await setImmediate();
    if (signal.aborted) return undefined;
  }
}
