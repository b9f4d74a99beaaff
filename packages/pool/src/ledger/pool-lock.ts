/** The lock that keeps a second pool from the same database: an advisory lock, held by a session of its own for as long as the pool lives. */
import type { Client } from "pg";

/** First key of all our advisory locks ("oprm"); the second says which. */
export const ADVISORY_CLASS = 0x6f70726d;
const POOL_KEY = 1;
/** Held besides by a pool that is about to give the other one back. */
const LEAVING_KEY = 3;

/** Who holds the lock, as the server knows it. */
export interface LockHolder {
  readonly application: string;
  /** Undefined for a local socket. */
  readonly address: string | undefined;
  readonly since: Date;
  /** It ends just now: whoever waits will have the lock soon. */
  readonly leaving: boolean;
}

/** Tells those who wait for the lock of this client's session that it will be free soon. */
export async function announceLeaving(client: Client): Promise<void> {
  await client.query("SELECT pg_try_advisory_lock($1, $2)", [ADVISORY_CLASS, LEAVING_KEY]);
}

/** Takes the lock for the client's session. Undefined when it was free, else its holder. */
export async function tryPoolLock(client: Client): Promise<LockHolder | undefined> {
  const taken = await client.query<{ ok: boolean }>("SELECT pg_try_advisory_lock($1, $2) AS ok", [ADVISORY_CLASS, POOL_KEY]);
  if (taken.rows[0]?.ok === true) return undefined;
  const { rows } = await client.query<{ application_name: string; client_addr: string | null; backend_start: Date; leaving: boolean }>(
    `WITH held AS (
       SELECT pid, objid FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = $1::bigint::oid
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
     )
     SELECT application_name, client_addr, backend_start, EXISTS (SELECT FROM held h WHERE h.pid = held.pid AND h.objid = $3::bigint::oid) AS leaving
     FROM held JOIN pg_stat_activity USING (pid) WHERE objid = $2::bigint::oid`,
    [ADVISORY_CLASS, POOL_KEY, LEAVING_KEY],
  );
  const holder = rows[0];
  // It may have been given back between the two queries; then nobody is named and the caller tries again.
  return {
    application: holder?.application_name ?? "",
    address: holder?.client_addr ?? undefined,
    since: holder?.backend_start ?? new Date(0),
    leaving: holder?.leaving ?? false,
  };
}
