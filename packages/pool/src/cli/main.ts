/** The `openprime` command: its subcommands and options, and how a failure is told. */
import { randomBytes } from "node:crypto";
import { loadCrypto } from "@openprime/datum";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { addAudit } from "./audit/commands.js";
import { addBlock } from "./block/commands.js";
import { type Environment, loadConfig } from "./config/index.js";
import { doctor } from "./doctor/doctor.js";
import { printError } from "./errors.js";
import { CONFIG_FILE, init } from "./init.js";
import type { CommandIo } from "./io.js";
import { addKeys } from "./keys/commands.js";
import { addLedger } from "./ledger/commands.js";
import { addNotices } from "./notices/commands.js";
import { endSignal } from "./signals.js";
import { addSimulate } from "./simulate/command.js";
import { version } from "./version.js";

/**
 * Runs one command.
 *
 * @param args what follows `openprime` on the command line
 * @returns the exit code: 0, or 1 with the reason on stderr
 */
export async function run(args: readonly string[], env: Environment, io: CommandIo): Promise<number> {
  let exitCode = 0;
  const program = describeCommands(env, io, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    // Commander has printed the help or what is wrong with the options.
    if (error instanceof CommanderError) return error.exitCode;
    printError(error, io.stderr);
    return 1;
  }
}

/** Runs the command of this process: its arguments, streams and signals. */
export async function main(): Promise<void> {
  const signal = endSignal(process, () => performance.now());
  process.exitCode = await run(process.argv.slice(2), process.env, { stdout: process.stdout, stderr: process.stderr, signal });
}

function describeCommands(env: Environment, io: CommandIo, done: (exitCode: number) => void): Command {
  const program = new Command("openprime")
    .description("The pool side of DATUM: a mining-pool server for datum_gateway.")
    .version(version())
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) });
  const configured = (command: Command): Command =>
    command.option("-c, --config <file>", "configuration file (or OPENPRIME_CONFIG)", env.OPENPRIME_CONFIG || CONFIG_FILE);

  program
    .command("init")
    .description("write a commented configuration and new keys; overwrites nothing")
    .option("--dir <folder>", "where to write them", ".")
    .option("--network <name>", "mainnet, testnet, testnet4, signet or regtest", "mainnet")
    .option("--payout-address <address>", "the pool's own address, which takes what no split claims")
    .action(async (options: { dir: string; network: string; payoutAddress?: string }) => {
      init(options, { crypto: await loadCrypto(), randomBytes, now: () => new Date() }, io);
    });

  addKeys(program, configured, env, io);

  configured(program.command("serve"))
    .description("run the pool until Ctrl-C")
    .action(async (options: { config: string }) => {
      const config = loadConfig(options.config, env);
      const { serve } = await import("./serve.js");
      done(await serve(config, io));
    });

  program
    .command("demo")
    .description("run node, pool, gateways and miners on this machine and show them at work; Ctrl-C ends it")
    .option("--seconds <number>", "end by itself after this time", positiveNumber)
    .option("--json", "print one JSON object at the end and nothing else", false)
    .option("--data <folder>", "keep the data there (default: a temporary folder)")
    .action(async (options: { seconds?: number; json: boolean; data?: string }) => {
      const { demo } = await import("./demo.js");
      const { seconds, json, data } = options;
      done(await demo({ json, ...(seconds !== undefined && { seconds }), ...(data !== undefined && { dir: data }) }, io));
    });

  configured(program.command("top"))
    .description("show a running pool as a live table, read from its API; Ctrl-C ends it")
    .option("--url <url>", "of the API, instead of the configured one: http://127.0.0.1:28916", httpUrl)
    .option("--seconds <number>", "from one look to the next", positiveNumber, 2)
    .option("--once", "show it once", false)
    .option("--json", "print the status as JSON, one object a line", false)
    .action(async (options: { config: string; url?: string; seconds: number; once: boolean; json: boolean }) => {
      const { top, configuredUrl } = await import("./top.js");
      done(await top({ ...options, url: options.url ?? configuredUrl(loadConfig(options.config, env)) }, io));
    });

  configured(program.command("doctor"))
    .description("try out everything that the pool needs and say what to do")
    .option("--json", "print one JSON object", false)
    .action(async (options: { config: string; json: boolean }) => {
      done(await doctor(options, env, io));
    });

  addLedger(program, configured, env, io, done);

  addBlock(program, configured, env, io, done);

  addNotices(program, configured, env, io, done);

  addAudit(program, io, done);

  addSimulate(program, io, done);

  return program;
}

function httpUrl(text: string): string {
  if (URL.canParse(text) && ["http:", "https:"].includes(new URL(text).protocol)) return text;
  throw new InvalidArgumentError("Allowed: a URL such as http://127.0.0.1:28916.");
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError("Allowed: a number of seconds over 0.");
}
