/**
 * Log files: the share log as it is published, one file for each closed segment, each naming the hash of the one before it.
 *
 * A file is written before its hash stands in the books: killed in between, the pool writes the same text again. Once its hash stands there, the segment's
 * single shares may be dropped.
 */
import { createHash, type Hash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { createGzip } from "node:zlib";
import type { Client } from "pg";
import type { Registry } from "prom-client";
import { encodeLogEnd, encodeLogEntry, encodeLogHeader, type LogEntry, logFile } from "../../proofs/index.js";
import type { Database } from "../database.js";
import { LedgerError } from "../errors.js";
import type { LedgerLogger } from "../types.js";
import { publishFile, setAside } from "./published-file.js";
import {
  FETCH_ENTRIES,
  HOLD_SHARES,
  LOG_HASH,
  NEWEST_SEGMENT,
  NEXT_UNPUBLISHED,
  OPEN_ENTRIES,
  PUBLISHED_SEGMENT,
  PUBLISHED_SEGMENTS,
  SET_LOG_HASH,
  SHARES_GONE,
} from "./queries.js";

export interface PublishOptions {
  /** The published folder. */
  readonly dir: string;
  /** bitcoin network, as in `Settlement.network`. */
  readonly network: string;
}

export interface PublishModules {
  readonly database: Database;
  readonly logger: LedgerLogger;
  readonly metrics?: Registry;
  /** Pool clock, milliseconds. */
  readonly now?: () => number;
}

interface SegmentRow {
  readonly id: number;
  readonly prevhash: Buffer | null;
  readonly after_position: string;
  readonly last_position: string;
  readonly per_share: boolean;
  readonly log_hash: Buffer | null;
  readonly previous: Buffer | null;
}

interface EntryRow {
  readonly position: string;
  readonly hash: Buffer;
  readonly script: Buffer;
  readonly weight: string;
  readonly fee_ppm: number;
}
interface ShareRow extends EntryRow {
  readonly of_position: null;
  readonly time: string;
  readonly prevhash: Buffer;
  readonly height: number;
  readonly worker: string;
  readonly split: string | null;
  readonly pin: string;
  readonly prime_id: string | null;
  readonly target_byte: number;
  readonly coinbase_id: number;
  readonly ntime: string;
}
interface VoidRow extends EntryRow {
  readonly of_position: string;
  readonly segment: number;
  readonly template: string | null;
}

/** What the first file names as the one before it. */
const NO_HASH = new Uint8Array(32);

const MAX_REFUSALS = 3;

export class LogFiles {
  readonly #options: PublishOptions;
  readonly #modules: PublishModules;
  /** One export at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  #restored = false;
  /** How often in a row the folder could not be written for a settlement. */
  #refusals = 0;
  #stopped = false;

  constructor(options: PublishOptions, modules: PublishModules) {
    this.#options = options;
    this.#modules = modules;
  }

  /**
   * The hash of a segment's log file; undefined while the segment is open or unknown. Closed segments up to it that have no file yet get theirs first, in
   * order. Rejects when the database or the disk refuses; then the next call goes on where this one stopped.
   */
  exportUpTo(segment: number): Promise<Uint8Array | undefined> {
    return this.#next(async () => {
      const { pool } = this.#modules.database;
      for (;;) {
        const { rows } = await pool.query<SegmentRow>(NEXT_UNPUBLISHED, [segment]);
        const row = rows[0];
        if (row === undefined) break;
        const hash = await this.#write(row);
        await pool.query(SET_LOG_HASH, [row.id, hash]);
        this.#check();
      }
      const { rows } = await pool.query<{ log_hash: Buffer | null }>(LOG_HASH, [segment]);
      const hash = rows[0]?.log_hash;
      return hash == null ? undefined : Uint8Array.from(hash);
    });
  }

  /**
   * As `exportUpTo`, for a settlement: a folder that can't be written does not hold the books up for ever. The third time in a row that it refuses, the
   * settlement goes without the hash, said loudly; the file is written later.
   */
  async hashForSettlement(segment: number): Promise<Uint8Array | undefined> {
    try {
      const hash = await this.exportUpTo(segment);
      this.#refusals = 0;
      return hash;
    } catch (error) {
      if (!(error instanceof LedgerError) || error.code !== "ledger.publishFailed") throw error;
      this.#refusals += 1;
      if (this.#refusals < MAX_REFUSALS) throw error;
      this.#modules.logger.error(
        { segment, error: error.message },
        "the published folder can't be written: a block is booked without its log file's hash",
      );
      return undefined;
    }
  }

  /** Exports every segment that is closed now. The first time, files that were published and are not in the folder are written again where their shares are still held. */
  async catchUp(): Promise<void> {
    if (!this.#restored) {
      await this.#next(() => this.#restore());
      this.#restored = true;
    }
    const { rows } = await this.#modules.database.pool.query<{ id: number | null }>(NEWEST_SEGMENT);
    await this.exportUpTo((rows[0]?.id ?? 1) - 1);
  }

  /** Ends with the file that is being written; from then on exports are refused (`ledger.closed`). */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#turn;
  }

  #next<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(() => {
      this.#check();
      return work();
    });
    this.#turn = done.catch(() => undefined);
    return done;
  }

  #check(): void {
    if (this.#stopped) throw new LedgerError("ledger.closed", "log files are no longer written: the pool is stopping");
  }

  /** Writes a segment's file and tells its hash; with `expected`, only if that is what it would be. */
  async #write(row: SegmentRow, expected?: string): Promise<Uint8Array> {
    const client = await this.#modules.database.connect();
    try {
      const hash = createHash("sha256");
      const pieces = checked(this.#pieces(client, row), hash, row.id, expected);
      const path = join(this.#options.dir, logFile(row.id));
      const beforeMove = async (): Promise<void> => {
        await setAside(path, hash.copy().digest(), this.#modules.logger);
      };
      await publishFile(path, pieces, { through: createGzip(), beforeMove });
      return hash.digest();
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** The text, in pieces of some hundred lines. */
  async *#pieces(client: Client, row: SegmentRow): AsyncGenerator<Uint8Array> {
    const header = encodeLogHeader({
      network: this.#options.network,
      segment: row.id,
      prevhash: row.prevhash ?? undefined,
      after: BigInt(row.after_position),
      previous: row.previous ?? NO_HASH,
      perShare: row.per_share,
    });
    yield Buffer.from(`${header}\n`);
    let shares = 0;
    let voids = 0;
    await client.query("BEGIN");
    await client.query(HOLD_SHARES);
    await client.query(OPEN_ENTRIES, [row.after_position, row.last_position]);
    for (;;) {
      const { rows } = await client.query<ShareRow | VoidRow>(FETCH_ENTRIES);
      if (rows.length === 0) break;
      let text = "";
      for (const entry of rows) {
        if (entry.of_position === null) shares++;
        else voids++;
        text += `${encodeLogEntry(logEntry(entry))}\n`;
      }
      yield Buffer.from(text);
    }
    await client.query("COMMIT");
    yield Buffer.from(`${encodeLogEnd({ last: BigInt(row.last_position), shares, voids })}\n`);
  }

  async #restore(): Promise<void> {
    const { database, logger } = this.#modules;
    const there = new Set(await namesIn(join(this.#options.dir, "log")));
    const { rows: published } = await database.pool.query<{ id: number }>(PUBLISHED_SEGMENTS);
    const lost: number[] = [];
    for (const { id } of published) {
      if (there.has(basename(logFile(id)))) continue;
      this.#check();
      const { rows } = await database.pool.query<SegmentRow>(PUBLISHED_SEGMENT, [id]);
      const row = rows[0] as SegmentRow;
      if (!(await this.#restoreOne(row))) lost.push(id);
    }
    if (lost.length > 0) {
      logger.error(
        { segments: lost.length, first: lost[0], last: lost.at(-1), dir: this.#options.dir },
        "log files are missing, and their shares are no longer in the database: put them back from a copy, or settlements can't be audited",
      );
    }
  }

  /** False when its shares are gone. */
  async #restoreOne(row: SegmentRow): Promise<boolean> {
    const { database, logger } = this.#modules;
    const { rows } = await database.pool.query<{ gone: boolean }>(SHARES_GONE, [row.id, row.after_position, row.last_position]);
    if (rows[0]?.gone !== false) return false;
    try {
      await this.#write(row, (row.log_hash as Buffer).toString("hex"));
      logger.info({ segment: row.id }, "a missing log file was written again");
    } catch (error) {
      if (!(error instanceof LedgerError) || error.code !== "ledger.logChanged") throw error;
      logger.error({ code: error.code, segment: row.id }, error.message);
    }
    return true;
  }
}

/** Names in a folder; none when there is no folder. */
export async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
}

/** Passes the pieces on and hashes them; throws at their end when that is not the expected hash (hex). */
async function* checked(pieces: AsyncIterable<Uint8Array>, hash: Hash, segment: number, expected?: string): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    hash.update(piece);
    yield piece;
  }
  const found = hash.copy().digest("hex");
  if (expected === undefined || expected === found) return;
  throw new LedgerError(
    "ledger.logChanged",
    `the log file of segment ${segment} was published with sha256 ${expected}, the books now give a text with ${found}: it is not written again`,
  );
}

function logEntry(row: ShareRow | VoidRow): LogEntry {
  const entry = {
    position: BigInt(row.position),
    hash: row.hash,
    script: row.script,
    weight: BigInt(row.weight),
    feePpm: row.fee_ppm,
  };
  if (row.of_position !== null) {
    const reason = row.template === null ? "parent" : "template";
    return { kind: "void", ...entry, share: BigInt(row.of_position), segment: row.segment, reason };
  }
  return {
    kind: "share",
    ...entry,
    time: Number(row.time),
    prevhash: row.prevhash,
    height: row.height,
    worker: row.worker,
    split: row.split === null ? undefined : BigInt(row.split),
    pin: BigInt(row.pin),
    primeId: Number(row.prime_id ?? 0),
    targetByte: row.target_byte,
    coinbaseId: row.coinbase_id,
    ntime: Number(row.ntime),
  };
}
