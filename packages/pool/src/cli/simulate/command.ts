/** `openprime simulate` as the command line takes it. */
import { type Command, InvalidArgumentError } from "commander";
import type { CommandIo } from "../io.js";
import type { SimulateOptions } from "./simulate.js";

/** Adds the command to the program. */
export function addSimulate(program: Command, io: CommandIo, done: (exitCode: number) => void): void {
  program
    .command("simulate")
    .description("live through a year of a pool for each reward scheme, and judge what miners and tricksters get")
    .option("--scheme <names...>", "tides[:N], pplns-difficulty[:N], pplns-blocks[:B], solo, pps, fpps (default: all)")
    .option("--days <number>", "days to live through", whole(7, 3660), 365)
    .option("--seed <number>", "the same seed gives the same run on any machine", whole(0, 2 ** 32), 1)
    .option("--replicas <number>", "how many times, each with luck of its own; errors need two or more", whole(1, 1000), 4)
    .option("--pool-share <part>", "the pool's part of the network's hash rate", part(0.001, 0.5), 0.05)
    .option("--fee <part>", "the pool's fee, 0.01 for 1 %", part(0, 0.5), 0)
    .option("--json", "print one JSON object and nothing else", false)
    .option("--svg <folder>", "write charts into this folder")
    .action(async (options: SimulateOptions) => {
      const { simulate } = await import("./simulate.js");
      done(await simulate(options, io));
    });
}

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && Number.isInteger(value) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Allowed: a whole number of ${least} to ${most}.`);
  };
}

function part(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Allowed: a number of ${least} to ${most}.`);
  };
}
