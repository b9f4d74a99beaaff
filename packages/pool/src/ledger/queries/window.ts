/** SQL of the share window: sums per segment and account. */

/** The newest segments under $1, at most $2 of them. */
export const SEGMENTS_BEFORE = "SELECT id FROM segments WHERE id < $1 ORDER BY id DESC LIMIT $2";

/** Sums of the segments $1 to $2. */
export const READ_SUMS = `
SELECT segment, account, sum(weight) AS weight, sum(fee_weight) AS fee_weight FROM segment_weights
WHERE segment BETWEEN $1 AND $2 GROUP BY segment, account HAVING sum(weight) > 0 ORDER BY segment, account`;

/** Weight of the whole log, without what was voided. */
export const LOG_WEIGHT = "SELECT coalesce(sum(weight), 0) AS weight FROM segment_weights";
