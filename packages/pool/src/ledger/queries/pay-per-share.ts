/** SQL of pay-per-share: segments, what their shares weigh, and what was posted for them. */

/**
 * Segment $1, the open one, and the closed ones that may not be paid for as they should: all after the last one with a credit, and those that had a
 * share taken back within the newest $2.
 */
export const UNSETTLED = `
WITH last AS (
  SELECT coalesce(max(segment), 0) AS segment FROM entries WHERE kind = 'credit'
), recent AS (
  SELECT DISTINCT segment FROM voids
  WHERE position > coalesce((SELECT after_position FROM segments WHERE id = $1::int - $2::int), 0)
)
SELECT s.id, s.bits, s.subsidy, s.average_fees, s.id <= l.segment AS posted, coalesce(sum(w.weight), 0) AS weight,
  coalesce(sum(w.fee_weight), 0) AS fee_weight
FROM last l, segments s LEFT JOIN segment_weights w ON w.segment = s.id
WHERE s.subsidy IS NOT NULL AND s.id <= $1 AND (s.id > l.segment OR s.id = $1 OR s.id IN (SELECT segment FROM recent))
GROUP BY s.id, l.segment ORDER BY s.id`;

/**
 * Accounts of segment $1 with their sums and with what was posted for them, and how many entries did so: one statement, one moment. No row for a segment
 * that is not paid per share.
 */
export const SEGMENT_CREDITS = `
WITH sums AS (
  SELECT account, sum(weight) AS weight, sum(fee_weight) AS fee_weight FROM segment_weights WHERE segment = $1 GROUP BY account
), posted AS (
  SELECT p.account, sum(p.amount) AS amount FROM entries e JOIN postings p ON p.entry = e.id
  WHERE e.segment = $1 AND e.kind = 'credit' AND p.reason = 'credited' GROUP BY p.account
)
SELECT g.bits, g.subsidy, g.average_fees, account, coalesce(s.weight, 0) AS weight, coalesce(s.fee_weight, 0) AS fee_weight,
  coalesce(p.amount, 0) AS posted, (SELECT count(*) FROM entries WHERE segment = $1 AND kind = 'credit')::int AS entries
FROM segments g, sums s FULL JOIN posted p USING (account)
WHERE g.id = $1 AND g.subsidy IS NOT NULL ORDER BY account`;

export const OPERATORS = "SELECT id FROM accounts WHERE kind = 'operator'";
