/** What a pool may do by its own rules, but not unseen. */
import { schemeToJson } from "@openprime/rewards";
import { hex } from "../hex.js";
import type { Settlement } from "../types.js";

/** The scheme, its parameters or the fee are not those of the document before. */
export function changedTerms(before: Settlement | undefined, { kind, scheme, feePpm }: Settlement): string[] {
  if (before === undefined || kind === "reversal") return [];
  const notes: string[] = [];
  const [was, is] = [before.scheme, scheme].map((one) => JSON.stringify(schemeToJson(one)));
  if (was !== is) notes.push(`the scheme was ${was} in the document before, and is ${is}`);
  if (before.feePpm !== feePpm) notes.push(`feePpm was ${before.feePpm} in the document before, and is ${feePpm}`);
  return notes;
}

/** Accounts that the coinbase paid more than they had: the next who earn make up for it. */
export function overpaid({ kind, lines }: Settlement): string[] {
  if (kind === "reversal") return [];
  return lines
    .filter(({ before, earned, fee, paid }) => paid > 0n && paid > before + earned + fee)
    .map(({ script, paid, balance }) => `the coinbase paid ${hex(script)} ${paid}, which leaves it with ${balance}`);
}
