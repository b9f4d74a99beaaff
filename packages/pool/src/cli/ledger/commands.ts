/** `openprime ledger …` as the command line takes it. */
import { type Command, InvalidArgumentError } from "commander";
import { type Environment, loadConfig } from "../config/index.js";
import type { CommandIo } from "../io.js";

/** What every command of the ledger has. */
interface Configured {
  readonly config: string;
}

/** Adds the commands to the program. @param configured gives a command the option that names the configuration */
export function addLedger(
  program: Command,
  configured: (command: Command) => Command,
  env: Environment,
  io: CommandIo,
  done: (exitCode: number) => void,
): void {
  const ledger = program.command("ledger").description("look into the books, and check them; a pool may be running on them");

  configured(ledger.command("check"))
    .description("recompute the books from postings and chain, and name each difference; exit code 1 when there is one")
    .option("--json", "print one JSON object", false)
    .option("--scan", "read every block since the books began, for payments that were never booked, and every share that is kept", false)
    .action(async (options: Configured & { json: boolean; scan: boolean }) => {
      const { check } = await import("./check.js");
      done(await check(loadConfig(options.config, env), options, io));
    });

  configured(ledger.command("balances"))
    .description("what each account is owed")
    .option("--json", "print one JSON object; amounts in satoshis", false)
    .option("--csv", "print comma-separated values; amounts in satoshis", false)
    .option("--all", "accounts without a balance too", false)
    .action(async (options: Configured & { json: boolean; csv: boolean; all: boolean }) => {
      const { balances } = await import("./balances.js");
      await balances(loadConfig(options.config, env), options, io);
    });

  configured(ledger.command("entries"))
    .description("the newest entries of the ledger")
    .option("--account <address>", "only what was posted to this account")
    .option("--limit <number>", "how many", positiveInteger, 20)
    .action(async (options: Configured & { account?: string; limit: number }) => {
      const { entries } = await import("./entries.js");
      await entries(loadConfig(options.config, env), options, io);
    });

  configured(ledger.command("owed"))
    .description("what is due to accounts that have reached their payout threshold, as far as the pool's mature coins go")
    .option("--sendmany", "print it as the amounts of the node's `sendmany`", false)
    .action(async (options: Configured & { sendmany: boolean }) => {
      const { owed } = await import("./owed.js");
      await owed(loadConfig(options.config, env), options, io);
    });

  configured(ledger.command("threshold"))
    .description("show an account's payout threshold, or set it; a running pool takes it up at its next block")
    .argument("<address>", "the account")
    .argument("[satoshis]", "its own threshold, or `default` for the pool's")
    .action(async (address: string, wanted: string | undefined, options: Configured) => {
      const { threshold } = await import("./threshold.js");
      await threshold(loadConfig(options.config, env), { address, wanted }, io);
    });

  configured(ledger.command("luck"))
    .description("blocks that each account found, against those that its work should have found")
    .action(async (options: Configured) => {
      const { luck } = await import("./luck.js");
      await luck(loadConfig(options.config, env), io);
    });

  configured(ledger.command("templates"))
    .description("the newest templates behind gateways' jobs, what came of judging them, and the node's own beside them")
    .option("--gateway <key>", "only this gateway's: its public signing key, 64 hex digits", gatewayKey)
    .option("--limit <number>", "how many", positiveInteger, 20)
    .option("--json", "print one JSON object; amounts in satoshis", false)
    .action(async (options: Configured & { gateway?: Uint8Array; limit: number; json: boolean }) => {
      const { templates } = await import("./templates.js");
      await templates(loadConfig(options.config, env), options, io);
    });
}

function gatewayKey(text: string): Uint8Array {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Uint8Array.from(Buffer.from(text, "hex"));
  throw new InvalidArgumentError("Allowed: 64 hex digits.");
}

function positiveInteger(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value > 0 && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError("Allowed: a whole number over 0.");
}
