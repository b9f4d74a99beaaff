/**
 * The database of a pool: found or started, checked, locked, migrated. Everything else of the ledger gets its connections here.
 *
 * Two things keep two pools apart. The pool lock (pool-lock.ts) says so early and clearly. The epoch in `log_state` makes it certain: each
 * opening raises it, and a writer with an older one changes nothing, even if it was cut off from the server while another pool took over.
 */
import { randomBytes } from "node:crypto";
import { EventEmitter } from "node:events";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { EmbeddedServer } from "./embedded-server.js";
import { LedgerError } from "./errors.js";
import { checkMigrated, migrate, SCHEMA } from "./migrations.js";
import { announceLeaving, type LockHolder, tryPoolLock } from "./pool-lock.js";
import { passes } from "./retry.js";
import type { LedgerLogger } from "./types.js";

/** The operator's own server, or one that we bring. */
export type DatabaseOptions = { readonly url: string } | { readonly embedded: { readonly dataDir: string } };

export interface DatabaseModules {
  readonly log: LedgerLogger;
  /** Ends the wait for another pool that is about to leave. */
  readonly signal?: AbortSignal | undefined;
}

/** `lost`: the lock's session broke off, the database may be away; `regained`: it is ours again; `fatal`: another pool has it, stop. */
export interface DatabaseEvents {
  lost: [error: Error];
  regained: [];
  fatal: [error: LedgerError];
}

const OLDEST_SERVER = 150_000;
/** A pool that was killed a moment ago may still hold its lock until the server notices. */
const LOCK_PATIENCE_MS = 5_000;
/** One that ends commits, answers, and stops its server: this is more than it may take. */
const LEAVING_PATIENCE_MS = 60_000;
const LEAVE_MS = 1_000;
const CONNECT_TIMEOUT_MS = 10_000;
const READ_CONNECTIONS = 4;
export const FIRST_BACKOFF_MS = 50;
export const LAST_BACKOFF_MS = 2_000;

/**
 * Opens the database: starts the embedded server where asked, checks the version, takes the pool lock, migrates.
 *
 * A pool that has the lock and is about to end is waited for, so that its successor can be started before it is gone.
 *
 * Errors: `ledger.unreachable`, `ledger.serverTooOld`, `ledger.locked` (says who), `ledger.schemaTooNew` and the other codes of migrations,
 * `ledger.embedded…` for the embedded server, `ledger.stopped` when `signal` fires while another pool is waited for.
 */
export async function openDatabase(options: DatabaseOptions, { log, signal }: DatabaseModules): Promise<Database> {
  const embedded = "embedded" in options ? new EmbeddedServer(options.embedded.dataDir, log) : undefined;
  const database = new Database("url" in options ? options.url : undefined, embedded, log);
  await database.open(signal);
  return database;
}

/**
 * Opens the books beside a pool that may be running: no lock, no new epoch, no migration, so nothing that goes through the log's fence can be
 * written. An embedded server is used where it runs and started where it does not; closing stops it when nobody else is there.
 *
 * Errors: `ledger.noBooks` before the pool's first start, `ledger.schemaTooOld` and the codes of migrations unless the schema is this program's,
 * `ledger.unreachable`, `ledger.serverTooOld`, `ledger.embedded…`.
 */
export async function openBooks(options: DatabaseOptions, { log }: DatabaseModules): Promise<Database> {
  const embedded = "embedded" in options ? new EmbeddedServer(options.embedded.dataDir, log) : undefined;
  embedded?.checkMade();
  const database = new Database("url" in options ? options.url : undefined, embedded, log);
  await database.openBeside();
  return database;
}

export class Database extends EventEmitter<DatabaseEvents> {
  readonly log: LedgerLogger;
  readonly kind: "own" | "embedded";
  readonly #url: string | undefined;
  readonly #embedded: EmbeddedServer | undefined;
  /** Tells our sessions from those of any other pool. */
  readonly #application = `openprime ${hostname().slice(0, 30)} ${process.pid} ${randomBytes(4).toString("hex")}`;
  #pool: pg.Pool | undefined;
  #lock: pg.Client | undefined;
  /** Instead of the lock, where the books are only read: shows others that somebody uses the server. */
  #presence: pg.Client | undefined;
  #epoch = 0n;
  #closed = false;
  #fatal: LedgerError | undefined;
  #keeping: Promise<void> | undefined;

  /** Use `openDatabase`. */
  constructor(url: string | undefined, embedded: EmbeddedServer | undefined, log: LedgerLogger) {
    super();
    this.log = log;
    this.kind = embedded === undefined ? "own" : "embedded";
    this.#url = url;
    this.#embedded = embedded;
  }

  /** Our turn as the writer; see the top of this file. */
  get epoch(): bigint {
    return this.#epoch;
  }

  /** Whether the pool lock is ours now: false while the server is away, and for good when another pool has it. */
  get held(): boolean {
    return this.#lock !== undefined && this.#fatal === undefined && !this.#closed;
  }

  /** For reading and for small writes outside of the log. */
  get pool(): pg.Pool {
    if (this.#pool === undefined) throw new LedgerError("ledger.closed", "the database is not open");
    return this.#pool;
  }

  /** @internal Called once, by `openDatabase`. */
  async open(signal?: AbortSignal): Promise<void> {
    const client = await this.#takeLock(signal);
    try {
      await migrate(client, this.log);
      const { rows } = await client.query<{ epoch: string }>("UPDATE log_state SET epoch = epoch + 1 RETURNING epoch");
      this.#epoch = BigInt(rows[0]?.epoch ?? 0);
      this.#pool = this.#makePool();
      this.#watch(client);
    } catch (error) {
      await this.#pool?.end();
      await this.#embedded?.stop();
      await client.end().catch(() => undefined);
      throw error;
    }
  }

  /** @internal Called once, by `openBooks`. */
  async openBeside(): Promise<void> {
    try {
      this.#presence = await this.#enter(async (client) => {
        await checkMigrated(client);
        return client;
      });
      this.#pool = this.#makePool();
    } catch (error) {
      await this.#stopUnused();
      throw error;
    }
  }

  /**
   * A connection of its own (the embedded server is started again if it is gone). The caller ends it. With `timeoutMs` a query that is not
   * answered in that time fails.
   */
  async connect(timeoutMs?: number): Promise<pg.Client> {
    if (this.#closed) throw new LedgerError("ledger.closed", "the database is closed");
    await this.#embedded?.ensureRunning();
    const client = new pg.Client({ ...this.#config(), ...(timeoutMs === undefined ? {} : { query_timeout: timeoutMs }) });
    // Without a listener a broken connection would end the process; whoever uses the client sees its queries fail.
    client.on("error", () => undefined);
    await client.connect();
    return client;
  }

  /** Throws when another pool has the database. */
  check(): void {
    if (this.#fatal !== undefined) throw this.#fatal;
  }

  /** Ends it for good: another pool writes the log. */
  fail(error: LedgerError): void {
    if (this.#fatal !== undefined || this.#closed) return;
    this.#fatal = error;
    this.log.error({ code: error.code }, error.message);
    this.emit("fatal", error);
  }

  /** This pool begins to end: one that wants the database waits for it instead of giving up. Never throws. */
  async leave(): Promise<void> {
    if (this.#lock === undefined || this.#closed) return;
    const told = announceLeaving(this.#lock).catch((error: Error) =>
      this.log.warn({ error: error.message }, "the next pool can't be told to wait"),
    );
    // A server that hangs must not hold up the end.
    await Promise.race([told, sleep(LEAVE_MS, undefined, { ref: false })]);
  }

  /** Gives the lock back and stops an embedded server. End everything that writes first. */
  async close(): Promise<void> {
    if (this.#closed) return;
    // An embedded server that is just being started again should be ours when we go, or it would stay behind.
    if (this.#embedded !== undefined) await Promise.race([this.#keeping, sleep(LOCK_PATIENCE_MS, undefined, { ref: false })]);
    this.#closed = true;
    await this.#keeping;
    await this.#pool?.end();
    const owner = this.#lock !== undefined && this.#fatal === undefined;
    // The server is stopped before the lock goes, so that nobody can begin with it in between.
    if (owner) await this.#embedded?.stop();
    if (this.#presence !== undefined) {
      await this.#presence.end().catch(() => undefined);
      await this.#stopUnused();
    }
    await this.#lock?.end().catch(() => undefined);
  }

  /**
   * Stops an embedded server that no pool owns and nobody else uses. Whoever comes in between loses the connection: a pool that is just starting tries
   * again, and starts the server anew.
   */
  async #stopUnused(): Promise<void> {
    if (this.#embedded === undefined) return;
    let client: pg.Client | undefined;
    try {
      client = new pg.Client(this.#config());
      client.on("error", () => undefined);
      await client.connect();
      if ((await tryPoolLock(client)) === undefined && (await isAlone(client))) await this.#embedded.stop();
    } catch {
      // It was never started, or a pool that was its owner has stopped it.
    } finally {
      await client?.end().catch(() => undefined);
    }
  }

  #makePool(): pg.Pool {
    const config = (): pg.ClientConfig => this.#config();
    // An embedded server that was started again has its socket elsewhere: each connection is made to where the server is then.
    class PresentClient extends pg.Client {
      constructor() {
        super(config());
      }
    }
    const pool = new pg.Pool({ Client: PresentClient, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, max: READ_CONNECTIONS });
    // An idle connection that breaks is replaced at the next use; the lock's session is what tells the pool.
    pool.on("error", (error) => this.log.warn({ error: error.message }, "an idle database connection broke off"));
    // One that breaks off while somebody holds it, between two queries, would else end the process; the next query tells.
    pool.on("connect", (client) => client.on("error", () => undefined));
    return pool;
  }

  #config(): pg.ClientConfig {
    return {
      ...(this.#embedded === undefined ? { connectionString: this.#url } : this.#embedded.connection()),
      application_name: this.#application,
      options: `-c search_path=${SCHEMA} -c timezone=UTC -c idle_in_transaction_session_timeout=60s`,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
    };
  }

  async #takeLock(signal: AbortSignal | undefined): Promise<pg.Client> {
    const patience = { until: Date.now() + LOCK_PATIENCE_MS };
    let leaving = false;
    return this.#enter(async (client) => {
      for (;;) {
        const holder = await this.#tryLock(client);
        if (holder === undefined) return client;
        if (signal?.aborted === true) throw new LedgerError("ledger.stopped", "asked to end while another pool was waited for");
        if (holder.leaving && !leaving) {
          leaving = true;
          patience.until = Date.now() + LEAVING_PATIENCE_MS;
          this.log.info({ holder: describe(holder) }, "another pool has the books and is about to end: waiting for it");
        }
        if (Date.now() > patience.until) throw new LedgerError("ledger.locked", `another pool uses this database: ${describe(holder)}`);
        await sleep(FIRST_BACKOFF_MS);
      }
    }, patience);
  }

  /** A connection to a server of the right version, once `ready` is done with it. */
  async #enter(ready: (client: pg.Client) => Promise<pg.Client>, patience = { until: Date.now() + LOCK_PATIENCE_MS }): Promise<pg.Client> {
    for (;;) {
      let client: pg.Client | undefined;
      try {
        client = await this.connect();
        await checkVersion(client);
        return await ready(client);
      } catch (cause) {
        await client?.end().catch(() => undefined);
        // Who used the embedded server before us may be stopping it just now; then it is started again.
        if (this.#embedded !== undefined && passes(cause) && Date.now() < patience.until) {
          await sleep(FIRST_BACKOFF_MS);
          continue;
        }
        if (cause instanceof LedgerError || client !== undefined) throw cause;
        throw new LedgerError("ledger.unreachable", `the database does not let us in: ${(cause as Error).message}`, { cause });
      }
    }
  }

  async #tryLock(client: pg.Client): Promise<LockHolder | undefined> {
    // A pool whose machine went away must not hold the lock for hours.
    await client.query("SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3");
    return tryPoolLock(client);
  }

  #watch(client: pg.Client): void {
    this.#lock = client;
    client.once("error", (error) => this.#lockLost(client, error));
    client.once("end", () => this.#lockLost(client, new Error("the server closed the connection")));
  }

  #lockLost(client: pg.Client, error: Error): void {
    if (this.#closed || this.#lock !== client) return;
    this.#lock = undefined;
    this.log.warn({ error: error.message }, "lost the database connection that holds the pool lock, trying to get it back");
    this.emit("lost", error);
    this.#keeping = this.#regain().finally(() => {
      this.#keeping = undefined;
    });
  }

  async #regain(): Promise<void> {
    for (let wait = FIRST_BACKOFF_MS; !this.#closed && this.#fatal === undefined; wait = Math.min(wait * 2, LAST_BACKOFF_MS)) {
      let client: pg.Client | undefined;
      try {
        client = await this.connect();
        const holder = await this.#tryLock(client);
        const { rows } = await client.query<{ epoch: string }>("SELECT epoch FROM log_state");
        if (BigInt(rows[0]?.epoch ?? 0) !== this.#epoch) {
          this.fail(new LedgerError("ledger.fenced", `another pool took the database over while we were cut off: ${describe(holder)}`));
        } else if (holder === undefined) {
          this.#watch(client);
          this.log.info({}, "the pool lock is ours again");
          this.emit("regained");
          return;
        }
      } catch (error) {
        this.log.warn({ error: (error as Error).message }, "the database is still away");
      }
      await client?.end().catch(() => undefined);
      await sleep(wait);
    }
  }
}

/** Embedded and own servers alike: what we use exists since 15. */
async function checkVersion(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ number: string; name: string }>(
    "SELECT current_setting('server_version_num') AS number, current_setting('server_version') AS name",
  );
  const version = rows[0];
  if (version === undefined || Number(version.number) < OLDEST_SERVER) {
    throw new LedgerError("ledger.serverTooOld", `PostgreSQL 15 or newer is needed, the server is ${version?.name ?? "unknown"}`);
  }
}

/** Whether ours is the only connection of a client to the server. A connection that was just ended takes a moment to go. */
async function isAlone(client: pg.Client): Promise<boolean> {
  for (let look = 0; look < 20; look++) {
    const { rows } = await client.query(
      "SELECT FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() LIMIT 1",
    );
    if (rows.length === 0) return true;
    await sleep(FIRST_BACKOFF_MS);
  }
  return false;
}

function describe(holder: LockHolder | undefined): string {
  if (holder === undefined || holder.application === "") return "(it has just gone)";
  return `${holder.application} from ${holder.address ?? "this machine"}, connected since ${holder.since.toISOString()}`;
}
