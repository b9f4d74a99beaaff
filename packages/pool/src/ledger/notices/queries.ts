/** SQL of notices. */

const RECEIVER = `
SELECT r.id, r.account, a.address, r.channel, r.target, r.events, r.created_at, r.tokens, r.refilled_at, r.sent_at, r.failures, r.failing_since,
  r.disabled_at, (SELECT count(*)::int FROM notice_deliveries d WHERE d.receiver = r.id) AS waiting
FROM notice_receivers r LEFT JOIN accounts a ON a.id = r.account`;

export const RECEIVERS = `${RECEIVER} ORDER BY r.id`;

/** $1 time now, $2 time up to which notices have been gathered, $3 receivers that are at work. */
export const DUE_RECEIVERS = `${RECEIVER}
WHERE r.disabled_at IS NULL AND (r.retry_at IS NULL OR r.retry_at <= $1) AND NOT r.id = ANY($3::bigint[]) AND EXISTS (
  SELECT FROM notice_deliveries d JOIN notices n ON n.id = d.notice WHERE d.receiver = r.id AND n.written_at <= $2)
ORDER BY r.id`;

/** $1 account, $2 channel, $3 target, $4 events, $5 tokens, $6 now. */
export const ADD_RECEIVER = `
INSERT INTO notice_receivers (account, channel, target, events, tokens, created_at, refilled_at) VALUES ($1, $2, $3, $4, $5, $6, $6) RETURNING id`;

/** The target is sealed for its receiver's id, so it comes after the row. */
export const SET_TARGET = "UPDATE notice_receivers SET target = $2 WHERE id = $1";

export const REMOVE_RECEIVER = "DELETE FROM notice_receivers WHERE id = $1 AND account IS NOT NULL";

/** The operator's receivers as the configuration has them: $1 channel, $2 events, $3 tokens, $4 now. A start is a new chance for one that was given up. */
export const KEEP_OPERATOR = `
INSERT INTO notice_receivers (channel, events, tokens, created_at, refilled_at) VALUES ($1, $2, $3, $4, $4)
ON CONFLICT (channel) WHERE account IS NULL DO UPDATE SET events = excluded.events, disabled_at = NULL, retry_at = NULL
RETURNING id`;

/** Those of channels that are not in $1. */
export const DROP_OPERATOR = "DELETE FROM notice_receivers WHERE account IS NULL AND NOT channel = ANY($1::text[])";

/** $1 keys, $2 events, $3 accounts, $4 times, $5 data; $6 now. Each notice waits for the receivers that its account (or the operator) has for its event. */
export const WRITE_NOTICES = `
WITH fresh AS (
  INSERT INTO notices (key, event, account, at, data, written_at)
  SELECT k, e, a, t, d, $6 FROM unnest($1::text[], $2::text[], $3::int[], $4::timestamptz[], $5::text[]) AS x(k, e, a, t, d)
  ON CONFLICT (key) DO NOTHING RETURNING id, event, account
)
INSERT INTO notice_deliveries (receiver, notice)
SELECT r.id, f.id FROM fresh f JOIN notice_receivers r ON r.account IS NOT DISTINCT FROM f.account AND f.event = ANY(r.events)
WHERE r.disabled_at IS NULL`;

export const RAISE_ALARMS = `
INSERT INTO notice_alarms (name, since, data) SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::text[]) ON CONFLICT (name) DO NOTHING`;
export const CLEAR_ALARMS = "DELETE FROM notice_alarms WHERE name = ANY($1::text[])";
export const ALARMS = "SELECT name, since, data FROM notice_alarms";

export const NOTICE_STATE = "SELECT entry, position FROM notice_state";
export const SET_ENTRY = "UPDATE notice_state SET entry = $1";

/** The oldest $2 of receiver $1. */
export const WAITING = `
SELECT n.id, n.event, n.at, n.written_at, n.data FROM notice_deliveries d JOIN notices n ON n.id = d.notice WHERE d.receiver = $1 ORDER BY n.id LIMIT $2`;

export const SETTLE = "DELETE FROM notice_deliveries WHERE receiver = $1 AND notice = ANY($2::bigint[])";

/** $2 tokens, $3 now. */
export const RECEIVER_SENT = `
UPDATE notice_receivers SET tokens = $2, refilled_at = $3, sent_at = $3, failures = 0, failing_since = NULL, retry_at = NULL, disabled_at = NULL
WHERE id = $1`;

/** $2 now, $3 time of the next try, $4 true when it is given up. */
export const RECEIVER_FAILED = `
UPDATE notice_receivers SET failures = failures + 1, failing_since = coalesce(failing_since, $2), retry_at = $3,
  disabled_at = CASE WHEN $4::boolean THEN $2 END
WHERE id = $1`;
export const FORGET_WAITING = "DELETE FROM notice_deliveries WHERE receiver = $1";

/** Notices from before $1 that wait, and all but the newest $2 of each receiver. */
export const EXPIRE = `
DELETE FROM notice_deliveries d USING notices n, (
  SELECT receiver, notice, row_number() OVER (PARTITION BY receiver ORDER BY notice DESC) AS place FROM notice_deliveries) p
WHERE n.id = d.notice AND p.receiver = d.receiver AND p.notice = d.notice AND (n.written_at < $1 OR p.place > $2)
RETURNING (SELECT channel FROM notice_receivers r WHERE r.id = d.receiver) AS channel`;
export const FORGET_NOTICES =
  "DELETE FROM notices n WHERE written_at < $1 AND NOT EXISTS (SELECT FROM notice_deliveries d WHERE d.notice = n.id)";

/** Entries after $1, at most $2, that are news: blocks and payments of the wallet, and reversals of blocks. `last`: of all that were looked at. */
export const NEWS_ENTRIES = `
WITH looked AS (SELECT * FROM entries WHERE id > $1 ORDER BY id LIMIT $2)
SELECT e.id, e.kind, e.at, coalesce(e.height, r.height) AS height, coalesce(e.block, r.block) AS block, e.txid,
  (e.kind IN ('block', 'spend') OR r.kind = 'block') IS TRUE AS news,
  (SELECT coalesce(sum(p.amount), 0) FROM postings p JOIN accounts a ON a.id = p.account WHERE p.entry = e.id AND p.reason = 'earned') AS earned,
  (SELECT coalesce(-sum(p.amount), 0) FROM postings p JOIN accounts a ON a.id = p.account
    WHERE p.entry = e.id AND p.reason IN ('paid', 'withdrawn') AND a.kind = 'miner') AS paid,
  (SELECT coalesce(sum(p.amount), 0) FROM postings p WHERE p.entry = e.id AND p.reason = 'fee') AS fee
FROM looked e LEFT JOIN entries r ON r.id = e.reverses ORDER BY e.id`;

/** What entries $1 posted to accounts that have receivers. */
export const NEWS_POSTINGS = `
SELECT p.entry, p.account, coalesce(b.balance, 0) AS balance, coalesce(sum(p.amount) FILTER (WHERE p.reason = 'earned'), 0) AS earned,
  coalesce(-sum(p.amount) FILTER (WHERE p.reason IN ('paid', 'withdrawn')), 0) AS paid
FROM postings p LEFT JOIN balances b ON b.account = p.account
WHERE p.entry = ANY($1::bigint[]) AND p.account IN (SELECT account FROM notice_receivers WHERE account IS NOT NULL)
GROUP BY p.entry, p.account, b.balance`;

/** The newest $1 blocks that were handed in after $2. A block's number may be seen after a higher one's, so some are looked at again; keys make it safe. */
export const NEWS_BLOCKS = `
SELECT hash, height, coinbase_value, status, outcome, found_at FROM blocks
WHERE header IS NOT NULL AND found_at > $2 AND id > (SELECT first_block FROM notice_state) ORDER BY id DESC LIMIT $1`;

export const LOG_HEAD = "SELECT position FROM log_state";

/** Opens a cursor on the work after position $1 up to $2, of accounts $3, or of all where that is null. Times are milliseconds since 1970. */
export const OPEN_WORK = `
DECLARE work CURSOR FOR
SELECT account, worker, session, count(*)::int AS shares, sum(weight)::float8 AS weight, max(weight)::float8 AS share_weight,
  (extract(epoch FROM min(received_at)) * 1000)::float8 AS first_at, (extract(epoch FROM max(received_at)) * 1000)::float8 AS last_at
FROM shares
WHERE position > $1 AND position <= $2 AND round = ANY(ARRAY(SELECT id FROM rounds ORDER BY id DESC LIMIT 64))
  AND ($3::int[] IS NULL OR account = ANY($3))
GROUP BY account, worker, session`;
export const MORE_WORK = "FETCH 500 FROM work";

export const PACES = "SELECT kind, id, account, session, shares, seconds, weight, share_weight, last_at FROM notice_paces";
/** $1 rows as JSON. */
export const SAVE_PACES = `
INSERT INTO notice_paces SELECT * FROM json_populate_recordset(NULL::notice_paces, $1::json)
ON CONFLICT (kind, id) DO UPDATE SET account = excluded.account, session = excluded.session, shares = excluded.shares, seconds = excluded.seconds,
  weight = excluded.weight, share_weight = excluded.share_weight, last_at = excluded.last_at`;
export const FORGET_PACES = "DELETE FROM notice_paces WHERE last_at < $1";
export const SET_POSITION = "UPDATE notice_state SET position = $1";

export const WORKER_NAMES = "SELECT w.id, w.name, a.address FROM workers w JOIN accounts a ON a.id = w.account WHERE w.id = ANY($1::int[])";
export const GATEWAY_KEYS = "SELECT id, gateway_key FROM sessions WHERE id = ANY($1::bigint[])";
