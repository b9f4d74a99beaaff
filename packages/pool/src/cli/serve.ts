/** `openprime serve`: runs the pool until it is asked to end, or can't go on. */
import { loadCrypto } from "@openprime/datum";
import type { Logger } from "pino";
import { ChainError } from "../chain/index.js";
import type { Config } from "./config/index.js";
import { codeOf } from "./errors.js";
import { inheritedSocket } from "./inherited-socket.js";
import type { CommandIo } from "./io.js";
import { prefixOf, readKeys, standingKeys } from "./keys.js";
import { createLogger, LineCounts } from "./log.js";
import { startPool } from "./pool.js";
import { StatusLine } from "./status-line.js";

/** How often the log tells that the pool lives and what it did. */
const STATUS_MS = 60_000;

/**
 * Runs a pool. What it does is told in the log, on stderr.
 *
 * @returns 0 when it was asked to end, 1 when it had to
 * @throws the typed errors of a start that fails
 */
export async function serve(config: Config, io: CommandIo): Promise<number> {
  const lines = new LineCounts();
  const log = createLogger(config.log, io.stderr, lines);
  const lastWords = (error: unknown): void => log.fatal({ err: error }, "a fault that nobody expected: the pool ends");
  process.on("uncaughtExceptionMonitor", lastWords);
  try {
    return await run(config, io, log, lines);
  } finally {
    process.off("uncaughtExceptionMonitor", lastWords);
  }
}

async function run(config: Config, io: CommandIo, log: Logger, lines: LineCounts): Promise<number> {
  const crypto = await loadCrypto();
  const keys = readKeys(config.keys, crypto);
  const longTermKeys = standingKeys(keys, new Date());
  for (const warning of config.warnings) log.warn(warning);
  log.info({ network: config.network.name, crypto: crypto.name, publicKey: keys[0].publicKey }, "OpenPrime starts");
  for (const { publicKey, state, until } of keys) log.info({ key: prefixOf(publicKey), state, until }, "key of the pool");
  let pool: Awaited<ReturnType<typeof startPool>>;
  try {
    const listenFd = inheritedSocket(process.env, process.pid);
    pool = await startPool(config, { crypto, longTermKeys, log, lines, listenFd, signal: io.signal });
  } catch (error) {
    if (io.signal.aborted && (codeOf(error) === "stopped" || codeOf(error) === "ledger.stopped")) {
      log.info(`stopped while waiting for ${error instanceof ChainError ? "the node" : "another pool"}`);
      return 0;
    }
    throw error;
  }
  const status = new StatusLine(pool, config.network);
  const told = setInterval(() => {
    status.next().then(
      (fields) => log.info(fields, "status"),
      (error: unknown) => log.error({ err: error }, "the status could not be told"),
    );
  }, STATUS_MS);
  const exitCode = await new Promise<number>((resolve) => {
    if (io.signal.aborted) resolve(0);
    io.signal.addEventListener("abort", () => resolve(0), { once: true });
    // Another pool has taken the books: to go on would be to promise what we can't keep.
    pool.database.once("fatal", () => resolve(1));
  });
  clearInterval(told);
  log.info("stopping: shares under way are committed and answered");
  await pool.close();
  log.info("stopped");
  return exitCode;
}
