/** `openprime notices …` as the command line takes it. */
import { type Command, InvalidArgumentError } from "commander";
import type { NoticeChannel } from "../../ledger/index.js";
import { type Environment, loadConfig } from "../config/index.js";
import type { CommandIo } from "../io.js";

/** What every command of notices has. */
interface Configured {
  readonly config: string;
}

/** Adds the commands to the program. @param configured gives a command the option that names the configuration */
export function addNotices(
  program: Command,
  configured: (command: Command) => Command,
  env: Environment,
  io: CommandIo,
  done: (exitCode: number) => void,
): void {
  const notices = program.command("notices").description("who is told what happens; a pool may be running");

  configured(notices.command("add"))
    .description("add a receiver for an account; a webhook's secret is shown once")
    .argument("<address>", "the account")
    .argument("<channel>", "webhook, email or nostr", channelOf)
    .argument("<target>", "a URL, a mail address, or an npub")
    .option("--events <names>", "what it is told, with commas between; docs/notices.md lists all (default: what concerns the miner)")
    .action(async (address: string, channel: NoticeChannel, target: string, options: Configured & { events?: string }) => {
      const { add } = await import("./manage.js");
      await add(loadConfig(options.config, env), { address, channel, target, events: options.events }, io);
    });

  configured(notices.command("list"))
    .description("all receivers, the operator's among them, and what became of them")
    .option("--json", "print one JSON object", false)
    .action(async (options: Configured & { json: boolean }) => {
      const { list } = await import("./manage.js");
      await list(loadConfig(options.config, env), options, io);
    });

  configured(notices.command("remove"))
    .description("remove a receiver, and what waits for it")
    .argument("<id>", "as `openprime notices list` shows it", idOf)
    .action(async (id: bigint, options: Configured) => {
      const { remove } = await import("./manage.js");
      await remove(loadConfig(options.config, env), id, io);
    });

  configured(notices.command("test"))
    .description(
      "send a test to a receiver and say what came of it; exit code 1 when it failed. One that was given up and takes it is good again",
    )
    .argument("<id>", "as `openprime notices list` shows it, or `operator`", idOrOperator)
    .action(async (id: bigint | "operator", options: Configured) => {
      const { test } = await import("./test.js");
      done(await test(loadConfig(options.config, env), id, io));
    });

  configured(notices.command("secret"))
    .description("show what a receiver's webhooks are signed with, and the pool's sender on Nostr")
    .argument("<id>", "as `openprime notices list` shows it, or `operator`", idOrOperator)
    .action(async (id: bigint | "operator", options: Configured) => {
      const { secret } = await import("./manage.js");
      secret(loadConfig(options.config, env), id, io);
    });
}

function channelOf(text: string): NoticeChannel {
  if (text === "webhook" || text === "email" || text === "nostr") return text;
  throw new InvalidArgumentError("Allowed: webhook, email or nostr.");
}

function idOf(text: string): bigint {
  if (/^[1-9]\d{0,17}$/.test(text)) return BigInt(text);
  throw new InvalidArgumentError("Allowed: the number of a receiver.");
}

const idOrOperator = (text: string): bigint | "operator" => (text === "operator" ? text : idOf(text));
