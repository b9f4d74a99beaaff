/** Files that hold secrets: read only while nobody else can read them, written so that a crash leaves the old or the new one whole. */
import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { CliError, codeOf, messageOf, shellWord } from "../errors.js";

/**
 * The text of a secret file.
 *
 * @param credential it is a credential of systemd: its folder is the service's alone, and its mode shows the access list as the group's
 * @throws CliError `keyFileMissing`, `keyFileUnreadable` or `keyFileExposed` (others on the machine can read it)
 */
export function readPrivate(file: string, credential = false): string {
  let handle: number;
  try {
    handle = openSync(file, "r");
  } catch (error) {
    if (codeOf(error) === "ENOENT") {
      const todo = "`openprime init` makes one; keys.file tells where it is. Restore it from the backup if gateways already use the pool";
      throw new CliError("keyFileMissing", `there is no key file ${file}`, todo, { cause: error });
    }
    const todo = `run the pool as the user that owns the file, or: chown USER ${shellWord(file)}`;
    throw new CliError("keyFileUnreadable", `can't read the key file ${file}: ${messageOf(error)}`, todo, { cause: error });
  }
  try {
    // The mode of the open file, not of the name: nobody can swap it in between.
    const mode = fstatSync(handle).mode & 0o777;
    if (process.platform !== "win32" && (mode & (credential ? 0o007 : 0o077)) !== 0) {
      const octal = mode.toString(8).padStart(4, "0");
      throw new CliError(
        "keyFileExposed",
        `other users can read the key file ${file} (mode ${octal}, expected 0600)`,
        `chmod 600 ${shellWord(file)}`,
      );
    }
    return readFileSync(handle, "utf8");
  } finally {
    closeSync(handle);
  }
}

/** Writes a file that must not exist yet, readable by its owner only and on the disk when this returns. @throws CliError `fileExists` */
export function writeNew(file: string, text: string): void {
  const handle = openNew(file, "choose another folder with --dir, or move that file away");
  try {
    writeSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/**
 * Replaces a file by what `change` makes, in one step. The new text is written beside it first, and that file keeps other commands out
 * meanwhile.
 *
 * @throws CliError `fileExists` while another command is at it; whatever `change` throws, and then the file is as it was
 */
export function replacePrivate(file: string, change: () => string): void {
  const beside = `${file}.new`;
  const handle = openNew(beside, "another command is changing the keys; if none is, one was killed: delete that file");
  try {
    try {
      writeSync(handle, change());
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(beside, file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
  const folder = openSync(dirname(file), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function openNew(file: string, todo: string): number {
  try {
    return openSync(file, "wx", 0o600);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    throw new CliError("fileExists", `${file} exists and is never overwritten`, todo, { cause: error });
  }
}
