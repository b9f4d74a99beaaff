/** The doctor's checks of the machine: Node.js, native code, the clock, disk space, folders. */
import { constants } from "node:fs";
import { access, stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { ShareProver } from "@openprime/bitcoin";
import { loadCrypto } from "@openprime/datum";
import { codeOf, messageOf } from "../errors.js";
import { type Check, fail, ok, warn } from "./report.js";

const TESTED_MAJORS: readonly number[] = [20, 22, 24];

/** @param version as in process.versions.node */
export function checkNodeVersion(version: string): Check {
  const name = "node.version";
  const major = Number(version.split(".")[0]);
  if (major < 20) return fail(name, `Node.js ${version}, 20 or newer is needed`, "install Node.js 20, 22 or 24");
  if (!TESTED_MAJORS.includes(major)) {
    return warn(name, `Node.js ${version} is not one of the tested versions`, "prefer Node.js 20, 22 or 24");
  }
  return ok(name, `Node.js ${version}`);
}

/** Which cryptography is in use: libsodium as native code, or the slower WebAssembly. */
export async function checkCrypto(): Promise<Check> {
  const crypto = await loadCrypto();
  if (crypto.name === "native") return ok("crypto", "libsodium runs as native code");
  return warn(
    "crypto",
    "libsodium runs as WebAssembly: sodium-native has no binary for this machine, or its package is missing",
    "nothing for a small pool; for a large one take a machine that sodium-native supports and run npm ci again",
  );
}

/** Shares are hashed in WebAssembly; without the module there is no judging. */
export async function checkProver(): Promise<Check> {
  try {
    await ShareProver.create();
    return ok("hashing", "the WebAssembly module that hashes shares is in place");
  } catch (error) {
    return fail("hashing", messageOf(error), "npm run setup builds it");
  }
}

/** Two clocks of the machine: `wall` (milliseconds of the epoch) can be set, `steady` (milliseconds) only ever runs on. */
export interface Clocks {
  wall(): number;
  steady(): number;
  sleep(ms: number): Promise<void>;
}

/** No clock is right that says an earlier time: this version did not exist then. */
const EARLIEST = Date.UTC(2026, 0, 1);
const SAMPLE_MS = 200;
const JUMP_MS = 100;

/**
 * The clock by itself: it runs, it does not jump, and it isn't older than this program.
 * @see nodeClock in services.ts, which compares it with the node's
 */
export async function checkClock(clocks: Clocks): Promise<Check> {
  const name = "clock";
  const wall = clocks.wall();
  const steady = clocks.steady();
  await clocks.sleep(SAMPLE_MS);
  const jump = clocks.wall() - wall - (clocks.steady() - steady);
  const time = new Date(wall).toISOString();
  const todo = "let the system set its clock by NTP (systemd-timesyncd, chrony)";
  if (wall < EARLIEST) return fail(name, `the clock says ${time}, which is past`, todo);
  if (clocks.steady() <= steady) return fail(name, "the steady clock stands still", "look at the machine's virtualisation");
  if (Math.abs(jump) > JUMP_MS) {
    return warn(name, `the clock jumped by ${Math.round(jump)} ms while it was watched`, `${todo}, and see that only one program sets it`);
  }
  return ok(name, `${time}, running evenly`);
}

const GIB = 1024 ** 3;

/** Room for the books, on the disk of `dir` or of the nearest folder above that exists. */
export async function checkDisk(dir: string): Promise<Check> {
  const name = "disk";
  const { bavail, bsize } = await statfs(await existing(dir));
  const free = bavail * bsize;
  const message = `${(free / GIB).toFixed(1)} GiB free for ${dir}`;
  if (free < GIB) return fail(name, message, "make room: the pool stops taking shares when the disk is full");
  if (free < 10 * GIB) return warn(name, message, "10 GiB or more is wise");
  return ok(name, message);
}

/** Whether settlements and log files can be written: `serve` makes the folder where it is not there yet. */
export async function checkPublished(dir: string): Promise<Check> {
  const name = "publish";
  try {
    const there = await existing(dir);
    if (!(await stat(there)).isDirectory())
      return fail(name, `${there} is no folder`, "set publish.dir to a folder, or to one that can be made");
    await access(there, constants.W_OK | constants.X_OK);
    return ok(name, there === dir ? `${dir} can be written` : `${dir} can be made`);
  } catch (error) {
    const why = codeOf(error) ?? messageOf(error);
    return fail(name, `${dir} can't be written (${why})`, "let the pool's user write there, or set publish.dir to another folder");
  }
}

/** The folder, or the nearest above it that exists. */
async function existing(dir: string): Promise<string> {
  try {
    await access(dir);
    return dir;
  } catch (error) {
    const above = dirname(dir);
    if (codeOf(error) !== "ENOENT" || above === dir) throw error;
    return existing(above);
  }
}
