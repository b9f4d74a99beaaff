/** What must be true of the books when the fire is out. */
import { join } from "node:path";
import type { NodeClient } from "@openprime/bitcoin";
import type { RpcAccess } from "@openprime/simulator";
import { openDatabase } from "../../../ledger/index.js";
import type { PoolProcess } from "./pool-process.js";

const FOLLOW_MS = 120_000;
const LOOK_MS = 500;
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };

interface Check {
  readonly differences: readonly unknown[];
  readonly figures: { readonly height: number };
}

/** `ledger check` at the node's tip, and `audit all` of what was published; the pool runs. @returns what is wrong */
export async function checkMoney(pool: PoolProcess, dir: string, client: NodeClient, node: RpcAccess): Promise<string[]> {
  const wrong: string[] = [];
  const { blocks: height } = await client.blockchainInfo();
  const deadline = Date.now() + FOLLOW_MS;
  for (;;) {
    const { code, out } = await pool.command("ledger", "check", "--scan", "--json", "--config", pool.configFile);
    let check: Check | undefined;
    try {
      check = JSON.parse(out) as Check;
    } catch {
      // Told below, if it stays so.
    }
    if (check !== undefined && check.figures.height >= height) {
      if (check.differences.length > 0) wrong.push(`ledger check: ${JSON.stringify(check.differences)}`);
      break;
    }
    if (Date.now() > deadline) {
      const last = pool.said("the books do not follow").at(-1) ?? "";
      wrong.push(
        `the books are at ${check?.figures.height}, the chain at ${height} (${code}): ${last} ${check === undefined ? out.slice(-500) : ""}`,
      );
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  const access = ["--node", node.url, "--user", node.user, "--password", node.password];
  const audit = await pool.command("audit", "all", "--from", join(dir, "openprime-public"), ...access, "--json");
  if (audit.code !== 0) wrong.push(`audit all (${audit.code}): ${audit.out.slice(-1500)}`);
  return wrong;
}

/** What is known of the shares of one gateway, by their hashes. */
interface Account {
  readonly sent: ReadonlyMap<string, unknown>;
  readonly acknowledged: ReadonlySet<string>;
}

/** Every acknowledged share there once, and, unless others may send, none that no gateway sent; the pool has stopped. */
export async function checkShares(
  databaseDir: string,
  gateways: readonly Account[],
  others = false,
): Promise<{ readonly rows: number; readonly wrong: string[] }> {
  const wrong: string[] = [];
  const database = await openDatabase({ embedded: { dataDir: databaseDir } }, { log: quiet });
  try {
    const { rows } = await database.pool.query<{ hash: Buffer }>("SELECT hash FROM shares");
    const times = new Map<string, number>();
    for (const { hash } of rows) times.set(hash.toString("hex"), (times.get(hash.toString("hex")) ?? 0) + 1);
    const sent = new Set(gateways.flatMap((gateway) => [...gateway.sent.keys()]));
    const doubled = [...times.values()].filter((count) => count > 1).length;
    const foreign = [...times.keys()].filter((hash) => !sent.has(hash)).length;
    const missing = gateways.flatMap(({ acknowledged }) => [...acknowledged].filter((hash) => !times.has(hash))).length;
    if (doubled > 0) wrong.push(`${doubled} shares are in the books twice`);
    if (foreign > 0 && !others) wrong.push(`${foreign} shares are in the books that no gateway sent`);
    if (missing > 0) wrong.push(`${missing} acknowledged shares are not in the books`);
    return { rows: rows.length, wrong };
  } finally {
    await database.close();
  }
}
