/** SQL of templates. */

/** Writes rows, or their verdicts where they are there: $1 rows as JSON. A verdict is never taken back by a row that was written before it. */
export const WRITE_TEMPLATES = `
INSERT INTO templates SELECT * FROM json_populate_recordset(NULL::templates, $1::json)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, path = excluded.path, code = excluded.code, detail = excluded.detail, fees = excluded.fees,
  own_value = excluded.own_value, own_transactions = excluded.own_transactions, own_weight = excluded.own_weight,
  lacks_transactions = excluded.lacks_transactions, lacks_fees = excluded.lacks_fees, extra_transactions = excluded.extra_transactions,
  extra_fees = excluded.extra_fees, judged_at = excluded.judged_at
WHERE excluded.state <> 'pending'`;

/** Templates that nobody judges any more, as the pool that did has ended: $1 time. */
export const END_PENDING = `
UPDATE templates SET state = 'unjudged', code = 'interrupted', detail = 'the pool stopped before it was judged', judged_at = $1
WHERE state = 'pending'`;

/** Unsound templates with shares that were not taken back. Those of a compacted round had none. */
export const UNVOIDED_TEMPLATES = `
SELECT t.id, t.prevhash FROM templates t JOIN rounds r ON r.prevhash = t.prevhash AND r.compacted_at IS NULL
WHERE t.state = 'unsound' AND EXISTS (
  SELECT FROM shares s WHERE s.round = r.id AND s.template = t.id
    AND NOT EXISTS (SELECT FROM voids v WHERE v.round = s.round AND v.hash = s.hash)
)
ORDER BY t.id`;

export const PARENT_OF_TEMPLATE = "SELECT prevhash FROM templates WHERE id = $1";

/** The newest $1, of the gateway with key $2 where that is not null. */
export const RECENT_TEMPLATES = `
SELECT t.*, e.gateway_key FROM templates t LEFT JOIN sessions e ON e.id = t.session
WHERE $2::bytea IS NULL OR t.session = (SELECT id FROM sessions WHERE gateway_key = $2) ORDER BY t.id DESC LIMIT $1`;
