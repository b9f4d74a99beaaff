/** Bounds that several schemes check. */
import { RewardsError } from "./errors.js";
import type { NetworkTargets } from "./scheme.js";

/** Throws `rewards.invalidAmount` for a block's value that is less than nothing. */
export function checkValue(value: bigint): void {
  if (value < 0n) throw new RewardsError("rewards.invalidAmount", `expected a value of 0 satoshis or more, got ${value}`);
}

/** Throws `rewards.invalidFee` for a rate that is no whole number of 0 to 1,000,000 parts per million. */
export function checkFeePpm(feePpm: number): void {
  if (!Number.isInteger(feePpm) || feePpm < 0 || feePpm > 1_000_000) {
    throw new RewardsError("rewards.invalidFee", `expected a fee of 0 to 1000000 ppm, got ${feePpm}`);
  }
}

/** Throws `rewards.invalidPolicy` for targets that nothing can meet. */
export function checkTargets({ difficultyOne, target }: NetworkTargets): void {
  if (target <= 0n || difficultyOne <= 0n) {
    throw new RewardsError("rewards.invalidPolicy", `expected targets above 0, got ${target}, and ${difficultyOne} for difficulty one`);
  }
}
