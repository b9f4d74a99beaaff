/** `openprime block …` as the command line takes it. */
import type { Command } from "commander";
import { type Environment, loadConfig } from "../config/index.js";
import type { CommandIo } from "../io.js";

interface Configured {
  readonly config: string;
}

/** Adds the commands to the program. @param configured gives a command the option that names the configuration */
export function addBlock(
  program: Command,
  configured: (command: Command) => Command,
  env: Environment,
  io: CommandIo,
  done: (exitCode: number) => void,
): void {
  const block = program.command("block").description("found blocks that are kept on disk; a pool may be running");

  configured(block.command("list"))
    .description("the kept blocks: waiting for a node's answer, or set aside because the nodes refused them")
    .action(async (options: Configured) => {
      const { list } = await import("./list.js");
      await list(loadConfig(options.config, env), io);
    });

  configured(block.command("submit"))
    .description("send a kept block to every node of the configuration once more; exit code 0 when one of them has it then, else 1")
    .argument("<file>", "a file that `openprime block list` names, or any block in hex")
    .action(async (file: string, options: Configured) => {
      const { submit } = await import("./submit.js");
      done(await submit(loadConfig(options.config, env), file, io));
    });
}
