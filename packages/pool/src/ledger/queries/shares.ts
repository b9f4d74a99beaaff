/**
 * SQL of the share log's writer. Statements with a name are prepared once per connection.
 *
 * Every statement that writes the log begins with the fence: it touches the one row of `log_state` under our epoch. Without our epoch it finds no
 * row, and then nothing below it happens. A batch also wants the position that it continues, so that a copy of it that was left on a broken
 * connection can't be carried out after all.
 */

/**
 * One batch of shares, in one round trip and one transaction. Rows whose (round, hash) exists already, in the table or earlier in the batch, are
 * left out; the sums of the segment are raised by what was really inserted. The answer names the inserted positions only when some are missing.
 *
 * $1 epoch, $2 segment, $3 position before the batch, $4 rows in the batch, then one array per column.
 */
export const INSERT_SHARES = {
  name: "insert_shares",
  text: `
WITH fence AS (
  UPDATE log_state SET position = $3::bigint + $4::int WHERE epoch = $1::bigint AND position = $3::bigint RETURNING 1
), inserted AS (
  INSERT INTO shares (position, received_at, session, split, pin, ntime, round, segment, account, worker, fee_ppm, height,
    target_byte, coinbase_id, tentative, hash, weight, template)
  SELECT $3::bigint + r.n, r.received_at, r.session, r.split, r.pin, r.ntime, r.round, $2::int, r.account, r.worker, r.fee_ppm, r.height,
    r.target_byte, r.coinbase_id, r.tentative, r.hash, r.weight, r.template
  FROM fence, unnest($5::timestamptz[], $6::int8[], $7::int8[], $8::int8[], $9::int8[], $10::int4[], $11::int4[], $12::int4[], $13::int4[],
    $14::int4[], $15::int2[], $16::int2[], $17::bool[], $18::bytea[], $19::numeric[], $20::int8[]) WITH ORDINALITY
    AS r (received_at, session, split, pin, ntime, round, account, worker, fee_ppm, height, target_byte, coinbase_id, tentative, hash, weight,
      template, n)
  ON CONFLICT (round, hash) DO NOTHING
  RETURNING position, account, worker, weight, fee_ppm
), summed AS (
  INSERT INTO segment_weights AS s (segment, account, worker, shares, weight, fee_weight)
  SELECT $2::int, account, worker, count(*), sum(weight), sum(weight * fee_ppm) FROM inserted GROUP BY account, worker
  ON CONFLICT (segment, account, worker) DO UPDATE
    SET shares = s.shares + excluded.shares, weight = s.weight + excluded.weight, fee_weight = s.fee_weight + excluded.fee_weight
)
SELECT (SELECT count(*) FROM fence)::int AS fence, count(*)::int AS count,
  CASE WHEN count(*) < $4::int THEN array_agg(position - $3::bigint)::int[] END AS places
FROM inserted`,
};

/** Which rows of a batch are in the table, after the connection broke off before the answer: $1 rounds, $2 hashes, $3 position before the batch, $4 rows. */
export const FIND_BATCH = `
SELECT (s.position - $3::bigint)::int AS place
FROM unnest($1::int4[], $2::bytea[]) AS r (round, hash) JOIN shares s ON s.round = r.round AND s.hash = r.hash
WHERE s.position > $3::bigint AND s.position <= $3::bigint + $4::int`;

export const READ_STATE = "SELECT position, epoch FROM log_state";

/** Fence of a transaction of several statements: $1 epoch. The row lock holds until its end. */
export const LOCK_STATE = "SELECT position FROM log_state WHERE epoch = $1 FOR UPDATE";

export const LAST_SEGMENT = "SELECT id, prevhash, bits, subsidy, average_fees FROM segments ORDER BY id DESC LIMIT 1";

/** $1 id, $2 prevhash or null, $3 position that it follows; what a block is worth, or nulls: $4 compact target, $5 subsidy, $6 average fees. */
export const OPEN_SEGMENT = `
INSERT INTO segments (id, prevhash, after_position, bits, subsidy, average_fees) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING`;

export const OPEN_ROUND = "SELECT open_round($1, $2) AS id";

/** $1 ids, $2 sessions, $3 coinbaser ids, $4 positions, $5 prevhashes, $6 values, $7 outputs, $8 times, $9 finders, $10 fee rates, $11 schemes, $12 epoch. */
export const INSERT_SPLITS = {
  name: "insert_splits",
  text: `
WITH fence AS (SELECT FROM log_state WHERE epoch = $12::bigint FOR UPDATE), inserted AS (
  INSERT INTO splits (id, session, coinbaser_id, position, prevhash, value, outputs, offered_at, finder, fee_ppm, scheme)
  SELECT r.* FROM fence, unnest($1::int8[], $2::int8[], $3::int2[], $4::int8[], $5::bytea[], $6::int8[], $7::bytea[], $8::timestamptz[],
    $9::int8[], $10::int4[], $11::text[]) AS r
  ON CONFLICT (id) DO NOTHING
)
SELECT (SELECT count(*) FROM fence)::int AS fence`,
};

export const LAST_SPLIT = "SELECT coalesce(max(id), 0) AS id FROM splits";

const voidsOf = (shares: string, template: string): string => `
INSERT INTO voids (position, round, hash, share_position, segment, account, worker, weight, fee_ppm, template)
SELECT $1::bigint + row_number() OVER (ORDER BY s.position), s.round, s.hash, s.position, s.segment, s.account, s.worker, s.weight, s.fee_ppm,
  ${template}
FROM shares s
WHERE s.round = $2 AND ${shares} AND NOT EXISTS (SELECT FROM voids v WHERE v.round = s.round AND v.hash = s.hash)`;

/** Voids of a round's tentative shares: $1 position before, $2 round. */
export const VOID_TENTATIVE = voidsOf("s.tentative", "NULL");

/** Voids of the shares that carry a template, all of one round: $1 position before, $2 round, $3 template. */
export const VOID_TEMPLATE = voidsOf("s.template = $3::bigint", "s.template");

/** Takes the voids after position $1 out of the sums. */
export const SUBTRACT_VOIDS = `
UPDATE segment_weights s SET shares = s.shares - v.shares, weight = s.weight - v.weight, fee_weight = s.fee_weight - v.fee_weight
FROM (
  SELECT segment, account, worker, count(*) AS shares, sum(weight) AS weight, sum(weight * fee_ppm) AS fee_weight
  FROM voids WHERE position > $1 GROUP BY segment, account, worker
) v
WHERE s.segment = v.segment AND s.account = v.account AND s.worker = v.worker`;

/** $1 how many positions were used. */
export const ADVANCE_STATE = "UPDATE log_state SET position = position + $1";

export const VOIDS_AFTER = `
SELECT v.position, v.segment, v.account, v.weight, v.fee_ppm, s.subsidy IS NOT NULL AS per_share
FROM voids v JOIN segments s ON s.id = v.segment WHERE v.position > $1 ORDER BY v.position`;

export const FIND_ROUND = "SELECT id FROM rounds WHERE prevhash = $1";

/** $1 round, $2 height of its blocks. Shares that were voided stay tentative, and those that claimed another height. */
export const CONFIRM_ROUND = `
UPDATE shares s SET tentative = false
WHERE s.round = $1 AND s.height = $2 AND s.tentative AND NOT EXISTS (SELECT FROM voids v WHERE v.round = s.round AND v.hash = s.hash)`;

/** Rounds with shares that are still tentative, among the newest $1: a parent is unknown for a minute, not for days. */
export const TENTATIVE_ROUNDS = `
SELECT r.prevhash, r.height FROM (SELECT id, prevhash, height FROM rounds ORDER BY id DESC LIMIT $1) r
WHERE EXISTS (
  SELECT FROM shares s
  WHERE s.round = r.id AND s.tentative AND NOT EXISTS (SELECT FROM voids v WHERE v.round = s.round AND v.hash = s.hash)
)`;
