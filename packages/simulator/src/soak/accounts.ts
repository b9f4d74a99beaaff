/** The accounts of the soak's miners. */
import { minerAddress } from "../gateway/addresses.js";

/** Witness addresses only: a split of over 90 legacy ones would be cut. The simulator's kinds take turns, the first two are witness. */
export function soakUsernames(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${minerAddress("soak", Math.floor(i / 2) * 5 + (i % 2))}.rig`);
}
