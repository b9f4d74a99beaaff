/**
 * Who runs the embedded PostgreSQL, and what that user can reach. PostgreSQL refuses to run as root, so a pool that is started by root
 * starts it as an unprivileged user.
 */
import { readFileSync, type Stats, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { LedgerError } from "./errors.js";

export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/** Tried in this order; both are there on nearly every system. */
const NAMES = ["postgres", "nobody"];

/**
 * The user that must run the server: undefined for the pool's own (it isn't root), else the owner of an existing cluster, else `postgres`,
 * else `nobody`. Throws `ledger.embeddedUser` when there is none, or when the cluster belongs to another user and we are not root.
 */
export function serverUser(cluster: string, passwd = "/etc/passwd"): ServerUser | undefined {
  const own = process.getuid?.();
  const owner = statSync(cluster, { throwIfNoEntry: false });
  if (own !== 0) {
    if (owner !== undefined && own !== undefined && owner.uid !== own) {
      throw new LedgerError("ledger.embeddedUser", `${cluster} belongs to user id ${owner.uid}; start the pool as that user or as root`);
    }
    return undefined;
  }
  if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const users = new Map(
    readFileSync(passwd, "utf8")
      .split("\n")
      .map((line) => line.split(":"))
      .map(([name = "", , uid, gid]) => [name, { uid: Number(uid), gid: Number(gid) }]),
  );
  for (const name of NAMES) {
    const user = users.get(name);
    if (user !== undefined) return user;
  }
  throw new LedgerError(
    "ledger.embeddedUser",
    `PostgreSQL does not run as root and ${passwd} has none of the users ${NAMES.join(", ")}; start the pool as an ordinary user`,
  );
}

/** Whether that user may pass through every directory on the way to `path` and read the file (or enter the directory) at its end. */
export function reachableBy(user: ServerUser, path: string): boolean {
  let at = resolve(path);
  if (!may(user, statSync(at), 0o5)) return false;
  while (dirname(at) !== at) {
    at = dirname(at);
    if (!may(user, statSync(at), 0o1)) return false;
  }
  return true;
}

function may(user: ServerUser, { uid, gid, mode }: Stats, bits: number): boolean {
  const shift = uid === user.uid ? 6 : gid === user.gid ? 3 : 0;
  return ((mode >> shift) & bits) === bits;
}
