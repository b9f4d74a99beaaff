/** Books of the very first schema, with a round, a found block and a void in them, are opened and gone on with by this program. */
import pg from "pg";
import { expect, test } from "vitest";
import { checkBooks, openDatabase, ShareLog } from "../../src/ledger/index.js";
import { migrate, readMigrations } from "../../src/ledger/migrations.js";
import { append, externalServer, hash, MemoryLogger, OPERATOR, script, share, temporaryDatabase } from "./support.js";

const server = await externalServer();

/** Three shares on one parent, the second taken back, a split and a block. */
async function firstBooks(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, options: "-c search_path=openprime -c timezone=UTC" });
  await client.connect();
  try {
    await migrate(client, new MemoryLogger(), readMigrations().slice(0, 1));
    const parent = Buffer.from(hash("parent 1"));
    await client.query("INSERT INTO accounts (script, kind, address) VALUES ($1, 'miner', 'bc1qminer'), ($2, 'operator', 'bc1qpool')", [
      Buffer.from(script(1)),
      Buffer.from(OPERATOR),
    ]);
    await client.query("INSERT INTO workers (account, name) VALUES (1, 'rig')");
    await client.query("INSERT INTO segments (id, prevhash, after_position) VALUES (1, $1, 0)", [parent]);
    await client.query("SELECT open_round($1, 840000)", [parent]);
    await client.query("INSERT INTO sessions (gateway_key, prime_id, version) VALUES ($1, nextval('prime_ids'), 'v0')", [parent]);
    await client.query(
      `INSERT INTO splits (id, session, coinbaser_id, position, prevhash, value, outputs, offered_at)
       VALUES (1, 1, 3, 0, $1, 312500000, '', now())`,
      [parent],
    );
    for (const position of [1, 2, 3]) {
      await client.query(
        `INSERT INTO shares (position, received_at, session, split, pin, ntime, round, segment, account, worker, fee_ppm, height, target_byte,
           coinbase_id, tentative, hash, weight)
         VALUES ($1, '2026-01-02', 1, 1, 0, 1, 1, 1, 1, 1, 10000, 840000, 10, 3, false, $2, 1024)`,
        [position, Buffer.from(hash(`share ${position}`))],
      );
    }
    await client.query(
      `INSERT INTO voids (position, round, hash, share_position, segment, account, worker, weight, fee_ppm)
       SELECT 4, round, hash, position, segment, account, worker, weight, fee_ppm FROM shares WHERE position = 2`,
    );
    await client.query("INSERT INTO segment_weights VALUES (1, 1, 1, 2, 2048, 20480000)");
    await client.query("UPDATE log_state SET position = 4");
    await client.query(
      `INSERT INTO blocks (hash, prevhash, height, header, coinbase, coinbase_value, transaction_count, session, split, pin, username,
         raw, found_at)
       VALUES ($1, $2, 840000, $3, '', 312500000, 1, 1, 1, 2, '', '\\x00', '2026-01-02')`,
      [Buffer.from(hash("block 1")), parent, Buffer.alloc(80)],
    );
  } finally {
    await client.end();
  }
}

test.skipIf(server === undefined)("nothing of them is lost, and no share of then is credited again", async () => {
  const home = await temporaryDatabase(server as string);
  const log = new MemoryLogger();
  try {
    await firstBooks(home.url);
    const database = await openDatabase({ url: home.url }, { log });
    try {
      const all = readMigrations().length;
      expect(log.lines).toContainEqual({ level: "info", fields: { from: 1, to: all }, message: "database migrated" });
      expect(await checkBooks(database, { full: true })).toEqual([]);

      const shareLog = await ShareLog.open(database, { operatorScript: OPERATOR });
      const again = share(9, { hash: hash("share 3"), prevhash: hash("parent 1") });
      const outcomes = await Promise.all([append(shareLog, again), append(shareLog, share(10, { prevhash: hash("parent 1") }))]);
      expect(outcomes).toEqual(["duplicate", "committed"]);
      await shareLog.close();
      expect(await checkBooks(database, { full: true })).toEqual([]);

      const { rows } = await database.pool.query(
        `SELECT (SELECT count(*)::int FROM shares) AS shares, (SELECT count(*)::int FROM voids) AS voids,
           (SELECT pin::int FROM block_claims WHERE block = $1) AS pin, (SELECT life FROM blocks WHERE hash = $1) AS life,
           (SELECT first_segment FROM rounds WHERE id = 1) AS first_segment, (SELECT account FROM pool_scripts) AS operator`,
        [Buffer.from(hash("block 1"))],
      );
      expect(rows).toEqual([{ shares: 4, voids: 1, pin: 2, life: "found", first_segment: 1, operator: 2 }]);
    } finally {
      await database.close();
    }
  } finally {
    await home.remove();
  }
});
