/** The doctor's checks of what the pool needs around it: the database and the Bitcoin node. */
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { type BlockchainInfo, NodeClient, NodeError, subscribeHashBlock, ZmqError } from "@openprime/bitcoin";
import pg from "pg";
import { pino } from "pino";
import { openDatabase } from "../../ledger/index.js";
import { type Config, type NodeAccess, redactUrl } from "../config/index.js";
import { codeOf, messageOf, todoOf, WHAT_TO_DO } from "../errors.js";
import { type Check, fail, ok, warn } from "./report.js";

const TIMEOUT_MS = 5000;
const LEAST_POSTGRES = 15;

/** The operator's own server, or the binaries of the embedded one. */
export function checkDatabase(database: Config["database"]): Promise<Check> {
  return "url" in database ? checkOwnServer(database.url) : checkEmbedded(database.embedded.dataDir);
}

/** What a server says of itself. */
export interface ServerFacts {
  /** As server_version_num: 150004 for 15.4. */
  readonly version: number;
  /** As server_version. */
  readonly text: string;
  /** Whether the user may make a schema in the database. */
  readonly may_create: boolean;
}

/** Whether the pool can use the server that is `shown` in messages. */
export function serverVerdict(shown: string, { version, text, may_create }: ServerFacts): Check {
  const name = "database";
  if (version < LEAST_POSTGRES * 10_000) {
    return fail(name, `${shown} is PostgreSQL ${text}, ${LEAST_POSTGRES} or newer is needed`, WHAT_TO_DO["ledger.serverTooOld"]);
  }
  if (!may_create) {
    return fail(name, `the user of ${shown} may not create a schema there`, "make it the database's owner: ALTER DATABASE … OWNER TO …");
  }
  return ok(name, `${shown} is PostgreSQL ${text}`);
}

async function checkOwnServer(url: string): Promise<Check> {
  const name = "database";
  const shown = redactUrl(url);
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: TIMEOUT_MS, query_timeout: TIMEOUT_MS });
  // A connection that breaks between two queries is told as an event; the query that fails next is the one reported.
  client.on("error", () => {});
  try {
    await client.connect();
    const query = `SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS text,
      has_database_privilege(current_database(), 'CREATE') AS may_create`;
    const row = (await client.query<ServerFacts>(query)).rows[0];
    if (row === undefined) return fail(name, `${shown} did not answer with its version`, "see that database.url is a PostgreSQL");
    return serverVerdict(shown, row);
  } catch (error) {
    return fail(name, `can't use ${shown}: ${databaseMessage(error)}`, "start the server, or correct database.url");
  } finally {
    await client.end();
  }
}

/** A refusal on several addresses of one host is an AggregateError without a message of its own. */
function databaseMessage(error: unknown): string {
  return messageOf(error) || (codeOf(error) ?? "no reason given");
}

/**
 * Starts the embedded server for a moment, as the pool would and where the pool would, on data of its own: whatever is wrong with its
 * programs, its user or the folder shows. The pool's own data stay untouched.
 */
async function checkEmbedded(dataDir: string): Promise<Check> {
  const name = "database";
  let trial: string | undefined;
  try {
    trial = mkdtempSync(join(nearestFolder(dataDir), "openprime-doctor-"));
    // The server's user must be able to pass; mkdtemp makes a folder for ourselves alone.
    chmodSync(trial, 0o755);
    const database = await openDatabase({ embedded: { dataDir: trial } }, { log: pino({ level: "silent" }) });
    try {
      const { rows } = await database.pool.query<{ text: string }>("SELECT current_setting('server_version') AS text");
      const state = existsSync(dataDir) ? "data are in" : "data will be in";
      return ok(name, `the embedded PostgreSQL ${rows[0]?.text ?? ""} starts; ${state} ${dataDir}`);
    } finally {
      await database.close();
    }
  } catch (error) {
    const todo = "do what the message says, or give a server of your own in database.url";
    return fail(name, `the embedded PostgreSQL can't be used for ${dataDir}: ${messageOf(error)}`, todo);
  } finally {
    if (trial !== undefined) rmSync(trial, { recursive: true, force: true });
  }
}

/** `dir`, or the nearest folder above it that exists. */
function nearestFolder(dir: string): string {
  return existsSync(dir) || dirname(dir) === dir ? dir : nearestFolder(dirname(dir));
}

/** Each node, under `node` and, from the second on, `nodes.1` and so on; and where they are listened to. */
export async function checkBitcoinNodes(
  { network, node, nodes }: Pick<Config, "network" | "node" | "nodes">,
  now: () => number,
): Promise<Check[]> {
  const checks: Check[] = [];
  for (const [place, access] of nodes.entries()) {
    const name = place === 0 ? "node" : `nodes.${place}`;
    checks.push(
      ...(await checkBitcoinNode(name, { network, node: access }, now)),
      await checkZmq(`${name}.zmq`, { ...access, pollMs: node.pollMs }),
    );
  }
  return checks;
}

interface OneNode {
  readonly network: Config["network"];
  readonly node: NodeAccess;
}

/** A node: reachable, lets us in, on our network, synced; and the machine's clock against its. */
export async function checkBitcoinNode(name: string, config: OneNode, now: () => number): Promise<Check[]> {
  const { url } = config.node;
  const client = new NodeClient({ ...config.node, timeoutMs: TIMEOUT_MS });
  try {
    const info = await client.blockchainInfo();
    const found = chainCheck(name, info, config);
    if (found.status === "FAIL") return [found];
    return [found, await clockCheck(`clock.${name}`, client, info, now)];
  } catch (error) {
    if (!(error instanceof NodeError)) throw error;
    return [fail(name, `${url}: ${error.message}`, todoOf(error) ?? WHAT_TO_DO.unreachable)];
  } finally {
    await client.close();
  }
}

function chainCheck(name: string, info: BlockchainInfo, { network, node }: OneNode): Check {
  if (info.chain !== network.chain) {
    return fail(
      name,
      `the node is on the chain "${info.chain}", the pool on ${network.name} ("${network.chain}")`,
      WHAT_TO_DO.wrongNetwork,
    );
  }
  const place = `chain ${info.chain}, block ${info.blocks}`;
  if (info.initialblockdownload || info.headers > info.blocks + 1) {
    const todo = "wait until it is synced: till then the pool compares work with an old tip";
    return warn(name, `${node.url}: ${place} of ${info.headers}, not synced yet`, todo);
  }
  return ok(name, `${node.url}: ${place}, synced`);
}

/** Blocks of the future are invalid from here on, in seconds (consensus). */
const FUTURE_LIMIT = 7200;

/**
 * Compares clocks without asking a time server: a template's `curtime` is the node's clock, and a clock behind the median time past of
 * the chain is wrong for sure.
 */
async function clockCheck(name: string, client: NodeClient, info: BlockchainInfo, now: () => number): Promise<Check> {
  const todo = "let the pool's machine and the node's set their clocks by NTP";
  const behind = info.mediantime - now() / 1000;
  if (behind > 0) return fail(name, `the clock is ${Math.round(behind)} s behind the chain's median time`, todo);
  const before = now() / 1000;
  const curtime = await templateTime(client);
  if (curtime === undefined) return ok(name, "not behind the chain's median time (the node gives no template to compare closer)");
  const off = curtime < before ? before - curtime : Math.max(0, curtime - now() / 1000);
  const message = `${off.toFixed(0)} s apart from the node's clock`;
  if (off > FUTURE_LIMIT) return fail(name, message, todo);
  if (off > 10) return warn(name, message, todo);
  return ok(name, message);
}

async function templateTime(client: NodeClient): Promise<number | undefined> {
  try {
    return (await client.blockTemplate()).curtime;
  } catch (error) {
    // A node without peers or still syncing gives no template; that is told by the check of the node itself.
    if (error instanceof NodeError && error.code === "rpc") return undefined;
    throw error;
  }
}

/** ZeroMQ is optional: without it the node is polled. Whether the node publishes there can't be seen before its next block. */
export async function checkZmq(name: string, node: Pick<Config["node"], "zmqHashblock" | "pollMs">): Promise<Check> {
  const setting = name.replace(/zmq$/, "zmqHashblock");
  const polled = `the node is asked every ${node.pollMs / 1000} s`;
  if (node.zmqHashblock === undefined) return ok(name, `${setting} is not set: ${polled}`);
  try {
    const stop = await subscribeHashBlock(
      node.zmqHashblock,
      () => {},
      () => {},
    );
    stop();
    return ok(name, `new blocks are listened for at ${node.zmqHashblock}`);
  } catch (error) {
    if (!(error instanceof ZmqError)) throw error;
    const todo = error.code === "zmqUnavailable" ? `npm install zeromq, or leave ${setting} out` : `correct ${setting}`;
    return warn(name, `${error.message}; ${polled}`, todo);
  }
}
