/** SQL of gateway sessions. */

/** $1 key, $2 version. */
export const TOUCH_SESSION = "UPDATE sessions SET version = $2, opened_at = now() WHERE gateway_key = $1 RETURNING id, prime_id";

/** Only after TOUCH_SESSION found nothing, so that a returning gateway uses up no prime id. */
export const CREATE_SESSION = `
INSERT INTO sessions (gateway_key, prime_id, version) VALUES ($1, nextval('prime_ids'), $2) ON CONFLICT (gateway_key) DO NOTHING RETURNING id, prime_id`;

/** $1 session, $2 oldest time, $3 how many; newest first. */
export const RECENT_SPLITS = `
SELECT id, coinbaser_id, value, prevhash, outputs, position FROM splits WHERE session = $1 AND offered_at >= $2 ORDER BY id DESC LIMIT $3`;

/** $1 rows as JSON, $2 our epoch: a pool that has lost its turn must not undo what the next one has saved. */
export const SAVE_WORK = `
INSERT INTO session_work SELECT r.* FROM json_populate_recordset(NULL::session_work, $1::json) r
WHERE EXISTS (SELECT FROM log_state WHERE epoch = $2)
ON CONFLICT (session) DO UPDATE SET minimum = excluded.minimum, earlier = excluded.earlier, payee = excluded.payee, proven = excluded.proven,
  jobs = excluded.jobs, saved_at = excluded.saved_at`;

/** $1 session. */
export const SAVED_WORK = `
SELECT w.*, (
  SELECT json_agg(json_build_object('id', t.id::text, 'state', t.state, 'detail', t.detail)) FROM templates t
  WHERE t.state IN ('sound', 'unsound')
    AND t.id IN (SELECT (job->>'template')::bigint FROM jsonb_array_elements(w.jobs) job WHERE job->>'template' IS NOT NULL)
) AS verdicts FROM session_work w WHERE session = $1`;

/** $1 time. */
export const FORGET_WORK = "DELETE FROM session_work WHERE saved_at < $1";
