/** Files that are there whole or not at all, whatever is killed, and stay there after a power cut. */
import { mkdir, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { Readable, type Transform } from "node:stream";
import { pipeline } from "node:stream/promises";

/**
 * Writes the pieces, through `through` where it is given, to a temporary name, and moves the file into its place.
 *
 * @throws errors of the file system, and whatever `pieces` throws; a file that stood there before is then untouched
 */
export async function publishFile(
  path: string,
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  through?: Transform,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const half = `${path}.part`;
  const handle = await open(half, "w");
  try {
    const write = async (source: AsyncIterable<Uint8Array>): Promise<void> => {
      for await (const piece of source) await handle.writeFile(piece);
    };
    await (through === undefined ? pipeline(Readable.from(pieces), write) : pipeline(Readable.from(pieces), through, write));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(half, path);
  await syncDirectory(dirname(path));
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
