/**
 * A year of a pool's life, event by event: blocks of the network, miners who come and go, retargets, pins. All schemes are judged over the same
 * shares and the same blocks, so that they differ by nothing but themselves.
 *
 * What is simplified, and why it leans no way:
 * - Shares are not single: between two events the number of a miner's shares is one Poisson draw of the same mean, which is what counting single ones
 *   would give; their order inside that stretch is looked at by nothing.
 * - Shares that are blocks and shares that aren't are drawn apart, the blocks by hash rate. That is exact: the two parts of a Poisson stream, each share
 *   a block with the same small chance, are independent.
 * - Hash rates and fees of the network change at blocks, not between them.
 * - A segment ends with the tip or when the pool is due to have done a certain work since it began; its weight differs from that by the luck of shares, which is
 *   less than a thousandth.
 * - An orphaned block pays nobody, and costs the network no time.
 * - Before the year the pool fills its window (under accounts that aren't measured), after it the measured accounts' shares run out while the miners
 *   mine on under others: each share mined in the year has all it earns counted, and nothing else is.
 */
import { createScheme, segmentLimit } from "@openprime/rewards";
import { type Habits, type Judge, judgeOf, type PinName, type Prospect, ppmOf, SHADOW, type Tally, targetsOf } from "./judge.js";
import { type Miner, type Sight, type Strategy, strategyOf } from "./miners.js";
import { DAY, Network, type NetworkOptions } from "./network.js";
import { Random } from "./random.js";
import type { JudgedScheme } from "./schemes.js";
import { WorkCounter } from "./work-counter.js";

export interface ReplayOptions {
  readonly schemes: readonly JudgedScheme[];
  readonly miners: readonly Miner[];
  readonly network: NetworkOptions;
  readonly days: number;
  readonly seed: number;
  /** The pool's nominal part of the network's hash rate. */
  readonly poolShare: number;
  /** Part of blocks that don't end on the chain. */
  readonly orphans: number;
  /** The pool's fee, as a part. */
  readonly fee: number;
  /** A job is this old when the next replaces it, seconds; a block's pin is as old as its job. */
  readonly jobSeconds: number;
}

/** What a run found out about one miner, apart from schemes. Values in satoshis. */
export interface MinerFacts {
  /** Expected value of its hashes here while it was measured: for each its chance of a block times that block's value then. */
  readonly fair: number;
  /** The same by the weight of its shares, which differs by the luck of finding shares. */
  readonly credited: number;
  /** Fair value of the hashes it made elsewhere. */
  readonly elsewhere: number;
  /** Blocks that it handed in, and should have by its work here, in the measured time. */
  readonly found: number;
  readonly due: number;
  /** Fair value of each day here. */
  readonly fairByDay: Float64Array;
}

export interface Replay {
  readonly miners: readonly MinerFacts[];
  /** In the order of the options. */
  readonly tallies: readonly Tally[];
  readonly blocks: { readonly network: number; readonly pool: number; readonly orphaned: number };
}

/** Difficulty of every share: what vardiff gives a machine of 150 TH/s for a share in 7.5 seconds. Large miners have many machines. */
const SHARE_WEIGHT = 2 ** 18;
/** In one of so many rounds other pins than the last are weighed, and count so many times. */
const PIN_ROUNDS = 8;
/** The segments that miners look at. */
const TIDES = createScheme({ name: "tides", multiplier: 8n });
/** Splits are given out again for five minutes at most; which is when a patient miner asks a second time. */
const MIDDLE_SECONDS = 300;

/** Runs one replica. Yields the day that it has come to, about once a week, so that the caller can show progress or stop. */
export function* replay(options: ReplayOptions): Generator<number, Replay, void> {
  return yield* new Run(options).rounds();
}

interface State {
  readonly strategy: Strategy;
  readonly part: number;
  /** When it mines at all, and when it is measured: seconds. */
  readonly joins: number;
  readonly from: number;
  readonly to: number;
  /** Of those who come and go. */
  present: boolean;
  flips: number;
  here: boolean;
  /** Work since the last flush, and its fair value. */
  pending: number;
  worth: number;
  fair: number;
  credited: number;
  elsewhere: number;
  found: number;
  due: number;
  readonly fairByDay: Float64Array;
}

class Run {
  readonly #network: Network;
  readonly #states: State[];
  readonly #judges: Judge[];
  readonly #chain: Random;
  readonly #shares: Random;
  readonly #comings: Random;
  readonly #end: number;
  readonly #start: number;
  readonly #habits: Habits;
  /** Sum of all miners' parts. */
  readonly #wholePool: number;
  readonly #boundaries: readonly number[];
  readonly #chances: Float64Array;
  readonly #blocks = { network: 0, pool: 0, orphaned: 0 };
  /** Work since the pool's last block. */
  readonly #age: WorkCounter;
  /** Work since the last segment under TIDES began, and the same under each scheme. */
  readonly #segment: WorkCounter;
  readonly #segments: readonly WorkCounter[];
  #time: number;
  #tipSince: number;

  constructor(private readonly options: ReplayOptions) {
    const { seed, days, miners, poolShare, network, schemes, fee } = options;
    const windowSeconds = (8 / poolShare) * 600;
    this.#end = days * DAY;
    this.#start = -3 * windowSeconds;
    this.#time = this.#start;
    this.#tipSince = this.#start;
    this.#chain = new Random(seed, "chain");
    this.#shares = new Random(seed, "shares");
    this.#comings = new Random(seed, "comings");
    this.#network = new Network(network, new Random(seed, "network"), this.#start);
    this.#states = miners.map(({ strategy, part }) => {
      const measured = { joins: this.#start, from: 0, to: this.#end };
      if (strategy === "late") measured.joins = measured.from = this.#end / 2;
      if (strategy === "founder") [measured.from, measured.to] = [this.#start, this.#start + windowSeconds];
      return this.#state(strategyOf(strategy), part, measured);
    });
    this.#habits = {
      pin: this.#states.map(({ strategy }) => strategy.pin),
      empty: this.#states.map(({ strategy }) => strategy.empty === true),
    };
    this.#judges = schemes.map((scheme) => judgeOf(scheme, this.#habits, days, ppmOf(fee)));
    this.#wholePool = miners.reduce((sum, { part }) => sum + part, 0);
    this.#boundaries = [...new Set(this.#states.flatMap(({ joins, from, to }) => [joins, from, to]))].sort((a, b) => a - b);
    this.#age = new WorkCounter(this.#states.flatMap(({ strategy }) => strategy.ages ?? []));
    const segmentAges = this.#states.flatMap(({ strategy }) => strategy.segmentAges ?? []);
    this.#segment = new WorkCounter(segmentAges.length === 0 ? [] : [...segmentAges, 1]);
    this.#segments = this.#judges.map(() => new WorkCounter([1]));
    this.#chances = new Float64Array(miners.length);
  }

  *rounds(): Generator<number, Replay, void> {
    let week = 0;
    while (this.#time < this.#end || !this.#judges.every(({ drained }) => drained)) {
      this.#round();
      if (this.#time < (week + 1) * 7 * DAY) continue;
      week++;
      yield Math.min(this.options.days, Math.round(this.#time / DAY));
    }
    const miners = this.#states.map(({ fair, credited, elsewhere, found, due, fairByDay }) => {
      return { fair, credited, elsewhere, found, due, fairByDay };
    });
    return { miners, tallies: this.#judges.map(({ tally }) => tally), blocks: this.#blocks };
  }

  #state(strategy: Strategy, part: number, measured: { joins: number; from: number; to: number }): State {
    const days = strategy.comesAndGoes;
    return {
      strategy,
      part,
      ...measured,
      present: days === undefined || this.#comings.uniform() < 0.5,
      flips: days === undefined ? Number.POSITIVE_INFINITY : this.#time + days * DAY * this.#comings.exponential(),
      here: true,
      pending: 0,
      worth: 0,
      fair: 0,
      credited: 0,
      elsewhere: 0,
      found: 0,
      due: 0,
      fairByDay: new Float64Array(this.options.days),
    };
  }

  /** From one block of the network to the next. */
  #round(): void {
    const network = this.#network;
    const { difficulty, rate, fees } = network;
    const subsidy = BigInt(this.options.network.subsidy);
    const full = subsidy + BigInt(fees);
    for (const [i, judge] of this.#judges.entries()) {
      judge.open(difficulty, subsidy, BigInt(Math.round(network.averageFees)));
      this.#segments[i]?.restart(judge.segmentWork);
    }
    this.#segment.restart(Number(segmentLimit(TIDES.window, targetsOf(difficulty))));
    this.#age.unit = difficulty;
    this.#tipSince = this.#time;
    this.#decide();

    const unit = this.options.poolShare * rate;
    const withheld = this.#states.reduce((sum, { strategy, part }) => sum + (strategy.withholds === true ? part * unit : 0), 0);
    const length = (this.#chain.exponential() * difficulty) / (rate - withheld);
    // Where in the network's hash rate the finder stands. Miners with pins of their own come first, so that they are known before the round runs.
    const place = this.#chain.uniform() * (rate - withheld);
    const orphaned = this.#chain.uniform() < this.options.orphans;
    const weighPins = this.#chain.uniform() * PIN_ROUNDS < 1 && this.#habits.pin.some((pin) => pin !== undefined);
    const start = this.#time;
    const end = start + length;
    const drawn = start + length * this.#chain.uniform();
    const pinOf = (time: number) => Math.max(start, time - this.options.jobSeconds * this.#chain.uniform());

    const moments: [time: number, happens: () => void][] = [
      [pinOf(drawn), () => this.#mark("drawn", full)],
      [drawn, () => this.#expect({ full, empty: subsidy, pinWeight: weighPins ? PIN_ROUNDS : 0 }, unit, length)],
    ];
    if (weighPins || this.#pinnerAt(place, unit) !== undefined) {
      moments.push([start, () => this.#mark("first", full)]);
      if (start + MIDDLE_SECONDS < end) moments.push([start + MIDDLE_SECONDS, () => this.#mark("middle", full)]);
    }
    if (place < this.#wholePool * unit) moments.push([pinOf(end), () => this.#mark("last", full)]);
    for (const { strategy } of this.#states) {
      const changes = start + (strategy.afterTip ?? length);
      if (changes < end) moments.push([changes, () => this.#decide()]);
    }
    for (const [time, happens] of moments.sort(([a], [b]) => a - b)) {
      this.#mineUntil(time, full);
      happens();
    }
    this.#mineUntil(end, full);

    const finder = this.#finderAt(place, unit);
    const day = this.#day();
    if (finder !== undefined) this.#count(finder, orphaned, full);
    for (const judge of this.#judges) judge.close({ full, empty: subsidy, finder: orphaned ? undefined : finder, day });
    if (day !== undefined) this.#blocks.network++;
    network.found(length);
  }

  /** Now a block may be found: what would be earned. */
  #expect(prospect: Omit<Prospect, "chances">, unit: number, length: number): void {
    const perUnit = ((1 - this.options.orphans) * unit * length) / this.#network.difficulty;
    for (const [i, { here, part, strategy }] of this.#states.entries()) {
      this.#chances[i] = here && strategy.withholds !== true ? part * perUnit : 0;
    }
    for (const judge of this.#judges) judge.expect({ ...prospect, chances: this.#chances });
  }

  #count(finder: number, orphaned: boolean, value: bigint): void {
    const state = this.#states[finder] as State;
    const measured = this.#time > state.from && this.#time <= state.to;
    this.#credit(finder, 1, this.#worth(value), measured);
    if (measured) state.found++;
    if (!orphaned) this.#age.restart();
    if (this.#day() === undefined) return;
    this.#blocks.pool++;
    if (orphaned) this.#blocks.orphaned++;
  }

  #pinnerAt(place: number, unit: number): number | undefined {
    let sum = 0;
    for (const [i, state] of this.#states.entries()) {
      if (this.#habits.pin[i] === undefined || !state.here) continue;
      sum += state.part * unit;
      if (place < sum) return i;
    }
    return undefined;
  }

  #finderAt(place: number, unit: number): number | undefined {
    const pinner = this.#pinnerAt(place, unit);
    if (pinner !== undefined) return pinner;
    let sum = 0;
    for (const [i, state] of this.#states.entries()) if (this.#habits.pin[i] !== undefined && state.here) sum += state.part * unit;
    for (const [i, state] of this.#states.entries()) {
      if (this.#habits.pin[i] !== undefined || !state.here || state.strategy.withholds === true) continue;
      sum += state.part * unit;
      if (place < sum) return i;
    }
    return undefined;
  }

  /** Lets everyone mine up to a time, through the moments at which someone comes, goes or is measured from. */
  #mineUntil(end: number, value: bigint): void {
    const unit = this.options.poolShare * this.#network.rate;
    while (this.#time < end) {
      let next = end;
      for (const boundary of this.#boundaries) if (boundary > this.#time && boundary < next) next = boundary;
      for (const { flips } of this.#states) if (flips < next) next = flips;
      let pool = 0;
      for (const { here, part } of this.#states) if (here) pool += part * unit;
      const untilMark = this.#time + Math.min(...this.#counters().map(({ left }) => left)) / pool;
      const crosses = untilMark <= next;
      if (crosses) next = untilMark;
      this.#mine(next - this.#time, unit, value);
      for (const counter of this.#counters()) counter.add((next - this.#time) * pool);
      this.#time = next;
      if (next < end || crosses) {
        // Who mines, or under which account, changes here, or a segment ends: what was mined goes by what was so far.
        this.#flush();
        this.#cutSegments();
        this.#comeAndGo();
        this.#decide();
      }
    }
    this.#flush();
  }

  #counters(): readonly WorkCounter[] {
    return [this.#age, this.#segment, ...this.#segments];
  }

  #cutSegments(): void {
    for (const [i, judge] of this.#judges.entries()) {
      const segment = this.#segments[i];
      if (segment === undefined || segment.age < 1) continue;
      judge.cut();
      segment.restart();
    }
    if (this.#segment.age >= 1) this.#segment.restart();
  }

  #mine(seconds: number, unit: number, value: bigint): void {
    const { difficulty } = this.#network;
    const worth = this.#worth(value);
    const day = this.#day();
    for (const state of this.#states) {
      if (!state.present || this.#time < state.joins) continue;
      const work = state.part * unit * seconds;
      const measured = this.#time >= state.from && this.#time < state.to;
      if (!state.here) {
        if (measured) state.elsewhere += work * worth;
        continue;
      }
      state.pending += work;
      state.worth += work * worth;
      if (day !== undefined) state.fairByDay[day] = (state.fairByDay[day] as number) + work * worth;
      if (!measured) continue;
      state.fair += work * worth;
      state.due += work / difficulty;
    }
  }

  /** Draws the shares of the stretch that ends now. */
  #flush(): void {
    const { difficulty } = this.#network;
    // Now may be the first moment of the next stretch.
    const time = this.#time - 1e-6;
    for (const [i, state] of this.#states.entries()) {
      if (state.pending === 0) continue;
      const { pending, worth } = state;
      const count = this.#shares.poisson(pending / SHARE_WEIGHT - pending / difficulty);
      const measured = time >= state.from && time < state.to;
      state.pending = 0;
      state.worth = 0;
      if (count > 0) this.#credit(i, count, worth / pending, measured);
    }
  }

  /** Adds shares of a miner. @param worth fair value of a unit of work */
  #credit(miner: number, count: number, worth: number, measured: boolean): void {
    const state = this.#states[miner] as State;
    const work = count * SHARE_WEIGHT;
    if (measured) state.credited += work * worth;
    const account = miner + 1 + (measured ? 0 : SHADOW);
    for (const judge of this.#judges) judge.add(account, BigInt(work));
  }

  #comeAndGo(): void {
    for (const state of this.#states) {
      if (state.flips > this.#time) continue;
      state.present = !state.present;
      state.flips = this.#time + (state.strategy.comesAndGoes ?? 0) * DAY * this.#comings.exponential();
    }
  }

  #decide(): void {
    const network = this.#network;
    const sight: Sight = {
      roundAge: this.#age.age,
      segmentAge: this.#segment.age,
      sinceTip: this.#time - this.#tipSince,
      blocksToRetarget: network.blocksToRetarget,
      expectedChange: network.expectedChange,
      feeRatio: network.fees / network.averageFees,
      windowBlocks: 8 / this.options.poolShare,
    };
    for (const state of this.#states) {
      state.here = state.present && this.#time >= state.joins && (state.strategy.here?.(sight) ?? true);
    }
  }

  #mark(pin: PinName, value: bigint): void {
    for (const judge of this.#judges) judge.mark(pin, value);
  }

  /** Fair value of a unit of work. */
  #worth(value: bigint): number {
    return (Number(value) * (1 - this.options.orphans)) / this.#network.difficulty;
  }

  #day(): number | undefined {
    const day = Math.floor(this.#time / DAY);
    return day >= 0 && day < this.options.days ? day : undefined;
  }
}
