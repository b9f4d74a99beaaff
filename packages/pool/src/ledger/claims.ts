/** What columns hold. Heights, values and counts are the gateway's claims: one that no block can have is recorded as the largest. */
const MAX_INTEGER = 2 ** 31 - 1;
const MAX_BIGINT = 2n ** 63n - 1n;

export function integerClaim(claim: number): number {
  return Math.min(claim, MAX_INTEGER);
}

export function bigintClaim(claim: bigint): bigint {
  return claim < MAX_BIGINT ? claim : MAX_BIGINT;
}
