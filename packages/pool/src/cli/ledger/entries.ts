/** `openprime ledger entries`: the newest entries, of all accounts or of one. */
import { type LedgerEntry, ledgerEntries } from "../../ledger/index.js";
import type { Config } from "../config/index.js";
import type { CommandIo } from "../io.js";
import { accountOf, withBooks } from "./books.js";
import { coins, shortHash, table, timeText } from "./format.js";

export interface EntriesOptions {
  /** Address of the account. */
  readonly account?: string;
  readonly limit: number;
}

/** @throws CliError `optionInvalid` for an address without an account */
export async function entries(config: Config, { account, limit }: EntriesOptions, io: CommandIo): Promise<void> {
  const found = await withBooks(config, io, async (database) => {
    const id = account === undefined ? undefined : (await accountOf(database, account, config.network)).account;
    return ledgerEntries(database, limit, id);
  });
  const rows = found.map((entry) => [
    String(entry.id),
    timeText(entry.at),
    entry.kind,
    String(entry.height ?? ""),
    subject(entry),
    entry.amounts.map(({ reason, amount }) => `${reason} ${coins(amount)}`).join(", "),
  ]);
  if (rows.length === 0) io.stdout.write("no entries\n");
  else io.stdout.write(`${table(["entry", "time, UTC", "kind", "height", "of", "postings, BTC"], rows, [0, 3]).join("\n")}\n`);
}

/** What an entry comes from. */
function subject({ reverses, txid, block, segment }: LedgerEntry): string {
  if (reverses !== undefined) return `entry ${reverses}`;
  if (txid !== undefined) return `transaction ${shortHash(txid)}`;
  if (block !== undefined) return `block ${shortHash(block)}`;
  return segment === undefined ? "" : `segment ${segment}`;
}
