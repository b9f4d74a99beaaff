/** SQL of found blocks. */

export const INSERT_BLOCK = `
INSERT INTO blocks (hash, prevhash, height, header, coinbase, coinbase_value, transaction_count, session, split, pin, username, found_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (hash) DO NOTHING RETURNING id`;

/** $1 hash, $2 raw block. */
export const SET_RAW = "UPDATE blocks SET raw = $2, updated_at = now() WHERE hash = $1";

/** $1 hash, $2 status, $3 outcome in words. A block that was accepted stays so: a later `duplicate` of the node takes nothing back. */
export const SET_OUTCOME = `
UPDATE blocks SET status = $2, outcome = $3, updated_at = now() WHERE hash = $1 AND (status <> 'accepted' OR $2 = 'accepted')`;

const COLUMNS = "id, hash, prevhash, height, coinbase, coinbase_value, transaction_count, session, split, pin, status, outcome, found_at";

export const FIND_BLOCK = `SELECT ${COLUMNS} FROM blocks WHERE hash = $1`;

export const RECENT_BLOCKS = `SELECT ${COLUMNS} FROM blocks ORDER BY id DESC LIMIT $1`;

/** Whose submission was never answered, oldest first. */
export const OPEN_BLOCKS = "SELECT hash, raw FROM blocks WHERE status IN ('found', 'submitted') ORDER BY id";
