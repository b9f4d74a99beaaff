/** A coverage-guided fuzz: mutates inputs that reached something new, keeps what reaches more, reports what breaks a property. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { readCorpus, writeCorpus } from "./corpus.js";
import type { Coverage } from "./coverage.js";
import { mutate } from "./mutate.js";
import { Random } from "./random.js";
import { Watchdog } from "./watchdog.js";

/** What is fuzzed: runs one input, and throws when a property does not hold. */
export interface Target {
  readonly name: string;
  /** Inputs to begin with, besides the kept ones. */
  readonly seeds: readonly Uint8Array[];
  /** Part of the run's inputs; parts of all targets are added up. */
  readonly part: number;
  run(input: Uint8Array): void | Promise<void>;
  /** Runs between two looks at the coverage; 1 where a run is long, or not the same every time. */
  readonly batch?: number;
  /** Inputs that one run counts for: a conversation holds several frames. 1 when absent. */
  readonly weight?: (input: Uint8Array) => number;
  /** What it counted by itself, for the report. */
  figures?(): Readonly<Record<string, number>>;
  close?(): Promise<void>;
}

export interface FuzzOptions {
  /** Of all targets together. */
  readonly inputs: number;
  /** Ends sooner then. */
  readonly seconds?: number;
  readonly seed: number;
  /** Writes the inputs that reached something back to the kept ones. */
  readonly save: boolean;
}

export interface Finding {
  readonly target: string;
  readonly what: string;
  /** Hex. */
  readonly input: string;
}

export interface TargetReport {
  readonly target: string;
  readonly inputs: number;
  readonly perSecond: number;
  /** Inputs that reach something of their own. */
  readonly corpus: number;
  readonly figures: Readonly<Record<string, number>>;
}

export interface FuzzReport {
  readonly seed: number;
  readonly inputs: number;
  readonly seconds: number;
  readonly findings: readonly Finding[];
  readonly targets: readonly TargetReport[];
  /** Of the decoder and the pool's rooms: functions that ran, and how much of their text. */
  readonly coverage: { readonly functions: number; readonly percent: number };
  /** Megabytes after a collection, at the start and the highest since. */
  readonly heap: { readonly start: number; readonly highest: number };
  readonly rss: { readonly start: number; readonly highest: number };
}

/** Runs between two looks at the coverage, where a run takes less time than a look. */
const BATCH = 64;
/** Runs of one input; the decoders take microseconds. */
const HANG_MS = 20_000;
const MOST_FINDINGS = 20;
const MOST_INPUTS_KEPT = 2000;
const MEMORY_EVERY_MS = 2000;
/** What a run may hold beyond its start: its own inputs, and what the collector has not given back. */
const HEAP_CEILING_MB = 96;
const RSS_CEILING_MB = 384;

/** What a target's `run` throws when a property does not hold; other errors are findings all the same. */
export class PropertyError extends Error {
  override readonly name = "PropertyError";
}

/** Ends an input with a finding unless the property holds. @throws PropertyError */
export function holds(good: boolean, property: string): void {
  if (!good) throw new PropertyError(property);
}

/** Runs all targets, one after another, and reports. */
export async function fuzz(
  targets: readonly Target[],
  options: FuzzOptions,
  coverage: Coverage,
  say: (line: string) => void,
): Promise<FuzzReport> {
  const run = new Run(options, coverage, say);
  const parts = targets.reduce((sum, { part }) => sum + part, 0);
  for (const target of targets) await run.target(target, target.part / parts);
  return run.end();
}

class Run {
  readonly #random: Random;
  readonly #watchdog = new Watchdog(HANG_MS);
  readonly #started = performance.now();
  readonly #findings: Finding[] = [];
  readonly #targets: TargetReport[] = [];
  readonly #memory: Memory;
  #inputs = 0;

  constructor(
    private readonly options: FuzzOptions,
    private readonly coverage: Coverage,
    private readonly say: (line: string) => void,
  ) {
    this.#random = new Random(options.seed);
    this.#memory = new Memory();
  }

  async target(target: Target, part: number): Promise<void> {
    const { inputs, seconds = Number.POSITIVE_INFINITY } = this.options;
    const began = performance.now();
    const kept: Uint8Array[] = [];
    let done = 0;
    // Targets share rooms: what another one reached is not new, so each input to begin with is kept, and looked at by itself.
    for (const input of [...target.seeds, ...readCorpus(target.name)]) {
      done += await this.#one(target, input);
      if (this.coverage.look() || kept.length < target.seeds.length) kept.push(input);
    }
    const goal = Math.floor(inputs * part);
    const size = target.batch ?? BATCH;
    while (done < goal && performance.now() - began < seconds * 1000 * part && this.#findings.length < MOST_FINDINGS) {
      const batch = Array.from({ length: size }, () => mutate(this.#random.pick(kept), this.#random, kept));
      for (const input of batch) done += await this.#one(target, input);
      const [only] = batch;
      if (size === 1 && only !== undefined) {
        if (this.coverage.look() && kept.length < MOST_INPUTS_KEPT) kept.push(only);
      } else if (this.coverage.glance()) {
        // Again, one by one: which of them was it?
        for (const input of batch) {
          done += await this.#one(target, input);
          if (this.coverage.look() && kept.length < MOST_INPUTS_KEPT) kept.push(input);
        }
      }
      this.#memory.look(target.name, this.#findings);
    }
    const elapsed = (performance.now() - began) / 1000;
    this.#inputs += done;
    this.#targets.push({
      target: target.name,
      inputs: done,
      perSecond: Math.round(done / elapsed),
      corpus: kept.length,
      figures: target.figures?.() ?? {},
    });
    this.say(`${target.name}: ${done} inputs in ${elapsed.toFixed(1)} s, ${kept.length} kept`);
    if (this.options.save) writeCorpus(target.name, kept);
    await target.close?.();
  }

  async #one(target: Target, input: Uint8Array): Promise<number> {
    this.#watchdog.next(input);
    try {
      await target.run(input);
    } catch (error) {
      const what =
        error instanceof Error ? (error instanceof PropertyError ? error.message : (error.stack ?? error.message)) : String(error);
      this.#findings.push({ target: target.name, what, input: Buffer.from(input).toString("hex") });
      this.say(`FINDING in ${target.name}: ${what}\n  its input: ${Buffer.from(input).toString("hex")}`);
    }
    return target.weight?.(input) ?? 1;
  }

  async end(): Promise<FuzzReport> {
    await this.#watchdog.stop();
    return {
      seed: this.options.seed,
      inputs: this.#inputs,
      seconds: (performance.now() - this.#started) / 1000,
      findings: this.#findings,
      targets: this.#targets,
      coverage: this.coverage.figures,
      ...this.#memory.figures,
    };
  }
}

/** Megabytes after a collection. */
interface Held {
  readonly heap: number;
  readonly rss: number;
}

class Memory {
  readonly #collect: () => void;
  readonly #start: Held;
  #highest: Held;
  #looked = performance.now();

  constructor() {
    setFlagsFromString("--expose-gc");
    this.#collect = runInNewContext("gc") as () => void;
    this.#start = this.#held();
    this.#highest = this.#start;
  }

  #held(): Held {
    this.#collect();
    const { heapUsed, external, rss } = process.memoryUsage();
    return { heap: (heapUsed + external) / 2 ** 20, rss: rss / 2 ** 20 };
  }

  /** Now and then: what a run holds after a collection must not grow with its inputs. */
  look(target: string, findings: Finding[]): void {
    if (performance.now() - this.#looked < MEMORY_EVERY_MS) return;
    this.#looked = performance.now();
    const now = this.#held();
    this.#highest = { heap: Math.max(now.heap, this.#highest.heap), rss: Math.max(now.rss, this.#highest.rss) };
    for (const [kind, ceiling] of [
      ["heap", HEAP_CEILING_MB],
      ["rss", RSS_CEILING_MB],
    ] as const) {
      const more = now[kind] - this.#start[kind];
      if (more > ceiling) findings.push({ target, what: `${kind} grew by ${more.toFixed(0)} MB, ${ceiling} are allowed`, input: "" });
    }
  }

  get figures(): Pick<FuzzReport, "heap" | "rss"> {
    const of = (kind: "heap" | "rss") => ({ start: Math.round(this.#start[kind]), highest: Math.round(this.#highest[kind]) });
    return { heap: of("heap"), rss: of("rss") };
  }
}
