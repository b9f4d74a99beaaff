/**
 * One scheme in a simulated pool: it takes the shares, and says who earns what of a block, by the code that pays in earnest (`@openprime/rewards`).
 *
 * Two figures are kept for each miner. `realised` is what it earned with the luck that the pool had. `expected` is free of the luck of finding blocks:
 * whenever the pool mines, a block may be found with a known probability, and `expected` adds that probability times what the scheme would pay for
 * it. Blocks are a Poisson process, so both have the same mean (`expected` is the compensator of `realised`), whatever miners do about the past; but
 * in `expected` a gain of a thousandth shows. The integral over a round is taken at one moment drawn evenly from it, which has the integral as its mean.
 */
import {
  type AccountSum,
  createScheme,
  type Earnings,
  EMPTY_WINDOW,
  type NetworkTargets,
  PPM,
  type Scheme,
  type ShareValue,
  ShareWindow,
  segmentLimit,
  type WindowWeights,
  windowSize,
} from "@openprime/rewards";
import type { JudgedScheme } from "./schemes.js";

/** Miner i mines under account i + 1 while it is measured, under i + 1 + SHADOW before and after. */
export const SHADOW = 1_000_000;

/** Target of share difficulty 1 on mainnet. */
const DIFFICULTY_ONE = 0xffffn << 208n;

/**
 * A moment of a round at which a split is computed: for its first job, some minutes on, for the job of a block that may be found at the moment drawn,
 * and for that of the block which ends the round.
 */
export type PinName = "first" | "middle" | "drawn" | "last";

/** What miners do with a block, by miner. */
export interface Habits {
  /** Whether its templates are empty. */
  readonly empty: readonly boolean[];
  /** Which pins it takes, undefined for that of a job some seconds old. */
  readonly pin: readonly ("first" | "best" | undefined)[];
}

/** What a block is worth in this round, satoshis: with a full template, and with an empty one. */
export interface BlockValue {
  readonly full: bigint;
  readonly empty: bigint;
}

/** A block that may be found, and the probability in this round that it is, by miner. */
export interface Prospect extends BlockValue {
  readonly chances: Float64Array;
  /** How many times what the miners with other pins do counts; 0 when their pins were not marked. */
  readonly pinWeight: number;
}

/** The end of a round. */
export interface RoundEnd extends BlockValue {
  /** Who found the block; undefined when it is not the pool's, or was orphaned. */
  readonly finder: number | undefined;
  /** Day of the measured year, undefined outside of it. */
  readonly day: number | undefined;
}

/** What the miners got under one scheme, satoshis by miner; the first two for the work they were measured at. */
export interface Tally {
  readonly realised: Float64Array;
  readonly expected: Float64Array;
  /** All that was realised on each day: day × miners + miner. */
  readonly byDay: Float64Array;
  /** What the pool's own funds received of blocks and paid for shares on each day (pay-per-share only). */
  readonly received: Float64Array;
  readonly paid: Float64Array;
}

export interface Judge {
  readonly tally: Tally;
  /** The tip changed, and a segment begins. */
  open(difficulty: number, subsidy: bigint, averageFees: bigint): void;
  /** The pool's work after which a segment ends before its tip; infinite where none does. */
  readonly segmentWork: number;
  /** A segment has come to that. */
  cut(): void;
  add(account: number, weight: bigint): void;
  /** A split is computed now. `value`: of a full template. */
  mark(pin: PinName, value: bigint): void;
  /** Counts what would be earned; the pin `drawn` has been marked. */
  expect(prospect: Prospect): void;
  /** Pays what is earned; when there is a finder, the pin `last` has been marked. */
  close(end: RoundEnd): void;
  /** True when no measured work can earn anything any more. */
  readonly drained: boolean;
}

/** The judge of a scheme. @param feePpm the pool's fee */
export function judgeOf({ options }: JudgedScheme, habits: Habits, days: number, feePpm: number): Judge {
  const miners = habits.empty.length;
  const scheme = createScheme(options);
  const tally: Tally = {
    realised: new Float64Array(miners),
    expected: new Float64Array(miners),
    byDay: new Float64Array(miners * days),
    received: new Float64Array(days),
    paid: new Float64Array(days),
  };
  if (scheme.credit !== undefined) return new CreditJudge(tally, habits, scheme.credit, feePpm);
  return scheme.window.kind === "none" ? new FinderJudge(tally, habits, scheme, feePpm) : new WindowJudge(tally, habits, scheme, feePpm);
}

export function targetsOf(difficulty: number): NetworkTargets {
  return { difficultyOne: DIFFICULTY_ONE, target: DIFFICULTY_ONE / BigInt(Math.round(difficulty)) };
}

function realise(tally: Tally, account: number, amount: number, day: number | undefined): void {
  const shadow = account > SHADOW;
  const miner = account - 1 - (shadow ? SHADOW : 0);
  if (!shadow) tally.realised[miner] = (tally.realised[miner] as number) + amount;
  if (day === undefined) return;
  const index = day * tally.realised.length + miner;
  tally.byDay[index] = (tally.byDay[index] as number) + amount;
}

interface Marked {
  readonly window: WindowWeights;
  readonly earnings: Earnings;
  readonly logWeight: bigint;
}

/** Schemes that divide a block over a window of shares. */
class WindowJudge implements Judge {
  drained = false;
  readonly #window = new ShareWindow();
  readonly #marks = new Map<PinName, Marked>();
  readonly #blockWeights: bigint[] = [];
  segmentWork = Number.POSITIVE_INFINITY;
  #segment = 0;
  #targets: NetworkTargets = targetsOf(1);
  #logWeight = 0n;

  constructor(
    readonly tally: Tally,
    private readonly habits: Habits,
    private readonly scheme: Scheme,
    private readonly feePpm: number,
  ) {}

  open(difficulty: number): void {
    this.#targets = targetsOf(difficulty);
    this.segmentWork = Number(segmentLimit(this.scheme.window, this.#targets) ?? Number.POSITIVE_INFINITY);
    this.#marks.clear();
    this.cut();
  }

  cut(): void {
    this.#segment++;
    this.#window.openSegment(this.#segment);
    // Memory: a window of counted blocks never reaches further back than now, one of difficulty at most four times.
    if (this.#segment % 256 === 0) this.#window.forget(4n * this.#size());
  }

  add(account: number, weight: bigint): void {
    this.#window.add({ account, weight, feePpm: this.feePpm });
    this.#logWeight += weight;
  }

  mark(pin: PinName, value: bigint): void {
    const window = this.#window.weigh(this.#size());
    if (!window.complete) throw new Error("the window reaches into what was forgotten");
    this.#marks.set(pin, { window, earnings: this.scheme.earned({ value }, window), logWeight: this.#logWeight });
  }

  expect({ full, empty, chances, pinWeight }: Prospect): void {
    const drawn = this.#marked("drawn");
    const emptyFactor = Number(empty) / Number(full);
    let factor = 0;
    for (let i = 0; i < chances.length; i++) {
      const chance = (chances[i] as number) * (this.habits.empty[i] === true ? emptyFactor : 1);
      factor += chance;
      if (this.habits.pin[i] === undefined || pinWeight === 0) continue;
      this.#expect(this.#taken(i, drawn).earnings, chance * pinWeight);
      this.#expect(drawn.earnings, -chance * pinWeight);
    }
    this.#expect(drawn.earnings, factor);
    this.drained = (drawn.earnings.accounts[0] ?? SHADOW) >= SHADOW;
  }

  close({ empty, finder, day }: RoundEnd): void {
    if (finder === undefined) return;
    const { window, earnings, logWeight } = this.#taken(finder, this.#marked("last"));
    const { accounts, amounts } = this.habits.empty[finder] === true ? this.scheme.earned({ value: empty }, window) : earnings;
    for (let i = 0; i < accounts.length; i++) realise(this.tally, accounts[i] as number, Number(amounts[i]), day);
    if (this.scheme.window.kind !== "blocks") return;
    this.#blockWeights.push(logWeight);
    if (this.#blockWeights.length > this.scheme.window.count) this.#blockWeights.shift();
  }

  /** The pin that a miner's block has. @param usual an honest one's */
  #taken(miner: number, usual: Marked): Marked {
    const pin = this.habits.pin[miner];
    if (pin === undefined) return usual;
    const first = this.#marked("first");
    if (pin === "first") return first;
    return [first, this.#marks.get("middle") ?? first].reduce(
      (best, one) => (amountOf(one.earnings, miner) > amountOf(best.earnings, miner) ? one : best),
      usual,
    );
  }

  #marked(pin: PinName): Marked {
    const marked = this.#marks.get(pin);
    if (marked === undefined) throw new Error(`the pin ${pin} was not marked`);
    return marked;
  }

  #expect({ accounts, amounts }: Earnings, chance: number): void {
    const { expected } = this.tally;
    for (let i = 0; i < accounts.length && (accounts[i] as number) <= SHADOW; i++) {
      const miner = (accounts[i] as number) - 1;
      expected[miner] = (expected[miner] as number) + chance * Number(amounts[i]);
    }
  }

  #size(): bigint {
    return windowSize(this.scheme.window, { targets: this.#targets, logWeight: this.#logWeight, blockWeights: this.#blockWeights });
  }
}

/** What a miner would earn, be it measured or not. */
function amountOf({ accounts, amounts }: Earnings, miner: number): bigint {
  let sum = 0n;
  for (const account of [miner + 1, miner + 1 + SHADOW]) {
    const index = accounts.indexOf(account);
    if (index >= 0) sum += amounts[index] as bigint;
  }
  return sum;
}

/** Schemes that pay the finder. */
class FinderJudge implements Judge {
  readonly drained = true;
  readonly segmentWork = Number.POSITIVE_INFINITY;
  /** By miner: the account it mines under. */
  readonly #accounts: number[];

  constructor(
    readonly tally: Tally,
    private readonly habits: Habits,
    private readonly scheme: Scheme,
    private readonly feePpm: number,
  ) {
    this.#accounts = Array.from(tally.realised, (_, i) => i + 1 + SHADOW);
  }

  open(): void {}

  cut(): void {}

  add(account: number): void {
    this.#accounts[(account - 1) % SHADOW] = account;
  }

  mark(): void {}

  expect({ chances, ...value }: Prospect): void {
    for (let i = 0; i < chances.length; i++) {
      if ((chances[i] as number) === 0 || this.#accountOf(i) > SHADOW) continue;
      const { amounts } = this.#earned(i, value);
      this.tally.expected[i] = (this.tally.expected[i] as number) + (chances[i] as number) * Number(amounts[0]);
    }
  }

  close({ finder, day, ...value }: RoundEnd): void {
    if (finder === undefined) return;
    const { accounts, amounts } = this.#earned(finder, value);
    realise(this.tally, accounts[0] as number, Number(amounts[0]), day);
  }

  #earned(miner: number, { full, empty }: BlockValue): Earnings {
    const value = this.habits.empty[miner] === true ? empty : full;
    return this.scheme.earned({ value, finder: this.#accountOf(miner), feePpm: this.feePpm }, EMPTY_WINDOW);
  }

  #accountOf(miner: number): number {
    return this.#accounts[miner] as number;
  }
}

/** Schemes that pay each share from the pool's own funds. */
class CreditJudge implements Judge {
  readonly drained = true;
  readonly segmentWork = Number.POSITIVE_INFINITY;
  readonly #weights = new Map<number, bigint>();
  #value: ShareValue = { ...targetsOf(1), subsidy: 0n, averageFees: 0n };

  constructor(
    readonly tally: Tally,
    private readonly habits: Habits,
    private readonly credit: NonNullable<Scheme["credit"]>,
    private readonly feePpm: number,
  ) {}

  open(difficulty: number, subsidy: bigint, averageFees: bigint): void {
    this.#value = { ...targetsOf(difficulty), subsidy, averageFees };
    this.#weights.clear();
  }

  cut(): void {}

  add(account: number, weight: bigint): void {
    this.#weights.set(account, (this.#weights.get(account) ?? 0n) + weight);
  }

  mark(): void {}

  expect(): void {}

  close({ full, empty, finder, day }: RoundEnd): void {
    const sums: AccountSum[] = [...this.#weights].map(([account, weight]) => ({
      account,
      weight,
      feeWeight: weight * BigInt(this.feePpm),
    }));
    const amounts = this.credit(sums, this.#value);
    const { expected, paid, received } = this.tally;
    for (let i = 0; i < sums.length; i++) {
      const account = sums[i]?.account ?? 0;
      const amount = Number(amounts[i]);
      realise(this.tally, account, amount, day);
      if (account <= SHADOW) expected[account - 1] = (expected[account - 1] as number) + amount;
      if (day !== undefined) paid[day] = (paid[day] as number) + amount;
    }
    if (finder === undefined || day === undefined) return;
    received[day] = (received[day] as number) + Number(this.habits.empty[finder] === true ? empty : full);
  }
}

/** Part of a whole in parts per million, as the rewards package takes fees. */
export function ppmOf(part: number): number {
  return Math.round(part * Number(PPM));
}
