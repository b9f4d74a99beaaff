/** SQL of the followed chain, its coins, and what its blocks say of themselves. */

export const READ_CURSOR = "SELECT height, hash FROM chain ORDER BY height DESC LIMIT 1";

/** $1 height. */
export const HASH_AT = "SELECT hash FROM chain WHERE height = $1";

/** $1 height, $2 hash. */
export const INSERT_CHAIN = "INSERT INTO chain (height, hash) VALUES ($1, $2)";

/** $1 heights, $2 hashes: of blocks that are not looked at. */
export const INSERT_UNREAD = `
INSERT INTO chain (height, hash, read) SELECT r.height, r.hash, false FROM unnest($1::int4[], $2::bytea[]) AS r (height, hash)`;

/** $1 height. */
export const DELETE_CHAIN = "DELETE FROM chain WHERE height = $1";

export const READ_UNSPENT = "SELECT txid, vout, script, value FROM coins WHERE spent_by IS NULL";

/** $1 txid, $2 height, $3 whether it is a coinbase; per output: $4 numbers, $5 scripts, $6 values. */
export const INSERT_COINS = `
INSERT INTO coins (txid, vout, script, value, height, coinbase)
SELECT $1, r.vout, r.script, r.value, $2, $3 FROM unnest($4::int4[], $5::bytea[], $6::int8[]) AS r (vout, script, value)`;

/** $1 spender's txid, $2 height; per coin: $3 txids, $4 outputs. */
export const SPEND_COINS = `
UPDATE coins c SET spent_by = $1, spent_height = $2 FROM unnest($3::bytea[], $4::int4[]) AS r (txid, vout)
WHERE c.txid = r.txid AND c.vout = r.vout AND c.spent_by IS NULL`;

/** $1 height of the block that is taken back. Run before `UNSPEND_COINS`: a coin can be made and spent by one block. */
export const DELETE_COINS = "DELETE FROM coins WHERE height = $1 RETURNING txid, vout";

/** $1 height of the block that is taken back. */
export const UNSPEND_COINS = `
UPDATE coins SET spent_by = NULL, spent_height = NULL WHERE spent_height = $1 RETURNING txid, vout, script, value`;

/** $1 prime id. */
export const SESSION_OF = "SELECT id FROM sessions WHERE prime_id = $1";

/** $1 block, $2 session. */
export const FIND_CLAIM = "SELECT split, pin, finder, scheme, fee_ppm FROM block_claims WHERE block = $1 AND session = $2";

/** Blocks of the followed chain whose coinbase is a receipt that stands, and that a session has handed in. */
export const CLAIMED_RECEIPTS = `
SELECT c.height, c.hash FROM chain c JOIN entries e ON e.block = c.hash
WHERE c.hash IN (SELECT block FROM block_claims) AND e.kind = 'receipt' AND e.txid IS NULL
  AND NOT EXISTS (SELECT FROM entries r WHERE r.reverses = e.id) ORDER BY c.height`;

/** Where the log stood when the pool saw block $1, of height $2, as a part of the chain; null when it opened no segment on it or on one after it. */
export const SEEN_AT = `
SELECT min(after_position) AS position FROM segments WHERE prevhash = $1 OR prevhash IN (SELECT hash FROM chain WHERE height >= $2)`;

/** Lowest pin of the work that was accepted from session $2 on parent $1. Shares of a compacted round are in the archive, if anywhere. */
export const PIN_OF_SHARES = `
SELECT min(s.pin) AS pin FROM (
  SELECT round, hash, pin FROM share_archive
  WHERE (SELECT compacted_at IS NOT NULL FROM rounds WHERE prevhash = $1) AND round = (SELECT id FROM rounds WHERE prevhash = $1) AND session = $2
    AND position > (SELECT g.after_position FROM segments g JOIN rounds r ON r.first_segment = g.id WHERE r.prevhash = $1)
  UNION ALL
  SELECT round, hash, pin FROM shares WHERE round = (SELECT id FROM rounds WHERE prevhash = $1) AND session = $2
) s
WHERE NOT EXISTS (SELECT FROM voids v WHERE v.round = s.round AND v.hash = s.hash)`;

/**
 * $1 hash, $2 prevhash, $3 height, $4 coinbase, $5 its value, $6 session, $7 split, $8 pin, $9 time. Whoever handed it in first, it is its coinbase's
 * session's. One statement: a claim may be on its way at the same moment.
 */
export const SET_PAID = `
INSERT INTO blocks AS b (hash, prevhash, height, coinbase, coinbase_value, session, split, pin, username, status, outcome, life, found_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', 'accepted', 'discovered on the chain', 'paid', $9)
ON CONFLICT (hash) DO UPDATE SET life = 'paid', height = EXCLUDED.height,
  username = CASE WHEN b.session = EXCLUDED.session THEN b.username ELSE EXCLUDED.username END,
  session = EXCLUDED.session, split = EXCLUDED.split, pin = EXCLUDED.pin, updated_at = now()`;

/** Whether the session of prime id $1 was offered a split for parent $2. */
export const WAS_OFFERED = `
SELECT EXISTS (SELECT FROM splits p JOIN sessions s ON s.id = p.session WHERE s.prime_id = $1 AND p.prevhash = $2) AS offered`;

/** $1 hash, $2 life. */
export const SET_LIFE = "UPDATE blocks SET life = $2, updated_at = now() WHERE hash = $1";

/** A block of the pool at height $1 of the followed chain goes from the life $2 to $3. */
export const CHANGE_LIFE_AT = `
UPDATE blocks SET life = $3, updated_at = now() WHERE hash = (SELECT hash FROM chain WHERE height = $1) AND life = $2`;

/** Block $1 goes from the life $3 to $4 if it is not above height $2. */
export const CHANGE_LIFE_UP_TO = "UPDATE blocks SET life = $4, updated_at = now() WHERE hash = $1 AND height <= $2 AND life = $3";
