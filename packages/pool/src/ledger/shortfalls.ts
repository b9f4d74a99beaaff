/**
 * What of a split does not depend on a block's value: how much each account's earning lacks to be paid, and who can have a place in it at all.
 *
 * With many thousand accounts most claims stay under their threshold, or have hundreds ahead of them. Which ones is found once, for all values from
 * somewhat less to somewhat more than the one that is asked for; the others are all that a scheme needs to answer for, and a comparison each
 * decides about them.
 */
import type { AccountId, Claims, Earnings, Payee } from "@openprime/rewards";
import { type ClaimRange, leadingClaims } from "./leading-claims.js";
import type { Balance } from "./money/types.js";

/** On what terms an account is paid. */
export interface PayTerms {
  /** The least that it may be paid, satoshis. */
  readonly floor: bigint;
  readonly payee: Pick<Payee, "script" | "legacySigops">;
}

export interface ShortfallsInit {
  /** Accounts of the window, ascending. */
  readonly accounts: readonly AccountId[];
  /** Undefined when only earnings are to be paid. */
  readonly balances: ReadonlyMap<AccountId, Balance> | undefined;
  /** Undefined for an account that is not paid at all. `earns`: it has a part in the earnings. */
  readonly terms: (account: AccountId, earns: boolean) => PayTerms | undefined;
}

/** Earnings of a block of that value; `only` as for a scheme's `earned`. */
export type Earn = (value: bigint, only?: readonly number[]) => Earnings;

type Add = (account: AccountId, earned: bigint, carried: Balance | undefined) => void;

/** An account of the window that may be paid. */
interface Candidate {
  readonly place: number;
  readonly terms: PayTerms;
  /** The most that it earns, satoshis. */
  readonly most: bigint;
  /** Its floor less its balance. */
  readonly lack: bigint;
  readonly carried: Balance | undefined;
}

/** Who may be paid, for some values. */
interface Reach {
  /** For values up to this one. */
  readonly most: bigint;
  readonly candidates: readonly Candidate[];
  readonly places: readonly number[];
  /** Accounts outside of the window. */
  readonly owed: readonly AccountId[];
}

/** Values of one moment differ by their fees: a reach is for values up to this part more than the first, and down to a quarter less. */
const HEADROOM = 16n;
const LEGROOM = 4n;
/** To find out who leads costs as much as some answers do: it is done when so many have been asked for. */
const CROWD = 8;

export class Shortfalls {
  readonly #init: ShortfallsInit;
  /** Everybody for whom earning and balance may come to the floor. */
  #wide: Reach | undefined;
  /** Of those, who may have a place in a split; from this value on. */
  #leading: (Reach & { readonly least: bigint }) | undefined;
  /** Claims asked of the wide reach. */
  #asked = 0;
  #owed: readonly AccountId[] | undefined;

  constructor(init: ShortfallsInit) {
    this.#init = init;
  }

  /** Earnings plus balances, of the accounts for which the two reach the floor; without those that have no place in a split anyway. */
  claims(value: bigint, earn: Earn): Claims {
    const accounts: AccountId[] = [];
    const amounts: bigint[] = [];
    const dueSince: (bigint | undefined)[] = [];
    const add: Add = (account, earned, carried) => {
      accounts.push(account);
      amounts.push(carried === undefined ? earned : earned + carried.balance);
      dueSince.push(carried?.dueSince);
    };
    if (this.#init.accounts.length > 0) {
      const reach = this.#reachOf(value, earn);
      const earned = amountsOf(reach, earn(value, reach.places));
      for (const [i, { place, lack, carried }] of reach.candidates.entries()) {
        const amount = earned[i] as bigint;
        if (amount >= lack) add(this.#init.accounts[place] as AccountId, amount, carried);
      }
      for (const account of reach.owed) add(account, 0n, this.#carried(account));
    } else {
      const finder = this.#addFinder(earn(value), add);
      for (const account of this.#allOwed()) if (account !== finder) add(account, 0n, this.#carried(account));
    }
    return { accounts, amounts, dueSince };
  }

  #reachOf(value: bigint, earn: Earn): Reach {
    if (this.#wide === undefined || value > this.#wide.most) {
      this.#wide = this.#findReach(value + value / HEADROOM, earn);
      this.#leading = undefined;
      this.#asked = 0;
    }
    if (this.#leading === undefined && ++this.#asked >= CROWD) {
      const least = value - value / LEGROOM;
      this.#leading = { ...this.#lead(this.#wide, least, earn), least };
    }
    return this.#leading !== undefined && value >= this.#leading.least ? this.#leading : this.#wide;
  }

  /** Without a window there is one account that earns, or none; which one, whether it is paid or not. */
  #addFinder({ accounts, amounts }: Earnings, add: Add): AccountId | undefined {
    const [account] = accounts;
    const [earned = 0n] = amounts;
    if (account === undefined) return undefined;
    const terms = this.#init.terms(account, true);
    const carried = this.#carried(account);
    if (terms !== undefined && earned + (carried?.balance ?? 0n) >= terms.floor) add(account, earned, carried);
    return account;
  }

  #findReach(most: bigint, earn: Earn): Reach {
    const { accounts, terms } = this.#init;
    const { amounts } = earn(most);
    const candidates: Candidate[] = [];
    for (const [place, account] of accounts.entries()) {
      const own = terms(account, true);
      if (own === undefined) continue;
      const carried = this.#carried(account);
      const lack = own.floor - (carried?.balance ?? 0n);
      // Floors grow with the value, and the satoshi of a remainder goes here or there.
      const earns = (amounts[place] as bigint) + 1n;
      if (earns >= lack) candidates.push({ place, terms: own, most: earns, lack, carried });
    }
    return { most, candidates, places: candidates.map(({ place }) => place), owed: this.#allOwed() };
  }

  #lead(wide: Reach, least: bigint, earn: Earn): Reach {
    const low = amountsOf(wide, earn(least, wide.places));
    const earning = wide.candidates.map(({ terms, most, carried }, i): ClaimRange => {
      const { floor, payee } = terms;
      const balance = Number(carried?.balance ?? 0n);
      const from = balance + Number(low[i]) - 1;
      return { least: from, most: balance + Number(most), floor: Number(floor), dueSince: numberOf(carried?.dueSince), payee };
    });
    const owed = wide.owed.map((account): ClaimRange => {
      const { balance, dueSince } = this.#carried(account) as Balance;
      const { floor, payee } = this.#init.terms(account, false) as PayTerms;
      const amount = Number(balance);
      return { least: amount, most: amount, floor: Number(floor), dueSince: numberOf(dueSince), payee };
    });
    const leads = leadingClaims([...earning, ...owed]);
    const candidates = wide.candidates.filter((_, i) => leads[i]);
    return {
      most: wide.most,
      candidates,
      places: candidates.map(({ place }) => place),
      owed: wide.owed.filter((_, i) => leads[earning.length + i]),
    };
  }

  /** Accounts outside of the window whose balance alone reaches their floor. */
  #allOwed(): readonly AccountId[] {
    if (this.#owed !== undefined) return this.#owed;
    const { accounts, balances, terms } = this.#init;
    const owed: AccountId[] = [];
    for (const [account, { balance }] of balances ?? []) {
      if (balance <= 0n) continue;
      const own = terms(account, false);
      if (own !== undefined && balance >= own.floor && !has(accounts, account)) owed.push(account);
    }
    this.#owed = owed;
    return owed;
  }

  #carried(account: AccountId): Balance | undefined {
    return this.#init.balances?.get(account);
  }
}

/** What the candidates earn, by place in their list; a scheme answers for them alone or for the whole window. */
function amountsOf({ candidates }: Reach, { accounts, amounts }: Earnings): readonly bigint[] {
  return accounts.length === candidates.length ? amounts : candidates.map(({ place }) => amounts[place] as bigint);
}

const numberOf = (value: bigint | undefined): number | undefined => (value === undefined ? undefined : Number(value));

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
