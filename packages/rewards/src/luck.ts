/**
 * Luck: how many blocks an account's work was due to find, how many it found, and how likely so few are by chance.
 *
 * An account that hands in its shares and keeps its blocks back earns as before and costs all others; nothing else shows it. Blocks found by honest
 * work are a Poisson process, so the number found has the Poisson distribution with the number due as its mean.
 *
 * These are figures to look at, not money: plain floating point, which is good for some twelve digits here.
 */
import { checkTargets } from "./checks.js";
import { RewardsError } from "./errors.js";
import type { NetworkTargets } from "./scheme.js";

export interface Luck {
  /** Blocks that the work was due to find. */
  readonly expected: number;
  readonly found: number;
  /** found / expected: 1 is as expected, 0.5 half of it. Undefined when nothing was expected. */
  readonly ratio: number | undefined;
  /** Probability that honest work finds so few blocks, or fewer. Small means withholding or very bad luck; with n accounts looked at, one of 1/n is normal. */
  readonly pValue: number;
}

/** Terms of the tail's sum grow with the root of the mean: some hundred thousand at this one. */
const MAX_EXPECTED = 1e9;

/** Blocks that shares of this weight were due to find at these targets; the sum over an account's segments is its `expected`. */
export function expectedBlocks(weight: bigint, targets: NetworkTargets): number {
  checkTargets(targets);
  if (weight < 0n) throw new RewardsError("rewards.invalidWeight", `expected a weight of 0 or more, got ${weight}`);
  return Number(weight) * (Number(targets.target) / Number(targets.difficultyOne));
}

/** The luck of work that was due to find `expected` blocks and found `found`. Bounds and errors are those of `poissonTail`. */
export function luckOf(expected: number, found: number): Luck {
  return { expected, found, ratio: expected > 0 ? found / expected : undefined, pValue: poissonTail(expected, found) };
}

/**
 * P(X <= found) for X of the Poisson distribution with mean `expected`.
 *
 * The sum of the smaller tail, outwards from its largest term, has positive, falling terms only, so nothing cancels; the first term is
 * computed as C. Loader does ("Fast and Accurate Computation of Binomial Probabilities", 2000), without taking the difference of large logarithms.
 *
 * @param expected 0 to 10^9
 * @param found a whole number, 0 or more
 * @throws RewardsError `rewards.invalidLuck`
 */
export function poissonTail(expected: number, found: number): number {
  if (!(expected >= 0 && expected <= MAX_EXPECTED) || !Number.isSafeInteger(found) || found < 0) {
    throw new RewardsError(
      "rewards.invalidLuck",
      `expected 0 to ${MAX_EXPECTED} blocks due and a whole number found, got ${expected}, ${found}`,
    );
  }
  if (expected === 0) return 1;
  if (found < expected) return Math.min(1, probability(expected, found) * sumOfRatios(found, (k) => k / expected, -1));
  return 1 - probability(expected, found + 1) * sumOfRatios(found + 2, (k) => expected / k, 1);
}

/** 1 + r(k) + r(k) r(k + step) + …, until a term changes nothing any more. */
function sumOfRatios(first: number, ratio: (k: number) => number, step: 1 | -1): number {
  let sum = 1;
  let term = 1;
  for (let k = first; term > sum * Number.EPSILON * 1e-3; k += step) {
    term *= ratio(k);
    sum += term;
  }
  return sum;
}

/** P(X = k), mean above 0. */
function probability(mean: number, k: number): number {
  if (k === 0) return Math.exp(-mean);
  return Math.exp(-stirlingError(k) - deviance(k, mean)) / Math.sqrt(2 * Math.PI * k);
}

/** ln k! less Stirling's formula: ln(√(2πk) (k/e)^k). */
function stirlingError(k: number): number {
  if (k < 16) {
    let factorial = 1;
    for (let i = 2; i <= k; i++) factorial *= i;
    return Math.log(factorial) - (k + 0.5) * Math.log(k) + k - 0.5 * Math.log(2 * Math.PI);
  }
  const square = k * k;
  return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / square) / square) / square) / square) / k;
}

/** k ln(k / mean) + mean - k, by a series where the two are near each other. */
function deviance(k: number, mean: number): number {
  const difference = k - mean;
  if (Math.abs(difference) >= 0.1 * (k + mean)) return k * Math.log(k / mean) + mean - k;
  const v = difference / (k + mean);
  let sum = difference * v;
  let power = 2 * k * v;
  for (let j = 3; ; j += 2) {
    power *= v * v;
    const next = sum + power / j;
    if (next === sum) return sum;
    sum = next;
  }
}
