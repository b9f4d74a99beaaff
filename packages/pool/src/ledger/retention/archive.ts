/**
 * Where shares stay that are kept longer than their round: daily partitions, or a TimescaleDB hypertable where the extension is installed in the pool's
 * database before the first share is archived.
 */
import type { Client } from "pg";
import { ARCHIVE_KIND, ARCHIVE_PARTITIONS, ARCHIVE_SHARES, ROUND_DAYS } from "./queries.js";

const DAY_MS = 86_400_000;
const PARTITION = /^share_archive_(\d{4})(\d{2})(\d{2})$/;

interface ArchiveKind {
  readonly timescale: string | null;
  readonly plain: boolean;
  readonly filled: boolean;
}

/** Copies the shares of a round. Call it within the transaction that drops them. */
export async function archiveRound(client: Client, round: number): Promise<void> {
  const kind = await archiveKind(client);
  if (!kind.plain && !kind.filled && kind.timescale !== null) await makeHypertable(client, kind.timescale);
  else if (!kind.plain) await makePartitions(client, round);
  await client.query(ARCHIVE_SHARES, [round]);
}

/** Drops what came before `until`, whole days only. `until` in milliseconds since 1970. */
export async function pruneArchive(client: Client, until: number): Promise<void> {
  const { timescale, plain } = await archiveKind(client);
  if (plain && timescale !== null) {
    await client.query(`SELECT ${client.escapeIdentifier(timescale)}.drop_chunks('share_archive', older_than => $1::timestamptz)`, [
      new Date(until),
    ]);
    return;
  }
  const { rows } = await client.query<{ name: string }>(ARCHIVE_PARTITIONS);
  for (const { name } of rows) {
    const [, year, month, day] = PARTITION.exec(name) ?? [];
    if (year !== undefined && Date.UTC(Number(year), Number(month) - 1, Number(day)) + DAY_MS <= until)
      await client.query(`DROP TABLE ${name}`);
  }
}

async function archiveKind(client: Client): Promise<ArchiveKind> {
  const { rows } = await client.query<ArchiveKind>(ARCHIVE_KIND);
  return rows[0] ?? { timescale: null, plain: false, filled: false };
}

async function makePartitions(client: Client, round: number): Promise<void> {
  const { rows } = await client.query<{ day: string }>(ROUND_DAYS, [round]);
  for (const { day } of rows) {
    const next = new Date(Date.parse(`${day}T00:00:00Z`) + DAY_MS).toISOString();
    await client.query(
      `CREATE TABLE IF NOT EXISTS share_archive_${day.replaceAll("-", "")} PARTITION OF share_archive
       FOR VALUES FROM ('${day}T00:00:00Z') TO ('${next}')`,
    );
  }
}

/** A partitioned table can't become one; the empty archive is made anew. */
async function makeHypertable(client: Client, timescale: string): Promise<void> {
  await client.query("DROP TABLE share_archive");
  await client.query("CREATE TABLE share_archive (LIKE shares INCLUDING DEFAULTS)");
  await client.query("CREATE INDEX share_archive_by_position ON share_archive USING brin (position) WITH (pages_per_range = 16)");
  await client.query(
    `SELECT ${client.escapeIdentifier(timescale)}.create_hypertable('share_archive', 'received_at', chunk_time_interval => interval '1 day')`,
  );
}
