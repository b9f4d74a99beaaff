/** The lock that keeps a second pool from the same database: an advisory lock, held by a session of its own for as long as the pool lives. */
import type { Client } from "pg";

/** First key of all our advisory locks ("oprm"); the second says which. */
export const ADVISORY_CLASS = 0x6f70726d;
const POOL_KEY = 1;

/** Who holds the lock, as the server knows it. */
export interface LockHolder {
  readonly application: string;
  /** Undefined for a local socket. */
  readonly address: string | undefined;
  readonly since: Date;
}

/** Takes the lock for the client's session. Undefined when it was free, else its holder. */
export async function tryPoolLock(client: Client): Promise<LockHolder | undefined> {
  const taken = await client.query<{ ok: boolean }>("SELECT pg_try_advisory_lock($1, $2) AS ok", [ADVISORY_CLASS, POOL_KEY]);
  if (taken.rows[0]?.ok === true) return undefined;
  const { rows } = await client.query<{ application_name: string; client_addr: string | null; backend_start: Date }>(
    `SELECT application_name, client_addr, backend_start FROM pg_locks JOIN pg_stat_activity USING (pid)
     WHERE locktype = 'advisory' AND granted AND classid = $1::bigint::oid AND objid = $2::bigint::oid
       AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    [ADVISORY_CLASS, POOL_KEY],
  );
  const holder = rows[0];
  // It may have been given back between the two queries; then nobody is named and the caller tries again.
  return {
    application: holder?.application_name ?? "",
    address: holder?.client_addr ?? undefined,
    since: holder?.backend_start ?? new Date(0),
  };
}
