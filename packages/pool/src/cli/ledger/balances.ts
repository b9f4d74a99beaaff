/** `openprime ledger balances`: what each account is owed. */
import type { Network } from "@openprime/bitcoin";
import { type AccountBalance, accountBalances } from "../../ledger/index.js";
import type { Config } from "../config/index.js";
import type { CommandIo } from "../io.js";
import { withBooks } from "./books.js";
import { addressText, coins, table, timeText } from "./format.js";

export interface BalancesOptions {
  readonly json: boolean;
  readonly csv: boolean;
  /** Accounts without a balance too. */
  readonly all: boolean;
}

export async function balances(config: Config, options: BalancesOptions, io: CommandIo): Promise<void> {
  const accounts = await withBooks(config, io, (database) => accountBalances(database, options.all));
  if (options.json) io.stdout.write(`${JSON.stringify({ accounts: accounts.map((one) => plain(one, config)) }, null, 2)}\n`);
  else if (options.csv) io.stdout.write(csv(accounts, config));
  else io.stdout.write(text(accounts, config));
}

/** Amounts in satoshis; the first entry and time since which it is due, height of the last block that earned it something. */
function plain(one: AccountBalance, config: Config) {
  return {
    address: addressText(one.script, config.network),
    operator: one.operator,
    balance: Number(one.balance),
    threshold: Number(one.threshold ?? config.split.threshold),
    ownThreshold: one.threshold !== undefined,
    dueSince: one.dueSince?.at?.toISOString() ?? null,
    lastEarned: one.lastEarned ?? null,
  };
}

/** An address, a number, a time and a flag need no quotes. */
function csv(accounts: readonly AccountBalance[], config: Config): string {
  const rows = accounts.map((one) => plain(one, config));
  const heads = ["address", "operator", "balance", "threshold", "ownThreshold", "dueSince", "lastEarned"] as const;
  return [heads.join(","), ...rows.map((row) => heads.map((head) => row[head] ?? "").join(","))].map((line) => `${line}\n`).join("");
}

function text(accounts: readonly AccountBalance[], { network, split }: Config): string {
  const rows = accounts.map(({ script, operator, balance, threshold, dueSince, lastEarned }) => [
    name(script, operator, network),
    coins(balance),
    `${coins(threshold ?? split.threshold)}${threshold === undefined ? " " : "*"}`,
    dueSince?.at === undefined ? "" : timeText(dueSince.at),
    String(lastEarned ?? ""),
  ]);
  const own = accounts.some(({ threshold }) => threshold !== undefined) ? ["", "* the account's own threshold"] : [];
  const total = accounts.reduce((sum, { operator, balance }) => (operator ? sum : sum + balance), 0n);
  const heads = ["account", "balance, BTC", "threshold ", "due since, UTC", "last earned"];
  const end = `${accounts.length} ${accounts.length === 1 ? "account" : "accounts"}, ${coins(total)} BTC owed to miners`;
  return `${[...table(heads, rows, [1, 2, 4]), ...own, "", end].join("\n")}\n`;
}

const name = (script: Uint8Array, operator: boolean, network: Network): string =>
  `${addressText(script, network)}${operator ? " (operator)" : ""}`;
