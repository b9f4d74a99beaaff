/** Why a share is refused: the code that goes over the wire and a sentence for the log. */
import { REJECT_REASONS, type RejectReason, type RejectReasonName } from "@openprime/datum";

/** The protocol's reject codes by name. */
export const REASON = Object.fromEntries(Object.entries(REJECT_REASONS).map(([name, { code }]) => [name, code])) as {
  readonly [Name in RejectReasonName]: (typeof REJECT_REASONS)[Name]["code"];
};

export interface Refusal {
  readonly reason: RejectReason;
  /** What was expected and what came. */
  readonly detail: string;
}

export function refusal(name: RejectReasonName, detail: string): Refusal {
  return { reason: REASON[name], detail };
}
