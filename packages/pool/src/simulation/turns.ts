/**
 * Whose turn it is when a coinbase holds few outputs: a pool of many accounts whose coinbases show the first ten outputs of each split. What is left out
 * stays a balance. The longest that a claim over its threshold had to wait is what miners ask of the order of `split`.
 */
import { addBalances, type CarriedBalance, createScheme, type Payee, ShareWindow, split } from "@openprime/rewards";
import { Random } from "./random.js";

export interface TurnsOptions {
  readonly seed: number;
  /** Sizes fall as one over the rank. */
  readonly accounts: number;
  /** Blocks of the pool. */
  readonly blocks: number;
  /** Outputs that a coinbase shows. */
  readonly outputs: number;
  /** Satoshis. */
  readonly threshold: bigint;
  /** Part of the blocks that are found by work without a split, and pay the pool's script alone. */
  readonly noSplit: number;
}

/** Waits of balances over their threshold, in blocks of the pool: from the one after which it had reached the threshold to the one that paid it, if only in part. */
export interface TurnsReport extends Omit<TurnsOptions, "threshold"> {
  /** Of balances that were never among the largest of a split (half of the outputs), and of those that were: these get what the due ones leave. */
  readonly longest: number;
  readonly longestLarge: number;
  readonly mean: number;
  /** Most that stood open at once. */
  readonly open: number;
  /** The most turns that one never among the largest waited, a turn being an output that paid such a claim in full; and what the order allows it. */
  readonly mostTurns: number;
  readonly turnsAllowed: number;
  /** How many of these waited longer than the order allows. */
  readonly late: number;
  /** Part of all that was earned which the coinbases paid. */
  readonly paid: number;
}

export const TURNS: TurnsOptions = { seed: 1, accounts: 300, blocks: 2000, outputs: 10, threshold: 100_000n, noSplit: 0 };

const SUBSIDY = 312_500_000n;
const DUST = 546n;
const PAYEE: Payee = { script: new Uint8Array(22), dustLimit: 294n, legacySigops: false };

export function takeTurns(options: TurnsOptions): TurnsReport {
  const { seed, accounts, blocks, outputs, threshold, noSplit } = options;
  const random = new Random(seed, "turns");
  const scheme = createScheme({ name: "tides", multiplier: 8n });
  const window = new ShareWindow();
  window.openSegment(1);
  for (let account = 1; account <= accounts; account++) window.add({ account, weight: BigInt(Math.ceil(1e9 / account)), feePpm: 0 });
  const weights = window.weigh(window.weight);

  const waiting = new Map<number, Wait>();
  const waits = { count: 0, sum: 0, longest: 0, longestLarge: 0, mostTurns: 0, turnsAllowed: 0, late: 0 };
  let balances = new Map<number, CarriedBalance>();
  let open = 0;
  let earned = 0;
  let paid = 0;
  for (let block = 1; block <= blocks; block++) {
    const value = SUBSIDY + BigInt(Math.round(3e6 * random.exponential()));
    const claims = addBalances(scheme.earned({ value }, weights), balances);
    const offered = split(claims, { value, dust: DUST, payee: () => PAYEE, threshold: () => threshold });
    const shown = random.uniform() < noSplit ? [] : offered.slice(0, outputs);
    const payments = new Map(shown.map(({ account, value: amount }) => [account, amount]));
    const byAmount = claims.accounts
      .map((account, i) => ({ account, amount: Number(claims.amounts[i]) }))
      .sort((a, b) => b.amount - a.amount);
    const largest = new Set(byAmount.slice(0, Math.ceil(outputs / 2)).map(({ account }) => account));
    let turns = 0;
    balances = new Map(
      claims.accounts.map((account, i) => {
        const payment = payments.get(account) ?? 0n;
        const balance = (claims.amounts[i] as bigint) - payment;
        if (payment > 0n && balance === 0n && !largest.has(account)) turns++;
        paid += Number(payment);
        const since = balances.get(account)?.dueSince ?? BigInt(block);
        return [account, { balance, dueSince: balance < threshold ? undefined : since }];
      }),
    );
    earned += Number(value);

    const due = [...balances].filter(([, { dueSince }]) => dueSince !== undefined);
    open = Math.max(open, due.length);
    for (const [account, wait] of waiting) {
      if (largest.has(account)) wait.large = true;
      if (payments.has(account)) {
        waiting.delete(account);
        count(waits, block - wait.since, wait);
      } else wait.turns += Math.min(turns, Math.floor(outputs / 2));
    }
    for (const [account] of due)
      if (!waiting.has(account)) waiting.set(account, { since: block, turns: 0, large: false, ahead: due.length });
  }
  for (const wait of waiting.values()) count(waits, blocks - wait.since, wait);
  const { longest, longestLarge, mostTurns, turnsAllowed, late } = waits;
  return {
    seed,
    accounts,
    blocks,
    outputs,
    noSplit,
    longest,
    longestLarge,
    mean: waits.sum / waits.count,
    open,
    mostTurns,
    turnsAllowed,
    late,
    paid: paid / earned,
  };
}

interface Wait {
  /** Block after which it was due. */
  readonly since: number;
  /** Turns that went to others. */
  turns: number;
  /** Was among the largest claims of a split. */
  large: boolean;
  /** Claims that were due before it or with it, itself among them. */
  readonly ahead: number;
}

function count(
  waits: { count: number; sum: number; longest: number; longestLarge: number; mostTurns: number; turnsAllowed: number; late: number },
  blocks: number,
  { turns, large, ahead }: Wait,
): void {
  waits.count++;
  waits.sum += blocks;
  if (large) {
    waits.longestLarge = Math.max(waits.longestLarge, blocks);
    return;
  }
  waits.longest = Math.max(waits.longest, blocks);
  waits.mostTurns = Math.max(waits.mostTurns, turns);
  waits.turnsAllowed = Math.max(waits.turnsAllowed, ahead - 1);
  if (turns >= ahead) waits.late++;
}
