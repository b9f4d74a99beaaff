/** The check of the books: every balance from the postings, every posting from the chain, what is owed against what the pool's scripts hold. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Pool, PoolClient } from "pg";
import { checkBooks } from "../books.js";
import type { Database } from "../database.js";
import { bookDifferences } from "./books.js";
import { type ChainFindings, chainDifferences } from "./chain.js";
import { settlementDifferences } from "./settlements.js";
import { inSnapshot, type MoneySnapshot, readSnapshot } from "./snapshot.js";
import type { ChainReader, MoneyCheck, MoneyDifference } from "./types.js";

export interface MoneyCheckOptions {
  /** Read every block since the books began, not only those that the books know, and every share that is kept. */
  readonly scan?: boolean;
  /** Satoshis by which the operator's balance may be below 0: the reserve of a pay-per-share scheme. */
  readonly reserve?: bigint;
  /** Blocks of the followed chain, from its end, that are compared with the node's. */
  readonly newestBlocks?: number;
  /** Before what differs from the chain is looked at once more: the books may be following a block just now. */
  readonly pause?: () => Promise<void>;
  /** Breaks the check off between two of its parts. */
  readonly signal?: AbortSignal;
}

/** A day. */
const NEWEST_BLOCKS = 144;
const PAUSE_MS = 3_000;

/**
 * Checks the books beside a pool that may be at work. The database is read in one snapshot, the chain afterwards; what differs there is looked at again
 * with a new snapshot, and told only if it still does.
 *
 * @throws whatever the reader throws when the node can't be asked, errors of the database, and the signal's reason
 */
export async function checkMoney(database: Database, reader: ChainReader, options: MoneyCheckOptions = {}): Promise<MoneyCheck> {
  const { pool } = database;
  const newest = options.newestBlocks ?? NEWEST_BLOCKS;
  const { snapshot, differences } = await withClient(pool, (client) =>
    inSnapshot(client, async () => {
      const taken = await readSnapshot(client, newest);
      return { snapshot: taken, differences: await bookDifferences(client, taken, options.reserve ?? 0n) };
    }),
  );
  options.signal?.throwIfAborted();
  const settlements = await settlementDifferences(pool, snapshot);
  options.signal?.throwIfAborted();
  differences.push(...settlements.differences);
  const ask = (taken: MoneySnapshot, scripts: typeof settlements.scripts): Promise<ChainFindings> =>
    chainDifferences(taken, { pool, reader, scripts }, options.scan ?? false);
  let chain = await ask(snapshot, settlements.scripts);
  if (chain.differences.length > 0) {
    await (options.pause ?? (() => sleep(PAUSE_MS, undefined, { signal: options.signal })))();
    const later = await withClient(pool, (client) => inSnapshot(client, () => readSnapshot(client, newest)));
    const again = await ask(later, (await settlementDifferences(pool, later)).scripts);
    chain = { differences: inBoth(chain.differences, again.differences), notes: again.notes };
  }
  options.signal?.throwIfAborted();
  const shares = (await checkBooks(database, { full: options.scan ?? false })).map(
    ({ message }): MoneyDifference => ({ kind: "shares", subject: message, message: `share log: ${message}` }),
  );
  return { differences: [...differences, ...chain.differences, ...shares], notes: chain.notes, figures: snapshot.figures };
}

async function withClient<T>(pool: Pool, use: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    return await use(client);
  } finally {
    client.release();
  }
}

/** Those of the second look that the first one had too. */
function inBoth(first: readonly MoneyDifference[], second: readonly MoneyDifference[]): MoneyDifference[] {
  const key = ({ kind, subject }: MoneyDifference): string => `${kind} ${subject}`;
  const seen = new Set(first.map(key));
  return second.filter((difference) => seen.has(key(difference)));
}
