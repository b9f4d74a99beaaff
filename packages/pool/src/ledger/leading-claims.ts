/**
 * Which claims can have a place in a split at all, for all values between two: of many thousand claims the wire has room for 512, and a thousand gateways
 * ask for splits at the same moment, each for another value.
 *
 * A split takes claims by turns from two queues, by size and by age, until 512 have had their turn (`split` of rewards). A claim that 512 others are sure
 * to be ahead of in both queues has none. Legacy claims are passed over once 90 had a turn, so they are counted apart, and 90 ahead are enough.
 * Claims that may turn out not to be paid are ahead of nobody.
 */
import { MAX_BLOB, MAX_LEGACY_OUTPUTS, MAX_OUTPUTS, type Payee } from "@openprime/rewards";

/** What an account may claim of any value between the two. Numbers, in which all of it is exact: ten thousand bigints are slow to sort. */
export interface ClaimRange {
  /** Satoshis, balance included. */
  readonly least: number;
  readonly most: number;
  /** Under this it claims nothing. */
  readonly floor: number;
  /** As for a split. */
  readonly dueSince: number | undefined;
  readonly payee: Pick<Payee, "script" | "legacySigops">;
}

/** Scripts up to this leave room for all outputs, whatever their mix. */
const ROOMY_SCRIPT = Math.floor((MAX_BLOB - 1) / MAX_OUTPUTS) - 9;

/** Which of the claims may have a turn. All, where a long script could be passed over for want of room. */
export function leadingClaims(claims: readonly ClaimRange[]): boolean[] {
  if (claims.some(({ payee }) => payee.script.length > ROOMY_SCRIPT)) return claims.map(() => true);
  const [plain, legacy] = [cutsOf(claims, false, MAX_OUTPUTS), cutsOf(claims, true, MAX_LEGACY_OUTPUTS)];
  return claims.map(({ most, dueSince, payee }) => {
    const { amount, since } = payee.legacySigops ? legacy : plain;
    // Those that are level with the last one that has room are told apart by the value, or by their ids.
    return amount === undefined || most >= amount || (dueSince !== undefined && (since === undefined || dueSince <= since));
  });
}

/** What the last claim of a kind has that sure claims leave room for, in each queue; undefined where they leave room for all. */
function cutsOf(claims: readonly ClaimRange[], legacy: boolean, room: number): { readonly amount?: number; readonly since?: number } {
  const sure = claims.filter(({ payee, least, floor }) => payee.legacySigops === legacy && least >= floor);
  const amounts = Float64Array.from(sure, ({ least }) => least).sort();
  const dues = Float64Array.from(
    sure.filter(({ dueSince }) => dueSince !== undefined),
    ({ dueSince }) => dueSince as number,
  ).sort();
  return {
    ...(amounts.length >= room && { amount: amounts[amounts.length - room] as number }),
    ...(dues.length >= room && { since: dues[room - 1] as number }),
  };
}
