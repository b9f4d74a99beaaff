/** Which errors of the database pass by themselves. */
import pg from "pg";

/**
 * SQLSTATE classes: 08 connection, 40 rollback by the server (deadlock, serialization), 53 resources (disk full, too many connections),
 * 57 intervention (shutdown, starting up, cancelled), 58 system errors. 25006: read-only while a standby takes over. 55P03: lock not available.
 */
const PASSING = /^(08|40|53|57|58)|^25006$|^55P03$/;

/** What the driver says, without a code of its own, when the connection is gone. */
const CONNECTION_GONE = /connection terminated|connection error|not queryable|client was closed|timeout/i;

/** True when the same statement may succeed later: the connection broke, or the server says so. False for what the server refuses and for bugs. */
export function passes(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return PASSING.test(error.code ?? "");
  if (!(error instanceof Error)) return false;
  return /^E[A-Z]+$/.test((error as NodeJS.ErrnoException).code ?? "") || CONNECTION_GONE.test(error.message);
}
