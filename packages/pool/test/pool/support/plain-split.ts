/**
 * The rules of the split once more, over single shares and without any cleverness, for comparison with what the pool offers: the window with
 * its cut segment, the fee, the division, the floor and the order.
 */

/** A share as the database holds it. */
export interface StoredShare {
  readonly segment: number;
  readonly account: number;
  readonly weight: bigint;
  /** Parts per million. */
  readonly feePpm: number;
}

export interface AccountWeight {
  readonly account: number;
  /** Weight × (10^6 - fee), in the same unit as `total` × 10^6. */
  readonly netWeight: bigint;
}

/** The last `size` units of weight: whole segments back from the end, then every share of the next one with the fraction that is missing. */
export function weigh(shares: readonly StoredShare[], size: bigint): { accounts: AccountWeight[]; total: bigint } {
  const sum = (list: readonly StoredShare[]): bigint => list.reduce((all, { weight }) => all + weight, 0n);
  const counted: { share: StoredShare; weight: bigint }[] = [];
  let missing = size;
  let denominator = 1n;
  for (const segment of [...new Set(shares.map((share) => share.segment))].sort((a, b) => b - a)) {
    const own = shares.filter((share) => share.segment === segment);
    const weight = sum(own);
    if (weight < missing) {
      for (const share of own) counted.push({ share, weight: share.weight });
      missing -= weight;
      continue;
    }
    denominator = weight;
    for (const entry of counted) entry.weight *= denominator;
    for (const share of own) counted.push({ share, weight: share.weight * missing });
    break;
  }
  const net = new Map<number, bigint>();
  for (const { share, weight } of counted) {
    net.set(share.account, (net.get(share.account) ?? 0n) + weight * BigInt(1_000_000 - share.feePpm));
  }
  return {
    accounts: [...net].map(([account, netWeight]) => ({ account, netWeight })).sort((a, b) => a.account - b.account),
    total: counted.reduce((all, { weight }) => all + weight, 0n),
  };
}

/** Floors, and the satoshis left over one each to the largest remainders, ties to the first. */
export function divide(amount: bigint, weights: readonly bigint[], total: bigint): bigint[] {
  const parts = weights.map((weight) => (amount * weight) / total);
  const left = amount - parts.reduce((sum, part) => sum + part, 0n);
  const byRemainder = weights.map((weight, index) => ({ index, remainder: (amount * weight) % total }));
  byRemainder.sort((a, b) => (a.remainder === b.remainder ? a.index - b.index : a.remainder > b.remainder ? -1 : 1));
  for (const { index } of byRemainder.slice(0, Number(left))) parts[index]! += 1n;
  return parts;
}

export interface Claimant {
  readonly account: number;
  readonly amount: bigint;
  readonly script: Uint8Array;
  readonly operator: boolean;
}

/** Largest first, ties to the account that came first; nothing to the operator and nothing under the floor. */
export function outputsFrom(claimants: readonly Claimant[], floor: (script: Uint8Array) => bigint): { value: bigint; script: string }[] {
  return claimants
    .filter(({ operator, amount, script }) => !operator && amount >= floor(script))
    .sort((a, b) => (a.amount === b.amount ? a.account - b.account : a.amount > b.amount ? -1 : 1))
    .map(({ amount, script }) => ({ value: amount, script: Buffer.from(script).toString("hex") }));
}
