/** What the chain did, as postings that sum to zero. */
import type { Earnings } from "@openprime/rewards";
import type { Posting } from "./entries.js";

/** Satoshis paid to an account. */
export interface Payment {
  readonly account: number;
  readonly amount: bigint;
}

export interface BlockMoney {
  /** To the pool's scripts. */
  readonly received: bigint;
  /** To accounts, each once. */
  readonly paid: readonly Payment[];
  readonly earnings: Earnings;
  /** The operator's account. */
  readonly operator: number;
}

/** A block of the pool: everyone's earning, the operator's fee, what the coinbase paid to accounts and to the pool. */
export function blockPostings({ received, paid, earnings, operator }: BlockMoney): Posting[] {
  return [
    ...earnings.accounts.map(
      (account, i): Posting => ({ book: "balance", account, reason: "earned", amount: earnings.amounts[i] as bigint }),
    ),
    ...paid.map(({ account, amount }): Posting => ({ book: "balance", account, reason: "paid", amount: -amount })),
    { book: "balance", account: operator, reason: "fee", amount: earnings.fee },
    { book: "coins", reason: "received", amount: -received },
  ];
}

/** Coins for the pool that nothing explains. */
export function receiptPostings(received: bigint): Posting[] {
  return [
    { book: "coins", reason: "received", amount: -received },
    { book: "unattributed", reason: "received", amount: received },
  ];
}

export interface SpendMoney {
  /** The pool's coins that were spent. */
  readonly spent: bigint;
  /** What came back to the pool's scripts. */
  readonly change: bigint;
  /** To scripts of accounts, in order. */
  readonly payments: readonly Payment[];
  /** An account's balance before. */
  readonly balance: (account: number) => bigint;
  readonly operator: number;
}

/**
 * A transaction that spends coins of the pool. What reaches the script of an account that is owed something is a payout, up to what it is owed; all the
 * rest, the network's fee included, is the operator's.
 */
export function spendPostings({ spent, change, payments, balance, operator }: SpendMoney): Posting[] {
  const paidOut = new Map<number, bigint>();
  for (const { account, amount } of payments) {
    const before = paidOut.get(account) ?? 0n;
    const owed = balance(account) - before;
    if (owed > 0n) paidOut.set(account, before + (amount < owed ? amount : owed));
  }
  let rest = spent - change;
  for (const amount of paidOut.values()) rest -= amount;
  return [
    { book: "coins", reason: "spent", amount: spent },
    { book: "coins", reason: "received", amount: -change },
    ...[...paidOut].map(([account, amount]): Posting => ({ book: "balance", account, reason: "withdrawn", amount: -amount })),
    { book: "balance", account: operator, reason: "withdrawn", amount: -rest },
  ];
}
