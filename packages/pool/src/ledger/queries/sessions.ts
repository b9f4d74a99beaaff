/** SQL of gateway sessions. */

/** $1 key, $2 version. */
export const TOUCH_SESSION = "UPDATE sessions SET version = $2, opened_at = now() WHERE gateway_key = $1 RETURNING id, prime_id";

/** Only after TOUCH_SESSION found nothing, so that a returning gateway uses up no prime id. */
export const CREATE_SESSION = `
INSERT INTO sessions (gateway_key, prime_id, version) VALUES ($1, nextval('prime_ids'), $2) ON CONFLICT (gateway_key) DO NOTHING RETURNING id, prime_id`;

/** $1 session, $2 oldest time, $3 how many; newest first. */
export const RECENT_SPLITS = `
SELECT id, coinbaser_id, value, prevhash, outputs, position FROM splits WHERE session = $1 AND offered_at >= $2 ORDER BY id DESC LIMIT $3`;
