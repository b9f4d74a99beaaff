/** Files that are there whole or not at all, whatever is killed, and stay there after a power cut. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import type { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { LedgerError } from "../errors.js";
import type { LedgerLogger } from "../types.js";

export interface PublishFileOptions {
  readonly through?: Transform;
  /** Done when the new file is whole, before it takes its place. */
  readonly beforeMove?: () => Promise<void>;
}

/**
 * Writes the pieces, through `through` where it is given, to a temporary name, and moves the file into its place.
 *
 * @throws LedgerError `ledger.publishFailed` when the file system refuses, and whatever `pieces` throws; a file that stood there before is then untouched
 */
export async function publishFile(
  path: string,
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { through, beforeMove }: PublishFileOptions = {},
): Promise<void> {
  let ofPieces: unknown;
  const watched = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* pieces;
    } catch (error) {
      ofPieces = error;
      throw error;
    }
  };
  try {
    await mkdir(dirname(path), { recursive: true });
    const half = `${path}.part`;
    const handle = await open(half, "w");
    try {
      const write = async (source: AsyncIterable<Uint8Array>): Promise<void> => {
        for await (const piece of source) await handle.writeFile(piece);
      };
      await (through === undefined ? pipeline(watched(), write) : pipeline(watched(), through, write));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await beforeMove?.();
    await rename(half, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    if (error === ofPieces) throw error;
    throw new LedgerError("ledger.publishFailed", `${path} could not be written: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Keeps a published file that is not what the books say under another name, `<name>.replaced-<milliseconds>`: they were restored from a backup, perhaps.
 *
 * @param expected sha256 of the text in it, of which it is the gzip; undefined when the books know no such file
 * @returns true when there was one
 */
export async function setAside(path: string, expected: Uint8Array | undefined, logger: LedgerLogger): Promise<boolean> {
  if (expected !== undefined) {
    const found = await hashOf(path);
    if (found === "none" || found === Buffer.from(expected).toString("hex")) return false;
  }
  const kept = `${path}.replaced-${Date.now()}`;
  await rename(path, kept);
  logger.error({ file: path, kept }, "a published file is not what the books say: it is set aside. Were the books restored from a backup?");
  return true;
}

/** "damaged" for what is no gzip. */
async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    await pipeline(createReadStream(path), createGunzip(), async (source) => {
      for await (const piece of source) hash.update(piece as Uint8Array);
    });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return "none";
    if (code?.startsWith("Z_") === true) return "damaged";
    throw error;
  }
  return hash.digest("hex");
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } catch (error) {
    // Windows can't sync a directory; its rename is durable enough.
    if ((error as NodeJS.ErrnoException).code !== "EPERM") throw error;
  } finally {
    await directory.close();
  }
}
