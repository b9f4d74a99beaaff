/** What the retention's tests share: a log whose rounds are old enough to be compacted. */
import { randomBytes } from "node:crypto";
import { type Database, LogFiles, type ShareLog } from "../../../src/ledger/index.js";
import { hash, MemoryLogger } from "../support.js";

/** Opens a segment on a new tip, has the books follow the chain up to it, and writes the log files of all closed segments. */
export async function newTip(database: Database, log: ShareLog, dir: string): Promise<void> {
  const tip = hash(randomBytes(8).toString("hex"));
  const segment = await log.openSegment(tip);
  await followTo(database, tip, segment);
  await new LogFiles({ dir, network: "regtest" }, { database, logger: new MemoryLogger() }).exportUpTo(segment - 1);
}

export async function followTo(database: Database, tip: Uint8Array, height: number): Promise<void> {
  await database.pool.query("INSERT INTO chain (height, hash) VALUES ($1, $2)", [height, Buffer.from(tip)]);
}
