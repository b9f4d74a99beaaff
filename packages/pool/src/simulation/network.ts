/**
 * The Bitcoin network around the pool: hash rate, retargets and fees. Synthetic: the shapes are Bitcoin's, the figures are fitted to no year.
 * Work is counted in units of share difficulty 1, so a block takes `difficulty` units on average.
 */
import type { Random } from "./random.js";

export const DAY = 86_400;
/** Seconds between blocks that a retarget aims at, and the blocks between two retargets. */
const SPACING = 600;
const PERIOD = 2016;
/** The fees that FPPS pays are the mean of so many last blocks. */
const FEE_BLOCKS = 144;
const START_DIFFICULTY = 1.2e14;

export interface NetworkOptions {
  /** Satoshis that a block creates. */
  readonly subsidy: number;
  /** Median of a block's fees, satoshis. */
  readonly medianFees: number;
  /** Standard deviation of the logarithm of the fee level, which forgets itself within about a day. 0: all blocks pay the median, no spikes. */
  readonly feeSpread: number;
  /** Fee spikes a year on average: a Pareto factor of 3 and more (at most 100) that fades over some hours. */
  readonly feeSpikes: number;
  /** Hash rate after a year over that before, and the amplitude of a wave of 60 days on top of it. */
  readonly growth: number;
  readonly swing: number;
}

export const NETWORK: NetworkOptions = {
  subsidy: 312_500_000,
  medianFees: 3_000_000,
  feeSpread: 0.5,
  feeSpikes: 18,
  growth: 1.4,
  swing: 0.05,
};

/** A network on which nothing changes but who finds the next block: for comparison with theory. */
export const CALM: NetworkOptions = { ...NETWORK, feeSpread: 0, feeSpikes: 0, growth: 1, swing: 0 };

export class Network {
  /** Seconds; 0 is where the measured year starts. */
  time: number;
  difficulty = START_DIFFICULTY;
  /** Satoshis of fees in the template of the present round. */
  fees = 0;
  #height: number;
  #periodStart: number;
  #phase: number;
  #level = 0;
  #spike = 0;
  readonly #recent: number[] = [];
  #recentSum = 0;

  constructor(
    private readonly options: NetworkOptions,
    private readonly random: Random,
    start: number,
  ) {
    this.time = start;
    this.#height = Math.floor(random.uniform() * PERIOD);
    this.#periodStart = start - this.#height * SPACING;
    this.#phase = 2 * Math.PI * random.uniform();
    this.#level = options.feeSpread * random.normal();
    for (let i = 0; i < FEE_BLOCKS; i++) {
      this.#drawFees();
      this.#remember(this.fees);
    }
    this.#drawFees();
  }

  /** Work a second of the whole network now. */
  get rate(): number {
    const { growth, swing } = this.options;
    const wave = 1 + swing * (Math.sin((2 * Math.PI * this.time) / (60 * DAY) + this.#phase) - Math.sin(this.#phase));
    return (START_DIFFICULTY / SPACING) * growth ** (this.time / (365 * DAY)) * wave;
  }

  get blocksToRetarget(): number {
    return PERIOD - (this.#height % PERIOD);
  }

  /** By how much the difficulty would change if the rest of the period went like what has passed of it: 0.02 is a rise of 2 %. */
  get expectedChange(): number {
    const blocks = this.#height % PERIOD;
    const seconds = this.time - this.#periodStart;
    return blocks === 0 || seconds <= 0 ? 0 : (blocks * SPACING) / seconds - 1;
  }

  /** Mean fees of recent blocks, satoshis. */
  get averageFees(): number {
    return this.#recentSum / this.#recent.length;
  }

  /** A block was found `seconds` after the one before. */
  found(seconds: number): void {
    this.#remember(this.fees);
    this.time += seconds;
    this.#height++;
    if (this.#height % PERIOD === 0) {
      const ratio = (PERIOD * SPACING) / (this.time - this.#periodStart);
      this.difficulty *= Math.min(4, Math.max(0.25, ratio));
      this.#periodStart = this.time;
    }
    this.#drawFees();
  }

  #drawFees(): void {
    const { medianFees, feeSpread, feeSpikes } = this.options;
    if (feeSpread === 0) {
      this.fees = medianFees;
      return;
    }
    const keep = Math.exp(-1 / 144);
    this.#level = keep * this.#level + Math.sqrt(1 - keep * keep) * feeSpread * this.random.normal();
    this.#spike *= Math.exp(-1 / 24);
    if (this.random.uniform() < feeSpikes / 52_560) this.#spike += Math.min(100, 3 * (1 - this.random.uniform()) ** (-1 / 1.5));
    this.fees = Math.round((medianFees * Math.exp(this.#level) * (1 + this.#spike) * this.random.gamma(4)) / 4);
  }

  #remember(fees: number): void {
    this.#recent.push(fees);
    this.#recentSum += fees;
    if (this.#recent.length > FEE_BLOCKS) this.#recentSum -= this.#recent.shift() ?? 0;
  }
}
