/**
 * The pool's long-term keys. Gateways know the pool by these alone, so the file is made once, backed up, and readable by nobody but the
 * pool's user.
 *
 * The present key is the one to hand out; gateways that use an old one, or already the next, are let in too, so that a key can be replaced
 * without cutting anyone off.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { type DatumCrypto, encodePublicKey, type LongTermKeys, longTermKeysFromSeeds } from "@openprime/datum";
import type { PoolLongTermKeys } from "../gateway/index.js";
import { CliError } from "./errors.js";
import { bytes, decodeKeyFile, encodeKeyFile, hex, invalid, type KeyEntry, LOCK_COST, type LockCost } from "./keys/format.js";
import { readPrivate, replacePrivate, writeNew } from "./keys/private-file.js";

const SEED_BYTES = 32;
/** Names of the credentials of systemd that stand for the two files. */
const KEYS_CREDENTIAL = "openprime-keys";
const PASSPHRASE_CREDENTIAL = "openprime-passphrase";

/** Where keys come from: the file, unless systemd hands them over. */
export interface KeySource {
  /** Path, also as it is named in messages. */
  readonly file: string;
  /** A file with the passphrase of a locked one. */
  readonly passphraseFile?: string | undefined;
  /** Folder of systemd's credentials (CREDENTIALS_DIRECTORY). */
  readonly credentials?: string | undefined;
}

/** One key of the file. */
export interface PoolKey {
  readonly keys: LongTermKeys;
  /** 128 hex digits, Ed25519 then X25519: a gateway's `datum.pool_pubkey`. */
  readonly publicKey: string;
  readonly created: Date;
  readonly state: KeyEntry["state"];
  /** From then on nobody is answered with it. */
  readonly until: Date | undefined;
}

/**
 * All keys, the present one first, then the next, then the old ones.
 *
 * @throws CliError `keyFileMissing`, `keyFileUnreadable`, `keyFileExposed` (others on the machine can read it), `keyFileInvalid`,
 *   `keysAmbiguous`, `passphraseMissing` or `passphraseWrong`; none of them tells what is in the file
 */
export function readKeys(source: KeySource, crypto: DatumCrypto): [PoolKey, ...PoolKey[]] {
  const { keys } = read(source, crypto);
  const rank = { present: 0, next: 1, old: 2 };
  // There is one at least, and one that is present.
  return keys.sort((a, b) => rank[a.state] - rank[b.state]) as [PoolKey, ...PoolKey[]];
}

/** The same as the file has them, seeds included, in its order. */
export function readEntries(source: KeySource, crypto: DatumCrypto): readonly KeyEntry[] {
  return read(source, crypto).entries;
}

/**
 * The keys that gateways are answered with, as the listener takes them.
 *
 * @throws CliError `keyExpired` when the present one has reached its end
 */
export function standingKeys(keys: readonly [PoolKey, ...PoolKey[]], now: Date): PoolLongTermKeys[] {
  const { until, publicKey } = keys[0];
  if (until !== undefined && until <= now) {
    const todo = "`openprime keys list` shows the others: make one the present one with `openprime keys use PREFIX`";
    throw new CliError("keyExpired", `the pool's present key ${prefixOf(publicKey)} ended at ${until.toISOString()}`, todo);
  }
  return keys
    .filter((key) => key.until === undefined || now < key.until)
    .map((key) => ({ ...key.keys, old: key.state === "old", ...(key.until !== undefined && { until: key.until.getTime() }) }));
}

/** What a key is called in lists, logs and metrics: its first 16 hex digits. */
export const prefixOf = (publicKey: string): string => publicKey.slice(0, 16);

/** Fresh seeds, as the file has them. @param randomBytes a cryptographic source of randomness */
export function newEntry(state: KeyEntry["state"], crypto: DatumCrypto, randomBytes: (count: number) => Uint8Array, now: Date): KeyEntry {
  const signSeed = randomBytes(SEED_BYTES);
  const boxSeed = randomBytes(SEED_BYTES);
  const publicKey = encodePublicKey(longTermKeysFromSeeds(crypto, signSeed, boxSeed));
  return { state, created: now.toISOString(), publicKey, signSeed: hex(signSeed), boxSeed: hex(boxSeed) };
}

/**
 * Makes new keys and writes them to a new file that only its owner can read.
 *
 * @throws CliError `fileExists`; a key file is never overwritten
 */
export function createKeyFile(file: string, crypto: DatumCrypto, randomBytes: (count: number) => Uint8Array, now: Date): PoolKey {
  const entry = newEntry("present", crypto, randomBytes, now);
  writeNew(file, encodeKeyFile([entry], crypto, undefined));
  return poolKey(entry, crypto, file, 0);
}

/**
 * Changes the file in one step. It stays locked, or readable, as it was, unless `lock` says otherwise.
 *
 * @param change gets the entries and returns the new ones
 * @throws CliError as readKeys; `keysReadOnly` for keys from systemd; what `change` throws
 */
export function changeKeys(
  source: KeySource,
  crypto: DatumCrypto,
  change: (entries: readonly KeyEntry[]) => readonly KeyEntry[],
  { lock, cost = LOCK_COST }: { readonly lock?: boolean; readonly cost?: LockCost } = {},
): void {
  if (keysCredential(source) !== undefined) {
    const todo = `change the file that the unit's LoadCredential= names: run the command where CREDENTIALS_DIRECTORY is not set`;
    throw new CliError("keysReadOnly", `the keys come from systemd's credential ${KEYS_CREDENTIAL}, which can't be changed`, todo);
  }
  replacePrivate(source.file, () => {
    const { entries, locked } = read(source, crypto);
    const lockWith = (lock ?? locked) ? { passphrase: passphraseOf(source), cost } : undefined;
    return encodeKeyFile(change(entries), crypto, lockWith);
  });
}

/** @returns the entries as they are, and as keys: their seeds make their public halves */
function read(source: KeySource, crypto: DatumCrypto) {
  const credential = keysCredential(source);
  const name = credential ?? source.file;
  const content = decodeKeyFile(name, readPrivate(name, credential !== undefined), crypto, () => passphraseOf(source));
  return { ...content, keys: content.entries.map((entry, index) => poolKey(entry, crypto, name, index)) };
}

function keysCredential({ credentials }: KeySource): string | undefined {
  const file = credentials && join(credentials, KEYS_CREDENTIAL);
  return file !== undefined && existsSync(file) ? file : undefined;
}

function passphraseOf({ file, passphraseFile, credentials }: KeySource): Uint8Array {
  const credential = credentials && join(credentials, PASSPHRASE_CREDENTIAL);
  const given = passphraseFile ?? (credential !== undefined && existsSync(credential) ? credential : undefined);
  // An editor ends the file with a line feed, which nobody means.
  const text = given === undefined ? "" : readPrivate(given, given === credential).replace(/\r?\n$/, "");
  if (text !== "") return Buffer.from(text);
  const what = given === undefined ? "no passphrase is given" : `the passphrase in ${given} is empty`;
  const todo = `write it to a file of mode 0600 that keys.passphraseFile names, or load the credential ${PASSPHRASE_CREDENTIAL}`;
  throw new CliError("passphraseMissing", `the key file ${file} needs a passphrase, and ${what}`, todo);
}

function poolKey(entry: KeyEntry, crypto: DatumCrypto, name: string, index: number): PoolKey {
  const keys = longTermKeysFromSeeds(crypto, bytes(entry.signSeed), bytes(entry.boxSeed));
  const publicKey = encodePublicKey(keys);
  if (publicKey !== entry.publicKey.toLowerCase()) {
    throw invalid(name, `the seeds of key ${index + 1} make the public key ${publicKey}, the file says ${entry.publicKey}`);
  }
  const until = entry.until === undefined ? undefined : new Date(entry.until);
  return { keys, publicKey, created: new Date(entry.created), state: entry.state, until };
}
