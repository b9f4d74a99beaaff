/** Books for the tests of the ledger's commands: those of the check's tests, in a database of their own. */
import { addressToScript, NETWORKS } from "@openprime/bitcoin";
import { minerAddress } from "@openprime/simulator";
import { type Config, resolveConfig } from "../../../src/cli/config/index.js";
import { type Database, openDatabase } from "../../../src/ledger/index.js";
import { BookWriter, FakeChain } from "../../ledger/check/support.js";
import { MemoryLogger, temporaryDatabase } from "../../ledger/support.js";

export interface CommandBooks {
  readonly config: (settings?: Parameters<typeof resolveConfig>[0]) => Config;
  readonly database: Database;
  readonly remove: () => Promise<void>;
}

/** Made with `write`, by default the set-up of the check's tests; `database` stays open, as a pool's would. */
export async function commandBooks(
  server: string,
  write: (database: Database) => Promise<void> = (database) => BookWriter.write(database, new FakeChain()),
): Promise<CommandBooks> {
  const home = await temporaryDatabase(server);
  const database = await openDatabase({ url: home.url }, { log: new MemoryLogger() });
  await write(database);
  return {
    database,
    config: (settings = {}) =>
      resolveConfig(
        {
          network: "regtest",
          keys: { file: "keys.json" },
          ...settings,
          pool: { payoutAddress: minerAddress("pool", 0), ...settings.pool },
          database: { url: home.url },
        },
        "/nowhere",
      ),
    remove: async () => {
      await database.close();
      await home.remove();
    },
  };
}

export const scriptOf = (address: string): Uint8Array => addressToScript(address, NETWORKS.regtest);
