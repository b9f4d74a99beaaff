/** The commands `audit` and `proof`: they need the published files only, no configuration and no database. */
import type { Command } from "commander";
import { CliError } from "../errors.js";
import type { CommandIo } from "../io.js";
import type { AuditOptions } from "./audit.js";

/** Adds both commands to the program. */
export function addAudit(program: Command, io: CommandIo, done: (exitCode: number) => void): void {
  program
    .command("audit")
    .description("recompute published settlements from the published files and a node of your own")
    .argument("<block>", "hash or height of a block, or all")
    .requiredOption("--from <place>", "the published folder, or its http(s) URL")
    .requiredOption("--node <url>", "RPC of a Bitcoin node, such as http://127.0.0.1:8332")
    .option("--cookie-file <file>", "the node's cookie")
    .option("--user <name>", "the node's RPC user")
    .option("--password <text>", "the node's RPC password")
    .option(
      "--scan",
      "with all: read every block of the chain since the first, for those that pay the pool and that nothing tells of",
      false,
    )
    .option("--json", "print one JSON object", false)
    .action(async (block: string, options: AuditOptions) => {
      const { audit } = await import("./audit.js");
      done(await audit(block, options, io));
    });

  program
    .command("proof")
    .description("print the proof of one account's line in a settlement, or check one")
    .argument("[block]", "hash or height of the block")
    .argument("[address]", "address of the account")
    .option("--from <place>", "the published folder, or its http(s) URL")
    .option("--verify <file>", "check this proof")
    .option("--root <hex>", "with --verify: the published root")
    .action(async (block: string | undefined, address: string | undefined, options: { from?: string; verify?: string; root?: string }) => {
      const { proof, verifyProof } = await import("./proof.js");
      if (options.verify !== undefined) done(verifyProof(options.verify, options.root, io));
      else if (block !== undefined && address !== undefined && options.from !== undefined) {
        done(await proof(block, address, options.from, io));
      } else {
        const given = "openprime proof BLOCK ADDRESS --from FOLDER, or openprime proof --verify FILE";
        throw new CliError("optionInvalid", "expected a block, an address and --from, or --verify", given);
      }
    });
}
