/** SQL that only reads: figures, and the proof that the sums are right. */

export const COUNTS = `
SELECT (SELECT coalesce(sum(shares), 0) FROM segment_weights) AS shares, (SELECT coalesce(sum(weight), 0) FROM segment_weights) AS weight,
  (SELECT count(*) FROM voids) AS voids, (SELECT count(*) FROM accounts) AS accounts, (SELECT count(*) FROM workers) AS workers,
  (SELECT count(*) FROM rounds) AS rounds, (SELECT count(*) FROM segments) AS segments, (SELECT count(*) FROM splits) AS splits,
  (SELECT count(*) FROM sessions) AS sessions, (SELECT count(*) FROM blocks) AS blocks,
  (SELECT count(*) FROM blocks WHERE status = 'accepted') AS blocks_accepted, (SELECT position FROM log_state) AS position`;

/** Of the whole log, heaviest first, at most $1. */
export const ACCOUNT_WEIGHTS = `
SELECT a.id, a.script, a.address, a.kind, sum(w.shares) AS shares, sum(w.weight) AS weight, sum(w.fee_weight) AS fee_weight
FROM segment_weights w JOIN accounts a ON a.id = w.account GROUP BY a.id ORDER BY sum(w.weight) DESC, a.id LIMIT $1`;

/** A snapshot that is taken after this has the shares of a round or its sums, never neither: compaction waits meanwhile. */
export const HOLD_SHARES = "LOCK TABLE shares IN ACCESS SHARE MODE";

/**
 * Where a check without the shares of published segments looks: at segments before "whole", of which no single share is left, and from "open" on, which
 * begins after position "after": the oldest segment without a log file.
 */
export const CHECKED_SEGMENTS = `
SELECT o.id AS open, o.after_position AS after,
  (SELECT least(o.id, min(r.first_segment)) FROM rounds r WHERE r.compacted_at IS NULL) AS whole
FROM segments o WHERE o.log_hash IS NULL ORDER BY o.id LIMIT 1`;

/**
 * Sums that differ from shares, and sums of compacted rounds, minus voids; of segments before $1 and from $2 on, which begins after position $3. Empty sums
 * and no sums are the same.
 */
export const SUM_DIFFERENCES = `
SELECT coalesce(e.segment, w.segment) AS segment, coalesce(e.account, w.account) AS account, coalesce(e.worker, w.worker) AS worker,
  coalesce(e.shares, 0) AS expected_shares, coalesce(e.weight, 0) AS expected_weight, coalesce(e.fee_weight, 0) AS expected_fee_weight,
  coalesce(w.shares, 0) AS shares, coalesce(w.weight, 0) AS weight, coalesce(w.fee_weight, 0) AS fee_weight
FROM (
  SELECT segment, account, worker, sum(shares) AS shares, sum(weight) AS weight, sum(fee_weight) AS fee_weight FROM (
    SELECT segment, account, worker, count(*) AS shares, sum(weight) AS weight, sum(weight * fee_ppm) AS fee_weight FROM shares
    WHERE position > $3 GROUP BY 1, 2, 3
    UNION ALL
    SELECT segment, account, worker, shares, weight, fee_weight FROM round_sums
    UNION ALL
    SELECT segment, account, worker, -count(*), -sum(weight), -sum(weight * fee_ppm) FROM voids GROUP BY 1, 2, 3
  ) entries WHERE segment < $1::int OR segment >= $2::int GROUP BY 1, 2, 3
) e FULL JOIN (SELECT * FROM segment_weights WHERE segment < $1::int OR segment >= $2::int) w
  ON w.segment = e.segment AND w.account = e.account AND w.worker = e.worker
WHERE coalesce(e.shares, 0) <> coalesce(w.shares, 0) OR coalesce(e.weight, 0) <> coalesce(w.weight, 0)
  OR coalesce(e.fee_weight, 0) <> coalesce(w.fee_weight, 0)
ORDER BY 1, 2, 3`;

/** Voids whose share is not in the log, or is not as the void says; of rounds that were not compacted. */
export const VOID_DIFFERENCES = `
SELECT v.position, v.round, v.hash FROM voids v LEFT JOIN shares s ON s.round = v.round AND s.hash = v.hash
WHERE (s.position IS DISTINCT FROM v.share_position OR s.weight IS DISTINCT FROM v.weight OR s.account IS DISTINCT FROM v.account
  OR s.fee_ppm IS DISTINCT FROM v.fee_ppm OR v.position <= v.share_position)
  AND NOT EXISTS (SELECT FROM rounds r WHERE r.id = v.round AND r.compacted_at IS NOT NULL)
ORDER BY 1`;

/** Positions after $1 that are used twice, or lie after the head. */
export const POSITION_DIFFERENCES = `
SELECT position, count(*) AS entries
FROM (SELECT position FROM shares WHERE position > $1 UNION ALL SELECT position FROM voids WHERE position > $1) e
GROUP BY position HAVING count(*) > 1 OR position > (SELECT position FROM log_state) ORDER BY position`;
