/**
 * The text of a key file. openprime-keys/2 says which key is the present one and when keys end, and can be locked by a passphrase; of
 * openprime-keys/1, which is still read, the first key is the present one and the others are old. docs/keys.md has the format.
 */
import type { DatumCrypto } from "@openprime/datum";
import { z } from "zod";
import { CliError } from "../errors.js";

export const MAX_KEYS = 16;
const FORMAT = "openprime-keys/2";
const EARLIER_FORMAT = "openprime-keys/1";
const SALT_BYTES = 16;
const NONCE_BYTES = 24;

/** What a passphrase costs whoever tries one: libsodium's "moderate". */
export const LOCK_COST: LockCost = { passes: 3, memoryBytes: 256 * 1024 * 1024 };

export interface LockCost {
  readonly passes: number;
  readonly memoryBytes: number;
}

const hexOf = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`, "i"));
const seeds = { created: z.iso.datetime(), publicKey: hexOf(64), signSeed: hexOf(32), boxSeed: hexOf(32) };
const keysSchema = z
  .array(z.strictObject({ state: z.enum(["next", "present", "old"]), until: z.iso.datetime().optional(), ...seeds }))
  .min(1)
  .max(MAX_KEYS);
const fileSchema = z.union([
  z.strictObject({ format: z.literal(EARLIER_FORMAT), keys: z.array(z.strictObject(seeds)).min(1).max(MAX_KEYS) }),
  z.strictObject({ format: z.literal(FORMAT), keys: keysSchema }),
  z.strictObject({
    format: z.literal(FORMAT),
    // Bounded, so that a file can't make the pool take all of the machine's memory.
    locked: z.strictObject({
      kdf: z.literal("argon2id13"),
      passes: z.int().min(1).max(16),
      memoryBytes: z
        .int()
        .min(8192)
        .max(1024 ** 3),
      salt: hexOf(SALT_BYTES),
      nonce: hexOf(NONCE_BYTES),
      box: z.string().regex(/^([0-9a-f]{2}){16,32768}$/i),
    }),
  }),
]);

/** One key as the file has it; dates in ISO 8601, bytes in hex. */
export type KeyEntry = z.infer<typeof keysSchema>[number];

export interface KeyFileContent {
  readonly entries: readonly KeyEntry[];
  readonly locked: boolean;
}

/**
 * @param name of the file, for messages
 * @param passphrase asked for only when the file is locked
 * @throws CliError `keyFileInvalid`, `keysAmbiguous` (two present keys), `passphraseWrong`, or what `passphrase` throws. None of them tells
 *   what is in the file
 */
export function decodeKeyFile(name: string, text: string, crypto: DatumCrypto, passphrase: () => Uint8Array): KeyFileContent {
  const content = checked(name, fileSchema, json(name, text));
  if (!("locked" in content)) return { entries: onePresent(name, entriesOf(content)), locked: false };
  const { passes, memoryBytes, salt, nonce, box } = content.locked;
  const key = crypto.passwordKey(passphrase(), bytes(salt), passes, memoryBytes);
  const plain = crypto.decrypt(bytes(box), bytes(nonce), key);
  if (plain === undefined) {
    const todo = "see that keys.passphraseFile, or the credential openprime-passphrase, is this file's; if it is, restore the backup";
    throw new CliError("passphraseWrong", `the passphrase does not open the key file ${name}, or the file is damaged`, todo);
  }
  const entries = checked(name, keysSchema, json(name, Buffer.from(plain).toString("utf8")));
  return { entries: onePresent(name, entries), locked: true };
}

/** @param lock a passphrase to lock the keys with; undefined leaves them readable */
export function encodeKeyFile(
  entries: readonly KeyEntry[],
  crypto: DatumCrypto,
  lock: { readonly passphrase: Uint8Array; readonly cost: LockCost } | undefined,
): string {
  if (lock === undefined) return `${JSON.stringify({ format: FORMAT, keys: entries }, null, 2)}\n`;
  const salt = crypto.randomBytes(SALT_BYTES);
  const nonce = crypto.randomBytes(NONCE_BYTES);
  const plain = Buffer.from(JSON.stringify(entries));
  const box = Buffer.alloc(plain.length + 16);
  crypto.encryptInto(box, plain, nonce, crypto.passwordKey(lock.passphrase, salt, lock.cost.passes, lock.cost.memoryBytes));
  const locked = { kdf: "argon2id13", ...lock.cost, salt: hex(salt), nonce: hex(nonce), box: hex(box) };
  return `${JSON.stringify({ format: FORMAT, locked }, null, 2)}\n`;
}

export const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex");
export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

export function invalid(name: string, what: string): CliError {
  return new CliError("keyFileInvalid", `the key file ${name} can't be used: ${what}`, "restore it from the backup");
}

function entriesOf(content: Exclude<z.infer<typeof fileSchema>, { locked: unknown }>): KeyEntry[] {
  if (content.format === FORMAT) return content.keys;
  return content.keys.map((entry, index) => ({ state: index === 0 ? "present" : "old", ...entry }));
}

function onePresent(name: string, entries: readonly KeyEntry[]): readonly KeyEntry[] {
  const present = entries.filter((entry) => entry.state === "present").length;
  if (present === 0) throw invalid(name, "none of its keys is the present one");
  if (present === 1) return entries;
  const todo = "restore the backup, or set the state of all but one of them to old";
  throw new CliError("keysAmbiguous", `the key file ${name} has ${present} present keys, expected one`, todo);
}

function json(name: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // JSON.parse quotes what it read, so its error goes no further.
    throw invalid(name, "it is not JSON");
  }
}

function checked<T>(name: string, schema: z.ZodType<T>, content: unknown): T {
  const result = schema.safeParse(content);
  if (result.success) return result.data;
  throw invalid(
    name,
    `expected the format ${FORMAT} with 1 to ${MAX_KEYS} keys, wrong is: ${[...new Set(places(result.error.issues))].join(", ")}`,
  );
}

/** Where it is wrong; for a union, in the form that comes nearest: the one that is wrong in the fewest places. */
function places(issues: readonly z.core.$ZodIssue[], above: readonly PropertyKey[] = []): string[] {
  return issues.flatMap((issue) => {
    const path = [...above, ...issue.path];
    if (issue.code === "invalid_union" && issue.errors.length > 0) {
      const forms = issue.errors.map((form) => ({ form, wrong: places(form, path) }));
      forms.sort((a, b) => Number(misformed(a.form)) - Number(misformed(b.form)) || a.wrong.length - b.wrong.length);
      return forms[0]?.wrong ?? [];
    }
    return [path.length === 0 ? "the file" : path.join(".")];
  });
}

const misformed = (issues: readonly z.core.$ZodIssue[]): boolean => issues.some((issue) => issue.path[0] === "format");
