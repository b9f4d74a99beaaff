/** What the ledger's commands share: the books opened beside a pool, and accounts by their address. */
import { AddressError, addressToScript, type Network } from "@openprime/bitcoin";
import { type Database, findAccount, openBooks } from "../../ledger/index.js";
import type { Config } from "../config/index.js";
import { CliError } from "../errors.js";
import type { CommandIo } from "../io.js";
import { createLogger } from "../log.js";

/** Opens the books for `use` and closes them after it. @throws LedgerError as `openBooks` */
export async function withBooks<T>(config: Config, io: CommandIo, use: (database: Database) => Promise<T>): Promise<T> {
  // A command's own words are its output; of the database only what goes wrong is told.
  const log = createLogger({ ...config.log, level: "warn" }, io.stderr);
  const database = await openBooks(config.database, { log });
  try {
    return await use(database);
  } finally {
    await database.close();
  }
}

/** The account of an address. @throws CliError `optionInvalid` for text that is no address of the network, or of no account */
export async function accountOf(database: Database, address: string, network: Network): Promise<{ account: number; script: Uint8Array }> {
  const todo = "`openprime ledger balances --all` lists the accounts";
  const script = scriptOf(address, network);
  const account = await findAccount(database, script);
  if (account === undefined) throw new CliError("optionInvalid", `the pool has no account of ${address}`, todo);
  return { account, script };
}

function scriptOf(address: string, network: Network): Uint8Array {
  try {
    return addressToScript(address, network);
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
    const message = `the account's address can't be read: ${error.message}`;
    throw new CliError("optionInvalid", message, `give an address of ${network.name}`);
  }
}
