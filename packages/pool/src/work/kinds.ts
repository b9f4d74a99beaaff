/** The coinbase kinds of DATUM, the space each gives its outputs, and where a kind is kept in memory. Source: DATUM.md section 10. */

/** Subsidy-only work on a new block: no transactions, no commitment, everything to the pool. */
export const SUBSIDY_ONLY = 0xff;

/** Bytes of extranonce in every coinbase; another length on the wire is reason 12. */
export const EXTRANONCE_BYTES = 12;

/** Coinbases a job can have: kinds 0-5 and subsidy-only. */
export const COINBASES_PER_JOB = 7;

/**
 * The gateway counts one byte for the number of outputs and of a script, so a finished coinbase passes its kind's limit by up to 5 bytes;
 * from `limit + SIZE_SLACK` on it is refused (17).
 */
export const SIZE_SLACK = 8;

/** The biggest coinbase of any kind that is kept in memory, bytes. A bigger one is remembered as refused, without its bytes. */
export const MAX_COINBASE_BYTES = 16_000 + SIZE_SLACK;

/**
 * Kinds 0 and 0xFF hold nothing but the pool's output: 51 bytes around a scriptSig of at most 100, the extranonce's output 25, a pool output
 * of at most 73 and the commitment 47: 296 bytes at most.
 */
const SMALL_LIMIT = 296;

const LIMITS: readonly number[] = [SMALL_LIMIT, 500, 755, 6500, 16_000, 2250];

/**
 * Size that the gateway builds a kind for, bytes of the finished coinbase without witness.
 *
 * @param coinbaseId 0-5 or 0xFF
 * @returns undefined for an id that no kind has
 */
export function sizeLimit(coinbaseId: number): number | undefined {
  return coinbaseId === SUBSIDY_ONLY ? SMALL_LIMIT : LIMITS[coinbaseId];
}

/** Place of a kind in a job's array of coinbases, 0-6; undefined for an id that no kind has. */
export function coinbasePlace(coinbaseId: number): number | undefined {
  if (coinbaseId === SUBSIDY_ONLY) return COINBASES_PER_JOB - 1;
  return coinbaseId >= 0 && coinbaseId < LIMITS.length ? coinbaseId : undefined;
}

/** True for the kinds whose outputs follow a split (1-5); the others pay everything to the pool. */
export function paysSplit(coinbaseId: number): boolean {
  return coinbaseId >= 1 && coinbaseId <= 5;
}

/**
 * Bytes that a kind leaves for payees at most. A full template leaves less; how full it is does not go over the wire.
 *
 * @param coinbaseId 0-5 or 0xFF; kinds that pay no split have none
 * @param poolScriptBytes length of the pool's scriptPubKey
 * @param scriptSigBytes length of scriptSig up to and with the push of 7 (height, tags, ids)
 * @param extranonceInOutput the extranonce is in an OP_RETURN output, which costs 10 bytes more than in scriptSig
 */
export function outputBudget(coinbaseId: number, poolScriptBytes: number, scriptSigBytes: number, extranonceInOutput: boolean): number {
  if (!paysSplit(coinbaseId)) return 0;
  const limit = LIMITS[coinbaseId] ?? 0;
  return Math.max(0, limit - (119 + poolScriptBytes + scriptSigBytes + (extranonceInOutput ? 10 : 0)));
}
