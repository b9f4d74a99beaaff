/** The same rules, written plainly over single shares, for comparison: slow, exact rational numbers, no caches. */

export interface LoggedShare {
  readonly segment: number;
  readonly account: number;
  readonly weight: bigint;
  readonly feePpm: number;
}

export interface Weighed {
  readonly account: number;
  /** In units of 1/denominator. */
  weight: bigint;
  netWeight: bigint;
}

/** Walks the log back segment by segment; each share of the segment that the edge cuts counts with the fraction that is missing. */
export function weigh(
  log: readonly LoggedShare[],
  size: bigint,
): { rows: Weighed[]; denominator: bigint; firstSegment: number | undefined } {
  const segments = [...new Set(log.map(({ segment }) => segment))].sort((a, b) => b - a);
  const rows = new Map<number, Weighed>();
  let missing = size;
  let denominator = 1n;
  const whole: LoggedShare[] = [];
  let cut: LoggedShare[] = [];
  for (const segment of segments) {
    const shares = log.filter((share) => share.segment === segment);
    const total = shares.reduce((sum, { weight }) => sum + weight, 0n);
    if (total >= missing) {
      denominator = total;
      cut = shares;
      break;
    }
    whole.push(...shares);
    missing -= total;
  }
  const count = ({ account, weight, feePpm }: LoggedShare, factor: bigint) => {
    const row = rows.get(account) ?? { account, weight: 0n, netWeight: 0n };
    row.weight += weight * factor;
    row.netWeight += weight * factor * BigInt(1_000_000 - feePpm);
    rows.set(account, row);
  };
  for (const share of whole) count(share, denominator);
  for (const share of cut) count(share, missing);
  return {
    rows: [...rows.values()].filter(({ weight }) => weight > 0n).sort((a, b) => a.account - b.account),
    denominator,
    firstSegment: [...cut, ...whole].map(({ segment }) => segment).sort((a, b) => a - b)[0],
  };
}

/** Floor and largest remainder, ties to the first. */
export function divide(amount: bigint, weights: readonly bigint[], total: bigint): bigint[] {
  const parts = weights.map((weight) => (amount * weight) / total);
  const left = amount - parts.reduce((sum, part) => sum + part, 0n);
  weights
    .map((weight, i) => ({ i, remainder: (amount * weight) % total }))
    .sort((a, b) => (a.remainder < b.remainder ? 1 : a.remainder > b.remainder ? -1 : a.i - b.i))
    .slice(0, Number(left))
    .forEach(({ i }) => {
      parts[i] = (parts[i] as bigint) + 1n;
    });
  return parts;
}
