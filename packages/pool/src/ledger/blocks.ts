/** Found blocks: recorded before they are submitted, with what became of them. */
import { bigintClaim, integerClaim } from "./claims.js";
import type { Database } from "./database.js";
import { COUNT_BLOCKS, FIND_BLOCK, RECENT_BLOCKS, RECORD_BLOCK, SET_OUTCOME } from "./queries/blocks.js";
import { FIND_ACCOUNTS, INSERT_ACCOUNTS } from "./queries/directory.js";
import { schemeText, type Terms } from "./stored-scheme.js";
import type { RecordedBlock } from "./types.js";

/** `found`: recorded; `submitted`: sent to the node, no answer yet; `accepted` and `refused`: the node's answer. */
export type BlockStatus = "found" | "submitted" | "accepted" | "refused";

/**
 * On the chain that the books follow. `found`: not there yet; `paid`: there, and booked; `mature`: the pool's part can be spent; `orphaned`: it was there;
 * `foreign`: there, and not the pool's.
 */
export type BlockLife = "found" | "paid" | "mature" | "orphaned" | "foreign";

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
  /** As its session said; undefined for a block that was discovered on the chain. */
  readonly transactionCount: number | undefined;
  readonly sessionId: bigint;
  readonly splitId: bigint | undefined;
  readonly pin: bigint;
  readonly status: BlockStatus;
  readonly outcome: string | undefined;
  readonly life: BlockLife;
  readonly foundAt: Date;
}

interface BlockRow {
  id: string;
  hash: Buffer;
  prevhash: Buffer;
  height: number;
  coinbase: Buffer;
  coinbase_value: string;
  transaction_count: number | null;
  session: string;
  split: string | null;
  pin: string;
  status: BlockStatus;
  outcome: string | null;
  life: BlockLife;
  found_at: Date;
}

export class Blocks {
  readonly #database: Database;
  readonly #now: () => number;
  readonly #terms: Terms | undefined;

  /** `now`: milliseconds, pool clock. `terms`: the pool's, kept with each claim; a block without a split is divided by them. */
  constructor(database: Database, now: () => number, terms?: Terms) {
    this.#database = database;
    this.#now = now;
    this.#terms = terms;
  }

  /**
   * Records a candidate and its session's claim. False when its hash was recorded before, by whichever session; the claim is kept all the same. A found
   * block is submitted whether or not this succeeds.
   */
  async record(block: RecordedBlock): Promise<boolean> {
    const { rowCount } = await this.#database.pool.query(RECORD_BLOCK, [
      Buffer.from(block.hash),
      Buffer.from(block.parent.hash),
      integerClaim(block.height),
      Buffer.from(block.header),
      Buffer.from(block.coinbase),
      bigintClaim(block.coinbaseValue),
      integerClaim(block.transactionCount),
      block.sessionId,
      block.splitId ?? null,
      block.pin,
      Buffer.from(block.username),
      new Date(this.#now()),
      block.finder === undefined ? null : await this.#account(block.finder),
      schemeText(this.#terms?.scheme),
      this.#terms?.feePpm ?? null,
    ]);
    return rowCount === 1;
  }

  /** What became of it, `outcome` in the node's words. An accepted block stays accepted. False when no block of that hash is recorded. */
  async setOutcome(hash: Uint8Array, status: BlockStatus, outcome?: string): Promise<boolean> {
    const { rowCount } = await this.#database.pool.query(SET_OUTCOME, [Buffer.from(hash), status, outcome ?? null]);
    return rowCount === 1;
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

  /** All that were ever recorded, and those of them that a node took. */
  async counts(): Promise<{ readonly found: number; readonly accepted: number }> {
    const { rows } = await this.#database.pool.query<{ found: number; accepted: number }>(COUNT_BLOCKS);
    return rows[0] ?? { found: 0, accepted: 0 };
  }

  /** The finder's account, made when it has no share yet: the share that finds a block may be its first. */
  async #account({ script, address }: NonNullable<RecordedBlock["finder"]>): Promise<number | null> {
    const scripts = [[Buffer.from(script)]];
    const find = async () => (await this.#database.pool.query<{ id: number }>(FIND_ACCOUNTS, scripts)).rows[0]?.id;
    const known = await find();
    if (known !== undefined) return known;
    await this.#database.pool.query(INSERT_ACCOUNTS, [...scripts, [address], "miner"]);
    return (await find()) ?? null;
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
    transactionCount: row.transaction_count ?? undefined,
    sessionId: BigInt(row.session),
    splitId: row.split === null ? undefined : BigInt(row.split),
    pin: BigInt(row.pin),
    status: row.status,
    outcome: row.outcome ?? undefined,
    life: row.life,
    foundAt: row.found_at,
  };
}
