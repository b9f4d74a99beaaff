/** Solo: who finds a block takes it. */
import { checkFeePpm, checkValue } from "./checks.js";
import type { Earnings, RewardedBlock, Scheme } from "./scheme.js";
import { PPM } from "./share-window.js";

/** The finder takes the value less the fee, floor(value × fee rate / 10^6). A block without a finder is the pool's. */
export function solo(): Scheme {
  return { name: "solo", options: { name: "solo" }, window: { kind: "none" }, earned };
}

function earned({ value, finder, feePpm = 0 }: RewardedBlock): Earnings {
  checkValue(value);
  checkFeePpm(feePpm);
  if (finder === undefined) return { fee: value, accounts: [], amounts: [] };
  const fee = (value * BigInt(feePpm)) / PPM;
  return { fee, accounts: [finder], amounts: [value - fee] };
}
