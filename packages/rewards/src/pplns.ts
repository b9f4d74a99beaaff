/**
 * PPLNS: pay per last N shares (Rosenfeld, "Analysis of Bitcoin Pooled Mining Reward Systems", section 5). N is an amount of work: that of the pool's last
 * found blocks, or a multiple of the network's difficulty.
 *
 * A window of found blocks is short after lucky ones and long after unlucky ones. A share's expected pay then depends on when it comes: with one
 * block it is the proportional scheme, which pays more for shares early in a round; the more blocks, the less there is to gain. A window of difficulty has
 * no such moments.
 */
import { RewardsError } from "./errors.js";
import type { Scheme } from "./scheme.js";
import { difficultyWindow, divideOverWindow } from "./window-division.js";

/** Everything since the pin of the `blocks`-th last block of the pool, or the last `multiplier` × network difficulty. */
export type PplnsWindow = { readonly blocks: number } | { readonly multiplier: bigint };

/** PPLNS over one of its windows; the division is the one of TIDES. */
export function pplns(window: PplnsWindow): Scheme {
  if ("multiplier" in window) {
    const { multiplier } = window;
    return {
      name: "pplns",
      options: { name: "pplns", multiplier },
      window: difficultyWindow(multiplier),
      earned: divideOverWindow,
    };
  }
  const { blocks } = window;
  if (!Number.isSafeInteger(blocks) || blocks < 1) {
    throw new RewardsError("rewards.invalidPolicy", `expected a window of 1 block or more, got ${blocks}`);
  }
  return { name: "pplns", options: { name: "pplns", blocks }, window: { kind: "blocks", count: blocks }, earned: divideOverWindow };
}
