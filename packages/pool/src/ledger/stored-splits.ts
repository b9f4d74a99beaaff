/** Splits as the books hold them. */
import type { ClientBase } from "pg";
import type { Database } from "./database.js";
import { FIND_SPLIT, SPLITS_FOR } from "./queries/splits.js";
import type { StoredSplit } from "./share-log.js";
import { unpackOutputs } from "./split-outputs.js";
import { storedScheme } from "./stored-scheme.js";

/** The split of that id, undefined when there is none. */
export async function findSplit(database: Database, id: bigint): Promise<StoredSplit | undefined> {
  const { rows } = await database.pool.query<SplitRow>(FIND_SPLIT, [id]);
  return rows.map(storedSplit)[0];
}

/** The splits of that value that a session was offered for a parent, by id. */
export async function splitsFor(client: ClientBase, session: bigint, prevhash: Uint8Array, value: bigint): Promise<StoredSplit[]> {
  const { rows } = await client.query<SplitRow>(SPLITS_FOR, [Buffer.from(prevhash), String(session), String(value)]);
  return rows.map(storedSplit);
}

interface SplitRow {
  id: string;
  session: string;
  coinbaser_id: number;
  position: string;
  prevhash: Buffer;
  value: string;
  outputs: Buffer;
  offered_at: Date;
  finder: number | null;
  fee_ppm: number;
  scheme: string | null;
}

function storedSplit(row: SplitRow): StoredSplit {
  return {
    id: BigInt(row.id),
    sessionId: BigInt(row.session),
    coinbaserId: row.coinbaser_id,
    position: BigInt(row.position),
    prevhash: Uint8Array.from(row.prevhash),
    value: BigInt(row.value),
    outputs: unpackOutputs(row.outputs),
    finder: row.finder ?? undefined,
    feePpm: row.fee_ppm,
    scheme: storedScheme(row.scheme),
    offeredAt: row.offered_at.getTime(),
  };
}
