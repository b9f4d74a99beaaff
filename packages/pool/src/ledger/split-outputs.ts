/** The compact form in which the outputs of a split are stored: as on the wire (DATUM.md section 7), without the coinbaser id in front. */
import type { SplitOutput } from "./types.js";

/** Satoshis u64 LE · script length u8 · script, for each output. */
export function packOutputs(outputs: readonly SplitOutput[]): Buffer {
  const bytes = Buffer.allocUnsafe(outputs.reduce((size, { script }) => size + 9 + script.length, 0));
  // Buffer's own way to write a bigint takes several times as long, and a thousand gateways ask at once.
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  for (const { value, script } of outputs) {
    view.setBigUint64(at, value, true);
    bytes[at + 8] = script.length;
    bytes.set(script, at + 9);
    at += 9 + script.length;
  }
  return bytes;
}

/** The reverse of `packOutputs`. Throws a RangeError when the bytes end within an output. */
export function unpackOutputs(bytes: Buffer): SplitOutput[] {
  const outputs: SplitOutput[] = [];
  for (let at = 0; at < bytes.length; ) {
    const value = bytes.readBigUInt64LE(at);
    const end = at + 9 + bytes.readUInt8(at + 8);
    if (end > bytes.length) throw new RangeError(`expected an output of ${end - at} bytes at ${at}, got ${bytes.length - at}`);
    outputs.push({ value, script: Uint8Array.from(bytes.subarray(at + 9, end)) });
    at = end;
  }
  return outputs;
}
