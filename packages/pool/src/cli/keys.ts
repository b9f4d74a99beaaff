/**
 * The key file: the seeds of the pool's long-term keys. Gateways know the pool by these keys alone, so the file is made once, backed
 * up, and readable by nobody but the pool's user.
 *
 * The first key is the one to hand out; gateways that still use one of the others are let in too, so a key can be replaced without
 * cutting anyone off.
 */
import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { type DatumCrypto, encodePublicKey, type LongTermKeys, longTermKeysFromSeeds } from "@openprime/datum";
import { z } from "zod";
import { CliError, codeOf, messageOf, shellWord } from "./errors.js";

const FORMAT = "openprime-keys/1";
const SEED_BYTES = 32;

const seed = z.string().regex(/^[0-9a-f]{64}$/i);
const keyFileSchema = z.strictObject({
  format: z.literal(FORMAT),
  keys: z
    .array(
      z.strictObject({
        created: z.iso.datetime(),
        publicKey: z.string().regex(/^[0-9a-f]{128}$/i),
        signSeed: seed,
        boxSeed: seed,
      }),
    )
    .min(1)
    .max(16),
});

/** One key of the file. */
export interface PoolKey {
  readonly keys: LongTermKeys;
  /** 128 hex digits, Ed25519 then X25519: a gateway's `datum.pool_pubkey`. */
  readonly publicKey: string;
  readonly created: Date;
}

/**
 * Reads the pool's keys, the one to hand out first.
 *
 * @param file path, also as it is named in messages
 * @throws CliError `keyFileMissing`, `keyFileUnreadable`, `keyFileExposed` (others on the machine can read it) or `keyFileInvalid`;
 *   none of them tells what is in the file
 */
export function readKeyFile(file: string, crypto: DatumCrypto): PoolKey[] {
  const content = parseKeyFile(file, readPrivate(file));
  return content.keys.map((entry, index) => {
    const keys = longTermKeysFromSeeds(crypto, bytes(entry.signSeed), bytes(entry.boxSeed));
    const publicKey = encodePublicKey(keys);
    if (publicKey !== entry.publicKey.toLowerCase()) {
      throw invalid(file, `the seeds of key ${index + 1} make the public key ${publicKey}, the file says ${entry.publicKey}`);
    }
    return { keys, publicKey, created: new Date(entry.created) };
  });
}

/**
 * Makes new keys and writes them to a new file that only its owner can read.
 *
 * @param randomBytes a cryptographic source of randomness
 * @throws CliError `fileExists`; a key file is never overwritten
 */
export function createKeyFile(file: string, crypto: DatumCrypto, randomBytes: (count: number) => Uint8Array, now: Date): PoolKey {
  const signSeed = randomBytes(SEED_BYTES);
  const boxSeed = randomBytes(SEED_BYTES);
  const keys = longTermKeysFromSeeds(crypto, signSeed, boxSeed);
  const publicKey = encodePublicKey(keys);
  const entry = { created: now.toISOString(), publicKey, signSeed: hex(signSeed), boxSeed: hex(boxSeed) };
  writeNew(file, `${JSON.stringify({ format: FORMAT, keys: [entry] }, null, 2)}\n`);
  return { keys, publicKey, created: now };
}

/** Writes a file that must not exist yet, readable by its owner only and on the disk when this returns. */
export function writeNew(file: string, text: string): void {
  let handle: number;
  try {
    handle = openSync(file, "wx", 0o600);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    throw new CliError(
      "fileExists",
      `${file} exists and is never overwritten`,
      "choose another folder with --dir, or move that file away",
      {
        cause: error,
      },
    );
  }
  try {
    writeSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex");
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

function readPrivate(file: string): string {
  let handle: number;
  try {
    handle = openSync(file, "r");
  } catch (error) {
    if (codeOf(error) === "ENOENT") {
      const todo = "`openprime init` makes one; keys.file tells where it is. Restore it from the backup if gateways already use the pool";
      throw new CliError("keyFileMissing", `there is no key file ${file}`, todo, { cause: error });
    }
    const todo = `run the pool as the user that owns the file, or: chown USER ${shellWord(file)}`;
    throw new CliError("keyFileUnreadable", `can't read the key file ${file}: ${messageOf(error)}`, todo, { cause: error });
  }
  try {
    // The mode of the open file, not of the name: nobody can swap it in between.
    const mode = fstatSync(handle).mode & 0o777;
    if (process.platform !== "win32" && (mode & 0o077) !== 0) {
      const octal = mode.toString(8).padStart(4, "0");
      throw new CliError(
        "keyFileExposed",
        `other users can read the key file ${file} (mode ${octal}, expected 0600)`,
        `chmod 600 ${shellWord(file)}`,
      );
    }
    return readFileSync(handle, "utf8");
  } finally {
    closeSync(handle);
  }
}

function parseKeyFile(file: string, text: string): z.infer<typeof keyFileSchema> {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    // JSON.parse quotes what it read, so its error goes no further.
    throw invalid(file, "it is not JSON");
  }
  const result = keyFileSchema.safeParse(content);
  if (result.success) return result.data;
  const places = result.error.issues.map((issue) => (issue.path.length === 0 ? "the file" : issue.path.join(".")));
  throw invalid(file, `expected the format ${FORMAT} with 1 to 16 keys, wrong is: ${[...new Set(places)].join(", ")}`);
}

function invalid(file: string, what: string): CliError {
  return new CliError("keyFileInvalid", `the key file ${file} can't be used: ${what}`, "restore it from the backup");
}
