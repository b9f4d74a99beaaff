/** SQL of retention. */

/**
 * Whether the books have followed the chain up to the tip of the newest segment: until then a block that was found long ago may still be booked by
 * a pin in an old segment.
 */
export const CAUGHT_UP = `
SELECT (SELECT prevhash FROM segments ORDER BY id DESC LIMIT 1) IS NOT DISTINCT FROM (SELECT hash FROM chain ORDER BY height DESC LIMIT 1) AS caught_up`;

/** Rounds with shares, made before $1 and not on one of the newest $2 tips, each of which may have several segments; oldest first. */
export const OLD_ROUNDS = `
WITH tips AS (SELECT prevhash FROM segments WHERE prevhash IS NOT NULL GROUP BY prevhash ORDER BY max(id) DESC LIMIT $2)
SELECT r.id FROM rounds r
WHERE r.compacted_at IS NULL AND r.created_at < $1 AND r.prevhash NOT IN (SELECT prevhash FROM tips)
ORDER BY r.id`;

/**
 * What keeps round $1 from being compacted, each as a column that is true; $2 oldest time at which a share or a block is still young.
 *   young:       a share came lately
 *   unpublished: a segment with its shares has no log file yet (the open one never has)
 *   undecided:   a share is tentative and neither confirmed nor taken back
 *   unvoided:    a share's template is unsound, and the share is not taken back
 *   pinned:      a block that waits for its place on the chain pays by a pin in or before its last segment
 */
export const KEEPERS = `
WITH facts AS (SELECT max(received_at) AS newest, coalesce(max(segment), 0) AS last_segment FROM shares WHERE round = $1)
SELECT f.newest IS NOT NULL AND f.newest >= $2 AS young,
  EXISTS (SELECT FROM segments s WHERE s.id <= f.last_segment AND s.log_hash IS NULL) AS unpublished,
  EXISTS (
    SELECT FROM shares s WHERE s.round = $1 AND s.tentative
      AND NOT EXISTS (SELECT FROM voids v WHERE v.round = s.round AND v.hash = s.hash)
  ) AS undecided,
  EXISTS (
    SELECT FROM shares s JOIN templates t ON t.id = s.template WHERE s.round = $1 AND t.state = 'unsound'
      AND NOT EXISTS (SELECT FROM voids v WHERE v.round = s.round AND v.hash = s.hash)
  ) AS unvoided,
  EXISTS (
    SELECT FROM blocks b WHERE b.life = 'found' AND b.status <> 'refused' AND b.found_at >= $2
      AND least(b.pin, (SELECT min(c.pin) FROM block_claims c WHERE c.block = b.hash))
        < (SELECT s.after_position FROM segments s WHERE s.id = f.last_segment + 1)
  ) AS pinned
FROM facts f`;

/** Answers no row for a round that is compacted; keeps a second compactor out. */
export const HOLD_ROUND = "SELECT FROM rounds WHERE id = $1 AND compacted_at IS NULL FOR UPDATE";

export const INSERT_ROUND_SUMS = `
INSERT INTO round_sums (round, segment, account, worker, shares, weight, fee_weight)
SELECT round, segment, account, worker, count(*), sum(weight), sum(weight * fee_ppm) FROM shares WHERE round = $1 GROUP BY 1, 2, 3, 4`;

const COLUMNS = `position, received_at, session, split, pin, ntime, round, segment, account, worker, fee_ppm, height, target_byte, coinbase_id, tentative,
  hash, weight, template`;

export const ARCHIVE_SHARES = `INSERT INTO share_archive (${COLUMNS}) SELECT ${COLUMNS} FROM shares WHERE round = $1`;

/** Days (UTC) on which shares of round $1 came, as text. */
export const ROUND_DAYS = "SELECT DISTINCT received_at::date::text AS day FROM shares WHERE round = $1";

/**
 * Splits offered before $1 that no block was made from, at most $2 of them. The newest of all stays: the next one's id follows it.
 */
export const DROP_SPLITS = `
DELETE FROM splits WHERE id IN (
  SELECT s.id FROM splits s
  WHERE s.offered_at < $1 AND s.id < (SELECT max(id) FROM splits)
    AND NOT EXISTS (SELECT FROM block_claims c WHERE c.split = s.id) AND NOT EXISTS (SELECT FROM blocks b WHERE b.split = s.id)
  LIMIT $2
)`;

/** Templates opened before $1, at most $2 of them. */
export const DROP_TEMPLATES = "DELETE FROM templates WHERE id IN (SELECT id FROM templates WHERE opened_at < $1 LIMIT $2)";

export const MARK_COMPACTED = "UPDATE rounds SET compacted_at = $2 WHERE id = $1";

/** Only the parent: its partitions are locked by what is done to them. */
export const LOCK_PARENT = "LOCK TABLE ONLY shares IN ACCESS EXCLUSIVE MODE";

/** Schema of TimescaleDB's functions, null where it is not installed; whether the archive is a plain table (a hypertable then) and whether it has partitions. */
export const ARCHIVE_KIND = `
SELECT (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb') AS timescale,
  (SELECT c.relkind = 'r' FROM pg_class c WHERE c.oid = 'share_archive'::regclass) AS plain,
  EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = 'share_archive'::regclass) AS filled`;

/** Names of the archive's daily partitions. */
export const ARCHIVE_PARTITIONS = `
SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'share_archive'::regclass ORDER BY c.relname`;
