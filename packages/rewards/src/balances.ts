/** What was carried over from earlier blocks, put together with what a block earns. */
import { RewardsError } from "./errors.js";
import type { AccountId } from "./share-window.js";
import type { Claims } from "./split.js";

/** What an account is owed from earlier blocks. */
export interface CarriedBalance {
  /** Satoshis; below 0 when it was paid for what was taken back later. */
  readonly balance: bigint;
  /** Number of the ledger entry since which the balance has reached the account's threshold; undefined when it has not. */
  readonly dueSince: bigint | undefined;
}

type Carried = readonly [AccountId, CarriedBalance];

/**
 * Claims of earnings and balances together: accounts ascending, none with 0 or less (a negative balance is worked off first).
 *
 * @param earnings accounts ascending, as a scheme gives them
 * @param balances each account once, in any order; the nearer it is to ascending, the faster (a `Map` that was filled in order is good)
 */
export function addBalances(earnings: Pick<Claims, "accounts" | "amounts">, balances: Iterable<Carried>): Claims {
  const carried = ascending(balances);
  const accounts: AccountId[] = [];
  const amounts: bigint[] = [];
  const dueSince: (bigint | undefined)[] = [];
  const claim = (account: AccountId, amount: bigint, since: bigint | undefined): void => {
    if (amount <= 0n) return;
    accounts.push(account);
    amounts.push(amount);
    dueSince.push(since);
  };
  let next = 0;
  for (let i = 0; i < earnings.accounts.length; i++) {
    const account = earnings.accounts[i] as AccountId;
    const amount = earnings.amounts[i] as bigint;
    for (; next < carried.length && (carried[next] as Carried)[0] < account; next++) {
      const [id, { balance, dueSince: since }] = carried[next] as Carried;
      claim(id, balance, since);
    }
    const same = carried[next];
    if (same !== undefined && same[0] === account) {
      claim(account, amount + same[1].balance, same[1].dueSince);
      next++;
    } else claim(account, amount, undefined);
  }
  for (; next < carried.length; next++) {
    const [id, { balance, dueSince: since }] = carried[next] as Carried;
    claim(id, balance, since);
  }
  return { accounts, amounts, dueSince };
}

function ascending(balances: Iterable<Carried>): Carried[] {
  const list = [...balances];
  list.sort(([a], [b]) => a - b);
  for (let i = 1; i < list.length; i++) {
    const [account] = list[i] as Carried;
    if (account === list[i - 1]?.[0])
      throw new RewardsError("rewards.invalidAmount", `expected one balance of account ${account}, got two`);
  }
  return list;
}
