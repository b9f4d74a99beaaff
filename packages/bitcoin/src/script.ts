/** What a pool needs to know of a scriptPubKey: its type, its sigops, and the least it may be paid. */

export type ScriptType = "p2pkh" | "p2sh" | "p2wpkh" | "p2wsh" | "p2tr";

const OP_PUSHDATA1 = 0x4c;
const OP_PUSHDATA2 = 0x4d;
const OP_PUSHDATA4 = 0x4e;
const OP_1 = 0x51;
const OP_16 = 0x60;
const OP_RETURN = 0x6a;
const OP_DUP = 0x76;
const OP_EQUAL = 0x87;
const OP_EQUALVERIFY = 0x88;
const OP_HASH160 = 0xa9;
const OP_CHECKSIG = 0xac;
const OP_CHECKSIGVERIFY = 0xad;
const OP_CHECKMULTISIG = 0xae;
const OP_CHECKMULTISIGVERIFY = 0xaf;

/** The type of a standard scriptPubKey that has an address; undefined for every other script. */
export function scriptType(script: Uint8Array): ScriptType | undefined {
  const at = (index: number) => script[index];
  switch (script.length) {
    case 22:
      return at(0) === 0 && at(1) === 20 ? "p2wpkh" : undefined;
    case 23:
      return at(0) === OP_HASH160 && at(1) === 20 && at(22) === OP_EQUAL ? "p2sh" : undefined;
    case 25:
      return at(0) === OP_DUP && at(1) === OP_HASH160 && at(2) === 20 && at(23) === OP_EQUALVERIFY && at(24) === OP_CHECKSIG
        ? "p2pkh"
        : undefined;
    case 34:
      if (at(1) !== 32) return undefined;
      return at(0) === 0 ? "p2wsh" : at(0) === OP_1 ? "p2tr" : undefined;
    default:
      return undefined;
  }
}

/**
 * Legacy signature operations of a scriptPubKey (Core's inaccurate `GetSigOpCount`): 1 for P2PKH and P2PK, 20 for a bare multisig, 0 for
 * P2SH and witness outputs. A block's budget of 80,000 counts each of them four times.
 */
export function legacySigops(script: Uint8Array): number {
  let count = 0;
  let position = 0;
  while (position < script.length) {
    const opcode = script[position]!;
    position += 1;
    if (opcode <= OP_PUSHDATA4) {
      const length = pushLength(script, opcode, position);
      // What follows a push that runs over the end is no operation: counting stops, as in Core.
      if (length === undefined) return count;
      position += length;
      if (position > script.length) return count;
    } else if (opcode === OP_CHECKSIG || opcode === OP_CHECKSIGVERIFY) {
      count += 1;
    } else if (opcode === OP_CHECKMULTISIG || opcode === OP_CHECKMULTISIGVERIFY) {
      count += 20;
    }
  }
  return count;
}

/** Bytes that a push takes behind its opcode, its length field included; undefined when that field is cut off. */
function pushLength(script: Uint8Array, opcode: number, position: number): number | undefined {
  if (opcode < OP_PUSHDATA1) return opcode;
  const width = opcode === OP_PUSHDATA1 ? 1 : opcode === OP_PUSHDATA2 ? 2 : 4;
  if (position + width > script.length) return undefined;
  let length = 0;
  for (let i = width - 1; i >= 0; i--) length = length * 256 + script[position + i]!;
  return width + length;
}

/**
 * Least amount, in satoshis, that Core's nodes relay and mine in an output with this script at the default dust rate of 3000 sat/kvB
 * (`GetDustThreshold`): 546 for P2PKH, 540 P2SH, 294 P2WPKH, 330 P2WSH and P2TR; 0 where the script can't be spent at all.
 */
export function dustLimit(script: Uint8Array): bigint {
  if (script[0] === OP_RETURN || script.length > 10_000) return 0n;
  const sizeBytes = script.length < 0xfd ? 1 : 3;
  const output = 8 + sizeBytes + script.length;
  // The input that would spend it: outpoint, script size, 107 bytes of signature and key (a quarter of that as witness), sequence.
  const input = 32 + 4 + 1 + (isWitnessProgram(script) ? 26 : 107) + 4;
  return BigInt((output + input) * 3);
}

/** BIP141: OP_0 or OP_1-OP_16 and one direct push of 2 to 40 bytes. */
function isWitnessProgram(script: Uint8Array): boolean {
  if (script.length < 4 || script.length > 42 || script[1] !== script.length - 2) return false;
  const version = script[0]!;
  return version === 0 || (version >= OP_1 && version <= OP_16);
}
