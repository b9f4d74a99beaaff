/**
 * How much each account's earning lacks to be paid: what of a split does not depend on a block's value.
 *
 * With many thousand accounts most claims stay under their threshold. Which ones can't reach it is found once, for a value somewhat larger than those that
 * are asked for; the others are all that a scheme needs to answer for, and a comparison each decides about them.
 */
import type { AccountId, Claims, Earnings } from "@openprime/rewards";
import type { Balance } from "./money/types.js";

export interface ShortfallsInit {
  /** Accounts of the window, ascending. */
  readonly accounts: readonly AccountId[];
  /** Undefined when only earnings are to be paid. */
  readonly balances: ReadonlyMap<AccountId, Balance> | undefined;
  /** The least that an account may be paid, satoshis; undefined for one that is not paid at all. `earns`: it has a part in the earnings. */
  readonly floor: (account: AccountId, earns: boolean) => bigint | undefined;
}

/** Earnings of a block of that value; `only` as for a scheme's `earned`. */
export type Earn = (value: bigint, only?: readonly number[]) => Earnings;

type Add = (account: AccountId, earned: bigint, carried: Balance | undefined) => void;

/** Accounts of the window that may be paid. */
interface Reach {
  /** For values up to this one. */
  readonly value: bigint;
  readonly places: readonly number[];
  /** By place in `places`: floor less balance, and the balance. */
  readonly lack: readonly bigint[];
  readonly carried: readonly (Balance | undefined)[];
}

/** Values of one moment differ by their fees. */
const HEADROOM = 16n;

export class Shortfalls {
  readonly #init: ShortfallsInit;
  #reach: Reach | undefined;
  #owed: readonly AccountId[] | undefined;

  constructor(init: ShortfallsInit) {
    this.#init = init;
  }

  /** Earnings plus balances, of the accounts for which the two reach the floor. */
  claims(value: bigint, earn: Earn): Claims {
    const accounts: AccountId[] = [];
    const amounts: bigint[] = [];
    const dueSince: (bigint | undefined)[] = [];
    const add: Add = (account, earned, carried) => {
      accounts.push(account);
      amounts.push(carried === undefined ? earned : earned + carried.balance);
      dueSince.push(carried?.dueSince);
    };
    let finder: AccountId | undefined;
    if (this.#init.accounts.length > 0) this.#addWindow(value, earn, add);
    else finder = this.#addFinder(earn(value), add);
    this.#owed ??= this.#findOwed();
    for (const account of this.#owed) if (account !== finder) add(account, 0n, this.#carried(account));
    return { accounts, amounts, dueSince };
  }

  #addWindow(value: bigint, earn: Earn, add: Add): void {
    if (this.#reach === undefined || value > this.#reach.value) this.#reach = this.#findReach(value + value / HEADROOM, earn);
    const { places, lack, carried } = this.#reach;
    const { accounts, amounts } = earn(value, places);
    const alone = accounts.length === places.length;
    for (let i = 0; i < places.length; i++) {
      const place = alone ? i : (places[i] as number);
      const amount = amounts[place] as bigint;
      if (amount >= (lack[i] as bigint)) add(accounts[place] as AccountId, amount, carried[i]);
    }
  }

  /** Without a window there is one account that earns, or none; which one, whether it is paid or not. */
  #addFinder({ accounts, amounts }: Earnings, add: Add): AccountId | undefined {
    const [account] = accounts;
    const [earned = 0n] = amounts;
    if (account === undefined) return undefined;
    const least = this.#init.floor(account, true);
    const carried = this.#carried(account);
    if (least !== undefined && earned + (carried?.balance ?? 0n) >= least) add(account, earned, carried);
    return account;
  }

  #findReach(value: bigint, earn: Earn): Reach {
    const { accounts, floor } = this.#init;
    const { amounts } = earn(value);
    const places: number[] = [];
    const lack: bigint[] = [];
    const carried: (Balance | undefined)[] = [];
    for (const [place, account] of accounts.entries()) {
      const least = floor(account, true);
      if (least === undefined) continue;
      const balance = this.#carried(account);
      const missing = least - (balance?.balance ?? 0n);
      // One satoshi more than for a larger value is the most that an account earns.
      if ((amounts[place] as bigint) + 1n < missing) continue;
      places.push(place);
      lack.push(missing);
      carried.push(balance);
    }
    return { value, places, lack, carried };
  }

  /** Accounts outside of the window whose balance alone reaches their floor. */
  #findOwed(): AccountId[] {
    const { accounts, balances, floor } = this.#init;
    const owed: AccountId[] = [];
    for (const [account, { balance }] of balances ?? []) {
      if (balance <= 0n) continue;
      const least = floor(account, false);
      if (least !== undefined && balance >= least && !has(accounts, account)) owed.push(account);
    }
    return owed;
  }

  #carried(account: AccountId): Balance | undefined {
    return this.#init.balances?.get(account);
  }
}

/** Whether an ascending list holds an account. */
function has(accounts: readonly AccountId[], account: AccountId): boolean {
  let [low, high] = [0, accounts.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((accounts[middle] as AccountId) < account) low = middle + 1;
    else high = middle;
  }
  return accounts[low] === account;
}
