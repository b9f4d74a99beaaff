/** Books of a pool from before templates were kept, with shares of its own, are gone on with. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import pg from "pg";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { checkBooks, LogFiles, openDatabase, recentTemplates, ShareLog, TemplateBook } from "../../../src/ledger/index.js";
import { migrate, readMigrations } from "../../../src/ledger/migrations.js";
import { decodeLogLine, logFile } from "../../../src/proofs/index.js";
import { append, externalServer, hash, MemoryLogger, OPERATOR, script, share, temporaryDatabase, temporaryDirectory } from "../support.js";

const server = await externalServer();
const BEFORE_TEMPLATES = 3;

/** One round with three shares, the second taken back, and a day of the archive. */
async function oldBooks(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, options: "-c search_path=openprime -c timezone=UTC" });
  await client.connect();
  try {
    await migrate(client, new MemoryLogger(), readMigrations().slice(0, BEFORE_TEMPLATES));
    await client.query("INSERT INTO accounts (script, kind, address) VALUES ($1, 'miner', 'bc1qminer')", [Buffer.from(script(1))]);
    await client.query("INSERT INTO workers (account, name) VALUES (1, 'rig')");
    await client.query("INSERT INTO segments (id, after_position) VALUES (1, 0)");
    await client.query("SELECT open_round($1, 840000)", [Buffer.from(hash("parent 1"))]);
    for (const position of [1, 2, 3]) {
      await client.query(
        `INSERT INTO shares (position, received_at, session, pin, ntime, round, segment, account, worker, fee_ppm, height, target_byte, coinbase_id,
           tentative, hash, weight)
         VALUES ($1, '2026-11-22', 1, 0, 1, 1, 1, 1, 1, 10000, 840000, 10, 3, $2, $3, 1024)`,
        [position, position > 1, Buffer.from(hash(`share ${position}`))],
      );
    }
    await client.query(
      `INSERT INTO voids (position, round, hash, share_position, segment, account, worker, weight, fee_ppm)
       SELECT 4, round, hash, position, segment, account, worker, weight, fee_ppm FROM shares WHERE position = 2`,
    );
    await client.query("INSERT INTO segment_weights VALUES (1, 1, 1, 2, 2048, 20480000)");
    await client.query("UPDATE log_state SET position = 4");
    await client.query("CREATE TABLE share_archive_20261121 PARTITION OF share_archive FOR VALUES FROM ('2026-11-21') TO ('2026-11-22')");
  } finally {
    await client.end();
  }
}

test.skipIf(server === undefined)("old shares and voids stay as they are, new ones of the same round may have templates", async () => {
  const home = await temporaryDatabase(server as string);
  const folder = temporaryDirectory();
  const log = new MemoryLogger();
  try {
    await oldBooks(home.url);
    const database = await openDatabase({ url: home.url }, { log });
    try {
      const shareLog = await ShareLog.open(database, { operatorScript: OPERATOR });
      const book = await TemplateBook.open({ database, shareLog, log, metrics: new Registry(), now: Date.now });
      expect(await checkBooks(database, { full: true })).toEqual([]);
      expect(await recentTemplates(database)).toEqual([]);
      const id = book.nextId();
      await Promise.all([append(shareLog, share(1)), append(shareLog, share(5, { templateId: id })), append(shareLog, share(6))]);
      expect(await shareLog.voidTemplate(id, hash("parent 1"))).toBe(1);
      expect(await shareLog.voidTentative(hash("parent 1"))).toBe(1);
      const next = await shareLog.openSegment(hash("tip"));
      await new LogFiles({ dir: folder.path, network: "regtest" }, { database, logger: log }).exportUpTo(next - 1);
      const text = gunzipSync(readFileSync(join(folder.path, logFile(1)))).toString();
      const lines = text
        .trimEnd()
        .split("\n")
        .map((line, i) => decodeLogLine(line, i + 1));
      expect(lines.filter(({ kind }) => kind === "void")).toMatchObject([
        { hash: hash("share 2"), reason: "parent" },
        { hash: hash("share 5"), reason: "template" },
        { hash: hash("share 3"), reason: "parent" },
      ]);
      // As the pool of then wrote it.
      expect(text.split("\n")[4]).toMatch(/^\{"position":"4","share":"2",.*"segment":1\}$/);
      expect(await checkBooks(database, { full: true })).toEqual([]);
      await book.close();
      await shareLog.close();
    } finally {
      await database.close();
    }
  } finally {
    folder.remove();
    await home.remove();
  }
});
