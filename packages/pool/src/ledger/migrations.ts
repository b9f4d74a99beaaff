/**
 * Migrations: plain numbered SQL files in the package's `sql/`, run in order, each in a transaction of its own, under an advisory lock,
 * and recorded with their checksum. Safe with several starters at once.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Client } from "pg";
import { LedgerError } from "./errors.js";
import { ADVISORY_CLASS } from "./pool-lock.js";
import type { LedgerLogger } from "./types.js";

/** Everything of ours lives in this schema, so that an operator's database can hold other things too. */
export const SCHEMA = "openprime";

/** The same place from src/ledger and from dist/ledger. */
const DIRECTORY = fileURLToPath(new URL("../../sql/", import.meta.url));
const ADVISORY_KEY = 2;

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
  /** sha256 of the file, hex. */
  readonly checksum: string;
}

/** The migrations of this program, by number: 1, 2, 3… without a gap. */
export function readMigrations(directory = DIRECTORY): Migration[] {
  const names = readdirSync(directory)
    .filter((name) => /^\d{4}_.+\.sql$/.test(name))
    .sort();
  return names.map((name, index) => {
    const sql = readFileSync(`${directory}/${name}`, "utf8");
    const number = Number(name.slice(0, 4));
    if (number !== index + 1)
      throw new LedgerError("ledger.migrationFailed", `expected migration ${index + 1} in ${directory}, found ${name}`);
    return { number, name, sql, checksum: createHash("sha256").update(sql.replaceAll("\r\n", "\n")).digest("hex") };
  });
}

/**
 * Brings the database to the newest of `migrations`; returns how many were run. Refuses a database that a newer program has migrated
 * (`ledger.schemaTooNew`) and one whose migrations were not these (`ledger.migrationChanged`).
 */
export async function migrate(client: Client, log: LedgerLogger, migrations = readMigrations()): Promise<number> {
  await client.query("SELECT pg_advisory_lock($1, $2)", [ADVISORY_CLASS, ADVISORY_KEY]);
  try {
    await client.query(`CREATE SCHEMA IF NOT EXISTS ${SCHEMA}`);
    await client.query(
      `CREATE TABLE IF NOT EXISTS ${SCHEMA}.migrations (number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, run_at timestamptz NOT NULL DEFAULT now())`,
    );
    const rows = await migrationsOf(client);
    compare(rows, migrations);
    const missing = migrations.slice(rows.length);
    for (const migration of missing) await run(client, migration);
    if (missing.length > 0) log.info({ from: rows.length, to: migrations.length }, "database migrated");
    return missing.length;
  } finally {
    await client.query("SELECT pg_advisory_unlock($1, $2)", [ADVISORY_CLASS, ADVISORY_KEY]);
  }
}

/** Throws unless the database is at exactly the newest of `migrations`; runs none. */
export async function checkMigrated(client: Client, migrations = readMigrations()): Promise<void> {
  const { rows } = await client.query<{ made: boolean }>(`SELECT to_regclass('${SCHEMA}.migrations') IS NOT NULL AS made`);
  if (rows[0]?.made !== true) throw new LedgerError("ledger.noBooks", "there are no books in this database: the pool has not run yet");
  const done = await migrationsOf(client);
  compare(done, migrations);
  if (done.length < migrations.length) {
    throw new LedgerError(
      "ledger.schemaTooOld",
      `the database is at migration ${done.length}, this program needs ${migrations.length}: the pool migrates it at its next start`,
    );
  }
}

interface DoneMigration {
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
}

async function migrationsOf(client: Client): Promise<DoneMigration[]> {
  const { rows } = await client.query<DoneMigration>(`SELECT number, name, checksum FROM ${SCHEMA}.migrations ORDER BY number`);
  return rows;
}

/** Refuses what a newer program, or one with other migrations, has done. */
function compare(done: readonly DoneMigration[], migrations: readonly Migration[]): void {
  for (const [index, { number, name, checksum }] of done.entries()) {
    const ours = migrations[index];
    if (ours === undefined) {
      throw new LedgerError(
        "ledger.schemaTooNew",
        `the database is at migration ${done.length} (${done.at(-1)?.name}), this program knows ${migrations.length}: a newer version has used it; start that version`,
      );
    }
    if (number !== ours.number || checksum !== ours.checksum) {
      throw new LedgerError(
        "ledger.migrationChanged",
        `migration ${number} (${name}) in the database has checksum ${checksum}, this program's ${ours.name} has ${ours.checksum}`,
      );
    }
  }
}

async function run(client: Client, { number, name, sql, checksum }: Migration): Promise<void> {
  await client.query("BEGIN");
  try {
    await client.query(`SET LOCAL search_path = ${SCHEMA}`);
    await client.query(sql);
    await client.query("INSERT INTO migrations (number, name, checksum) VALUES ($1, $2, $3)", [number, name, checksum]);
    await client.query("COMMIT");
  } catch (cause) {
    await client.query("ROLLBACK");
    throw new LedgerError("ledger.migrationFailed", `migration ${name} failed: ${(cause as Error).message}`, { cause });
  }
}
