/**
 * A whole block read for the few transactions that matter to somebody. It walks the bytes without making objects of what nobody wants, hashes
 * every transaction for the merkle root, and pauses often, so that megabytes can be read beside other work of the same thread.
 */
import { createHash } from "node:crypto";
import { TransactionError } from "./errors.js";
import { sha256d } from "./hash.js";
import { ByteReader } from "./reader.js";
import { MAX_BLOCK_BYTES, type TransactionOutput } from "./transaction.js";

/** What a reader of blocks looks for. The bytes given are views. */
export interface BlockInterest {
  /** True for a script whose payments it wants. */
  pays(script: Uint8Array): boolean;
  /** True for a coin whose spending it wants. @param txid internal order */
  spends(txid: Uint8Array, vout: number): boolean;
}

/** A transaction that pays or spends what was looked for. All of it is copied out of the block. */
export interface ScannedTransaction {
  /** Internal order. */
  readonly txid: Uint8Array;
  /** Inputs that spend a wanted coin, or an output of the same block to a wanted script; in order. */
  readonly spends: readonly { readonly txid: Uint8Array; readonly vout: number }[];
  /** All outputs, in order. */
  readonly outputs: readonly TransactionOutput[];
}

/** Hashes in internal order. */
export interface ScannedBlock {
  readonly hash: Uint8Array;
  readonly prevhash: Uint8Array;
  /** Seconds. */
  readonly time: number;
  /** Compact target. */
  readonly bits: number;
  /** True when the header's merkle root is that of the transactions, and no transaction is told twice to make it so (CVE-2012-2459). */
  readonly merkleRootMatches: boolean;
  readonly coinbase: {
    readonly txid: Uint8Array;
    /** Without witness. */
    readonly raw: Uint8Array;
    readonly scriptSig: Uint8Array;
    readonly outputs: readonly TransactionOutput[];
  };
  /** In the order of the block, the coinbase not among them. */
  readonly transactions: readonly ScannedTransaction[];
}

/** Units of work between two pauses, about a tenth of a millisecond: one for an input, an output, a witness item and a piece that is hashed. */
const PAUSE_AFTER = 64;
const PIECE_BYTES = 512;

/**
 * Reads a block. It yields after every tenth of a millisecond or so of work, and the caller decides when to go on.
 *
 * @throws TransactionError (from `next`) for bytes that are no block
 */
export function scanBlock(raw: Uint8Array, interest: BlockInterest): Generator<undefined, ScannedBlock> {
  return new BlockScan(raw, interest).block();
}

class BlockScan {
  readonly #raw: Uint8Array;
  readonly #reader: ByteReader;
  readonly #interest: BlockInterest;
  /** Outputs of this block to wanted scripts, by name. */
  readonly #made = new Set<string>();
  #work = 0;

  constructor(raw: Uint8Array, interest: BlockInterest) {
    this.#raw = raw;
    this.#reader = new ByteReader(raw);
    this.#interest = interest;
  }

  *block(): Generator<undefined, ScannedBlock> {
    const reader = this.#reader;
    const { length } = this.#raw;
    if (length > MAX_BLOCK_BYTES)
      throw new TransactionError("tooLarge", `expected a block of at most ${MAX_BLOCK_BYTES} bytes, got ${length}`);
    if (length < 80) throw new TransactionError("badHeader", `expected a header of 80 bytes, got ${length}`);
    const header = reader.take(80);
    const count = reader.count(60);
    if (count === 0) throw new TransactionError("badStructure", "expected at least the coinbase, got no transaction");
    const txids = Buffer.alloc(count * 32);
    const coinbase = yield* this.#coinbase();
    txids.set(coinbase.txid);
    const transactions: ScannedTransaction[] = [];
    for (let i = 1; i < count; i++) {
      const { txid, wanted } = yield* this.#transaction();
      txids.set(txid, i * 32);
      if (wanted !== undefined) transactions.push(wanted);
    }
    reader.end();
    const root = yield* this.#root(txids);
    const fields = new DataView(header.buffer, header.byteOffset);
    return {
      hash: sha256d(header),
      prevhash: header.slice(4, 36),
      time: fields.getUint32(68, true),
      bits: fields.getUint32(72, true),
      merkleRootMatches: root?.equals(header.subarray(36, 68)) ?? false,
      coinbase,
      transactions,
    };
  }

  *#coinbase(): Generator<undefined, ScannedBlock["coinbase"]> {
    const reader = this.#reader;
    const start = reader.offset;
    const { bodyStart, inputs } = this.#beginning();
    const isNull = reader.take(32).every((byte) => byte === 0) && reader.u32() === 0xffff_ffff;
    if (inputs !== 1 || !isNull) {
      throw new TransactionError("notCoinbase", `expected one input with the null outpoint, got ${inputs} inputs or another outpoint`);
    }
    const scriptSig = reader.take(reader.size()).slice();
    reader.skip(4);
    const outputsStart = reader.offset;
    yield* this.#lookAtOutputs();
    const outputs = yield* this.#copyOutputs(outputsStart);
    const pieces = yield* this.#ending(start, bodyStart, inputs);
    return { txid: yield* this.#txid(pieces), raw: new Uint8Array(Buffer.concat(pieces)), scriptSig, outputs };
  }

  *#transaction(): Generator<undefined, { txid: Uint8Array; wanted: ScannedTransaction | undefined }> {
    const reader = this.#reader;
    const start = reader.offset;
    const { bodyStart, inputs } = this.#beginning();
    const spends: { txid: Uint8Array; vout: number }[] = [];
    for (let i = 0; i < inputs; i++) {
      const previous = reader.take(32);
      const vout = reader.u32();
      if (this.#interest.spends(previous, vout) || (this.#made.size > 0 && this.#made.has(coinName(previous, vout)))) {
        spends.push({ txid: previous.slice(), vout });
      }
      reader.skip(reader.size());
      reader.skip(4);
      if (this.#tired(1)) yield;
    }
    const outputsStart = reader.offset;
    const paid = yield* this.#lookAtOutputs();
    const wanted = spends.length > 0 || paid.length > 0;
    const outputs = wanted ? yield* this.#copyOutputs(outputsStart) : [];
    const txid = yield* this.#txid(yield* this.#ending(start, bodyStart, inputs));
    for (const vout of paid) this.#made.add(coinName(txid, vout));
    return { txid, wanted: wanted ? { txid, spends, outputs } : undefined };
  }

  /** Reads up to the first input. BIP144: where the input count would be, a zero marks the witness form; what follows it is a flag. */
  #beginning(): { bodyStart: number; inputs: number } {
    const reader = this.#reader;
    reader.skip(4);
    if (reader.peek(0) === 0) {
      reader.skip(1);
      const flag = reader.u8();
      if (flag !== 1) throw new TransactionError("badStructure", `expected inputs or the segwit flag 1, got flag ${flag}`);
    }
    const bodyStart = reader.offset;
    const inputs = reader.count(41);
    if (inputs === 0) throw new TransactionError("badStructure", "expected at least one input, got none");
    return { bodyStart, inputs };
  }

  /** Passes over the outputs. @returns the places of those to wanted scripts */
  *#lookAtOutputs(): Generator<undefined, number[]> {
    const reader = this.#reader;
    const paid: number[] = [];
    const count = reader.count(9);
    if (count === 0) throw new TransactionError("badStructure", "expected at least one output, got none");
    for (let vout = 0; vout < count; vout++) {
      reader.skip(8);
      if (this.#interest.pays(reader.take(reader.size()))) paid.push(vout);
      if (this.#tired(1)) yield;
    }
    return paid;
  }

  /** The outputs once more, from their count up to where the reader stands. */
  *#copyOutputs(start: number): Generator<undefined, TransactionOutput[]> {
    const reader = new ByteReader(this.#reader.since(start));
    const outputs: TransactionOutput[] = [];
    for (let left = reader.size(); left > 0; left--) {
      const value = reader.u64();
      outputs.push({ value, script: reader.take(reader.size()).slice() });
      if (this.#tired(1)) yield;
    }
    return outputs;
  }

  /** Reads from behind the outputs to the end. @returns the transaction without its witness, in pieces; views */
  *#ending(start: number, bodyStart: number, inputs: number): Generator<undefined, Uint8Array[]> {
    const reader = this.#reader;
    const body = reader.since(bodyStart);
    const hasWitness = bodyStart > start + 4;
    if (hasWitness) {
      let items = 0;
      for (let i = 0; i < inputs; i++) {
        const count = reader.count(1);
        items += count;
        for (let j = 0; j < count; j++) {
          reader.skip(reader.size());
          if (this.#tired(1)) yield;
        }
      }
      // Core refuses it too: one transaction must not have two spellings.
      if (items === 0) throw new TransactionError("badStructure", "expected a witness after the segwit flag, got none");
    }
    const locktime = reader.take(4);
    if (!hasWitness) return [reader.since(start)];
    return [this.#raw.subarray(start, start + 4), body, locktime];
  }

  *#txid(pieces: readonly Uint8Array[]): Generator<undefined, Uint8Array> {
    const hash = createHash("sha256");
    for (const piece of pieces) {
      for (let at = 0; at < piece.length; at += PIECE_BYTES * PAUSE_AFTER) {
        const part = piece.subarray(at, at + PIECE_BYTES * PAUSE_AFTER);
        hash.update(part);
        if (this.#tired(Math.ceil(part.length / PIECE_BYTES))) yield;
      }
    }
    return createHash("sha256").update(hash.digest()).digest();
  }

  /** The merkle root, worked out in place; undefined where two equal nodes stand side by side, for then shorter lists have the same root. */
  *#root(nodes: Buffer): Generator<undefined, Buffer | undefined> {
    let count = nodes.length / 32;
    while (count > 1) {
      for (let left = 0; left < count; left += 2) {
        const at = left * 32;
        const paired = left + 1 < count;
        if (paired && nodes.compare(nodes, at + 32, at + 64, at, at + 32) === 0) return undefined;
        const pair = paired ? nodes.subarray(at, at + 64) : Buffer.concat([nodes.subarray(at, at + 32), nodes.subarray(at, at + 32)]);
        nodes.set(sha256d(pair), at / 2);
        if (this.#tired(2)) yield;
      }
      count = Math.ceil(count / 2);
    }
    return nodes.subarray(0, 32);
  }

  /** Counts work done; true when it is time for a pause. */
  #tired(units: number): boolean {
    this.#work += units;
    if (this.#work < PAUSE_AFTER) return false;
    this.#work = 0;
    return true;
  }
}

function coinName(txid: Uint8Array, vout: number): string {
  return `${Buffer.from(txid.buffer, txid.byteOffset, txid.byteLength).toString("latin1")}${vout}`;
}
