/** SQL of the ledger's entries, balances and thresholds. All of it runs under the lock of `money_state` (money/transaction.ts) unless it says otherwise. */

/** The lock under which money is written, and what the next entry and settlement follow. */
export const LOCK_MONEY = "SELECT last_entry, last_settlement, settlement_hash FROM money_state FOR UPDATE";

/** $1 our epoch: no row when another pool has taken the database over. */
export const CHECK_EPOCH = "SELECT FROM log_state WHERE epoch = $1";

/** No row when the key is there. $1 key, $2 kind, $3 entry that it reverses, $4 block, $5 height, $6 txid, $7 segment, $8 time. */
export const INSERT_ENTRY = `
WITH numbered AS (
  UPDATE money_state SET last_entry = last_entry + 1 WHERE NOT EXISTS (SELECT FROM entries WHERE key = $1) RETURNING last_entry
)
INSERT INTO entries (id, key, kind, reverses, block, height, txid, segment, at)
SELECT last_entry, $1, $2, $3::int8, $4::bytea, $5::int4, $6::bytea, $7::int4, $8::timestamptz FROM numbered RETURNING id`;

/** $1 entry, then one array per column: $2 books, $3 accounts, $4 reasons, $5 amounts. */
export const INSERT_POSTINGS = `
INSERT INTO postings (entry, line, book, account, reason, amount)
SELECT $1::int8, r.n, r.book, r.account, r.reason, r.amount
FROM unnest($2::text[], $3::int8[], $4::text[], $5::int8[]) WITH ORDINALITY AS r (book, account, reason, amount, n)`;

const BALANCE = "account, balance, due_since, last_earned";

/** $1 accounts, $2 amounts, $3 whether a block earned it something, $4 that block's height. */
export const ADD_TO_BALANCES = `
INSERT INTO balances AS b (account, balance, last_earned)
SELECT r.account, r.amount, CASE WHEN r.earned THEN $4::int4 END FROM unnest($1::int4[], $2::int8[], $3::bool[]) AS r (account, amount, earned)
ON CONFLICT (account) DO UPDATE SET balance = b.balance + excluded.balance, last_earned = greatest(excluded.last_earned, b.last_earned)
RETURNING ${BALANCE}`;

/** After an entry that took earnings back: the last block that still stands. $1 accounts. */
export const RESTORE_LAST_EARNED = `
UPDATE balances b SET last_earned = (
  SELECT e.height FROM postings p JOIN entries e ON e.id = p.entry
  WHERE p.account = b.account AND p.reason = 'earned' AND p.amount > 0 AND e.kind = 'block' AND NOT EXISTS (SELECT FROM entries r WHERE r.reverses = e.id)
  ORDER BY e.height DESC LIMIT 1
)
WHERE b.account = ANY ($1::int4[]) RETURNING ${BALANCE}`;

/**
 * Since when a balance has reached its account's threshold: set where it has come to reach it, taken away where it no longer does.
 * $1 the pool's threshold, $2 entry, $3 accounts, null for all.
 */
export const MARK_DUE = `
UPDATE balances b SET due_since = CASE WHEN d.due THEN $2::int8 END
FROM (
  SELECT account, balance > 0 AND balance >= coalesce(threshold, $1::int8) AS due FROM balances LEFT JOIN thresholds USING (account)
  WHERE $3::int4[] IS NULL OR account = ANY ($3::int4[])
) d
WHERE d.account = b.account AND d.due <> (b.due_since IS NOT NULL) RETURNING b.account, b.balance, b.due_since, b.last_earned`;

export const READ_BALANCES = `SELECT ${BALANCE} FROM balances`;

export const READ_THRESHOLDS = "SELECT account, threshold FROM thresholds";

/** $1 account, $2 threshold. */
export const SET_THRESHOLD = `
INSERT INTO thresholds (account, threshold) VALUES ($1, $2) ON CONFLICT (account) DO UPDATE SET threshold = excluded.threshold`;

/** $1 account. */
export const DROP_THRESHOLD = "DELETE FROM thresholds WHERE account = $1";

/** Keys of a block's entries, those taken back too. $1 block. */
export const KEYS_OF_BLOCK = "SELECT key FROM entries WHERE block = $1 AND kind <> 'reversal'";

/** A block's entries that nothing has taken back, the last first. $1 block. */
export const STANDING_ENTRIES = `
SELECT e.id, e.kind, e.height, e.txid FROM entries e
WHERE e.block = $1 AND e.kind <> 'reversal' AND NOT EXISTS (SELECT FROM entries r WHERE r.reverses = e.id) ORDER BY e.id DESC`;

/** $1 entry. */
export const READ_POSTINGS = "SELECT book, account, reason, amount FROM postings WHERE entry = $1 ORDER BY line";

/** What stands for a block's coinbase. $1 block. */
export const COINBASE_SUMS = `
SELECT e.kind, -coalesce(sum(p.amount) FILTER (WHERE p.book = 'coins'), 0) AS received,
  -coalesce(sum(p.amount) FILTER (WHERE p.reason = 'paid'), 0) AS paid,
  EXISTS (SELECT FROM blocks b JOIN block_claims c ON c.block = b.hash AND c.session = b.session WHERE b.hash = e.block) AS claimed
FROM entries e JOIN postings p ON p.entry = e.id
WHERE e.block = $1 AND e.kind IN ('block', 'receipt') AND e.txid IS NULL AND NOT EXISTS (SELECT FROM entries r WHERE r.reverses = e.id)
GROUP BY e.id`;

/** What was taken back when a block last left the chain: reversals that came after all of its entries. $1 block. */
export const LAST_REVERSALS = `
SELECT count(*)::int AS reversed, coalesce(bool_or(o.kind = 'block'), false) AS pool_block FROM entries r JOIN entries o ON o.id = r.reverses
WHERE r.block = $1 AND r.id > (SELECT max(id) FROM entries WHERE block = $1 AND kind <> 'reversal')`;
