/**
 * The one way in which money is written: a transaction under the lock of `money_state`, by the pool whose epoch the database is in.
 *
 * The lock comes first and the epoch is read after it. A pool that takes the database over raises the epoch before it reads its books under the same lock,
 * so it waits for a transaction of the former one that is still under way, and none begins after it. The share log's row is not locked: shares never
 * wait for money.
 */
import type { Client } from "pg";
import type { Database } from "../database.js";
import { LedgerError } from "../errors.js";
import { CHECK_EPOCH, LOCK_MONEY } from "../queries/money.js";

/** What the next entry and settlement follow. */
export interface MoneyState {
  /** Number of the last entry, 0n for none. */
  readonly lastEntry: bigint;
  /** Number of the last settlement, 0 for none. */
  readonly lastSettlement: number;
  /** Its hash, zeros for none. */
  readonly settlementHash: Uint8Array;
}

/**
 * Runs `work` in a transaction, on a connection that nobody else uses meanwhile. When it rejects nothing has changed, unless the connection broke during
 * COMMIT: then only the database knows.
 *
 * @throws LedgerError `ledger.fenced` when another pool writes the books now
 */
export async function moneyTransaction<T>(database: Database, client: Client, work: (state: MoneyState) => Promise<T>): Promise<T> {
  database.check();
  await client.query("BEGIN");
  try {
    const { rows } = await client.query<{ last_entry: string; last_settlement: number; settlement_hash: Buffer }>(LOCK_MONEY);
    const row = rows[0];
    if (row === undefined) throw new LedgerError("ledger.damaged", "expected the one row of money_state, got none");
    const { rowCount } = await client.query(CHECK_EPOCH, [String(database.epoch)]);
    if (rowCount !== 1) {
      const error = new LedgerError("ledger.fenced", `another pool writes the books now (our epoch ${database.epoch} is over)`);
      database.fail(error);
      throw error;
    }
    const result = await work({
      lastEntry: BigInt(row.last_entry),
      lastSettlement: row.last_settlement,
      settlementHash: Uint8Array.from(row.settlement_hash),
    });
    await client.query("COMMIT");
    return result;
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
}
