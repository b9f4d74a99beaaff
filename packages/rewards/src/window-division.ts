/** What the schemes have in common that divide a block over a window of the log. */
import { checkTargets, checkValue } from "./checks.js";
import { RewardsError } from "./errors.js";
import { Proportions } from "./largest-remainder.js";
import type { Earnings, NetworkTargets, RewardedBlock, WindowRule } from "./scheme.js";
import { type AccountId, PPM, type WindowWeights } from "./share-window.js";

/** Far more than anyone wants; it keeps what is published within 64 bits. */
const MAX_MULTIPLIER = 2n ** 63n - 1n;

/** A window of floor(multiplier × difficulty-one target / target) units of weight, at least 1. */
export function difficultyWindow(multiplier: bigint): WindowRule {
  if (typeof multiplier !== "bigint" || multiplier < 1n || multiplier > MAX_MULTIPLIER) {
    throw new RewardsError("rewards.invalidPolicy", `expected a window multiplier of 1 to ${MAX_MULTIPLIER}, got ${multiplier}`);
  }
  const size = (targets: NetworkTargets): bigint => {
    checkTargets(targets);
    const units = (multiplier * targets.difficultyOne) / targets.target;
    return units > 0n ? units : 1n;
  };
  return { kind: "difficulty", size };
}

/** Many values are divided over one window when everybody asks after a new block. By the window's net weights. */
const prepared = new WeakMap<readonly bigint[], Proportions>();

/**
 * The fee is floor(value × Σ(weight × fee rate) / (Σ weight × 10^6)): each share carries the rate it was accepted under. The rest is divided in proportion
 * to what each account's shares have left after their fee, weight × (10^6 - fee rate), by floor and largest remainder, ties by account id.
 * Over an empty window everything is the pool's.
 *
 * @param only places in the window of the accounts that are wanted; their earnings are the same as without it
 * @throws RewardsError `rewards.incompleteWindow` for a window that reaches back past what was loaded: its weights are not those of the window
 */
export function divideOverWindow({ value }: RewardedBlock, window: WindowWeights, only?: readonly number[]): Earnings {
  checkValue(value);
  const { netWeights, totalWeight, totalNetWeight, complete } = window;
  const accounts = only === undefined ? window.accounts : only.map((place) => window.accounts[place] as AccountId);
  if (!complete) throw new RewardsError("rewards.incompleteWindow", "expected a whole window, got one that is loaded in part");
  if (totalNetWeight === 0n) return { fee: value, accounts, amounts: accounts.map(() => 0n) };
  const whole = totalWeight * PPM;
  const fee = (value * (whole - totalNetWeight)) / whole;
  let proportions = prepared.get(netWeights);
  if (proportions === undefined) {
    proportions = new Proportions(netWeights, totalNetWeight);
    prepared.set(netWeights, proportions);
  }
  return { fee, accounts, amounts: proportions.divide(value - fee, only) };
}
