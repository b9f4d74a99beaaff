/**
 * Whom a coinbase pays, compared with the split that it was made from. A gateway takes the split's outputs in order and skips those that do
 * not fit the bytes it has left; how many it has, only it knows. So a coinbase is right when SOME number of bytes up to the kind's yields
 * exactly its outputs. Source: DATUM.md section 10 and the gateway's behaviour.
 */
import { isWitnessCommitment } from "@openprime/bitcoin";
import { MAX_COINBASER_OUTPUTS } from "@openprime/datum";
import { sameBytes } from "./bytes.js";
import { paysSplit, SUBSIDY_ONLY } from "./kinds.js";
import type { SplitOutput } from "./types.js";

/** The gateway looks no further in the split once fewer bytes than these are left. */
const STOP_BYTES = 30;
/** Amount and script length of an output. */
const OUTPUT_OVERHEAD = 9;
/** Stands where the pool's output would be when the payees get everything. */
const DUMMY_SCRIPT = Uint8Array.of(0x6a, 0x01, 0x00);
/** BIP141's smallest commitment, the only one that a template asks for; a longer one has room for other things. */
const COMMITMENT_BYTES = 38;

export interface OutputsQuery {
  /** 0-5 or 0xFF. */
  readonly coinbaseId: number;
  /** All outputs of the coinbase in their order. */
  readonly outputs: readonly SplitOutput[];
  /** Which of them carries the extranonce, -1 when scriptSig does. */
  readonly extranonceOutput: number;
  /** What the coinbase has to pay in all, satoshis. */
  readonly value: bigint;
  /** The pool's scriptPubKey: it gets what no payee gets. */
  readonly poolScript: Uint8Array;
  /** The payees in the order offered; none for work without a split. */
  readonly split: readonly SplitOutput[];
  /** Bytes that the kind leaves for payees at most. */
  readonly budget: number;
}

/**
 * Judge the outputs of one coinbase. One pass over its outputs and one over the split, whatever the budget.
 *
 * @returns undefined when they are right, else what is wrong with them
 */
export function checkOutputs(query: OutputsQuery): string | undefined {
  const { outputs, extranonceOutput, coinbaseId, value } = query;
  const withCommitment = coinbaseId !== SUBSIDY_ONLY;
  const closing = withCommitment ? 2 : 1;
  const payees = outputs.length - closing - (extranonceOutput >= 0 ? 1 : 0);
  if (payees < 0) return `${outputs.length} outputs, too few`;
  const wrongPlace = extranoncePlaceError(query, payees);
  if (wrongPlace !== undefined) return wrongPlace;
  if (withCommitment) {
    const commitment = outputs[outputs.length - 1];
    if (commitment === undefined || !isCommitment(commitment)) return "the last output is not the witness commitment";
  }
  const paid = matchSplit(query, payees);
  if (typeof paid === "string") return paid;
  const last = outputs[outputs.length - closing];
  const rest = value - paid;
  if (last === undefined || last.value !== rest) return `the output after the payees has ${last?.value} sats, ${rest} are left`;
  // A coinbase with payees that take everything keeps the place of the pool's output with a dummy; one without payees always names the pool.
  const expected = rest === 0n && payees > 0 ? DUMMY_SCRIPT : query.poolScript;
  if (!sameBytes(last.script, expected)) return "the rest does not go to the pool's script";
  return undefined;
}

/** Kind 2 has its extranonce output anywhere among the payees (its coinb1 takes some of them), the other kinds have it first. */
function extranoncePlaceError(query: OutputsQuery, payees: number): string | undefined {
  const { extranonceOutput, coinbaseId, split } = query;
  if (extranonceOutput < 0) {
    return coinbaseId === 2 && split.length > 0 ? "a coinbase of kind 2 made from a split has its extranonce in an output" : undefined;
  }
  const latest = coinbaseId === 2 ? payees : 0;
  return extranonceOutput > latest ? `the extranonce is in output ${extranonceOutput}, after others that follow it` : undefined;
}

function isCommitment(output: SplitOutput): boolean {
  return output.value === 0n && output.script.length === COMMITMENT_BYTES && isWitnessCommitment(output.script);
}

/**
 * Find the payees in the split and see whether one budget explains both those taken and those passed over.
 *
 * An output is taken when it fits what is left, so each one taken bounds the budget from below and each one passed over from above. Where
 * an output stands twice in a split, the first is the one taken: whatever has room for the second had room for the first.
 *
 * @returns satoshis that the payees get, or what is wrong
 */
function matchSplit(query: OutputsQuery, payees: number): bigint | string {
  const { outputs, extranonceOutput, value } = query;
  const split = paysSplit(query.coinbaseId) ? query.split : [];
  let most = query.budget;
  let least = 0;
  let used = 0;
  let paid = 0n;
  let taken = 0;
  let offered = 0n;
  let summed = 0;
  let next = extranonceOutput === 0 ? 1 : 0;
  for (let k = 0; k < split.length && k < MAX_COINBASER_OUTPUTS; k++) {
    const candidate = split[k];
    if (candidate === undefined) break;
    const size = candidate.script.length + OUTPUT_OVERHEAD;
    // What was passed over already leaves no room for this one: nothing new is learnt. So a coinbase that has nothing to do with the split
    // costs a comparison of lengths per output.
    if (used + size > most) continue;
    // The gateway stops reading a split before the output that would pass the job's value, and choosing once the value is paid out.
    while (summed <= k) offered += split[summed++]?.value ?? 0n;
    if (offered > value || (taken > 0 && paid >= value)) break;
    const output = taken < payees ? outputs[next] : undefined;
    if (output !== undefined && output.value === candidate.value && sameBytes(output.script, candidate.script)) {
      // Having taken one before, the gateway went on: it still had STOP_BYTES left.
      if (taken > 0) least = Math.max(least, used + STOP_BYTES);
      used += size;
      least = Math.max(least, used);
      paid += candidate.value;
      taken++;
      next++;
      if (next === extranonceOutput) next++;
    } else if (taken < payees || taken === 0) {
      most = Math.min(most, used + size - 1);
    } else {
      // After the last one taken it either stopped for want of bytes or found no room for any other.
      most = Math.min(most, Math.max(used + size - 1, used + STOP_BYTES - 1));
    }
  }
  if (taken < payees) return `output ${next} (${outputs[next]?.value} sats) is not what fits next of the split`;
  // Fewer bytes than STOP_BYTES were left by what was passed over, yet another one was taken.
  if (least > most) return `a payee was left out that fitted before output ${next}`;
  return paid;
}
