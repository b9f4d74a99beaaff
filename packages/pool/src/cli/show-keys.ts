/** `openprime keys`: the public keys of the pool. */
import type { DatumCrypto } from "@openprime/datum";
import type { CommandIo } from "./io.js";
import { readKeyFile } from "./keys.js";

/**
 * Prints the public keys, the one to hand out first and alone on its line, so that `openprime keys | head -1` can be piped.
 * @throws CliError as readKeyFile
 */
export function showKeys(file: string, crypto: DatumCrypto, json: boolean, io: Pick<CommandIo, "stdout" | "stderr">): void {
  const keys = readKeyFile(file, crypto);
  if (json) {
    const list = keys.map(({ publicKey, created }) => ({ publicKey, created: created.toISOString() }));
    io.stdout.write(`${JSON.stringify({ keys: list }, null, 2)}\n`);
    return;
  }
  io.stderr.write(`${file}: put the ${keys.length === 1 ? "key" : "first key"} into the gateway's configuration as datum.pool_pubkey\n`);
  for (const { publicKey } of keys) io.stdout.write(`${publicKey}\n`);
}
