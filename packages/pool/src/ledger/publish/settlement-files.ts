/** Settlements as files: each as it stands in the books, and the index that lists them, so that a web server of plain files is enough for an audit. */
import { basename, join } from "node:path";
import { encodeIndex, INDEX_FILE, type IndexedSettlement, settlementFile } from "../../proofs/index.js";
import { namesIn, type PublishModules, type PublishOptions } from "./log-files.js";
import { publishFile, setAside } from "./published-file.js";
import { SETTLEMENT_DOCUMENT, SETTLEMENTS } from "./queries.js";

export class SettlementFiles {
  readonly #dir: string;
  readonly #modules: PublishModules;
  /** What was published so far; undefined before the first look. */
  #published: IndexedSettlement[] | undefined;

  constructor({ dir }: Pick<PublishOptions, "dir">, modules: PublishModules) {
    this.#dir = dir;
    this.#modules = modules;
  }

  /** Writes what is in the books and not in the folder; then the index, which never names a file that is not there. One call at a time. */
  async catchUp(): Promise<void> {
    const { pool } = this.#modules.database;
    const known = this.#published ?? [];
    const { rows } = await pool.query<{ number: number; kind: IndexedSettlement["kind"]; height: number; block: Buffer; hash: Buffer }>(
      SETTLEMENTS,
      [known.at(-1)?.number ?? 0],
    );
    if (this.#published !== undefined && rows.length === 0) return;
    const there = this.#published === undefined ? await this.#keptOf(rows) : new Set<string>();
    for (const row of rows) if (!there.has(basename(settlementFile(row)))) await this.#write(row);
    const settlements = [...known, ...rows.map((row) => ({ ...row, block: Uint8Array.from(row.block), hash: Uint8Array.from(row.hash) }))];
    await publishFile(join(this.#dir, INDEX_FILE), [Buffer.from(encodeIndex({ settlements }))]);
    this.#published = settlements;
  }

  /** Names of the files that are in the folder as they should be; all others are set aside. */
  async #keptOf(
    rows: readonly (Pick<IndexedSettlement, "number" | "kind" | "height"> & { readonly hash: Uint8Array })[],
  ): Promise<Set<string>> {
    const hashes = new Map(rows.map((row) => [basename(settlementFile(row)), row.hash]));
    const folder = join(this.#dir, "settlements");
    const kept = new Set<string>();
    for (const name of await namesIn(folder)) {
      if (name.endsWith(".ndjson.gz") && !(await setAside(join(folder, name), hashes.get(name), this.#modules.logger))) kept.add(name);
    }
    return kept;
  }

  async #write(settlement: Pick<IndexedSettlement, "number" | "kind" | "height">): Promise<void> {
    const { rows } = await this.#modules.database.pool.query<{ document: Buffer }>(SETTLEMENT_DOCUMENT, [settlement.number]);
    await publishFile(
      join(this.#dir, settlementFile(settlement)),
      rows.map(({ document }) => document),
    );
  }
}
