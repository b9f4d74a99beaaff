/**
 * Pay-per-share: the pool's own funds pay every share what it is worth on average, and blocks are the pool's.
 *
 * A share of difficulty w is found as often as w × target / difficulty-one target blocks. The pool bears all of the luck, and with DATUM more than that:
 * the miner makes the template, so the pool pays for fees that a template may not hold and for blocks that may never be handed in.
 */
import { checkTargets, checkValue } from "./checks.js";
import { RewardsError } from "./errors.js";
import type { Earnings, RewardedBlock, Scheme, ShareValue } from "./scheme.js";
import { type AccountSum, netWeightOf, PPM } from "./share-window.js";

/** Pay-per-share (`pps`: of the subsidy), or full pay-per-share (`fpps`: of the subsidy and the recent fees on average). */
export function perShare(name: "pps" | "fpps"): Scheme & Required<Pick<Scheme, "credit">> {
  return {
    name,
    options: { name },
    window: { kind: "none" },
    earned: poolOnly,
    credit: (sums, value) => credit(sums, value, name === "fpps" ? value.subsidy + value.averageFees : value.subsidy),
  };
}

function poolOnly({ value }: RewardedBlock): Earnings {
  checkValue(value);
  return { fee: value, accounts: [], amounts: [] };
}

/** Per sum floor(net weight × block value × target / (difficulty-one target × 10^6)). */
function credit(sums: readonly AccountSum[], value: ShareValue, blockValue: bigint): bigint[] {
  checkTargets(value);
  if (value.subsidy < 0n || value.averageFees < 0n) {
    throw new RewardsError(
      "rewards.invalidAmount",
      `expected a subsidy and fees of 0 satoshis or more, got ${value.subsidy}, ${value.averageFees}`,
    );
  }
  const worth = blockValue * value.target;
  const whole = value.difficultyOne * PPM;
  return sums.map((sum) => (netWeightOf(sum) * worth) / whole);
}
