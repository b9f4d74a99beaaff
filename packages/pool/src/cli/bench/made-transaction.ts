/** Transactions that nobody signed: they have the form and the length of real ones, and each its own ids. */

/** Bytes of a witness as a usual input has it: signature and key. */
const USUAL_WITNESS_BYTES = 107;

/**
 * Raw transaction with witness: one input, which is the transaction's number, and two outputs.
 *
 * @param number other numbers have other ids
 * @param witnessBytes under 0xfd
 */
export function madeTransaction(number: number, witnessBytes = USUAL_WITNESS_BYTES): Uint8Array {
  const spent = Buffer.alloc(36);
  spent.writeUInt32LE(number, 0);
  const output = Buffer.from(`e80300000000000016${"0014"}${"ab".repeat(20)}`, "hex");
  return new Uint8Array(
    Buffer.concat([
      Buffer.from("02000000000101", "hex"),
      spent,
      Buffer.from("00fdffffff02", "hex"),
      output,
      output,
      Buffer.from([1, witnessBytes]),
      Buffer.alloc(witnessBytes, 7),
      Buffer.alloc(4),
    ]),
  );
}
