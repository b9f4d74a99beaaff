/** SQL of the check of the books. All of it only reads, and runs in one snapshot unless it says otherwise. */

/** Differences of one kind that are named; who has more has other worries. */
export const MOST_ROWS = 200;

const LIMIT = `LIMIT ${MOST_ROWS}`;

/** Entries that nothing has taken back. */
const STANDING = "NOT EXISTS (SELECT FROM entries r WHERE r.reverses = e.id)";

export const ENTRY_SUMS = `SELECT entry, sum(amount) AS sum FROM postings GROUP BY entry HAVING sum(amount) <> 0 ORDER BY entry ${LIMIT}`;

/** The first number that is missing, for each gap, and the one that comes after it. */
export const ENTRY_GAPS = `
SELECT before + 1 AS missing, id AS next FROM (SELECT id, lag(id, 1, 0::bigint) OVER (ORDER BY id) AS before FROM entries) e
WHERE id <> before + 1 ORDER BY id ${LIMIT}`;

export const MONEY_STATE = `
SELECT s.last_entry, s.last_settlement, s.settlement_hash, (SELECT coalesce(max(id), 0) FROM entries) AS entries,
  (SELECT coalesce(max(number), 0) FROM settlements) AS settlements
FROM money_state s`;

/** Postings of reversals against those of their entries, by book, account and reason. */
export const REVERSAL_DIFFERENCES = `
SELECT reversal, entry, book, account, reason, sum(expected) AS expected, sum(found) AS found FROM (
  SELECT r.id AS reversal, r.reverses AS entry, p.book, p.account, p.reason, -p.amount AS expected, 0 AS found
  FROM entries r JOIN postings p ON p.entry = r.reverses
  UNION ALL
  SELECT r.id, r.reverses, p.book, p.account, p.reason, 0, p.amount FROM entries r JOIN postings p ON p.entry = r.id WHERE r.reverses IS NOT NULL
) lines GROUP BY reversal, entry, book, account, reason HAVING sum(expected) <> sum(found) ORDER BY reversal, book, account, reason ${LIMIT}`;

export const BALANCE_DIFFERENCES = `
SELECT coalesce(b.account, p.account) AS account, a.address, coalesce(p.sum, 0) AS expected, coalesce(b.balance, 0) AS found
FROM (SELECT account, sum(amount) AS sum FROM postings WHERE book = 'balance' GROUP BY account) p
FULL JOIN balances b ON b.account = p.account JOIN accounts a ON a.id = coalesce(b.account, p.account)
WHERE coalesce(p.sum, 0) <> coalesce(b.balance, 0) ORDER BY 1 ${LIMIT}`;

/** An account that is owed nothing has waited for nothing, and nobody waits since an entry that is to come. */
export const DUE_DIFFERENCES = `
SELECT account, balance, due_since FROM balances
WHERE due_since IS NOT NULL AND (balance <= 0 OR due_since < 1 OR due_since > (SELECT last_entry FROM money_state)) ORDER BY account ${LIMIT}`;

export const LAST_EARNED_DIFFERENCES = `
SELECT b.account, e.height AS expected, b.last_earned AS found FROM balances b LEFT JOIN (
  SELECT p.account, max(e.height) AS height FROM entries e JOIN postings p ON p.entry = e.id
  WHERE e.kind = 'block' AND p.book = 'balance' AND p.reason = 'earned' AND p.amount > 0 AND ${STANDING} GROUP BY p.account
) e ON e.account = b.account WHERE e.height IS DISTINCT FROM b.last_earned ORDER BY b.account ${LIMIT}`;

/** Heights that the followed chain leaves out. */
export const CHAIN_GAPS = `
SELECT height, before FROM (SELECT height, lag(height) OVER (ORDER BY height) AS before FROM chain) c
WHERE before IS NOT NULL AND height <> before + 1 ORDER BY height ${LIMIT}`;

/** Standing entries of the chain whose block the followed chain does not have. */
export const ENTRIES_OFF_CHAIN = `
SELECT e.id, e.kind, e.block, e.height FROM entries e LEFT JOIN chain c ON c.hash = e.block AND c.height = e.height
WHERE e.kind IN ('block', 'receipt', 'spend') AND e.block IS NOT NULL AND c.hash IS NULL AND ${STANDING} ORDER BY e.id ${LIMIT}`;

/** Blocks with more than one standing entry. */
export const BOOKED_TWICE = `
SELECT e.block, e.height, array_agg(e.id ORDER BY e.id) AS ids FROM entries e
WHERE e.kind IN ('block', 'receipt') AND e.block IS NOT NULL AND e.txid IS NULL AND ${STANDING}
GROUP BY e.block, e.height HAVING count(*) > 1 ORDER BY e.height ${LIMIT}`;

/** Blocks that joined or left the chain without a settlement. */
export const SETTLEMENTS_MISSING = `
SELECT e.id, e.kind, coalesce(e.block, o.block) AS block FROM entries e LEFT JOIN entries o ON o.id = e.reverses
WHERE (e.kind = 'block' OR o.kind = 'block')
  AND NOT EXISTS (SELECT FROM settlements s WHERE s.entry = e.id AND s.kind = CASE e.kind WHEN 'block' THEN 'settlement' ELSE 'reversal' END)
ORDER BY e.id ${LIMIT}`;

export const POOL_SCRIPTS = "SELECT script, account, since FROM pool_scripts ORDER BY since, account";

export const CURSOR = "SELECT height, hash FROM chain ORDER BY height DESC LIMIT 1";
/** The last block that was not looked at. */
export const BEGIN = "SELECT height FROM chain WHERE NOT read ORDER BY height DESC LIMIT 1";

/** The newest $1 of the followed chain, and every block of it that has an entry. */
export const CHAIN_ROWS = `
SELECT height, hash FROM chain c WHERE height > (SELECT max(height) FROM chain) - $1
  OR EXISTS (SELECT FROM entries e WHERE e.block = c.hash AND e.kind IN ('block', 'receipt', 'spend')) ORDER BY height`;

/** Standing entries of coinbases: blocks of the pool, and receipts that are no transaction's. */
export const COINBASE_ENTRIES = `
SELECT e.id, e.kind, e.block, e.height, e.at FROM entries e
WHERE e.kind IN ('block', 'receipt') AND e.block IS NOT NULL AND e.txid IS NULL AND ${STANDING} ORDER BY e.id`;

export const UNSPENT_COINS =
  "SELECT txid, vout, script, value, height, coinbase FROM coins WHERE spent_by IS NULL ORDER BY height, txid, vout";

export const BOOK_SUMS = "SELECT book, sum(amount) AS sum FROM postings GROUP BY book";

/** $1 accounts of the operator. */
export const BALANCE_SUMS = `
SELECT coalesce(sum(balance), 0) AS total, coalesce(sum(balance) FILTER (WHERE account = ANY ($1::int4[])), 0) AS operator,
  coalesce(sum(balance) FILTER (WHERE balance > 0 AND account <> ALL ($1::int4[])), 0) AS owed,
  count(*) FILTER (WHERE balance < 0 AND account <> ALL ($1::int4[]))::int AS negative
FROM balances`;

/** $1 accounts of the operator. */
export const NEGATIVE_BALANCES = `
SELECT b.account, a.script, b.balance FROM balances b JOIN accounts a ON a.id = b.account
WHERE b.balance < 0 AND b.account <> ALL ($1::int4[]) ORDER BY b.balance, b.account ${LIMIT}`;

/** Outside of the snapshot: what is appended stays as it is. $1 above which number, $2 up to which, $3 how many. */
export const SETTLEMENTS = `
SELECT number, kind, block, height, pin, entry, previous, hash, document FROM settlements
WHERE number > $1 AND number <= $2 ORDER BY number LIMIT $3`;

/** Outside of the snapshot. $1 entry. */
export const POSTINGS_OF = `
SELECT p.book, p.reason, a.script, sum(p.amount) AS amount FROM postings p LEFT JOIN accounts a ON a.id = p.account
WHERE p.entry = $1 GROUP BY p.book, p.reason, a.script`;

/** Outside of the snapshot. $1 txid, $2 output. */
export const FIND_COIN = "SELECT spent_by, spent_height FROM coins WHERE txid = $1 AND vout = $2";
