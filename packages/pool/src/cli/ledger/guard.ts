/** The guard of the books, put together for a running pool. */
import type { Registry } from "prom-client";
import { checkMoney, type Database, LedgerGuard, type LedgerLogger } from "../../ledger/index.js";
import type { Config, NodeAccess } from "../config/index.js";
import { NodeChainReader } from "./node-chain-reader.js";

export interface GuardModules {
  readonly database: Database;
  /** The node to ask now. */
  readonly node: () => NodeAccess;
  readonly log: LedgerLogger;
  readonly metrics: Registry;
  /** Pool clock, milliseconds. */
  readonly now: () => number;
}

/**
 * Starts the check of the books, now and daily, in the background. It asks the node on connections of its own: a scan of the node's coins takes minutes.
 *
 * @returns ends it, and breaks a check off that is under way; call it before the database is closed
 */
export function guardBooks(config: Config, { database, node, log, metrics, now }: GuardModules): () => Promise<void> {
  let reader: NodeChainReader | undefined;
  const check = async (signal: AbortSignal) => {
    reader = new NodeChainReader(node());
    try {
      return await checkMoney(database, reader, { reserve: config.reserve ?? 0n, signal });
    } finally {
      await reader.close();
    }
  };
  const guard = new LedgerGuard({}, { check, log, metrics, now });
  guard.start();
  return async () => {
    const stopped = guard.stop();
    await reader?.close();
    await stopped;
  };
}
