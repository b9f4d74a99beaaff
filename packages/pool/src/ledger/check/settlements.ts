/** The published settlements against the postings of their entries, and each against the one before it. */
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { Pool } from "pg";
import { ProofError, type Settlement, type Steps, settlementDecoding, settlementHash } from "../../proofs/index.js";
import { inSlices } from "../slices.js";
import { POSTINGS_OF, SETTLEMENTS } from "./queries.js";
import type { MoneySnapshot } from "./snapshot.js";
import { hashText, hex } from "./text.js";
import type { MoneyDifference } from "./types.js";

const unzip = promisify(gunzip);
/** As many documents are in memory at one time. */
const BATCH = 8;
/** No document is larger. */
const MAX_DOCUMENT = 256 * 1024 * 1024;
const NONE = new Uint8Array(32);

interface SettlementRow {
  number: number;
  kind: Settlement["kind"];
  block: Buffer;
  height: number;
  pin: string;
  entry: string;
  previous: Buffer;
  hash: Buffer;
  document: Buffer;
}

/** Sums of one entry's postings. */
export interface PostedSums {
  /** To the pool's scripts: minus the postings to the book of coins. */
  readonly received: bigint;
  readonly unattributed: bigint;
  /** By script in hex, as the settlement has them: what was earned, the operator's fee, and what was paid (minus the posting). */
  readonly earned: ReadonlyMap<string, bigint>;
  readonly fee: ReadonlyMap<string, bigint>;
  readonly paid: ReadonlyMap<string, bigint>;
}

export async function postedSums(pool: Pool, entry: bigint): Promise<PostedSums> {
  const { rows } = await pool.query<PostingRow>(POSTINGS_OF, [entry]);
  return inSlices(summing(rows));
}

interface PostingRow {
  book: string;
  reason: string;
  script: Buffer | null;
  amount: string;
}

function* summing(rows: readonly PostingRow[]): Steps<PostedSums> {
  const books = new Map<string, bigint>();
  const reasons = { earned: new Map<string, bigint>(), fee: new Map<string, bigint>(), paid: new Map<string, bigint>() };
  for (const { book, reason, script, amount } of rows) {
    const satoshis = BigInt(amount);
    books.set(book, (books.get(book) ?? 0n) + satoshis);
    if (script !== null && satoshis !== 0n && (reason === "earned" || reason === "fee" || reason === "paid")) {
      reasons[reason].set(hex(script), reason === "paid" ? -satoshis : satoshis);
    }
    yield;
  }
  return { received: -(books.get("coins") ?? 0n), unattributed: books.get("unattributed") ?? 0n, ...reasons };
}

/** Scripts in hex that were the pool's when a block was booked, by the block's entry. */
export type ScriptsByEntry = ReadonlyMap<bigint, ReadonlySet<string>>;

/** Reads every settlement up to the snapshot's last one. What is published is never changed, so this needs no snapshot. */
export async function settlementDifferences(
  pool: Pool,
  { settlements, settlementHash: lastHash }: MoneySnapshot,
): Promise<{ differences: MoneyDifference[]; scripts: ScriptsByEntry }> {
  const differences: MoneyDifference[] = [];
  const scripts = new Map<bigint, ReadonlySet<string>>();
  let before: { number: number; hash: Uint8Array } = { number: 0, hash: NONE };
  while (before.number < settlements) {
    const { rows } = await pool.query<SettlementRow>(SETTLEMENTS, [before.number, settlements, BATCH]);
    if (rows.length === 0) break;
    for (const row of rows) {
      const tell = (message: string): unknown =>
        differences.push({ kind: "settlement", subject: `settlement ${row.number}`, message: `settlement ${row.number} ${message}` });
      if (row.number !== before.number + 1) tell(`should be the one after ${before.number}: those between are missing`);
      else if (!row.previous.equals(before.hash))
        tell(`should name ${hex(before.hash)} as the one before it, it names ${hex(row.previous)}`);
      before = { number: row.number, hash: Uint8Array.from(row.hash) };
      const document = await readDocument(row, tell);
      if (document === undefined) continue;
      if (document.kind === "settlement") scripts.set(BigInt(row.entry), new Set(document.poolScripts.map(hex)));
      differences.push(...(await inSlices(lineDifferences(row, document, await postedSums(pool, BigInt(row.entry))))));
    }
  }
  if (settlements > 0 && hex(lastHash) !== hex(before.hash)) {
    const message = `the last settlement's hash should be ${hex(lastHash)}, it is ${hex(before.hash)}`;
    differences.push({ kind: "settlement", subject: "last settlement", message });
  }
  return { differences, scripts };
}

/** The document of a row, when it is whole and of this row. */
async function readDocument(row: SettlementRow, tell: (message: string) => unknown): Promise<Settlement | undefined> {
  let text: string;
  let document: Settlement;
  try {
    text = (await unzip(row.document, { maxOutputLength: MAX_DOCUMENT })).toString("utf8");
  } catch (error) {
    tell(`should be a gzipped document, it can't be unpacked: ${(error as Error).message}`);
    return undefined;
  }
  const hash = settlementHash(text);
  if (!row.hash.equals(hash)) {
    tell(`should have the hash ${hex(row.hash)}, its document has ${hex(hash)}`);
    return undefined;
  }
  try {
    document = await inSlices(settlementDecoding(text));
  } catch (error) {
    if (!(error instanceof ProofError)) throw error;
    tell(`can't be read: ${error.message}`);
    return undefined;
  }
  const kept = [row.number, row.kind, hashText(row.block), row.height, row.pin, hex(row.previous)].join(", ");
  const { number, kind, block, pin, previous } = document;
  const said = [number, kind, hashText(block.hash), block.height, pin, hex(previous)].join(", ");
  if (kept !== said) tell(`should be number, kind, block, height, pin and link ${kept}; its document says ${said}`);
  return document;
}

/** Each account's line against its postings. */
function* lineDifferences(row: SettlementRow, document: Settlement, posted: PostedSums): Steps<MoneyDifference[]> {
  const differences: MoneyDifference[] = [];
  const where = `entry ${row.entry} and settlement ${row.number} of block ${hashText(row.block)}`;
  for (const what of ["earned", "fee", "paid"] as const) {
    const lines = new Map<string, bigint>();
    for (const line of document.lines) {
      if (line[what] !== 0n) lines.set(hex(line.script), line[what]);
      yield;
    }
    for (const { key, expected, found } of yield* unequal(lines, posted[what])) {
      const message = `${where}: ${what} of script ${key} should be ${expected} by the settlement, the postings have ${found}`;
      differences.push({ kind: "earned", subject: `entry ${row.entry} ${what} ${key}`, message });
    }
  }
  return differences;
}

/** An amount that two sides say differently. */
export interface Unequal {
  readonly key: string;
  readonly expected: bigint;
  readonly found: bigint;
}

/** The keys whose amounts are not the same, sorted; what is not there is 0. */
export function* unequal(expected: ReadonlyMap<string, bigint>, found: ReadonlyMap<string, bigint>): Steps<Unequal[]> {
  const different: Unequal[] = [];
  for (const [key, amount] of expected) {
    const other = found.get(key) ?? 0n;
    if (amount !== other) different.push({ key, expected: amount, found: other });
    yield;
  }
  for (const [key, amount] of found) {
    if (amount !== 0n && !expected.has(key)) different.push({ key, expected: 0n, found: amount });
    yield;
  }
  return different.sort((a, b) => (a.key < b.key ? -1 : 1));
}
