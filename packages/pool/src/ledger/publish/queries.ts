/** SQL of publishing. */

const SEGMENT = `
SELECT s.id, s.prevhash, s.after_position, n.after_position AS last_position, s.subsidy IS NOT NULL AS per_share, s.log_hash, p.log_hash AS previous
FROM segments s JOIN segments n ON n.id = s.id + 1 LEFT JOIN segments p ON p.id = s.id - 1`;

/** The oldest closed segment up to $1 without a log file. */
export const NEXT_UNPUBLISHED = `${SEGMENT} WHERE s.log_hash IS NULL AND s.id <= $1 ORDER BY s.id LIMIT 1`;

export const PUBLISHED_SEGMENT = `${SEGMENT} WHERE s.log_hash IS NOT NULL AND s.id = $1`;

export const PUBLISHED_SEGMENTS = "SELECT id FROM segments WHERE log_hash IS NOT NULL ORDER BY id";

export const NEWEST_SEGMENT = "SELECT max(id) AS id FROM segments";

export const LOG_HASH = "SELECT log_hash FROM segments WHERE id = $1";

/** $1 segment, $2 hash. */
export const SET_LOG_HASH = "UPDATE segments SET log_hash = $2 WHERE id = $1";

/** Keeps compaction from moving shares between the tables while they are read; in the order in which it locks them. */
export const HOLD_SHARES = "LOCK TABLE share_archive, shares IN ACCESS SHARE MODE";

/** Whether single shares of segment $1, which follows position $2 and ends with $3, are gone: more were compacted than the archive has. */
export const SHARES_GONE = `
SELECT (SELECT coalesce(sum(shares), 0) FROM round_sums WHERE segment = $1)
  > (SELECT count(*) FROM share_archive WHERE position > $2 AND position <= $3) AS gone`;

const LOG_COLUMNS =
  "position, received_at, session, split, pin, ntime, round, account, worker, fee_ppm, height, target_byte, coinbase_id, hash, weight";

/**
 * Entries of the log after position $1 up to $2, in order. A void has `of_position`. Nothing in here ever changes: so the text made of it does not
 * either (whether a share is still tentative does, and is not among it).
 */
export const OPEN_ENTRIES = `
DECLARE entries NO SCROLL CURSOR FOR
SELECT s.position, NULL::bigint AS of_position, s.hash, a.script, s.weight, s.fee_ppm, NULL::int AS segment, NULL::bigint AS template,
  (extract(epoch FROM s.received_at) * 1000)::int8 AS time, r.prevhash, s.height, w.name AS worker, s.split, s.pin, e.prime_id, s.target_byte,
  s.coinbase_id, s.ntime
FROM (
  SELECT ${LOG_COLUMNS} FROM shares WHERE position > $1 AND position <= $2
  UNION ALL
  SELECT ${LOG_COLUMNS} FROM share_archive WHERE position > $1 AND position <= $2
) s
JOIN rounds r ON r.id = s.round JOIN accounts a ON a.id = s.account JOIN workers w ON w.id = s.worker LEFT JOIN sessions e ON e.id = s.session
UNION ALL
SELECT v.position, v.share_position, v.hash, a.script, v.weight, v.fee_ppm, v.segment, v.template,
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM voids v JOIN accounts a ON a.id = v.account WHERE v.position > $1 AND v.position <= $2
ORDER BY 1`;

/** How many rows are worked on at a time: a millisecond or two. */
export const FETCH_ENTRIES = "FETCH 400 FROM entries";

/** All after $1. */
export const SETTLEMENTS = "SELECT number, kind, height, block, hash FROM settlements WHERE number > $1 ORDER BY number";

export const SETTLEMENT_DOCUMENT = "SELECT document FROM settlements WHERE number = $1";
