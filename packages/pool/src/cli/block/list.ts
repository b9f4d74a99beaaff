/** `openprime block list`: the found blocks that are kept on disk. */
import { dirname } from "node:path";
import { BlockFiles } from "../../chain/index.js";
import type { Config } from "../config/index.js";
import type { CommandIo } from "../io.js";

/** Prints a line for each: its state, and the path for `openprime block submit`. */
export async function list(config: Pick<Config, "keys">, io: CommandIo): Promise<void> {
  const kept = await new BlockFiles(dirname(config.keys.file)).kept();
  if (kept.length === 0) io.stdout.write("No found block is kept: the nodes have them all.\n");
  for (const { path, setAside } of kept) io.stdout.write(`${setAside ? "refused" : "waiting"}  ${path}\n`);
}
