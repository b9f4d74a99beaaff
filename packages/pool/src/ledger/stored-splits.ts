/** Splits as the books hold them. */
import type { Database } from "./database.js";
import { FIND_SPLIT } from "./queries/splits.js";
import { unpackOutputs } from "./split-outputs.js";
import type { OfferedSplit } from "./types.js";

/** The split of that id, undefined when there is none. */
export async function findSplit(database: Database, id: bigint): Promise<OfferedSplit | undefined> {
  const { rows } = await database.pool.query<{
    coinbaser_id: number;
    position: string;
    prevhash: Buffer;
    value: string;
    outputs: Buffer;
  }>(FIND_SPLIT, [id]);
  const row = rows[0];
  if (row === undefined) return undefined;
  return {
    id,
    coinbaserId: row.coinbaser_id,
    position: BigInt(row.position),
    prevhash: Uint8Array.from(row.prevhash),
    value: BigInt(row.value),
    outputs: unpackOutputs(row.outputs),
  };
}
