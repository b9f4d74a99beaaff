/**
 * The scriptSig of a DATUM coinbase: BIP34 height, the tags, and a push of 7 with target byte, gateway's own id and prime_id; then the
 * extranonce when it fits. Read from its start, so that nothing a gateway writes into its own tag can be taken for the real fields.
 * Source: DATUM.md section 10.
 */
import { EXTRANONCE_BYTES } from "./kinds.js";

/** Longest text of all tags with their separators. */
const MAX_TAGS_BYTES = 86;
/** scriptSig (BIP34 and consensus) holds at most 100 bytes; the extranonce's push takes 15 of them. */
const MAX_BYTES_BEFORE_EXTRANONCE = 85;
const OP_PUSHDATA1 = 0x4c;
const TAG_SEPARATOR = 0x0f;

/** What scriptSig holds; offsets count from its first byte. */
export interface ScriptSig {
  /** The push of the height, its length byte included. */
  readonly heightPush: Uint8Array;
  /** Primary tag [0x0F secondary tag], without the closing NUL. */
  readonly tags: Uint8Array;
  readonly targetByteOffset: number;
  readonly primeId: number;
  /** Length up to and with the push of 7. */
  readonly bytesBeforeExtranonce: number;
  /** Where the 12 bytes of extranonce begin; undefined when scriptSig ends before them. */
  readonly extranonceOffset: number | undefined;
}

/** True when the gateway puts the extranonce into scriptSig, unless the kind (2) wants it in an output. */
export function fitsExtranonce(bytesBeforeExtranonce: number): boolean {
  return bytesBeforeExtranonce <= MAX_BYTES_BEFORE_EXTRANONCE;
}

/**
 * Take scriptSig apart.
 *
 * @returns its parts, or a sentence that says where it leaves the form
 */
export function parseScriptSig(script: Uint8Array): ScriptSig | string {
  const heightBytes = script[0] ?? 0;
  if (heightBytes < 1 || heightBytes > 5) return `scriptSig begins with ${heightBytes}, not with a push of the height`;
  let at = 1 + heightBytes;
  let tagsLength = script[at++] ?? 0;
  if (tagsLength === OP_PUSHDATA1) {
    tagsLength = script[at++] ?? 0;
    if (tagsLength < OP_PUSHDATA1) return `OP_PUSHDATA1 of ${tagsLength} tag bytes, fewer than 76`;
  } else if (tagsLength > 75) {
    return `opcode ${tagsLength} stands where the tags are pushed`;
  }
  if (tagsLength < 1 || tagsLength > MAX_TAGS_BYTES) return `${tagsLength} bytes of tags, not 1-${MAX_TAGS_BYTES}`;
  const tags = script.subarray(at, at + tagsLength);
  at += tagsLength;
  if (tags.length !== tagsLength || tags.indexOf(0) !== tagsLength - 1) return "the tags do not end with their only NUL";
  if (script[at] !== 7 || script.length < at + 8) return "no push of 7 bytes (target byte and ids) after the tags";
  const targetByteOffset = at + 1;
  const id = at + 4;
  const primeId = ((script[id] ?? 0) | ((script[id + 1] ?? 0) << 8) | ((script[id + 2] ?? 0) << 16) | ((script[id + 3] ?? 0) << 24)) >>> 0;
  at += 8;
  const bytesBeforeExtranonce = at;
  let extranonceOffset: number | undefined;
  if (script.length > at) {
    if (script[at] !== EXTRANONCE_BYTES + 2 || script.length !== at + 3 + EXTRANONCE_BYTES) {
      return "after the ids stands something other than one push of prefix and extranonce";
    }
    extranonceOffset = at + 3;
  }
  return {
    heightPush: script.subarray(0, 1 + heightBytes),
    tags: tags.subarray(0, tagsLength - 1),
    targetByteOffset,
    primeId,
    bytesBeforeExtranonce,
    extranonceOffset,
  };
}

/**
 * The height as the gateway pushes it: always a length byte and the little-endian number, also for 1-16 where Core wants OP_1-OP_16.
 *
 * @param height u32
 */
export function heightPush(height: number): Uint8Array {
  const bytes: number[] = [];
  let rest = height;
  do {
    bytes.push(rest & 0xff);
    rest >>>= 8;
  } while (rest > 0);
  // A set top bit would make the script number negative.
  if ((bytes[bytes.length - 1] ?? 0) >= 0x80) bytes.push(0);
  return Uint8Array.of(bytes.length, ...bytes);
}

/** True when `tags` begin with the pool's tag as a whole: alone, or followed by a secondary tag. */
export function hasPrimaryTag(tags: Uint8Array, tag: Uint8Array): boolean {
  if (tags.length < tag.length) return false;
  for (let i = 0; i < tag.length; i++) {
    if (tags[i] !== tag[i]) return false;
  }
  return tags.length === tag.length || tags[tag.length] === TAG_SEPARATOR;
}
