/** SQL of the share window: sums per segment and account. */

/** Of a row with a segment: its shares are not paid one by one. Those that are belong to no window, or blocks would pay them again. */
export const IN_WINDOWS = "NOT EXISTS (SELECT FROM segments paid WHERE paid.id = segment AND paid.subsidy IS NOT NULL)";

/** The newest segments of windows under $1, at most $2 of them. */
export const SEGMENTS_BEFORE = "SELECT id FROM segments WHERE id < $1 AND subsidy IS NULL ORDER BY id DESC LIMIT $2";

/** Sums of those among the segments $1 to $2. */
export const READ_SUMS = `
SELECT segment, account, sum(weight) AS weight, sum(fee_weight) AS fee_weight FROM segment_weights
WHERE segment BETWEEN $1 AND $2 AND ${IN_WINDOWS} GROUP BY segment, account HAVING sum(weight) > 0 ORDER BY segment, account`;

/** Weight of all of them, without what was voided. */
export const LOG_WEIGHT = `
SELECT coalesce(sum(weight), 0) AS weight FROM (SELECT segment, sum(weight) AS weight FROM segment_weights GROUP BY segment) w WHERE ${IN_WINDOWS}`;
