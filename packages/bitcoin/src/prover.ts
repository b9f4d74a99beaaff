/** One share's proof of work: its pieces go into WebAssembly memory, and one call there makes txid, merkle root and header hash. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { ProverError } from "./errors.js";

/** What a share and its job say of one header. Nothing is kept of it after `prove`. */
export interface ShareProofInput {
  /** Coinbase up to the extranonce, non-witness form. */
  readonly coinb1: Uint8Array;
  readonly extranonce: Uint8Array;
  readonly coinb2: Uint8Array;
  /** Offset in the whole coinbase at which `targetByte` is written. */
  readonly targetByteIndex: number;
  /** log2 of the share's difficulty, 0-255. */
  readonly targetByte: number;
  /** Replace the last two bytes of coinb1 by 44 51, or by BB AE where they are 44 51 already. */
  readonly quickdiff: boolean;
  /** Merkle branches, 32 bytes each, one after another; at most 32. */
  readonly branches: Uint8Array;
  /** The merkle root is the coinbase's txid; the branches aren't used. */
  readonly subsidyOnly: boolean;
  readonly version: number;
  /** 32 bytes, internal order. */
  readonly prevhash: Uint8Array;
  readonly ntime: number;
  /** Compact target, u32. */
  readonly nbits: number;
  readonly nonce: number;
}

// The one call of the global that is used here; its types come with the browser's library only, which has no place on a server.
declare const WebAssembly: { instantiate(module: Uint8Array): Promise<{ readonly instance: { readonly exports: unknown } }> };

/** Exports of assembly/prover.ts. */
interface ProverExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly MAX_COINBASE: { readonly value: number };
  readonly MAX_BRANCHES: { readonly value: number };
  readonly COINBASE: { readonly value: number };
  readonly BRANCHES: { readonly value: number };
  readonly HEADER: { readonly value: number };
  readonly DIGEST: { readonly value: number };
  readonly HASH: { readonly value: number };
  prove(coinbaseLength: number, branchCount: number, version: number, ntime: number, nbits: number, nonce: number): void;
}

/**
 * From this many bytes on, OpenSSL hashes the coinbase: its SHA-256 uses the processor's own instructions, which makes up for the cost of
 * calling it. Measured on x86-64 with SHA-NI: even at 500 bytes, twice as fast at 2 kB, more than four times at 16 kB.
 */
const NATIVE_HASH_FROM = 1024;

// The same path from src and from dist: both are one folder below the package's root.
const MODULE = new URL("../dist/prover.wasm", import.meta.url);

/** Hashes shares, one at a time. Synchronous and without allocation on the short path; make one per thread. */
export class ShareProver {
  readonly #exports: ProverExports;
  readonly #memory: Uint8Array;
  readonly #hash: Uint8Array;
  readonly #maxCoinbase: number;
  readonly #maxBranches: number;
  readonly #coinbaseAt: number;
  readonly #branchesAt: number;
  readonly #headerAt: number;
  readonly #digestAt: number;
  #coinbaseLength = 0;

  private constructor(exports: ProverExports) {
    this.#exports = exports;
    // The module's memory is of fixed size, so that views of it stay valid.
    this.#memory = new Uint8Array(exports.memory.buffer);
    this.#maxCoinbase = exports.MAX_COINBASE.value;
    this.#maxBranches = exports.MAX_BRANCHES.value;
    this.#coinbaseAt = exports.COINBASE.value;
    this.#branchesAt = exports.BRANCHES.value;
    this.#headerAt = exports.HEADER.value;
    this.#digestAt = exports.DIGEST.value;
    this.#hash = this.#memory.subarray(exports.HASH.value, exports.HASH.value + 32);
  }

  /**
   * Loads dist/prover.wasm.
   *
   * @throws ProverError `moduleMissing` (run `npm run setup`) or `moduleInvalid`
   */
  static async create(): Promise<ShareProver> {
    const bytes = await readFile(MODULE).catch((error: NodeJS.ErrnoException) => {
      throw new ProverError("moduleMissing", `expected the WebAssembly module dist/prover.wasm, got ${error.code}: run \`npm run setup\``);
    });
    try {
      const { instance } = await WebAssembly.instantiate(bytes);
      return new ShareProver(instance.exports as ProverExports);
    } catch (error) {
      throw new ProverError("moduleInvalid", `dist/prover.wasm can't be used, run \`npm run setup\`: ${String(error)}`);
    }
  }

  /**
   * The hash of the share's header (DATUM.md section 9).
   *
   * @returns 32 bytes in internal order: a view that the next call overwrites
   * @throws ProverError where the pieces don't make a header; the previous proof is then gone
   */
  prove(input: ShareProofInput): Uint8Array {
    const { coinb1, extranonce, coinb2, branches, prevhash, targetByteIndex, targetByte } = input;
    const memory = this.#memory;
    const length = coinb1.length + extranonce.length + coinb2.length;
    this.#coinbaseLength = 0;
    this.#check(input, length);

    const start = this.#coinbaseAt;
    const extranonceAt = start + coinb1.length;
    memory.set(coinb1, start);
    memory.set(extranonce, extranonceAt);
    memory.set(coinb2, extranonceAt + extranonce.length);
    if (input.quickdiff) {
      const marked = memory[extranonceAt - 2] === 0x44 && memory[extranonceAt - 1] === 0x51;
      memory[extranonceAt - 2] = marked ? 0xbb : 0x44;
      memory[extranonceAt - 1] = marked ? 0xae : 0x51;
    }
    // After quickdiff, as the gateway does, should the two ever meet.
    memory[start + targetByteIndex] = targetByte;
    memory.set(prevhash, this.#headerAt + 4);

    let branchCount = 0;
    if (!input.subsidyOnly) {
      memory.set(branches, this.#branchesAt);
      branchCount = branches.length / 32;
    }
    const native = length >= NATIVE_HASH_FROM;
    if (native) {
      memory.set(
        createHash("sha256")
          .update(memory.subarray(start, start + length))
          .digest(),
        this.#digestAt,
      );
    }
    this.#exports.prove(native ? 0 : length, branchCount, input.version, input.ntime, input.nbits, input.nonce);
    this.#coinbaseLength = length;
    return this.#hash;
  }

  /** Copy of the header that the last `prove` hashed: 80 bytes. */
  header(): Uint8Array {
    return this.#memory.slice(this.#headerAt, this.#headerAt + 80);
  }

  /** Copy of the coinbase that the last `prove` hashed (non-witness form), target byte and quickdiff bytes in place. */
  coinbase(): Uint8Array {
    return this.#memory.slice(this.#coinbaseAt, this.#coinbaseAt + this.#coinbaseLength);
  }

  #check(input: ShareProofInput, length: number): void {
    const { branches, targetByteIndex, targetByte } = input;
    if (length > this.#maxCoinbase) {
      throw new ProverError("coinbaseTooLarge", `expected a coinbase of at most ${this.#maxCoinbase} bytes, got ${length}`);
    }
    if (!Number.isInteger(targetByteIndex) || targetByteIndex < 0 || targetByteIndex >= length) {
      throw new ProverError("badTargetByte", `expected a target byte index inside the coinbase of ${length} bytes, got ${targetByteIndex}`);
    }
    if (!Number.isInteger(targetByte) || targetByte < 0 || targetByte > 0xff) {
      throw new ProverError("badTargetByte", `expected a target byte from 0 to 255, got ${targetByte}`);
    }
    if (!input.subsidyOnly && (branches.length % 32 !== 0 || branches.length > 32 * this.#maxBranches)) {
      throw new ProverError("badBranches", `expected at most ${this.#maxBranches} branches of 32 bytes, got ${branches.length} bytes`);
    }
    if (input.quickdiff && input.coinb1.length < 2) {
      throw new ProverError("badQuickdiff", `expected two bytes of coinb1 to replace, got ${input.coinb1.length}`);
    }
    if (input.prevhash.length !== 32) {
      throw new ProverError("badPrevhash", `expected a previous block hash of 32 bytes, got ${input.prevhash.length}`);
    }
  }
}
