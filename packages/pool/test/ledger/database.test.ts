/** Opening, locking, migrating; the embedded server's life. */
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Database, openDatabase, ShareLog } from "../../src/ledger/index.js";
import { migrate, readMigrations } from "../../src/ledger/migrations.js";
import { restoreLinks, serverBinaries } from "../../src/ledger/server-binaries.js";
import { reachableBy, serverUser } from "../../src/ledger/server-user.js";
import {
  administer,
  append,
  externalServer,
  MemoryLogger,
  OPERATOR,
  share,
  temporaryDatabase,
  temporaryDirectory,
  until,
} from "./support.js";

const server = await externalServer();
const isRoot = process.getuid?.() === 0;

describe("embedded database", () => {
  let home: { path: string; remove: () => void };
  let log: MemoryLogger;
  const opened: Database[] = [];

  beforeEach(() => {
    home = temporaryDirectory();
    log = new MemoryLogger();
  });
  afterEach(async () => {
    for (const database of opened.splice(0)) await database.close();
    home.remove();
  });

  const open = async (): Promise<Database> => {
    const database = await openDatabase({ embedded: { dataDir: join(home.path, "db") } }, { log });
    opened.push(database);
    return database;
  };
  const pidFile = () => readFileSync(join(home.path, "db", "cluster", "postmaster.pid"), "utf8").split("\n");
  const gone = (pid: number) => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  };

  test("is made, serves by a socket only, is durable, and is gone when closed", async () => {
    const database = await open();
    const { rows } = await database.pool.query(
      "SELECT current_setting('listen_addresses') AS listen, current_setting('fsync') AS fsync, current_setting('server_version_num')::int AS version",
    );
    expect(rows[0]).toMatchObject({ listen: "", fsync: "on" });
    expect(rows[0].version).toBeGreaterThanOrEqual(170_000);
    const [pid, , , , sockets] = pidFile();
    expect(Buffer.byteLength(`${sockets}/.s.PGSQL.5432`)).toBeLessThanOrEqual(107);
    expect(statSync(sockets as string).mode & 0o777).toBe(0o700);
    await database.close();
    // The server has ended; that our process has taken notice of its child's end may take a moment more.
    await vi.waitFor(() => expect(gone(Number(pid))).toBe(true));
    expect(statSync(sockets as string, { throwIfNoEntry: false })).toBeUndefined();
  });

  test("keeps its contents from one start to the next, in a closed directory and in an open one", async () => {
    for (const [mode, seed] of [
      [0o700, "a"],
      [0o755, "b"],
    ] as const) {
      chmodSync(home.path, mode);
      const database = await open();
      const shareLog = await ShareLog.open(database, { operatorScript: OPERATOR });
      expect(await append(shareLog, share("a"))).toBe(seed === "a" ? "committed" : "duplicate");
      expect(await append(shareLog, share(seed))).toBe(seed === "a" ? "duplicate" : "committed");
      await shareLog.close();
      await database.close();
    }
  });

  test("is refused to a second pool, which is told who has it", async () => {
    const first = await open();
    await expect(open()).rejects.toMatchObject({ code: "ledger.locked", message: expect.stringContaining(`${process.pid} `) });
    expect((await first.pool.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
  });

  test("opened by two pools at once: one has it, the other is told", async () => {
    const outcomes = await Promise.allSettled([open(), open()]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(outcomes.find(({ status }) => status === "rejected")).toMatchObject({ reason: { code: "ledger.locked" } });
  });

  test("is started again when it is killed, and the pool hears of it", async () => {
    const database = await open();
    const shareLog = await ShareLog.open(database, { operatorScript: OPERATOR });
    expect(await append(shareLog, share("before"))).toBe("committed");
    const positions = async () => (await database.pool.query<{ position: string }>("SELECT position FROM log_state")).rows;
    expect(await positions()).toEqual([{ position: "1" }]);
    const events: string[] = [];
    database.on("lost", () => events.push("lost"));
    database.on("regained", () => events.push("regained"));
    process.kill(Number(pidFile()[0]), "SIGKILL");
    expect(await append(shareLog, share("during"))).toBe("committed");
    await until(() => events.length === 2, "the lock is ours again");
    expect(events).toEqual(["lost", "regained"]);
    expect(await append(shareLog, share("before"))).toBe("duplicate");
    // Its socket is another one now.
    expect(await positions()).toEqual([{ position: "3" }]);
    await shareLog.close();
  });

  test("a stale lock file does not keep it from starting, not even with the number of a living process", async () => {
    const database = await open();
    const lines = pidFile();
    await database.close();
    const file = join(home.path, "db", "cluster", "postmaster.pid");
    writeFileSync(file, [String(process.pid), ...lines.slice(1)].join("\n"));
    await open();
    expect(Number(pidFile()[0])).not.toBe(process.pid);
  });

  test("a cluster of another major version is refused", async () => {
    await (await open()).close();
    writeFileSync(join(home.path, "db", "cluster", "PG_VERSION"), "16\n");
    await expect(open()).rejects.toMatchObject({ code: "ledger.embeddedVersion" });
  });

  test("a server that can't start says why", async () => {
    await (await open()).close();
    writeFileSync(join(home.path, "db", "cluster", "postgresql.conf"), "no_such_setting = on\n");
    await expect(open()).rejects.toMatchObject({ code: "ledger.embeddedStart", message: expect.stringContaining("no_such_setting") });
  });

  test.skipIf(!isRoot)("as root the server runs as another user, and the same one the next time", async () => {
    await open();
    const cluster = join(home.path, "db", "cluster");
    const { uid } = statSync(cluster);
    expect(uid).not.toBe(0);
    expect(serverUser(cluster)).toMatchObject({ uid });
  });
});

describe("binaries of the embedded server", () => {
  let home: { path: string; remove: () => void };
  beforeEach(() => {
    home = temporaryDirectory();
  });
  afterEach(() => home.remove());

  const fakeServer = (parent: string) => {
    const native = join(parent, "native");
    for (const directory of ["bin", "lib", "share/postgresql"]) mkdirSync(join(native, directory), { recursive: true, mode: 0o700 });
    writeFileSync(join(native, "bin", "postgres"), "program", { mode: 0o700 });
    writeFileSync(join(native, "lib", "libx.so.1.2"), "library", { mode: 0o600 });
    writeFileSync(join(native, "pg-symlinks.json"), JSON.stringify([{ source: "native/lib/libx.so.1.2", target: "native/lib/libx.so.1" }]));
    return native;
  };

  test("links that the package manager left out are made, once", () => {
    const native = fakeServer(home.path);
    restoreLinks(native);
    restoreLinks(native);
    expect(readFileSync(join(native, "lib", "libx.so.1"), "utf8")).toBe("library");
  });

  test.skipIf(!isRoot)("binaries that the server's user can't reach are copied to where it can", () => {
    const user = { uid: 65_534, gid: 65_534 };
    const closed = join(home.path, "closed");
    const open = join(home.path, "open");
    mkdirSync(closed, { mode: 0o700 });
    mkdirSync(open, { mode: 0o755 });
    chmodSync(home.path, 0o755);
    const native = fakeServer(closed);
    const found = serverBinaries(user, { native, version: "17.0" }, [open]);
    expect(found.postgres.startsWith(open)).toBe(true);
    expect(reachableBy(user, found.postgres)).toBe(true);
    expect(readFileSync(join(found.postgres, "../../lib/libx.so.1"), "utf8")).toBe("library");
    expect(serverBinaries(user, { native, version: "17.0" }, [open])).toEqual(found);
    expect(serverBinaries(undefined, { native, version: "17.0" }, [open]).postgres).toBe(join(native, "bin", "postgres"));
    chmodSync(open, 0o777);
    expect(() => serverBinaries(user, { native, version: "17.0" }, [open])).toThrow(
      expect.objectContaining({ code: "ledger.embeddedUnreachable" }),
    );
  });

  test.skipIf(!isRoot)("as root without an unprivileged user there is a clear error", () => {
    const passwd = join(home.path, "passwd");
    writeFileSync(passwd, "root:x:0:0::/root:/bin/sh\n");
    expect(() => serverUser(join(home.path, "none"), passwd)).toThrow(expect.objectContaining({ code: "ledger.embeddedUser" }));
    writeFileSync(passwd, "root:x:0:0::/root:/bin/sh\nnobody:x:99:98::/:/bin/false\n");
    expect(serverUser(join(home.path, "none"), passwd)).toEqual({ uid: 99, gid: 98 });
  });
});

describe("a database that is not there", () => {
  test("is a typed error", async () => {
    await expect(openDatabase({ url: "postgres://127.0.0.1:1/none" }, { log: new MemoryLogger() })).rejects.toMatchObject({
      code: "ledger.unreachable",
    });
  });
});

describe.skipIf(server === undefined)("the operator's own database", () => {
  let home: { url: string; remove: () => Promise<void> };
  const log = new MemoryLogger();
  beforeEach(async () => {
    home = await temporaryDatabase(server as string);
  });
  afterEach(() => home.remove());

  const connect = async () => {
    const client = new pg.Client({ connectionString: home.url });
    await client.connect();
    return client;
  };

  test("is locked against a second pool and free after the first", async () => {
    const first = await openDatabase({ url: home.url }, { log });
    await expect(openDatabase({ url: home.url }, { log })).rejects.toMatchObject({
      code: "ledger.locked",
      message: expect.stringContaining(`${process.pid} `),
    });
    await first.close();
    const second = await openDatabase({ url: home.url }, { log });
    expect(second.epoch).toBe(2n);
    await second.close();
  });

  test("is waited for when the first is about to leave, and not for ever when the second is asked to end", async () => {
    const first = await openDatabase({ url: home.url }, { log });
    await first.leave();
    const waiting = new MemoryLogger();
    const stop = new AbortController();
    const given = expect(openDatabase({ url: home.url }, { log: waiting, signal: stop.signal })).rejects.toMatchObject({
      code: "ledger.stopped",
    });
    const second = openDatabase({ url: home.url }, { log: waiting });
    const told = () => waiting.lines.filter(({ message }) => message.includes("is about to end"));
    await until(() => told().length === 2, "both wait");
    stop.abort();
    await given;
    await first.close();
    expect((await second).epoch).toBe(2n);
    await (await second).close();
  });

  test("taken over while we were cut off: fatal, and the new pool is left alone", async () => {
    const first = await openDatabase({ url: home.url }, { log });
    const fatal = new Promise((resolve) => first.once("fatal", resolve));
    // Another pool's epoch is in place before the lock's session is cut, as after a long break of the network.
    await administer(home.url, "UPDATE openprime.log_state SET epoch = epoch + 1");
    await administer(
      home.url,
      "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    );
    expect(await fatal).toMatchObject({ code: "ledger.fenced" });
    await first.close();
  });

  test("migrations run once, with several starters at once, and a second time do nothing", async () => {
    const clients = await Promise.all([connect(), connect(), connect()]);
    const runs = await Promise.all(clients.map((client) => migrate(client, log)));
    expect(runs.sort()).toEqual([0, 0, readMigrations().length]);
    expect(await migrate(clients[0] as pg.Client, log)).toBe(0);
    await Promise.all(clients.map((client) => client.end()));
  });

  test("a newer schema, a changed migration and a failing one are refused, and the failing one leaves nothing", async () => {
    const client = await connect();
    const ours = readMigrations();
    const extra = (sql: string) => ({ number: ours.length + 1, name: "9999_extra.sql", sql, checksum: "x" });
    await expect(migrate(client, log, [...ours, extra("CREATE TABLE left_over (); SELECT nonsense")])).rejects.toMatchObject({
      code: "ledger.migrationFailed",
    });
    expect((await client.query("SELECT to_regclass('openprime.left_over') AS t")).rows).toEqual([{ t: null }]);
    expect(await migrate(client, log, [...ours, extra("CREATE TABLE kept ()")])).toBe(1);
    await expect(migrate(client, log, ours)).rejects.toMatchObject({ code: "ledger.schemaTooNew" });
    await expect(migrate(client, log, [...ours, { ...extra(""), checksum: "y" }])).rejects.toMatchObject({
      code: "ledger.migrationChanged",
    });
    await client.end();
  });
});
