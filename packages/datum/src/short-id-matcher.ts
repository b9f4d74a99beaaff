/** Which of many transactions have the short ids of a job: hundreds of thousands of wtxids against thousands of ids, in WebAssembly. */
import { readFile } from "node:fs/promises";
import { DatumError } from "./errors.js";
import { SHORT_ID_BYTES, SHORT_ID_KEY_BYTES } from "./short-ids.js";

const WTXID_BYTES = 32;

// The one call of the global that is used here; its types come with the browser's library only, which has no place on a server.
declare const WebAssembly: { instantiate(module: Uint8Array): Promise<{ readonly instance: { readonly exports: unknown } }> };

/** Exports of assembly/match.ts. */
interface MatchExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly MAX_IDS: { readonly value: number };
  readonly CHUNK: { readonly value: number };
  readonly ENTRIES: { readonly value: number };
  readonly FOUND: { readonly value: number };
  readonly WTXIDS: { readonly value: number };
  begin(count: number, key0: bigint, key1: bigint): void;
  scan(count: number, base: number): void;
}

// The same path from src and from dist: both are one folder below the package's root.
const MODULE = new URL("../dist/match.wasm", import.meta.url);

/**
 * Looks short ids up. Synchronous: 300,000 wtxids take tens of milliseconds, so it belongs on a thread of its own. Its memory is 1.2 MB and
 * never grows, for the wtxids pass through it in pieces.
 */
export class ShortIdMatcher {
  /** No wtxid has the id. */
  static readonly NONE = -1;
  /** Several wtxids have it, or it was asked for more than once: which transaction is meant can't be told. */
  static readonly SEVERAL = -2;

  readonly #exports: MatchExports;
  readonly #memory: Uint8Array;
  readonly #maxIds: number;

  private constructor(exports: MatchExports) {
    this.#exports = exports;
    // The module's memory is of fixed size, so that views of it stay valid.
    this.#memory = new Uint8Array(exports.memory.buffer);
    this.#maxIds = exports.MAX_IDS.value;
  }

  /**
   * Loads dist/match.wasm.
   *
   * @throws DatumError `moduleMissing` (run `npm run setup`) or `moduleInvalid`
   */
  static async create(): Promise<ShortIdMatcher> {
    const bytes = await readFile(MODULE).catch((error: NodeJS.ErrnoException) => {
      throw new DatumError("moduleMissing", "the WebAssembly module dist/match.wasm", `${error.code}: run \`npm run setup\``);
    });
    try {
      const { instance } = await WebAssembly.instantiate(bytes);
      return new ShortIdMatcher(instance.exports as MatchExports);
    } catch (error) {
      throw new DatumError("moduleInvalid", "a usable dist/match.wasm", `${String(error)}: run \`npm run setup\``);
    }
  }

  /**
   * Where the transactions with these short ids stand.
   *
   * @param key 16 bytes of `shortIdKey`
   * @param wtxids 32 bytes each, internal order, none twice
   * @param ids 6 bytes each, at most 65,536
   * @returns for each id the position among the wtxids, or {@link NONE} or {@link SEVERAL}
   * @throws DatumError `badValue` for lengths that don't fit
   */
  match(key: Uint8Array, wtxids: Uint8Array, ids: Uint8Array): Int32Array {
    const count = ids.length / SHORT_ID_BYTES;
    if (key.length !== SHORT_ID_KEY_BYTES) throw new DatumError("badValue", `a key of ${SHORT_ID_KEY_BYTES} bytes`, `${key.length}`);
    if (wtxids.length % WTXID_BYTES !== 0) throw new DatumError("badValue", "wtxids of 32 bytes", `${wtxids.length} bytes`);
    if (!Number.isInteger(count) || count > this.#maxIds) {
      throw new DatumError("badValue", `at most ${this.#maxIds} ids of ${SHORT_ID_BYTES} bytes`, `${ids.length} bytes`);
    }
    const entries = this.#sort(ids, count);
    const words = new DataView(key.buffer, key.byteOffset, key.length);
    this.#exports.begin(count, words.getBigUint64(0, true), words.getBigUint64(8, true));
    this.#scan(wtxids);
    const found = new Int32Array(this.#memory.buffer, this.#exports.FOUND.value, count);
    const result = new Int32Array(count);
    for (let i = 0; i < count; i++) result[entries[8 * i]! | (entries[8 * i + 1]! << 8)] = found[i]!;
    return result;
  }

  /** Writes the ids into the module's memory, each with its position, in ascending order. @returns a view of them */
  #sort(ids: Uint8Array, count: number): Uint8Array {
    const at = this.#exports.ENTRIES.value;
    const entries = this.#memory.subarray(at, at + 8 * count);
    for (let i = 0; i < count; i++) {
      entries[8 * i] = i;
      entries[8 * i + 1] = i >>> 8;
      entries.set(ids.subarray(SHORT_ID_BYTES * i, SHORT_ID_BYTES * (i + 1)), 8 * i + 2);
    }
    new BigUint64Array(this.#memory.buffer, at, count).sort();
    return entries;
  }

  #scan(wtxids: Uint8Array): void {
    const { CHUNK, WTXIDS } = this.#exports;
    const total = wtxids.length / WTXID_BYTES;
    for (let base = 0; base < total; base += CHUNK.value) {
      const count = Math.min(CHUNK.value, total - base);
      this.#memory.set(wtxids.subarray(WTXID_BYTES * base, WTXID_BYTES * (base + count)), WTXIDS.value);
      this.#exports.scan(count, base);
    }
  }
}
