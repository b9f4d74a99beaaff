/** The hash of a share by DATUM.md section 9 with node's SHA-256: slow, plain, and independent of the WebAssembly prover. */
import { createHash } from "node:crypto";
import type { Prover } from "../../../src/work/index.js";

export function sha256d(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(createHash("sha256").update(bytes).digest()).digest();
}

export class ReferenceProver implements Prover {
  /** Calls of `prove`. */
  calls = 0;
  #header = Buffer.alloc(80);
  #coinbase = Buffer.alloc(0);

  prove(input: Parameters<Prover["prove"]>[0]): Uint8Array {
    this.calls++;
    const coinb1 = Buffer.from(input.coinb1);
    if (input.quickdiff) {
      const end = coinb1.subarray(coinb1.length - 2);
      end.set(end.toString("hex") === "4451" ? [0xbb, 0xae] : [0x44, 0x51]);
    }
    this.#coinbase = Buffer.concat([coinb1, input.extranonce, input.coinb2]);
    this.#coinbase[input.targetByteIndex] = input.targetByte;
    let root = sha256d(this.#coinbase);
    if (!input.subsidyOnly) {
      for (let at = 0; at < input.branches.length; at += 32) root = sha256d(Buffer.concat([root, input.branches.subarray(at, at + 32)]));
    }
    const header = Buffer.alloc(80);
    header.writeUInt32LE(input.version, 0);
    header.set(input.prevhash, 4);
    header.set(root, 36);
    header.writeUInt32LE(input.ntime, 68);
    header.writeUInt32LE(input.nbits, 72);
    header.writeUInt32LE(input.nonce, 76);
    this.#header = header;
    return sha256d(header);
  }

  header(): Uint8Array {
    return Buffer.from(this.#header);
  }

  coinbase(): Uint8Array {
    return Buffer.from(this.#coinbase);
  }
}
