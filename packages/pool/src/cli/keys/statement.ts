/**
 * A statement signed by the pool's key: plain text that can be published anywhere. docs/keys.md has the format. Everything before the last
 * line is signed as it stands, so there is one reading and no canonical form to get wrong.
 */
import { type DatumCrypto, decodePublicKey, encodePublicKey, type LongTermKeys, signStatement, verifyStatement } from "@openprime/datum";
import { CliError } from "../errors.js";

const FORMAT = "openprime-statement/1";
export const MAX_STATEMENT_BYTES = 64 * 1024;

export const STATEMENT_KINDS = ["text", "next-key", "settlements"] as const;
export type StatementKind = (typeof STATEMENT_KINDS)[number];

export interface Statement {
  readonly kind: StatementKind;
  /** Public key of the signer, 128 hex digits. */
  readonly key: string;
  readonly at: Date;
  /** Lines without control characters, each ended by a line feed. */
  readonly body: string;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]/;
const HEAD = new RegExp(
  `^${FORMAT}\nkind (${STATEMENT_KINDS.join("|")})\nkey ([0-9a-f]{128})\nat (\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z)\n\n`,
);
const SIGNATURE = /\nsignature ([0-9a-f]{128})\n$/;

/** @throws CliError `statementInvalid` for a body that no statement can hold */
export function sign(kind: StatementKind, body: string, at: Date, keys: LongTermKeys, crypto: DatumCrypto): string {
  const lines = body.endsWith("\n") ? body : `${body}\n`;
  if (CONTROL.test(lines)) throw unusable("it holds control characters; only line feeds are taken");
  // An unpaired surrogate would be signed as another character than the one given.
  if (Buffer.from(lines).toString() !== lines) throw unusable("it is not Unicode text");
  const signed = `${FORMAT}\nkind ${kind}\nkey ${encodePublicKey(keys)}\nat ${at.toISOString()}\n\n${lines}`;
  const text = `${signed}signature ${Buffer.from(signStatement(crypto, keys, Buffer.from(signed))).toString("hex")}\n`;
  if (Buffer.byteLength(text) > MAX_STATEMENT_BYTES) throw unusable(`it is longer than ${MAX_STATEMENT_BYTES} bytes`);
  return text;
}

/**
 * Reads a statement and checks it.
 *
 * @param key the public key that the reader trusts, 128 hex digits
 * @throws CliError `statementInvalid` unless it is a statement signed by that key, to the letter
 */
export function verify(text: string, key: string, crypto: DatumCrypto): Statement {
  if (Buffer.byteLength(text) > MAX_STATEMENT_BYTES) throw unusable(`it is longer than ${MAX_STATEMENT_BYTES} bytes`);
  const head = HEAD.exec(text);
  const signature = SIGNATURE.exec(text);
  if (head === null || signature === null || head[0].length > signature.index + 1) throw unusable(`it is not in the format ${FORMAT}`);
  const [, kind = "", signer = "", at = ""] = head;
  if (signer !== key.toLowerCase()) throw unusable(`it is signed with the key ${signer}, expected ${key.toLowerCase()}`);
  const signed = text.slice(0, signature.index + 1);
  if (!verifyStatement(crypto, decodePublicKey(signer).sign, Buffer.from(signed), Buffer.from(signature[1] ?? "", "hex"))) {
    throw unusable("the signature is not that key's, or the text was changed");
  }
  const date = new Date(at);
  const body = signed.slice(head[0].length);
  // Only somebody who holds the key can get here, but what is shown in a terminal is looked at all the same.
  if (Number.isNaN(date.getTime()) || CONTROL.test(body)) throw unusable(`it is not in the format ${FORMAT}`);
  return { kind: kind as StatementKind, key: signer, at: date, body };
}

function unusable(what: string): CliError {
  return new CliError(
    "statementInvalid",
    `the statement can't be used: ${what}`,
    "get it again from the pool, with the key that you trust",
  );
}
