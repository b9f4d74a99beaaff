/** What `openprime keys`, `openprime sign` and `openprime verify` do. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { DatumCrypto } from "@openprime/datum";
import { decodeIndex, INDEX_FILE } from "../../proofs/index.js";
import { CliError, codeOf, messageOf } from "../errors.js";
import type { CommandIo } from "../io.js";
import { changeKeys, type KeySource, newEntry, type PoolKey, prefixOf, readEntries, readKeys } from "../keys.js";
import { hex, type KeyEntry, type LockCost } from "./format.js";
import { addKey, findKey, removeKey, retireKey, useKey } from "./rotation.js";
import { type StatementKind, sign, verify } from "./statement.js";

export interface KeysCommand {
  readonly crypto: DatumCrypto;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly now: () => Date;
  /** Where the published settlements are. */
  readonly publishDir: string;
  readonly json: boolean;
  /** What a passphrase costs, for tests. */
  readonly cost?: LockCost;
}

const RESTART = "start `openprime serve` again, and a running pool knows it";

export class KeyDesk {
  constructor(
    private readonly source: KeySource,
    private readonly modules: KeysCommand,
    private readonly io: Pick<CommandIo, "stdout" | "stderr">,
  ) {}

  /** The present key alone on stdout, so that it can be piped; with --json all keys, the present one first. */
  show(): void {
    const keys = this.#keys();
    if (this.modules.json) {
      this.io.stdout.write(`${JSON.stringify({ keys: keys.map(publicPart) }, null, 2)}\n`);
      return;
    }
    this.io.stderr.write(`${this.source.file}: put the key into the gateway's configuration as datum.pool_pubkey\n`);
    this.io.stdout.write(`${keys[0].publicKey}\n`);
  }

  list(): void {
    if (this.modules.json) {
      this.show();
      return;
    }
    const now = this.modules.now();
    this.io.stdout.write(`${"key".padEnd(16)}  ${"state".padEnd(7)}  ${"created".padEnd(24)}  until\n`);
    for (const { publicKey, state, created, until } of this.#keys()) {
      const shown = until !== undefined && until <= now ? "ended" : state;
      const end = until?.toISOString() ?? "-";
      this.io.stdout.write(`${prefixOf(publicKey)}  ${shown.padEnd(7)}  ${created.toISOString().padEnd(24)}  ${end}\n`);
    }
  }

  next(): void {
    const { crypto, randomBytes, now } = this.modules;
    const entry = newEntry("next", crypto, randomBytes, now());
    this.#change((entries) => addKey(entries, entry));
    const sign = "`openprime sign next-key` announces it";
    this.#changed(`the next key is in ${this.source.file}: back that file up; ${sign}; ${RESTART}`);
    this.io.stdout.write(`${entry.publicKey}\n`);
  }

  use(prefix: string, until: Date | undefined): void {
    this.#change((entries) => useKey(entries, prefix, until));
    this.#changed(`${prefixOf(this.#keys()[0].publicKey)} is the present key; ${RESTART}`);
  }

  retire(prefix: string, on: Date | undefined): void {
    const until = on ?? this.modules.now();
    this.#change((entries) => retireKey(entries, prefix, until));
    this.#changed(`gateways that use ${prefix} are not answered from ${until.toISOString()} on; ${RESTART}`);
  }

  remove(prefix: string): void {
    this.#change((entries) => removeKey(entries, prefix, this.modules.now()));
    this.#changed(`the key ${prefix} is forgotten; backups still hold it`);
  }

  /** @param prefix undefined for the present key */
  export(prefix: string | undefined): void {
    const key = this.#key(prefix);
    this.io.stdout.write(this.modules.json ? `${JSON.stringify(publicPart(key), null, 2)}\n` : `${key.publicKey}\n`);
  }

  /** Keys of another file become old ones here: their gateways are answered, the present key stays. */
  import(from: KeySource): void {
    const found = readEntries(from, this.modules.crypto);
    this.#change((entries) => found.map((entry) => ({ ...entry, state: "old" as const })).reduce(addKey, entries));
    this.#changed(`${found.length} ${found.length === 1 ? "key is" : "keys are"} imported as old; ${RESTART}`);
  }

  /** @param locked whether the file shall need its passphrase */
  lock(locked: boolean): void {
    const { crypto, cost } = this.modules;
    changeKeys(this.source, crypto, (entries) => entries, { lock: locked, ...(cost !== undefined && { cost }) });
    const told = locked ? "is locked; earlier copies of it are not, so delete them" : "can be read without a passphrase";
    this.#changed(`${this.source.file} ${told}`);
  }

  /**
   * Prints a signed statement.
   *
   * @param file the text, for the kind `text` alone
   * @param by prefix of the key that signs; undefined for the present one
   */
  sign(kind: StatementKind, file: string | undefined, by: string | undefined): void {
    if ((kind === "text") !== (file !== undefined)) {
      throw new CliError("optionInvalid", "a file is signed with the kind text, and only with it", "openprime sign text FILE");
    }
    const { keys } = this.#key(by);
    const { crypto, now } = this.modules;
    this.io.stdout.write(sign(kind, file === undefined ? this.#fact(kind) : readText(file), now(), keys, crypto));
  }

  #fact(kind: StatementKind): string {
    if (kind === "settlements") return newestSettlement(this.modules.publishDir);
    const next = this.#keys().find(({ state }) => state === "next");
    if (next !== undefined) return `next ${next.publicKey}\n`;
    throw new CliError("keyUnknown", "there is no next key to announce", "`openprime keys next` makes one");
  }

  #keys(): [PoolKey, ...PoolKey[]] {
    return readKeys(this.source, this.modules.crypto);
  }

  #key(prefix: string | undefined): PoolKey {
    const keys = this.#keys();
    return prefix === undefined ? keys[0] : findKey(keys, prefix);
  }

  #change(change: (entries: readonly KeyEntry[]) => readonly KeyEntry[]): void {
    const { crypto, cost } = this.modules;
    changeKeys(this.source, crypto, change, cost === undefined ? {} : { cost });
  }

  #changed(what: string): void {
    this.io.stderr.write(`${what}\n`);
  }
}

/** `openprime verify`: prints what the statement says. @throws CliError `statementInvalid`, `optionInvalid` */
export function verifyFile(file: string, key: string, json: boolean, crypto: DatumCrypto, io: Pick<CommandIo, "stdout" | "stderr">): void {
  const statement = verify(readText(file), key, crypto);
  if (json) {
    io.stdout.write(`${JSON.stringify({ ...statement, at: statement.at.toISOString() }, null, 2)}\n`);
    return;
  }
  io.stderr.write(`signed by ${prefixOf(statement.key)} at ${statement.at.toISOString()} (${statement.kind}):\n`);
  io.stdout.write(statement.body);
}

const publicPart = ({ publicKey, created, state, until }: PoolKey) => ({
  publicKey,
  state,
  created: created.toISOString(),
  ...(until !== undefined && { until: until.toISOString() }),
});

function newestSettlement(dir: string): string {
  const newest = decodeIndex(readText(join(dir, INDEX_FILE))).settlements.at(-1);
  if (newest === undefined) throw new CliError("optionInvalid", `no settlement is published in ${dir}`, "sign it when there is one");
  const { number, height, block, hash } = newest;
  return `settlement ${number}\nheight ${height}\nblock ${hex(Uint8Array.from(block).reverse())}\nsha256 ${hex(hash)}\n`;
}

function readText(file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(readFileSync(file));
  } catch (error) {
    const why = codeOf(error) === "ERR_ENCODING_INVALID_ENCODED_DATA" ? "it is not UTF-8" : messageOf(error);
    throw new CliError("optionInvalid", `can't read ${file}: ${why}`, "name a file of text that you can read", { cause: error });
  }
}
