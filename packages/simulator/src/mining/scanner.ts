/** The WebAssembly nonce search (assembly/scan.ts) behind a small class: one header, many slices. */
import { readFileSync } from "node:fs";
import { meetsTarget, sha256d } from "@openprime/bitcoin";

interface ScanExports {
  readonly memory: WebAssembly.Memory;
  headerPointer(): number;
  prepare(): void;
  scan(nonce: number, count: number, top: number): bigint;
}

/** A nonce whose hash meets the target. */
export interface Found {
  readonly nonce: number;
  /** Header hash, 32 bytes, internal order. */
  readonly hash: Uint8Array;
}

/** Nonces of one call; the module counts in 32 bits. */
const LONGEST_CALL = 2 ** 24;

const wasmFile = new URL("../../dist/scan.wasm", import.meta.url);

/** One search at a time: {@link load} a header, then {@link search} slice after slice. */
export class Scanner {
  readonly #exports: ScanExports;
  readonly #header = new Uint8Array(80);
  #target = new Uint8Array(32);
  #top = 0;

  /** Compiles the module; a few milliseconds. Throws when `npm run build:wasm` has not been run. */
  constructor() {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(wasmFile)), { env: { abort: () => undefined } });
    this.#exports = instance.exports as unknown as ScanExports;
  }

  /** Sets the header (80 bytes, its nonce is ignored) and the target (32 bytes, little-endian). */
  load(header: Uint8Array, target: Uint8Array): void {
    this.#header.set(header);
    this.#target = new Uint8Array(target);
    this.#top = new DataView(this.#target.buffer).getUint32(28, true);
    new Uint8Array(this.#exports.memory.buffer).set(header, this.#exports.headerPointer());
    this.#exports.prepare();
  }

  /** The first nonce in [`from`, `from + count`) whose hash meets the target. `from + count` must not pass 2^32. */
  search(from: number, count: number): Found | undefined {
    const end = from + count;
    for (let nonce = from; nonce < end; ) {
      const slice = Math.min(end - nonce, LONGEST_CALL);
      const candidate = Number(this.#exports.scan(nonce, slice, this.#top));
      // The search goes on in fours, so it can answer one a little past the slice.
      if (candidate < nonce || candidate >= nonce + slice) {
        nonce += slice;
        continue;
      }
      new DataView(this.#header.buffer).setUint32(76, candidate, true);
      const hash = sha256d(this.#header);
      if (meetsTarget(hash, this.#target)) return { nonce: candidate, hash };
      nonce = candidate + 1;
    }
    return undefined;
  }
}
