/** SQL of settlements. */

/** Weight of the log at the pins of the last $1 blocks of the pool on the followed chain below height $2 (null for all), newest first. */
export const BLOCK_WEIGHTS = `
SELECT s.log_weight FROM settlements s
WHERE s.kind = 'settlement' AND ($2::int4 IS NULL OR s.height < $2) AND NOT EXISTS (SELECT FROM entries r WHERE r.reverses = s.entry)
ORDER BY s.height DESC LIMIT $1`;

/**
 * Entries before $1 and after the last settlement's, with the changes of balances, in nulls for one without any; the ones that a settlement is about are
 * none of them.
 */
export const ENTRIES_BETWEEN = `
SELECT e.id, e.kind, e.block, e.txid, p.account, p.amount FROM entries e LEFT JOIN LATERAL (
  SELECT account, sum(amount) AS amount FROM postings WHERE entry = e.id AND book = 'balance' GROUP BY account HAVING sum(amount) <> 0
) p ON true
WHERE e.id > (SELECT coalesce(max(entry), 0) FROM settlements) AND e.id < $1 ORDER BY e.id`;

/** $1 number, $2 kind, $3 block, $4 height, $5 pin, $6 window's size, $7 weight of the log, $8 entry, $9 previous, $10 hash, $11 document. */
export const INSERT_SETTLEMENT = `
WITH numbered AS (UPDATE money_state SET last_settlement = $1::int4, settlement_hash = $10::bytea)
INSERT INTO settlements (number, kind, block, height, pin, window_size, log_weight, entry, previous, hash, document)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`;

/** $1 entry. */
export const FIND_SETTLEMENT = "SELECT document, window_size, log_weight FROM settlements WHERE entry = $1";

/** The last settlement of block $1, with what it said of whose block it was. */
export const LAST_SETTLEMENT_OF = "SELECT document FROM settlements WHERE block = $1 AND kind = 'settlement' ORDER BY number DESC LIMIT 1";
