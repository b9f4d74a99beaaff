/** Found blocks: recorded before they are submitted, with what became of them. */
import type { Database } from "./database.js";
import { FIND_BLOCK, INSERT_BLOCK, OPEN_BLOCKS, RECENT_BLOCKS, SET_OUTCOME, SET_RAW } from "./queries/blocks.js";
import type { RecordedBlock } from "./types.js";

/** `found`: recorded; `submitted`: sent to the node, no answer yet; `accepted` and `refused`: the node's answer. */
export type BlockStatus = "found" | "submitted" | "accepted" | "refused";

/** A block as the books hold it. */
export interface BlockRecord {
  readonly id: bigint;
  readonly hash: Uint8Array;
  readonly prevhash: Uint8Array;
  readonly height: number;
  /** As hashed (non-witness form). */
  readonly coinbase: Uint8Array;
  /** Satoshis. */
  readonly coinbaseValue: bigint;
  readonly transactionCount: number;
  readonly sessionId: bigint;
  readonly splitId: bigint | undefined;
  readonly pin: bigint;
  readonly status: BlockStatus;
  readonly outcome: string | undefined;
  readonly foundAt: Date;
}

interface BlockRow {
  id: string;
  hash: Buffer;
  prevhash: Buffer;
  height: number;
  coinbase: Buffer;
  coinbase_value: string;
  transaction_count: number;
  session: string;
  split: string | null;
  pin: string;
  status: BlockStatus;
  outcome: string | null;
  found_at: Date;
}

/** What columns hold. Height, value and count are the gateway's claims: one that no block can have is recorded as the largest. */
const MAX_INTEGER = 2 ** 31 - 1;
const MAX_BIGINT = 2n ** 63n - 1n;

export class Blocks {
  readonly #database: Database;
  readonly #now: () => number;

  /** `now`: milliseconds, pool clock. */
  constructor(database: Database, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  /** Records a candidate. False when its hash was recorded before. A found block is submitted whether or not this succeeds. */
  async record(block: RecordedBlock): Promise<boolean> {
    const { rowCount } = await this.#database.pool.query(INSERT_BLOCK, [
      Buffer.from(block.hash),
      Buffer.from(block.parent.hash),
      Math.min(block.height, MAX_INTEGER),
      Buffer.from(block.header),
      Buffer.from(block.coinbase),
      block.coinbaseValue < MAX_BIGINT ? block.coinbaseValue : MAX_BIGINT,
      Math.min(block.transactionCount, MAX_INTEGER),
      block.sessionId,
      block.splitId ?? null,
      block.pin,
      Buffer.from(block.username),
      new Date(this.#now()),
    ]);
    return rowCount === 1;
  }

  /** Keeps the whole block, so that it can be submitted again after a restart. */
  async setRaw(hash: Uint8Array, raw: Uint8Array): Promise<void> {
    await this.#database.pool.query(SET_RAW, [Buffer.from(hash), Buffer.from(raw)]);
  }

  /** What became of it, `outcome` in the node's words. An accepted block stays accepted. */
  async setOutcome(hash: Uint8Array, status: BlockStatus, outcome?: string): Promise<void> {
    await this.#database.pool.query(SET_OUTCOME, [Buffer.from(hash), status, outcome ?? null]);
  }

  async find(hash: Uint8Array): Promise<BlockRecord | undefined> {
    const { rows } = await this.#database.pool.query<BlockRow>(FIND_BLOCK, [Buffer.from(hash)]);
    return rows.map(record)[0];
  }

  /** Newest first. */
  async recent(count: number): Promise<BlockRecord[]> {
    const { rows } = await this.#database.pool.query<BlockRow>(RECENT_BLOCKS, [count]);
    return rows.map(record);
  }

  /** Blocks without a final answer of the node, oldest first, with the whole block where it was complete: to be submitted again at start. */
  async open(): Promise<{ hash: Uint8Array; raw: Uint8Array | undefined }[]> {
    const { rows } = await this.#database.pool.query<{ hash: Buffer; raw: Buffer | null }>(OPEN_BLOCKS);
    return rows.map(({ hash, raw }) => ({ hash: Uint8Array.from(hash), raw: raw === null ? undefined : Uint8Array.from(raw) }));
  }
}

function record(row: BlockRow): BlockRecord {
  return {
    id: BigInt(row.id),
    hash: Uint8Array.from(row.hash),
    prevhash: Uint8Array.from(row.prevhash),
    height: row.height,
    coinbase: Uint8Array.from(row.coinbase),
    coinbaseValue: BigInt(row.coinbase_value),
    transactionCount: row.transaction_count,
    sessionId: BigInt(row.session),
    splitId: row.split === null ? undefined : BigInt(row.split),
    pin: BigInt(row.pin),
    status: row.status,
    outcome: row.outcome ?? undefined,
    foundAt: row.found_at,
  };
}
