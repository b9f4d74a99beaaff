/**
 * A split as a session remembers it: its outputs in one piece of bytes. As objects they take three times as much, in V8's heap, and thousands of
 * gateways remember many splits of hundreds of payees; they are looked at once for each coinbase.
 */
import type { OfferedSplit, SplitOutput } from "./types.js";

const VALUE_BYTES = 8;
const SCRIPT_AT = VALUE_BYTES + 1;

export class HeldSplit implements OfferedSplit {
  readonly id: bigint;
  readonly coinbaserId: number;
  readonly value: bigint;
  readonly prevhash: Uint8Array;
  readonly position: bigint;
  readonly packed: Uint8Array;

  constructor(
    split: OfferedSplit,
    /** When it was offered, or came back after a restart: milliseconds. */
    readonly heldAt: number,
  ) {
    this.id = split.id;
    this.coinbaserId = split.coinbaserId;
    this.value = split.value;
    this.prevhash = split.prevhash;
    this.position = split.position;
    this.packed = split.packed ?? pack(split.outputs);
  }

  /** Made anew at each look. */
  get outputs(): readonly SplitOutput[] {
    return unpack(this.packed);
  }
}

/** Satoshis u64 LE · script length u8 · script, for each output: as on the wire, and in the books. */
function pack(outputs: readonly SplitOutput[]): Uint8Array {
  const bytes = new Uint8Array(outputs.reduce((size, { script }) => size + SCRIPT_AT + script.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { value, script } of outputs) {
    view.setBigUint64(at, value, true);
    view.setUint8(at + VALUE_BYTES, script.length);
    bytes.set(script, at + SCRIPT_AT);
    at += SCRIPT_AT + script.length;
  }
  return bytes;
}

/** The scripts are views. */
function unpack(bytes: Uint8Array): SplitOutput[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const outputs: SplitOutput[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + SCRIPT_AT + view.getUint8(at + VALUE_BYTES);
    outputs.push({ value: view.getBigUint64(at, true), script: bytes.subarray(at + SCRIPT_AT, end) });
    at = end;
  }
  return outputs;
}
