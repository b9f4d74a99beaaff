/** The books opened beside a pool, or without one. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Database, openBooks, openDatabase, ShareLog } from "../../../src/ledger/index.js";
import { readMigrations } from "../../../src/ledger/migrations.js";
import { append, externalServer, MemoryLogger, OPERATOR, share, temporaryDatabase, temporaryDirectory } from "../support.js";

const server = await externalServer();
const one = async (database: Database): Promise<unknown> => (await database.pool.query("SELECT 1 AS one")).rows[0];

describe.skipIf(server === undefined)("the books in a server of one's own", () => {
  let home: { url: string; remove: () => Promise<void> };
  const log = new MemoryLogger();
  beforeEach(async () => {
    home = await temporaryDatabase(server as string);
  });
  afterEach(() => home.remove());

  test("are read beside the pool, which goes on writing", async () => {
    const pool = await openDatabase({ url: home.url }, { log });
    const books = await openBooks({ url: home.url }, { log });
    expect(await one(books)).toEqual({ one: 1 });
    const shareLog = await ShareLog.open(pool, { operatorScript: OPERATOR });
    expect(await append(shareLog, share("a"))).toBe("committed");
    expect((await books.pool.query("SELECT epoch FROM log_state")).rows).toEqual([{ epoch: pool.epoch.toString() }]);
    await books.close();
    expect(await append(shareLog, share("b"))).toBe("committed");
    await shareLog.close();
    await pool.close();
  });

  test("do not keep a pool from starting, and take no share", async () => {
    await (await openDatabase({ url: home.url }, { log })).close();
    const books = await openBooks({ url: home.url }, { log });
    const pool = await openDatabase({ url: home.url }, { log });
    expect(pool.epoch).toBe(2n);
    const intruder = await ShareLog.open(books, { operatorScript: OPERATOR }).then(
      (opened) => append(opened, share("a")),
      (error: unknown) => error,
    );
    expect(intruder).not.toBe("committed");
    expect((await pool.pool.query("SELECT count(*)::int AS shares FROM shares")).rows).toEqual([{ shares: 0 }]);
    await books.close();
    await pool.close();
  });

  test("must have been made, by this very version", async () => {
    await expect(openBooks({ url: home.url }, { log })).rejects.toMatchObject({ code: "ledger.noBooks" });
    const pool = await openDatabase({ url: home.url }, { log });
    const last = readMigrations().length;
    await pool.pool.query("DELETE FROM migrations WHERE number = $1", [last]);
    await expect(openBooks({ url: home.url }, { log })).rejects.toMatchObject({
      code: "ledger.schemaTooOld",
      message: expect.stringContaining(`at migration ${last - 1}, this program needs ${last}`),
    });
    await pool.pool.query("INSERT INTO migrations (number, name, checksum) VALUES ($1, 'other', 'x')", [last]);
    await expect(openBooks({ url: home.url }, { log })).rejects.toMatchObject({ code: "ledger.migrationChanged" });
    await pool.pool.query("UPDATE migrations SET checksum = $2 WHERE number = $1", [last, readMigrations().at(-1)?.checksum]);
    await pool.pool.query("INSERT INTO migrations (number, name, checksum) VALUES ($1, 'newer', 'x')", [last + 1]);
    await expect(openBooks({ url: home.url }, { log })).rejects.toMatchObject({ code: "ledger.schemaTooNew" });
    await pool.close();
  });

  test("of a server that is not there: a typed error", async () => {
    await expect(openBooks({ url: "postgres://127.0.0.1:1/none" }, { log })).rejects.toMatchObject({ code: "ledger.unreachable" });
  });
});

describe("the books in the embedded server", () => {
  let home: { path: string; remove: () => void };
  let options: { embedded: { dataDir: string } };
  const log = new MemoryLogger();
  beforeEach(() => {
    home = temporaryDirectory();
    options = { embedded: { dataDir: join(home.path, "db") } };
  });
  afterEach(() => home.remove());

  const pidFile = () => join(home.path, "db", "cluster", "postmaster.pid");
  const pid = () => Number(readFileSync(pidFile(), "utf8").split("\n")[0]);

  test("are not made by who only reads", async () => {
    await expect(openBooks(options, { log })).rejects.toMatchObject({ code: "ledger.noBooks" });
    expect(existsSync(options.embedded.dataDir)).toBe(false);
  });

  test("without a pool: the server runs while somebody reads, the last one stops it", async () => {
    await (await openDatabase(options, { log })).close();
    const first = await openBooks(options, { log });
    const second = await openBooks(options, { log });
    const started = pid();
    await first.close();
    expect(pid()).toBe(started);
    expect(await one(second)).toEqual({ one: 1 });
    await second.close();
    expect(existsSync(pidFile())).toBe(false);
  });

  test("beside a pool: its server is used and left alone", async () => {
    const pool = await openDatabase(options, { log });
    const started = pid();
    const books = await openBooks(options, { log });
    expect(await one(books)).toEqual({ one: 1 });
    await books.close();
    expect(pid()).toBe(started);
    expect(await one(pool)).toEqual({ one: 1 });
    await pool.close();
    expect(existsSync(pidFile())).toBe(false);
  });

  test("a pool that starts meanwhile goes on with the reader's server, and keeps it", async () => {
    await (await openDatabase(options, { log })).close();
    const books = await openBooks(options, { log });
    const started = pid();
    const pool = await openDatabase(options, { log });
    await books.close();
    expect(pid()).toBe(started);
    expect(await one(pool)).toEqual({ one: 1 });
    await pool.close();
    expect(existsSync(pidFile())).toBe(false);
  });

  test("pools that start just when a reader ends come up all the same", async () => {
    await (await openDatabase(options, { log })).close();
    for (let round = 0; round < 4; round++) {
      const books = await openBooks(options, { log });
      const [pool] = await Promise.all([openDatabase(options, { log }), books.close()]);
      expect(await one(pool)).toEqual({ one: 1 });
      await pool.close();
      expect(existsSync(pidFile())).toBe(false);
    }
  });

  test("with a schema that is not this program's the server is stopped again", async () => {
    const pool = await openDatabase(options, { log });
    await pool.pool.query("DELETE FROM migrations WHERE number > 1");
    await pool.close();
    await expect(openBooks(options, { log })).rejects.toMatchObject({ code: "ledger.schemaTooOld" });
    expect(existsSync(pidFile())).toBe(false);
  });
});
