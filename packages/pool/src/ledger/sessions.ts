/** Gateway sessions: one per long-term key, each with a prime_id that no other ever has. */

import type { RestoredWork, SavedWork } from "../work/index.js";
import type { Database } from "./database.js";
import { LedgerError } from "./errors.js";
import { CREATE_SESSION, FORGET_WORK, RECENT_SPLITS, SAVE_WORK, SAVED_WORK, TOUCH_SESSION } from "./queries/sessions.js";
import { restoredWork, type SessionWorkRow, sessionWorkRow } from "./session-work.js";
import { unpackOutputs } from "./split-outputs.js";
import type { OfferedSplit } from "./types.js";

/** A gateway's work is at most 270 s old when it comes (DATUM.md section 11); twice that is enough for any clock. */
const RECENT_SPLITS_MS = 600_000;
const MOST_SPLITS = 255;
/** Work that was saved longer ago is nothing that a gateway still has. */
const WORK_LIFE_MS = 24 * 60 * 60_000;
const FORGET_EVERY_MS = 60 * 60_000;
/** SQLSTATE of a sequence that has reached its end. */
const SEQUENCE_LIMIT = "2200H";

export interface OpenedSession {
  readonly id: bigint;
  /** u32, never 0. */
  readonly primeId: number;
  /** Oldest first. */
  readonly splits: OfferedSplit[];
  /** What was saved of its work last, and when (milliseconds). */
  readonly work: { readonly savedAt: number; readonly restored: RestoredWork } | undefined;
}

interface SessionRow {
  id: string;
  prime_id: string;
}
interface SplitRow {
  id: string;
  coinbaser_id: number;
  value: string;
  prevhash: Buffer;
  outputs: Buffer;
  position: string;
}

export class Sessions {
  readonly #database: Database;
  readonly #now: () => number;
  #forgotAt = Number.NEGATIVE_INFINITY;

  /** `now`: milliseconds, pool clock. */
  constructor(database: Database, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  /**
   * The session of a gateway's long-term key, made at its first visit, with the splits offered to it lately. Errors: `ledger.primeIdsExhausted` after
   * 2^32 - 1 sessions; else what the database says, and what `onNew` throws.
   *
   * @param onNew called once a gateway turns out to be new, before its session is made; whatever it throws keeps that from happening
   */
  async open(gatewayKey: Uint8Array, version: string, onNew: () => void = () => undefined): Promise<OpenedSession> {
    const { pool } = this.#database;
    // PostgreSQL's text holds every character but NUL, and the version is the peer's word.
    const parameters = [Buffer.from(gatewayKey), version.replaceAll("\0", "")];
    let row = (await pool.query<SessionRow>(TOUCH_SESSION, parameters)).rows[0];
    if (row === undefined) onNew();
    while (row === undefined) {
      // Nothing comes back when another connection of the same gateway was first; then the session is there.
      row = (await pool.query<SessionRow>(CREATE_SESSION, parameters).catch(exhausted)).rows[0];
      row ??= (await pool.query<SessionRow>(TOUCH_SESSION, parameters)).rows[0];
    }
    const since = new Date(this.#now() - RECENT_SPLITS_MS);
    const { rows } = await pool.query<SplitRow>(RECENT_SPLITS, [row.id, since, MOST_SPLITS]);
    const splits = rows.reverse().map(restoredSplit);
    const saved = (await pool.query<SessionWorkRow>(SAVED_WORK, [row.id])).rows[0];
    const work = saved && { savedAt: saved.saved_at.getTime(), restored: restoredWork(saved, splits) };
    return { id: BigInt(row.id), primeId: Number(row.prime_id), splits, work };
  }

  /**
   * Keeps the work of these sessions over a restart, in one statement. Nothing is written where another pool has taken over. Rejects with what the
   * database says.
   */
  async save(sessions: readonly { readonly id: bigint; readonly work: SavedWork }[]): Promise<void> {
    const { pool, epoch } = this.#database;
    const now = this.#now();
    const rows = sessions.map(({ id, work }) => sessionWorkRow(id, work, now));
    if (rows.length > 0) await pool.query(SAVE_WORK, [JSON.stringify(rows), String(epoch)]);
    if (now - this.#forgotAt < FORGET_EVERY_MS) return;
    this.#forgotAt = now;
    await pool.query(FORGET_WORK, [new Date(now - WORK_LIFE_MS)]);
  }
}

/** Packed as it came: most are never looked at. */
function restoredSplit(row: SplitRow): OfferedSplit {
  // A copy: the row's own bytes are a view of all that came in one read.
  const packed = new Uint8Array(row.outputs);
  return {
    id: BigInt(row.id),
    coinbaserId: row.coinbaser_id,
    value: BigInt(row.value),
    prevhash: Uint8Array.from(row.prevhash),
    position: BigInt(row.position),
    packed,
    get outputs() {
      return unpackOutputs(Buffer.from(packed.buffer));
    },
  };
}

function exhausted(cause: unknown): never {
  if ((cause as { code?: string }).code === SEQUENCE_LIMIT) {
    throw new LedgerError("ledger.primeIdsExhausted", "all 2^32 - 1 prime ids have been given out; a new pool database is needed", {
      cause,
    });
  }
  throw cause;
}
