/** TIDES: every share counts by its difficulty while it is among the last N × network difficulty of accepted work (ocean.xyz/docs/tides). */
import type { Scheme } from "./scheme.js";
import { difficultyWindow, divideOverWindow } from "./window-division.js";

/** Window of TIDES as published: eight times the network's difficulty. */
export const TIDES_MULTIPLIER = 8n;

/**
 * TIDES with a window of `multiplier` × network difficulty. A share counts in all blocks that are found while it is inside, so it is paid `multiplier` times
 * on average, whatever the pool's luck was when it came.
 */
export function tides(multiplier: bigint = TIDES_MULTIPLIER): Scheme {
  return {
    name: "tides",
    options: { name: "tides", multiplier },
    window: difficultyWindow(multiplier),
    earned: divideOverWindow,
  };
}
