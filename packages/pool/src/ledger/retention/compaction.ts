/**
 * Compaction of a round: its shares become sums per segment, account and worker, and their partition goes.
 *
 * Two steps. First the round is closed for good: from that commit on its partition refuses every row, so nothing can come between the sums and the end of
 * the partition. Then one transaction does all the rest. Killed anywhere, a round is as it was, or closed, or compacted; a closed one is gone on with.
 *
 * The writer of the log needs the table `shares` at every moment. So the work is done while only this round is held, and the lock that dropping a partition
 * takes on the whole table is asked for last, for a few milliseconds at a time, and given up again when somebody else is in the way.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "pg";
import { archiveRound } from "./archive.js";
import { HOLD_ROUND, INSERT_ROUND_SUMS, KEEPERS, LOCK_PARENT, MARK_COMPACTED } from "./queries.js";

/** What the partition of a closed round is constrained by; the message of a refused row names it. */
export const CLOSED_ROUND = "round_is_compacted";

export interface CompactionOptions {
  /** Copies the shares to the archive. */
  readonly archive: boolean;
  /** Milliseconds since 1970: what came since then is still young. */
  readonly youngSince: number;
  /** Pool clock, milliseconds. */
  readonly now: number;
  readonly signal: AbortSignal;
}

/** `kept`: something speaks against it. `busy`: others held the tables for too long. In both cases nothing was changed that matters; try again later. */
export type CompactionOutcome = "compacted" | "kept" | "busy";

/** SQLSTATE of a lock that was not had in time. */
const LOCK_NOT_AVAILABLE = "55P03";
/** Nobody waits behind us for longer than this. */
const LOCK_PATIENCE_MS = 40;
const FIRST_PAUSE_MS = 20;
const LAST_PAUSE_MS = 2_000;
const MOST_TRIES = 24;

/** Compacts one round on a connection of its own. Rejects with errors of the database; the connection is not to be used any more then. */
export async function compactRound(client: Client, round: number, options: CompactionOptions): Promise<CompactionOutcome> {
  const closed = await close(client, round, options);
  if (closed !== "closed") return closed;
  await client.query("BEGIN");
  const held = await client.query(HOLD_ROUND, [round]);
  if (held.rows.length === 0) {
    await client.query("ROLLBACK");
    return "kept";
  }
  await client.query(INSERT_ROUND_SUMS, [round]);
  if (options.archive) await archiveRound(client, round);
  await client.query(MARK_COMPACTED, [round, new Date(options.now)]);
  const dropped = await withinLock(client, options.signal, async () => {
    await client.query(LOCK_PARENT);
    await client.query(`DROP TABLE ${partition(round)}`);
    return true;
  });
  if (dropped === "busy") {
    await client.query("ROLLBACK");
    return "busy";
  }
  await client.query("COMMIT");
  return "compacted";
}

const partition = (round: number): string => `shares_${round}`;

/** Makes the partition refuse rows, unless something speaks against it. */
async function close(client: Client, round: number, { youngSince, signal }: CompactionOptions): Promise<"closed" | "kept" | "busy"> {
  await client.query("BEGIN");
  const { rows } = await client.query("SELECT FROM pg_constraint WHERE conrelid = to_regclass($1) AND conname = $2", [
    partition(round),
    CLOSED_ROUND,
  ]);
  const outcome =
    rows.length > 0
      ? "closed"
      : await withinLock(client, signal, async () => {
          await client.query(`LOCK TABLE ${partition(round)} IN ACCESS EXCLUSIVE MODE`);
          const found = await client.query<Record<string, boolean>>(KEEPERS, [round, new Date(youngSince)]);
          if (Object.values(found.rows[0] ?? {}).some((keeps) => keeps)) return "kept";
          // Not valid: the rows that are there stay as they are, and are not read for it.
          await client.query(`ALTER TABLE ${partition(round)} ADD CONSTRAINT ${CLOSED_ROUND} CHECK (false) NOT VALID`);
          return "closed";
        });
  await client.query(outcome === "closed" ? "COMMIT" : "ROLLBACK");
  return outcome;
}

/** Runs what takes locks, within a transaction, until it has them. */
async function withinLock<T>(client: Client, signal: AbortSignal, work: () => Promise<T>): Promise<T | "busy"> {
  await client.query(`SET LOCAL lock_timeout = ${LOCK_PATIENCE_MS}`);
  for (let tries = 1, pause = FIRST_PAUSE_MS; ; tries++, pause = Math.min(2 * pause, LAST_PAUSE_MS)) {
    await client.query("SAVEPOINT locks");
    try {
      return await work();
    } catch (error) {
      if ((error as { code?: string }).code !== LOCK_NOT_AVAILABLE) throw error;
      await client.query("ROLLBACK TO SAVEPOINT locks");
    }
    if (tries >= MOST_TRIES || signal.aborted) return "busy";
    await sleep(pause, undefined, { signal }).catch(() => undefined);
  }
}
