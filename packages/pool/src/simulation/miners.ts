/** Miners and the ways they mine: when they are here, what they do with a block, which work they take. */

/** What a miner may go by when it decides whether to mine here. It knows the past, never the next block. */
export interface Sight {
  /** Work of the pool since its last block, in units of the network's difficulty: 1 when a block is just due. */
  readonly roundAge: number;
  /** Seconds since the tip changed. */
  readonly sinceTip: number;
  /** Work of the pool since a segment of the log began under TIDES, as a part of the work that ends one: 0 to 1. */
  readonly segmentAge: number;
  readonly blocksToRetarget: number;
  /** Relative change of the difficulty that the next retarget will bring, as far as can be told now. */
  readonly expectedChange: number;
  /** Fees of the present template over the mean of recent blocks. */
  readonly feeRatio: number;
  /** Blocks of the network in which the pool does eight times the network's difficulty of work: what a share stays in the window of TIDES. */
  readonly windowBlocks: number;
}

export interface Strategy {
  readonly text: string;
  /** Whether it mines here; elsewhere (alone, or at another pool at fair value) when not. Default: always. */
  readonly here?: (sight: Sight) => boolean;
  /** Round ages at which `here` may change. */
  readonly ages?: readonly number[];
  /** Segment ages at which it may change. */
  readonly segmentAges?: readonly number[];
  /** Seconds since the tip at which it may change. */
  readonly afterTip?: number;
  /** Mean days of each stay and of each absence, both exponential. */
  readonly comesAndGoes?: number;
  /** Keeps the blocks that it finds to itself, to the pool's harm. */
  readonly withholds?: true;
  /** Its templates hold no transactions. */
  readonly empty?: true;
  /**
   * The pin of its blocks. `split`: that of a job some seconds old, as honest gateways' are; `first`: work without a split, pinned to the head when the
   * round's first job was seen, and kept all round; `best`: of the round's splits the one in which it has the largest part.
   */
  readonly pin?: "first" | "best";
}

/** Rosenfeld (2011, appendix B): in a proportional pool a share is worth more than its fair value while the round is younger than this. */
export const PROPORTIONAL_HOP = 0.4348;

export const STRATEGIES = {
  steady: { text: "mines all the time" },
  churn: { text: "comes and goes, three days each on average", comesAndGoes: 3 },
  hopEarly: {
    text: "hops by luck: here only just after a block of the pool",
    here: ({ roundAge }) => roundAge < PROPORTIONAL_HOP,
    ages: [PROPORTIONAL_HOP],
  },
  hopLate: { text: "hops by luck: here only when a block is overdue", here: ({ roundAge }) => roundAge >= 1, ages: [1] },
  hopTip: { text: "hops by the clock: ten minutes from each new tip", here: ({ sinceTip }) => sinceTip < 600, afterTip: 600 },
  hopSegment: { text: "hops by the clock: the first half of each segment", here: ({ segmentAge }) => segmentAge < 0.5, segmentAges: [0.5] },
  hopDifficulty: {
    text: "hops by difficulty: elsewhere before a rise",
    here: ({ blocksToRetarget, expectedChange, windowBlocks }) => expectedChange <= 0 || blocksToRetarget > windowBlocks,
  },
  hopFeesHigh: { text: "hops by fees: here only when they are high", here: ({ feeRatio }) => feeRatio > 1.5 },
  hopFeesLow: { text: "hops by fees: elsewhere when they are high", here: ({ feeRatio }) => feeRatio <= 1.5 },
  withhold: { text: "withholds its blocks", withholds: true },
  noSplit: { text: "always takes the work without a split", pin: "first" },
  bestPin: { text: "chooses the best split of the round", pin: "best" },
  empty: { text: "empty templates", empty: true },
  late: { text: "joins at half-time" },
  founder: { text: "mines while the new pool's log is shorter than the window" },
} as const satisfies Record<string, Strategy>;

export type StrategyName = keyof typeof STRATEGIES;

export function strategyOf(name: StrategyName): Strategy {
  return STRATEGIES[name];
}

export interface Miner {
  readonly name: string;
  /** Part of the pool's nominal hash rate, 0 to 1. */
  readonly part: number;
  readonly strategy: StrategyName;
}

/** The pool that a run has unless told otherwise: steady miners of all sizes, and one small miner for each strategy, so that none changes the pool much. */
export function population(): Miner[] {
  const miners: Miner[] = [
    [0.3, "30 %"],
    [0.15, "15 %"],
    [0.1, "10 %"],
    [0.05, "5 %"],
    [0.02, "2 %"],
    [0.01, "1 %"],
    [0.001, "0.1 %"],
    [0.0001, "0.01 %"],
    [0.00001, "0.001 %"],
  ].map(([part, text]) => ({ name: `steady ${text}`, part: part as number, strategy: "steady" }));
  for (const strategy of Object.keys(STRATEGIES) as StrategyName[]) {
    if (strategy !== "steady") miners.push({ name: strategy, part: strategy === "churn" ? 0.05 : 0.01, strategy });
  }
  const taken = miners.reduce((sum, { part }) => sum + part, 0);
  miners.push({ name: "the others", part: 1 - taken, strategy: "steady" });
  return miners;
}
