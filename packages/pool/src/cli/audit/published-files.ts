/** The published folder, on this machine or behind a web server. */
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { createGunzip } from "node:zlib";
import { decodeIndex, INDEX_FILE, ProofError, type ProofSource, type PublishedIndex } from "../../proofs/index.js";
import { codeOf, messageOf } from "../errors.js";

const MAX_INDEX_BYTES = 64 * 1024 * 1024;
/** For one whole file. */
const PATIENCE_MS = 600_000;

/** The files below a folder, or below an http(s) URL. */
export function publishedFiles(from: string): ProofSource {
  const open = /^https?:\/\//.test(from) ? (path: string) => download(from, path) : (path: string) => createReadStream(join(from, path));
  return new PublishedFiles(from, async (path) => open(path));
}

class PublishedFiles implements ProofSource {
  constructor(
    readonly from: string,
    readonly open: (path: string) => Promise<Readable>,
  ) {}

  async index(): Promise<PublishedIndex> {
    const pieces: Uint8Array[] = [];
    let length = 0;
    for await (const piece of this.read(INDEX_FILE)) {
      length += piece.length;
      if (length > MAX_INDEX_BYTES) throw new ProofError("proof.tooLarge", `expected ${INDEX_FILE} of at most ${MAX_INDEX_BYTES} bytes`);
      pieces.push(piece);
    }
    return decodeIndex(Buffer.concat(pieces).toString("utf8"));
  }

  async *read(path: string): AsyncGenerator<Uint8Array> {
    let raw: Readable | undefined;
    try {
      raw = await this.open(path);
      yield* uncompressed(raw);
    } catch (error) {
      if (error instanceof ProofError) throw error;
      const why = codeOf(error) ?? messageOf(error);
      throw new ProofError("proof.unreadable", `expected the published file ${path} in ${this.from}, got ${why}`);
    } finally {
      raw?.destroy();
    }
  }
}

/** Web servers may have taken the compression off already, so the bytes themselves say whether there is one. */
async function* uncompressed(raw: Readable): AsyncGenerator<Uint8Array> {
  const pieces = raw[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  const first = await pieces.next();
  if (first.done === true) return;
  const all = async function* (): AsyncGenerator<Uint8Array> {
    yield first.value;
    for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) yield next.value;
  };
  if (first.value[0] !== 0x1f || first.value[1] !== 0x8b) {
    yield* all();
    return;
  }
  const source = Readable.from(all(), { objectMode: false });
  const gunzip = createGunzip();
  source.on("error", (error) => gunzip.destroy(error));
  try {
    yield* source.pipe(gunzip) as AsyncIterable<Uint8Array>;
  } finally {
    source.destroy();
    gunzip.destroy();
  }
}

async function download(from: string, path: string): Promise<Readable> {
  const response = await fetch(new URL(path, from.endsWith("/") ? from : `${from}/`), { signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!response.ok || response.body === null) {
    throw new ProofError("proof.unreadable", `expected the published file ${path} at ${from}, got HTTP ${response.status}`);
  }
  return Readable.fromWeb(response.body as ReadableStream);
}
