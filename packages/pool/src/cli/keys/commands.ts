/** `openprime keys …`, `openprime sign` and `openprime verify` as the command line takes them. */
import { randomBytes } from "node:crypto";
import { loadCrypto } from "@openprime/datum";
import { Argument, type Command, InvalidArgumentError } from "commander";
import { type Environment, loadConfig } from "../config/index.js";
import type { CommandIo } from "../io.js";
import { KeyDesk, type KeysCommand } from "./desk.js";
import { STATEMENT_KINDS, type StatementKind } from "./statement.js";

interface Shared {
  readonly config: string;
  readonly json: boolean;
}

/** Adds the commands to the program. @param configured gives a command the option that names the configuration */
export function addKeys(program: Command, configured: (command: Command) => Command, env: Environment, io: CommandIo): void {
  const desk = async (config: string, json = false): Promise<KeyDesk> => {
    const { keys, publish } = loadConfig(config, env);
    const modules: KeysCommand = { crypto: await loadCrypto(), randomBytes, now: () => new Date(), publishDir: publish.dir, json };
    return new KeyDesk(keys, modules, io);
  };
  // Options of `keys` itself are taken after the name of a subcommand too.
  const shared = (command: Command): Promise<KeyDesk> => {
    const { config, json } = command.optsWithGlobals<Shared>();
    return desk(config, json);
  };
  const keys = configured(program.command("keys"))
    .description("show the pool's public key, which gateways are configured with; list and change the keys")
    .option("--json", "print one JSON object", false)
    .configureHelp({ showGlobalOptions: true })
    .action(async (_: Shared, command: Command) => (await shared(command)).show());
  const prefix = new Argument("<prefix>", "the first digits of a public key, as `openprime keys list` shows them");

  keys
    .command("list")
    .description("every key: prefix, state, dates")
    .action(async (_: unknown, command: Command) => (await shared(command)).list());
  keys
    .command("next")
    .description("make the next key: gateways may use it at once; `keys use` makes it the present one")
    .action(async (_: unknown, command: Command) => (await shared(command)).next());
  keys
    .command("use")
    .description("make a key the present one; the one before becomes old and is still answered")
    .addArgument(prefix)
    .option("--until <date>", "when the key before shall end", date)
    .action(async (which: string, { until }: { until?: Date }, command: Command) => (await shared(command)).use(which, until));
  keys
    .command("retire")
    .description("end an old key: gateways that still use it are not answered from then on")
    .addArgument(prefix)
    .option("--on <date>", "when (default: now)", date)
    .action(async (which: string, { on }: { on?: Date }, command: Command) => (await shared(command)).retire(which, on));
  keys
    .command("remove")
    .description("forget a key that has ended, or a next one, for ever")
    .addArgument(prefix)
    .action(async (which: string, _: unknown, command: Command) => (await shared(command)).remove(which));
  keys
    .command("export")
    .description("print the public part of a key (default: the present one), 128 hex digits")
    .argument("[prefix]", "the first digits of a public key")
    .action(async (which: string | undefined, _: unknown, command: Command) => (await shared(command)).export(which));
  keys
    .command("import")
    .description("add the keys of another key file as old ones")
    .argument("<file>", "a key file of this pool or of another")
    .option("--passphrase-file <file>", "its passphrase, when it is locked")
    .action(async (file: string, { passphraseFile }: { passphraseFile?: string }, command: Command) =>
      (await shared(command)).import({ file, passphraseFile }),
    );
  keys
    .command("lock")
    .description("lock the key file by the passphrase of the configuration")
    .action(async (_: unknown, command: Command) => (await shared(command)).lock(true));
  keys
    .command("unlock")
    .description("keep the key file without a passphrase again")
    .action(async (_: unknown, command: Command) => (await shared(command)).lock(false));

  configured(program.command("sign"))
    .description("sign a statement with the pool's key: a text, the next key, or the newest settlement")
    .addArgument(new Argument("<kind>", "what it is about").choices(STATEMENT_KINDS))
    .argument("[file]", "the text, for the kind text")
    .option("--by <prefix>", "the key that signs (default: the present one)")
    .action(async (kind: StatementKind, file: string | undefined, options: { config: string; by?: string }) => {
      (await desk(options.config)).sign(kind, file, options.by);
    });

  program
    .command("verify")
    .description("check a statement of a pool; exit code 1 unless it is signed by the key given")
    .argument("<file>", "the statement")
    .requiredOption("--key <hex>", "the pool's public key, as you have it from a source that you trust", publicKey)
    .option("--json", "print one JSON object", false)
    .action(async (file: string, { key, json }: { key: string; json: boolean }) => {
      const { verifyFile } = await import("./desk.js");
      verifyFile(file, key, json, await loadCrypto(), io);
    });
}

function date(text: string): Date {
  const value = new Date(text);
  if (/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?Z)?$/.test(text) && !Number.isNaN(value.getTime())) return value;
  throw new InvalidArgumentError("Allowed: a date in UTC such as 2027-01-31 or 2027-01-31T12:00Z.");
}

function publicKey(text: string): string {
  if (/^[0-9a-f]{128}$/i.test(text)) return text;
  throw new InvalidArgumentError("Allowed: a public key of 128 hex digits.");
}
