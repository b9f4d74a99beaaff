/** Shared by the tests of the simulation: a few replicas of a small pool. */
import {
  CALM,
  type Miner,
  type NetworkOptions,
  type Replay,
  replay,
  type Summary,
  schemeNamed,
  summarise,
} from "../../src/simulation/index.js";

export interface World {
  readonly schemes: readonly string[];
  readonly miners: readonly Miner[];
  readonly replicas: number;
  readonly days: number;
  readonly poolShare: number;
  readonly network?: NetworkOptions;
  readonly jobSeconds?: number;
  readonly orphans?: number;
  readonly fee?: number;
  readonly seed?: number;
}

export function live(world: World): { readonly replicas: Replay[]; readonly summary: Summary } {
  const { network = CALM, jobSeconds = 40, orphans = 0, fee = 0, seed = 1, miners, days, poolShare } = world;
  const schemes = world.schemes.map((label) => {
    const scheme = schemeNamed(label);
    if (scheme === undefined) throw new Error(`there is no scheme ${label}`);
    return scheme;
  });
  const replicas = Array.from({ length: world.replicas }, (_, i) => {
    return ended(replay({ schemes, miners, network, days, poolShare, jobSeconds, orphans, fee, seed: 1000 * seed + i }));
  });
  return { replicas, summary: summarise(miners, schemes, replicas) };
}

export function ended<Result>(run: Generator<number, Result, void>): Result {
  for (;;) {
    const step = run.next();
    if (step.done === true) return step.value;
  }
}
