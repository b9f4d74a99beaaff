/** SQL of accounts and workers. */

/** $1 scripts. */
export const FIND_ACCOUNTS = "SELECT id, script, kind FROM accounts WHERE script = ANY ($1::bytea[])";

/** $1 ids. */
export const READ_ACCOUNTS = "SELECT id, script, kind FROM accounts WHERE id = ANY ($1::int4[])";

/** $1 scripts, $2 addresses, $3 kind. */
export const INSERT_ACCOUNTS = `
INSERT INTO accounts (script, address, kind) SELECT r.script, r.address, $3 FROM unnest($1::bytea[], $2::text[]) AS r (script, address)
ON CONFLICT (script) DO NOTHING`;

/** The pool's own script is the operator's account, also if a miner named it before. */
export const SET_OPERATOR = `
INSERT INTO accounts (script, address, kind) VALUES ($1, $2, 'operator') ON CONFLICT (script) DO UPDATE SET kind = 'operator' RETURNING id`;

/** $1 the pool's present script, $2 its account. All others are retired, those that were already keep their time. */
export const SET_POOL_SCRIPT = `
WITH retired AS (UPDATE pool_scripts SET retired_at = now() WHERE script <> $1 AND retired_at IS NULL)
INSERT INTO pool_scripts (script, account) VALUES ($1, $2) ON CONFLICT (script) DO UPDATE SET retired_at = NULL`;

export const POOL_SCRIPTS = "SELECT script, account, since, retired_at FROM pool_scripts ORDER BY since, account";

/** $1 accounts, $2 names. */
export const FIND_WORKERS = `
SELECT w.id, w.account, w.name FROM unnest($1::int4[], $2::text[]) AS r (account, name) JOIN workers w ON w.account = r.account AND w.name = r.name`;

export const INSERT_WORKERS = `
INSERT INTO workers (account, name) SELECT r.account, r.name FROM unnest($1::int4[], $2::text[]) AS r (account, name) ON CONFLICT (account, name) DO NOTHING`;
