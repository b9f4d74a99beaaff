/**
 * The embedded PostgreSQL: a real server with its own data directory, reached by a Unix socket only.
 *
 * It runs as a process of its own. A pool that is killed leaves it running, and the next one finds it by its postmaster.pid and goes on with it.
 * Who holds the pool lock (pool-lock.ts) owns the server; only the owner stops it.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { LedgerError } from "./errors.js";
import { type ServerBinaries, serverBinaries } from "./server-binaries.js";
import { reachableBy, type ServerUser, serverUser } from "./server-user.js";
import type { LedgerLogger } from "./types.js";

/** Superuser of the embedded cluster; the socket's directory is what guards it. */
export const EMBEDDED_USER = "openprime";
const MAJOR = "17";
/** The socket's name carries a port number, which only has to be some constant. */
const PORT = 5432;
/** sun_path holds 107 bytes and the NUL. */
const LONGEST_SOCKET_PATH = 107;
const SOCKET_PREFIX = "openprime-";
const FRESH_PREFIX = "cluster.new-";
const ABANDONED_MS = 600_000;
const START_TIMEOUT_MS = 60_000;
const FAST_SHUTDOWN_MS = 15_000;
const LOG_LIMIT_BYTES = 8 * 1024 * 1024;

const SETTINGS: Record<string, string> = {
  listen_addresses: "",
  unix_socket_permissions: "0700",
  fsync: "on",
  synchronous_commit: "on",
  max_connections: "40",
  shared_buffers: "64MB",
  max_wal_size: "1GB",
  // One partition per round: a statement over all of them takes a lock on each.
  max_locks_per_transaction: "512",
  jit: "off",
  timezone: "UTC",
  log_timezone: "UTC",
};

interface RunningServer {
  readonly pid: number;
  readonly socketDirectory: string;
}

export class EmbeddedServer {
  readonly #base: string;
  readonly #cluster: string;
  readonly #log: LedgerLogger;
  #socketDirectory: string | undefined;
  #starting: Promise<void> | undefined;

  /** `dataDir` will hold the cluster and the server's own log. */
  constructor(dataDir: string, log: LedgerLogger) {
    if (process.platform === "win32") {
      throw new LedgerError(
        "ledger.embeddedUnavailable",
        "the embedded database needs Unix sockets; on Windows set database.url to a PostgreSQL",
      );
    }
    this.#base = resolve(dataDir);
    this.#cluster = join(this.#base, "cluster");
    this.#log = log;
  }

  /** Throws `ledger.noBooks` when the cluster was never made: who only reads does not make one. */
  checkMade(): void {
    if (existsSync(this.#cluster)) return;
    throw new LedgerError("ledger.noBooks", `there are no books in ${this.#base}: the pool has not run yet, or its books are elsewhere`);
  }

  /** What a client connects to. Valid after `ensureRunning`. */
  connection(): { host: string; port: number; user: string; database: string } {
    if (this.#socketDirectory === undefined) throw new LedgerError("ledger.embeddedStart", "the embedded server has not been started");
    return { host: this.#socketDirectory, port: PORT, user: EMBEDDED_USER, database: "postgres" };
  }

  /** Makes the cluster if there is none, goes on with a server that runs on it, or starts one; answers when it takes connections. */
  ensureRunning(): Promise<void> {
    this.#starting ??= this.#ensureRunning().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  /** Fast shutdown: running transactions are rolled back, everything committed is on disk. Answers when the process is gone. */
  async stop(): Promise<void> {
    const running = this.#running();
    if (running !== undefined) {
      process.kill(running.pid, "SIGINT");
      if (!(await this.#gone(running.pid, FAST_SHUTDOWN_MS))) {
        this.#log.warn(
          { pid: running.pid },
          "embedded database did not shut down in time, stopping it at once (it recovers at its next start)",
        );
        process.kill(running.pid, "SIGQUIT");
        await this.#gone(running.pid, FAST_SHUTDOWN_MS);
      }
    }
    this.#removeSocketDirectory(this.#socketDirectory);
    this.#socketDirectory = undefined;
  }

  async #ensureRunning(): Promise<void> {
    if (!existsSync(this.#base)) mkdirSync(this.#base, { recursive: true, mode: 0o755 });
    const deadline = Date.now() + START_TIMEOUT_MS;
    let stale: string | undefined;
    for (;;) {
      const running = this.#running();
      if (running !== undefined) {
        if (await answers(running.socketDirectory)) {
          this.#socketDirectory = running.socketDirectory;
          return;
        }
        stale = `process ${running.pid} has the data directory but does not answer at ${running.socketDirectory}`;
      } else {
        const user = serverUser(this.#cluster);
        const binaries = serverBinaries(user);
        await this.#initialise(binaries, user);
        stale = await this.#start(binaries, user);
        if (stale === undefined) return;
      }
      // What is waited for here: a server that is starting or going down, or old backends that still hold the shared memory.
      if (Date.now() > deadline)
        throw new LedgerError("ledger.embeddedStart", `the embedded database in ${this.#base} does not start: ${stale}`);
      await sleep(50);
    }
  }

  /** The server on our cluster, if one is alive: the process named in postmaster.pid, when it is a postgres that works in our directory. */
  #running(): RunningServer | undefined {
    const [pid, , , , socketDirectory] = this.#pidFile();
    if (pid === undefined || !isServerOf(Number(pid), this.#cluster)) return undefined;
    return { pid: Number(pid), socketDirectory: socketDirectory ?? "" };
  }

  #pidFile(): string[] {
    try {
      return readFileSync(join(this.#cluster, "postmaster.pid"), "utf8").split("\n");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  async #initialise(binaries: ServerBinaries, user: ServerUser | undefined): Promise<void> {
    if (existsSync(this.#cluster)) {
      const version = readFileSync(join(this.#cluster, "PG_VERSION"), "utf8").trim();
      if (version === MAJOR) return;
      throw new LedgerError(
        "ledger.embeddedVersion",
        `${this.#cluster} was made by PostgreSQL ${version}, this program brings ${MAJOR}: dump it with ${version} and load it into a new one, or run that server yourself and set database.url`,
      );
    }
    // Made aside and renamed when complete, so that a start that is cut short leaves nothing half done (but its rest, removed here).
    for (const name of readdirSync(this.#base).filter((entry) => entry.startsWith(FRESH_PREFIX))) {
      const rest = join(this.#base, name);
      if (Date.now() - statSync(rest).mtimeMs > ABANDONED_MS) rmSync(rest, { recursive: true, force: true });
    }
    const fresh = mkdtempSync(join(this.#base, FRESH_PREFIX));
    if (user !== undefined) chownSync(fresh, user.uid, user.gid);
    this.#log.info({ directory: this.#cluster, version: binaries.version }, "creating the embedded database");
    const child = this.#spawn(
      binaries.initdb,
      ["-D", dataArgument(fresh, user), "-U", EMBEDDED_USER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions"],
      { cwd: fresh, user },
    );
    const code = await exitOf(child);
    if (code !== 0) {
      rmSync(fresh, { recursive: true, force: true });
      throw new LedgerError("ledger.embeddedStart", `initdb ended with ${code}: ${this.#logTail()}`);
    }
    try {
      renameSync(fresh, this.#cluster);
    } catch (error) {
      rmSync(fresh, { recursive: true, force: true });
      if (!existsSync(this.#cluster)) throw error; // else another pool was first
    }
  }

  /** Starts the server; undefined when it takes connections, else why it should be tried again. */
  async #start(binaries: ServerBinaries, user: ServerUser | undefined): Promise<string | undefined> {
    const [oldPid, , , , oldSockets] = this.#pidFile();
    if (oldPid !== undefined) {
      // Another pool may have started it since we looked.
      if (isServerOf(Number(oldPid), this.#cluster)) return "another pool starts it";
      this.#log.warn({ pid: Number(oldPid) }, "the embedded database was not shut down; it recovers from its log");
      this.#removeSocketDirectory(oldSockets);
      // A number that belongs to another process by now would keep postgres from starting; any other stale file it clears by itself, and more
      // safely than we could.
      if (isAlive(Number(oldPid)) && this.#pidFile()[0] === oldPid) rmSync(join(this.#cluster, "postmaster.pid"), { force: true });
    }
    const socketDirectory = makeSocketDirectory(user);
    const settings = Object.entries({ ...SETTINGS, unix_socket_directories: socketDirectory }).flatMap(([name, value]) => [
      "-c",
      `${name}=${value}`,
    ]);
    const logStart = this.#logSize();
    const child = this.#spawn(binaries.postgres, ["-D", dataArgument(this.#cluster, user), "-p", String(PORT), ...settings], {
      cwd: this.#cluster,
      user,
    });
    let code: number | string | undefined;
    const ended = exitOf(child).then((how) => {
      code = how;
    });
    child.unref();
    while (code === undefined) {
      if (await answers(socketDirectory)) {
        this.#socketDirectory = socketDirectory;
        this.#log.info(
          { pid: child.pid, directory: this.#cluster, socket: socketDirectory, version: binaries.version },
          "embedded database started",
        );
        return undefined;
      }
      await Promise.race([ended, sleep(20)]);
    }
    this.#removeSocketDirectory(socketDirectory);
    const said = this.#logTail(logStart);
    // Another pool's server on the same directory, or backends of a killed one that have not noticed yet: both pass.
    if (/lock file "postmaster\.pid"|shared memory block/.test(said)) return said;
    throw new LedgerError("ledger.embeddedStart", `postgres ended with ${code}: ${said}`);
  }

  /**
   * Detached, so that Ctrl-C in a terminal reaches the pool alone, which then stops the database when it is done with it; output goes to a file,
   * because a pipe would break with the pool.
   */
  #spawn(program: string, args: string[], { cwd, user }: { cwd: string; user: ServerUser | undefined }): ChildProcess {
    const file = join(this.#base, "server.log");
    if (this.#logSize() > LOG_LIMIT_BYTES) renameSync(file, `${file}.1`);
    const output = openSync(file, "a", 0o600);
    try {
      return spawn(program, args, {
        cwd,
        ...user,
        detached: true,
        stdio: ["ignore", output, output],
        env: { PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC" },
      });
    } finally {
      closeSync(output);
    }
  }

  #logSize(): number {
    return statSync(join(this.#base, "server.log"), { throwIfNoEntry: false })?.size ?? 0;
  }

  #logTail(from = 0): string {
    const size = this.#logSize();
    const length = Math.min(2000, Math.max(0, size - from));
    if (length === 0) return "(it wrote nothing)";
    const file = openSync(join(this.#base, "server.log"), "r");
    try {
      const bytes = Buffer.alloc(length);
      readSync(file, bytes, 0, length, size - length);
      return bytes.toString().trim();
    } finally {
      closeSync(file);
    }
  }

  async #gone(pid: number, timeoutMs: number): Promise<boolean> {
    const deadline = Date.now() + timeoutMs;
    while (isServerOf(pid, this.#cluster)) {
      if (Date.now() > deadline) return false;
      await sleep(10);
    }
    return true;
  }

  #removeSocketDirectory(path: string | undefined): void {
    // Never remove what we did not make: the name comes from a file.
    if (path !== undefined && basename(path).startsWith(SOCKET_PREFIX)) rmSync(path, { recursive: true, force: true });
  }
}

/** Whether process `pid` is a live postgres whose working directory is `cluster` (a server works in its data directory). */
function isServerOf(pid: number, cluster: string): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  if (process.platform === "linux") {
    try {
      // A zombie has no working directory any more.
      const works = statSync(`/proc/${pid}/cwd`);
      const data = statSync(cluster);
      return works.dev === data.dev && works.ino === data.ino && readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("postgres");
    } catch {
      return false;
    }
  }
  const { stdout } = spawnSync("ps", ["-o", "comm=", "-p", String(pid)], { encoding: "utf8" });
  return basename(stdout.trim()).startsWith("postgres");
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/**
 * The data directory as the server is told of it. A directory that its user can't walk to (under a closed home, say) is named by way of the
 * working directory, which was set before root's rights were given up.
 */
function dataArgument(directory: string, user: ServerUser | undefined): string {
  if (user === undefined || reachableBy(user, dirname(directory))) return directory;
  if (process.platform === "linux") return "/proc/self/cwd";
  throw new LedgerError(
    "ledger.embeddedUnreachable",
    `user id ${user.uid}, who runs the database because root can't, may not enter ${dirname(directory)}: choose a data directory that other users can reach`,
  );
}

function makeSocketDirectory(user: ServerUser | undefined): string {
  const temporary = tmpdir();
  const name = join(temporary, `${SOCKET_PREFIX}XXXXXX`, `.s.PGSQL.${PORT}`);
  const fits = Buffer.byteLength(name) <= LONGEST_SOCKET_PATH && (user === undefined || reachableBy(user, temporary));
  const directory = mkdtempSync(join(fits ? temporary : "/tmp", SOCKET_PREFIX));
  chmodSync(directory, 0o700);
  if (user !== undefined) chownSync(directory, user.uid, user.gid);
  return directory;
}

/** Whether a server takes connections there, and not "the database system is starting up". */
function answers(socketDirectory: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = createConnection(join(socketDirectory, `.s.PGSQL.${PORT}`));
    const finish = (ready: boolean) => {
      socket.destroy();
      done(ready);
    };
    // A startup message; the first byte of the answer is R (authentication) from a server that is ready, E from one that is not.
    const parameters = `user\0${EMBEDDED_USER}\0database\0postgres\0\0`;
    const message = Buffer.alloc(8 + parameters.length);
    message.writeInt32BE(message.length, 0);
    message.writeInt32BE(196_608, 4);
    message.write(parameters, 8, "latin1");
    socket.once("connect", () => socket.write(message));
    socket.once("data", (bytes) => finish(bytes[0] === 0x52));
    socket.once("error", () => finish(false));
    socket.once("close", () => finish(false));
    socket.setTimeout(2000, () => finish(false));
  });
}

function exitOf(child: ChildProcess): Promise<number | string> {
  return new Promise((done) => {
    child.once("error", (error) => done(error.message));
    child.once("exit", (code, signal) => done(code ?? signal ?? "no exit code"));
  });
}
