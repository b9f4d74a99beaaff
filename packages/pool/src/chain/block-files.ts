/**
 * Blocks on their way to the node, as files: written and synced before the node is asked, gone once it has answered. What is found at start
 * was interrupted and is sent again.
 */
import { mkdir, open, readdir, readFile, rename, unlink } from "node:fs/promises";
import { join } from "node:path";

const NAME = /^([0-9a-f]{64})\.hex$/;

export class BlockFiles {
  readonly #directory: string;

  /** @param dataDir the blocks stand in `blocks` below it. */
  constructor(dataDir: string) {
    this.#directory = join(dataDir, "blocks");
  }

  /** Writes a block so that it is there after a power cut. @param hash display order. */
  async write(hash: string, hex: string): Promise<void> {
    await mkdir(this.#directory, { recursive: true });
    const file = this.#path(hash);
    const half = `${file}.part`;
    const handle = await open(half, "w");
    try {
      await handle.writeFile(hex);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(half, file);
    const directory = await open(this.#directory, "r");
    try {
      await directory.sync();
    } catch (error) {
      // Windows can't sync a directory; its rename is durable enough.
      if ((error as NodeJS.ErrnoException).code !== "EPERM") throw error;
    } finally {
      await directory.close();
    }
  }

  /** Blocks that were written and not settled, by hash in display order. */
  async unsettled(): Promise<{ hash: string; hex: string }[]> {
    const names = await readdir(this.#directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
    const blocks: { hash: string; hex: string }[] = [];
    for (const name of names) {
      const hash = NAME.exec(name)?.[1];
      if (hash !== undefined) blocks.push({ hash, hex: await readFile(join(this.#directory, name), "utf8") });
    }
    return blocks;
  }

  /** The node has it: the file is done with. */
  async remove(hash: string): Promise<void> {
    await unlink(this.#path(hash)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
  }

  /** The node refuses it: kept under another name, for a person to look at. Nothing happens to one that was never written. */
  async setAside(hash: string): Promise<void> {
    await rename(this.#path(hash), join(this.#directory, `${hash}.rejected`)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
  }

  #path(hash: string): string {
    return join(this.#directory, `${hash}.hex`);
  }
}
