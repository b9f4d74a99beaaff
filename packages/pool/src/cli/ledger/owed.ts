/** `openprime ledger owed`: what is due, and what of it the pool's own coins can pay now. */
import { dustLimit } from "@openprime/bitcoin";
import { type AccountBalance, accountBalances, matureHoldings } from "../../ledger/index.js";
import type { Config } from "../config/index.js";
import type { CommandIo } from "../io.js";
import { withBooks } from "./books.js";
import { addressText, coins, table, timeText } from "./format.js";

export interface OwedOptions {
  /** Print the amounts as the node's `sendmany` takes them. */
  readonly sendmany: boolean;
}

/** What is due, and which of it can be paid. */
export interface Payouts {
  /** In the order in which they are to be paid. */
  readonly payable: readonly AccountBalance[];
  /** Due, but not within the funds. */
  readonly waiting: readonly AccountBalance[];
}

/**
 * Who has waited longest is paid first, of two who have waited as long the one with the larger balance. One that does not fit into the funds waits, and
 * with it all after it: a large balance must not wait for ever behind small ones.
 *
 * @param threshold the pool's, satoshis
 * @param funds mature coins, satoshis
 */
export function payouts(accounts: readonly AccountBalance[], threshold: bigint, funds: bigint): Payouts {
  const due = accounts
    .filter(({ operator, balance, script, threshold: own }) => !operator && balance >= (own ?? threshold) && balance >= dustLimit(script))
    .sort((a, b) => order(a.dueSince?.entry, b.dueSince?.entry) || order(b.balance, a.balance) || a.account - b.account);
  let left = funds;
  const first = due.findIndex(({ balance }) => {
    left -= balance;
    return left < 0n;
  });
  return first < 0 ? { payable: due, waiting: [] } : { payable: due.slice(0, first), waiting: due.slice(first) };
}

/** Nothing comes after everything. */
function order(a: bigint | undefined, b: bigint | undefined): number {
  if (a === b) return 0;
  return a !== undefined && (b === undefined || a < b) ? -1 : 1;
}

export async function owed(config: Config, options: OwedOptions, io: CommandIo): Promise<void> {
  const { accounts, funds } = await withBooks(config, io, async (database) => ({
    accounts: await accountBalances(database),
    funds: await matureHoldings(database),
  }));
  const due = payouts(accounts, config.split.threshold, funds);
  if (options.sendmany) {
    // JSON.stringify would write amounts as doubles do, 1e-7.
    const pairs = due.payable.map(({ script, balance }) => `${JSON.stringify(addressText(script, config.network))}:${coins(balance)}`);
    io.stdout.write(`{${pairs.join(",")}}\n`);
    io.stderr.write(explanation(config, due, funds));
    return;
  }
  const rows = [...due.payable, ...due.waiting].map((one) => [
    addressText(one.script, config.network),
    coins(one.balance),
    one.dueSince?.at === undefined ? "" : timeText(one.dueSince.at),
    due.payable.includes(one) ? "now" : "when coins are mature",
  ]);
  const lines = rows.length === 0 ? ["nothing is due"] : table(["account", "balance, BTC", "due since, UTC", "can be paid"], rows, [1]);
  io.stdout.write(`${lines.join("\n")}\n\n${explanation(config, due, funds)}`);
}

function explanation(config: Config, { payable, waiting }: Payouts, funds: bigint): string {
  const total = (accounts: readonly AccountBalance[]): string => coins(accounts.reduce((sum, { balance }) => sum + balance, 0n));
  const lines = [
    `${payable.length} accounts can be paid ${total(payable)} BTC of the ${coins(funds)} BTC that the pool's scripts can spend; ${waiting.length} more wait for ${total(waiting)} BTC.`,
    "Pay from the pool's own coins. The payment is booked from the chain when it confirms: until then this list still has it, so do not pay it twice.",
    "The network fee is the operator's.",
  ];
  if (config.pool.coinbase === "direct") {
    lines.push(
      "With pool.coinbase: direct the coming coinbases pay these balances too. An account that both pay owes the difference until its work has earned it.",
    );
  }
  return `${lines.join("\n")}\n`;
}
