/**
 * A jump in refusals: more of the last ten minutes' shares are refused than chance and habit explain.
 *
 * The share of refusals is tested against twice the usual one (and never less than a floor). The binomial tail is bounded by Chernoff:
 * P(X >= r of n) <= exp(-n KL(r/n || p)), so one number decides, with no table and for every n. Refusals that honest gateways earn at a change of block
 * (20, 21, 25) have a floor of their own, and are counted apart.
 */

/** What became of shares. */
export interface Judged {
  readonly accepted: number;
  /** By reason code. */
  readonly refused: ReadonlyMap<number, number>;
}

export interface Jump {
  /** Of the last ten minutes. */
  readonly shares: number;
  readonly refused: number;
  /** The most frequent first. */
  readonly reasons: readonly { readonly reason: number; readonly count: number }[];
}

const GENTLE = new Set([20, 21, 25]);
const MINUTE_MS = 60_000;
const MINUTES = 10;
/** A judgement on fewer shares would be one on chance. */
const LEAST_SHARES = 50;
const LEAST_REFUSED = 10;
/** Chance of a false alarm at one look, if refusals came one by one. */
const CHANCE = 1e-9;
/** The least part of refused shares that is told. */
const FLOORS = { hard: 0.05, gentle: 0.2 };
/** Weight of a new minute in what is usual: a day and a half. */
const FADE = 1 / 2000;

interface Minute {
  readonly start: number;
  shares: number;
  readonly refused: Map<number, number>;
}

export class RefusalWatch {
  readonly #minutes: Minute[] = [];
  #usual = { hard: 0, gentle: 0 };

  /** Counts shares. @param at milliseconds. @param calm nothing is wrong: what leaves the ten minutes says what is usual */
  add({ accepted, refused }: Judged, at: number, calm: boolean): void {
    const start = at - (at % MINUTE_MS);
    let minute = this.#minutes.at(-1);
    if (minute?.start !== start) {
      minute = { start, shares: 0, refused: new Map() };
      this.#minutes.push(minute);
    }
    minute.shares += accepted;
    for (const [reason, count] of refused) {
      minute.shares += count;
      minute.refused.set(reason, (minute.refused.get(reason) ?? 0) + count);
    }
    while ((this.#minutes[0]?.start ?? start) <= start - MINUTES * MINUTE_MS) {
      const gone = this.#minutes.shift();
      if (gone !== undefined && calm) this.#learn(gone);
    }
  }

  /** A jump that shows now. */
  jump(): Jump | undefined {
    const seen = this.#seen();
    const found = (["hard", "gentle"] as const).some((kind) => {
      const expected = Math.max(2 * this.#usual[kind], FLOORS[kind] / 2);
      const { shares, [kind]: refused } = seen;
      const part = refused / shares;
      return (
        shares >= LEAST_SHARES &&
        refused >= LEAST_REFUSED &&
        part >= FLOORS[kind] &&
        part > expected &&
        Math.exp(-shares * divergence(part, expected)) <= CHANCE
      );
    });
    if (!found) return undefined;
    const reasons = [...seen.reasons].sort(([, a], [, b]) => b - a).map(([reason, count]) => ({ reason, count }));
    return { shares: seen.shares, refused: seen.hard + seen.gentle, reasons };
  }

  /** Whether the ten minutes look like any others: what was told is over. */
  over(): boolean {
    const { shares, hard, gentle } = this.#seen();
    return hard <= shares * FLOORS.hard * 0.5 && gentle <= shares * FLOORS.gentle * 0.5;
  }

  #seen(): { shares: number; hard: number; gentle: number; reasons: Map<number, number> } {
    const reasons = new Map<number, number>();
    let shares = 0;
    for (const minute of this.#minutes) {
      shares += minute.shares;
      for (const [reason, count] of minute.refused) reasons.set(reason, (reasons.get(reason) ?? 0) + count);
    }
    return { shares, ...counted(reasons), reasons };
  }

  #learn({ shares, refused }: Minute): void {
    if (shares === 0) return;
    const { hard, gentle } = counted(refused);
    this.#usual = {
      hard: this.#usual.hard + FADE * (hard / shares - this.#usual.hard),
      gentle: this.#usual.gentle + FADE * (gentle / shares - this.#usual.gentle),
    };
  }
}

function counted(reasons: ReadonlyMap<number, number>): { hard: number; gentle: number } {
  let hard = 0;
  let gentle = 0;
  for (const [reason, count] of reasons) {
    if (GENTLE.has(reason)) gentle += count;
    else hard += count;
  }
  return { hard, gentle };
}

/** Kullback-Leibler divergence of two coins, in nats. @param p the expected one, neither 0 nor 1 */
function divergence(a: number, p: number): number {
  const term = (x: number, y: number): number => (x === 0 ? 0 : x * Math.log(x / y));
  return term(a, p) + term(1 - a, 1 - p);
}
