/** SQL of the share window as it was at a pin. All in one snapshot. Shares that are paid one by one are in no window: their segments are left out. */
import { IN_WINDOWS } from "./window.js";

/** The segment that holds the entry at position $1, with the position that the next one follows, and whether its shares are paid one by one. */
export const SEGMENT_AT = `
SELECT s.id, s.subsidy IS NOT NULL AS per_share, (SELECT n.after_position FROM segments n WHERE n.id > s.id ORDER BY n.id LIMIT 1) AS until
FROM segments s WHERE s.after_position < $1 ORDER BY s.id DESC LIMIT 1`;

/**
 * What segment $1 holds, by account, and what of it came up to position $2. Voids not taken out. Shares of compacted rounds are in the archive as long as they
 * are kept; it comes first, as compaction locks it first.
 */
export const RAW_SUMS = `
SELECT account, sum(weight) AS all_weight, coalesce(sum(weight) FILTER (WHERE position <= $2), 0) AS weight,
  coalesce(sum(weight * fee_ppm) FILTER (WHERE position <= $2), 0) AS fee_weight
FROM (
  SELECT segment, account, weight, fee_ppm, position FROM share_archive
  UNION ALL
  SELECT segment, account, weight, fee_ppm, position FROM shares
) s
WHERE segment = $1 AND position > (SELECT after_position FROM segments WHERE id = $1)
  AND position <= coalesce((SELECT after_position FROM segments WHERE id > $1 ORDER BY id LIMIT 1), (SELECT position FROM log_state))
GROUP BY account`;

/** Shares of segment $1 that were taken back up to position $2, and shares up to it that were taken back later, by account. */
export const SEGMENT_VOIDS = `
SELECT account, sum(weight) AS all_weight, coalesce(sum(weight) FILTER (WHERE position <= $2), 0) AS weight,
  coalesce(sum(weight * fee_ppm) FILTER (WHERE position <= $2), 0) AS fee_weight
FROM voids WHERE segment = $1 GROUP BY account`;

/** Shares up to position $2 of segments before $1 that were taken back after it. */
export const LATER_VOIDS = `
SELECT segment, account, sum(weight) AS weight, sum(weight * fee_ppm) AS fee_weight FROM voids
WHERE position > $2 AND segment < $1 AND ${IN_WINDOWS} GROUP BY segment, account`;

/** Weight of each segment before $1, newest first. */
export const SEGMENT_TOTALS = `
SELECT segment, weight FROM (SELECT segment, sum(weight) AS weight FROM segment_weights WHERE segment < $1 GROUP BY segment) w
WHERE ${IN_WINDOWS} ORDER BY segment DESC`;

/** Weight of segment $1. */
export const SEGMENT_TOTAL = "SELECT coalesce(sum(weight), 0) AS weight FROM segment_weights WHERE segment = $1";

/** Sums by account over the segments from $1 to $2, as one. */
export const MERGED_SUMS = `
SELECT account, sum(weight) AS weight, sum(fee_weight) AS fee_weight FROM segment_weights
WHERE segment BETWEEN $1 AND $2 AND ${IN_WINDOWS} GROUP BY account HAVING sum(weight) > 0`;
