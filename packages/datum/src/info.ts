/** Body of INFO: a text for the gateway's log, ended by a NUL. */
import { DatumError } from "./errors.js";

/**
 * No MAC covers a frame's header, so one flipped byte can turn a mining message into INFO or INFO into one. No mining message is text without
 * control characters (their first two bytes are never such UTF-8), so this rule keeps them apart.
 */
function isText(text: string): boolean {
  for (const character of text) {
    const code = character.charCodeAt(0);
    if ((code < 0x20 && !"\t\n\r".includes(character)) || code === 0x7f) return false;
  }
  return true;
}

/** @throws DatumError `badValue` for control characters besides tab and line ends */
export function encodeInfo(text: string): Uint8Array {
  if (!isText(text)) throw new DatumError("badValue", "a text without control characters", "one with some");
  return Buffer.concat([new TextEncoder().encode(text), Buffer.alloc(1)]);
}

/** @throws DatumError `malformedMessage` */
export function decodeInfo(body: Uint8Array): string {
  const end = body.indexOf(0);
  if (end < 0) throw new DatumError("malformedMessage", "an INFO that ends in a NUL", "none");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body.subarray(0, end));
  } catch {
    throw new DatumError("malformedMessage", "an INFO in UTF-8", "other bytes");
  }
  if (!isText(text)) throw new DatumError("malformedMessage", "an INFO without control characters", "one with some");
  return text;
}
