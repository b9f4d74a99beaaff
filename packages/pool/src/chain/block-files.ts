/**
 * Blocks on their way to the node, as files: written and synced before the node is asked, gone once it has answered. What is found at start
 * was interrupted and is sent again. Beside each stands its claim, until the books have it.
 */
import { mkdir, open, readdir, readFile, rename, unlink } from "node:fs/promises";
import { join } from "node:path";

const BLOCK = /^([0-9a-f]{64})\.hex$/;
const KEPT = /^([0-9a-f]{64})\.(hex|rejected)$/;
const CLAIM = /^([0-9a-f]{64})\.claim\.json$/;

export class BlockFiles {
  readonly #directory: string;

  /** @param dataDir the blocks stand in `blocks` below it. */
  constructor(dataDir: string) {
    this.#directory = join(dataDir, "blocks");
  }

  /** Writes a block so that it is there after a power cut. @param hash display order. */
  write(hash: string, hex: string): Promise<void> {
    return this.#write(this.#path(hash), hex);
  }

  /** Writes a block's claim likewise. */
  writeClaim(hash: string, text: string): Promise<void> {
    return this.#write(this.#claimPath(hash), text);
  }

  /** Blocks that were written and not settled, by hash in display order. */
  async unsettled(): Promise<{ hash: string; hex: string }[]> {
    return (await this.#read(BLOCK)).map(({ hash, text }) => ({ hash, hex: text }));
  }

  /** All blocks that are kept: those on their way, and those that were set aside, by path. */
  async kept(): Promise<{ hash: string; path: string; setAside: boolean }[]> {
    return (await this.#names()).sort().flatMap((name) => {
      const [, hash, ending] = KEPT.exec(name) ?? [];
      return hash === undefined ? [] : [{ hash, path: join(this.#directory, name), setAside: ending === "rejected" }];
    });
  }

  /** Claims of which nobody knows whether the books have them. */
  claims(): Promise<{ hash: string; text: string }[]> {
    return this.#read(CLAIM);
  }

  async #write(file: string, text: string): Promise<void> {
    await mkdir(this.#directory, { recursive: true });
    const half = `${file}.part`;
    const handle = await open(half, "w");
    try {
      await handle.writeFile(text);
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

  async #read(form: RegExp): Promise<{ hash: string; text: string }[]> {
    const files: { hash: string; text: string }[] = [];
    for (const name of await this.#names()) {
      const hash = form.exec(name)?.[1];
      if (hash !== undefined) files.push({ hash, text: await readFile(join(this.#directory, name), "utf8") });
    }
    return files;
  }

  #names(): Promise<string[]> {
    return readdir(this.#directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
  }

  /** The node has it: the file is done with. */
  remove(hash: string): Promise<void> {
    return this.#remove(this.#path(hash));
  }

  /** The books have the claim. */
  removeClaim(hash: string): Promise<void> {
    return this.#remove(this.#claimPath(hash));
  }

  /** The node refuses it: kept under another name, for a person to look at. Nothing happens to one that was never written. */
  async setAside(hash: string): Promise<void> {
    await rename(this.#path(hash), join(this.#directory, `${hash}.rejected`)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
  }

  async #remove(path: string): Promise<void> {
    await unlink(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
  }

  #path(hash: string): string {
    return join(this.#directory, `${hash}.hex`);
  }

  #claimPath(hash: string): string {
    return join(this.#directory, `${hash}.claim.json`);
  }
}
