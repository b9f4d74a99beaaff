/** SQL of found blocks. */

/**
 * One candidate and what its session says of it: the block's row is the first session's that hands it in, each session has a claim of its own.
 * $1 hash, $2 prevhash, $3 height, $4 header, $5 coinbase, $6 its value, $7 transactions besides, $8 session, $9 split, $10 pin, $11 username,
 * $12 time, $13 finder, $14 scheme, $15 fee.
 */
export const RECORD_BLOCK = `
WITH claimed AS (
  INSERT INTO block_claims (block, session, split, pin, finder, scheme, fee_ppm, found_at) VALUES ($1, $8, $9, $10, $13, $14, $15, $12) ON CONFLICT (block, session) DO NOTHING
)
INSERT INTO blocks (hash, prevhash, height, header, coinbase, coinbase_value, transaction_count, session, split, pin, username, found_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (hash) DO NOTHING RETURNING id`;

/** $1 hash, $2 status, $3 outcome in words. A block that was accepted stays so: a later `duplicate` of the node takes nothing back. */
export const SET_OUTCOME = `
UPDATE blocks SET status = CASE WHEN status = 'accepted' THEN status ELSE $2 END,
  outcome = CASE WHEN status = 'accepted' AND $2 <> 'accepted' THEN outcome ELSE $3 END, updated_at = now() WHERE hash = $1`;

const COLUMNS =
  "id, hash, prevhash, height, coinbase, coinbase_value, transaction_count, session, split, pin, status, outcome, life, found_at";

export const FIND_BLOCK = `SELECT ${COLUMNS} FROM blocks WHERE hash = $1`;

export const RECENT_BLOCKS = `SELECT ${COLUMNS} FROM blocks ORDER BY id DESC LIMIT $1`;

export const COUNT_BLOCKS = "SELECT count(*)::int AS found, count(*) FILTER (WHERE status = 'accepted')::int AS accepted FROM blocks";
