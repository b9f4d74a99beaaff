/** TIDES: every share counts by its difficulty while it is among the last N × network difficulty of accepted work (ocean.xyz/docs/tides). */
import { RewardsError } from "./errors.js";
import { largestRemainder } from "./largest-remainder.js";
import type { Earnings, NetworkTargets, RewardedBlock, Scheme } from "./scheme.js";
import { PPM, type WindowWeights } from "./share-window.js";

/** Window of TIDES as published: eight times the network's difficulty. */
export const TIDES_MULTIPLIER = 8n;

/**
 * TIDES with a window of `multiplier` × network difficulty.
 *
 * The fee is floor(value × Σ(weight × fee rate) / (Σ weight × 10^6)): each share carries the rate it was accepted under. The rest is divided in proportion
 * to what each account's shares have left after their fee, weight × (10^6 - fee rate), by floor and largest remainder, ties by account id.
 * Over an empty window everything is the pool's.
 */
export function tides(multiplier: bigint = TIDES_MULTIPLIER): Scheme {
  if (multiplier <= 0n) throw new RewardsError("rewards.invalidPolicy", `expected a window multiplier above 0, got ${multiplier}`);
  return {
    name: "tides",
    windowSize({ difficultyOne, target }: NetworkTargets): bigint {
      if (target <= 0n) throw new RewardsError("rewards.invalidPolicy", `expected a target above 0, got ${target}`);
      const size = (multiplier * difficultyOne) / target;
      return size > 0n ? size : 1n;
    },
    earned,
  };
}

function earned({ value }: RewardedBlock, window: WindowWeights): Earnings {
  if (value < 0n) throw new RewardsError("rewards.invalidAmount", `expected a value of 0 satoshis or more, got ${value}`);
  const { accounts, netWeights, totalWeight, totalNetWeight } = window;
  if (totalNetWeight === 0n) return { fee: value, accounts, amounts: accounts.map(() => 0n) };
  const whole = totalWeight * PPM;
  const fee = (value * (whole - totalNetWeight)) / whole;
  return { fee, accounts, amounts: largestRemainder(value - fee, netWeights, totalNetWeight) };
}
