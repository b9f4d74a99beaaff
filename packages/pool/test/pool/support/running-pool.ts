/** A whole pool in this process, as `openprime serve` starts it, on a database and keys that outlive it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodePublicKey, loadCrypto } from "@openprime/datum";
import { minerAddress, newKeys, type PoolPlace, type RpcAccess } from "@openprime/simulator";
import { type Config, resolveConfig } from "../../../src/cli/config/index.js";
import { type Pool, type PoolModules, startPool } from "../../../src/cli/pool.js";
import { type LogLines, logLines } from "../../chain/log-lines.js";
import { externalServer, temporaryDatabase } from "../../ledger/support.js";

export type Settings = Parameters<typeof resolveConfig>[0];

const crypto = await loadCrypto();
let external: Promise<string | undefined> | undefined;

/** Asked once per test file. */
async function findServer(): Promise<string | undefined> {
  const server = await externalServer();
  if (server === undefined) console.warn("the tests of the whole pool run on embedded databases instead");
  return server;
}

/** Everything that a pool leaves behind when it stops. Make one per test, and `remove` it. */
export class PoolHome {
  readonly keys = newKeys();
  readonly #dir = mkdtempSync(join(tmpdir(), "openprime-pool-"));
  readonly #running = new Set<RunningPool>();

  private constructor(
    private readonly database: { readonly url: string } | undefined,
    private readonly removeDatabase: () => Promise<void>,
  ) {}

  /** With a database of its own: on a PostgreSQL of this machine that lets us in (said aloud when there is none), or the embedded one. */
  static async make(kind: "embedded" | "external"): Promise<PoolHome> {
    if (kind === "external") external ??= findServer();
    const server = kind === "external" ? await external : undefined;
    if (server === undefined) return new PoolHome(undefined, async () => undefined);
    const { url, remove } = await temporaryDatabase(server);
    return new PoolHome({ url }, remove);
  }

  config(node: RpcAccess, settings: Settings = {}): Config {
    return resolveConfig(
      {
        network: "regtest",
        ...settings,
        listen: { host: "127.0.0.1", port: 0 },
        pool: { payoutAddress: minerAddress("pool", 0), minimumDifficulty: 1, minimumDifficultyCeiling: 1, ...settings.pool },
        keys: { file: "keys.json" },
        node: { ...node, pollSeconds: 0.1 },
        database: settings.database ?? this.database ?? { dir: "books" },
        // Judged in templates.test.ts and cut-off-gateway.test.ts: elsewhere a share is to be accepted at once.
        templates: { check: "off", ...settings.templates },
        limits: { coinbaserPerMinute: 6000, ...settings.limits },
        api: { port: 0, ...settings.api },
      },
      this.#dir,
    );
  }

  /** Starts a pool here. */
  async start(node: RpcAccess, settings: Settings = {}, modules: Partial<PoolModules> = {}): Promise<RunningPool> {
    const logs = logLines();
    const config = this.config(node, settings);
    const pool = await startPool(config, { crypto, longTermKeys: [this.keys], log: logs.log, ...modules });
    const running = new RunningPool(pool, config, logs, encodePublicKey(this.keys));
    this.#running.add(running);
    return running;
  }

  /** Stops what still runs, and leaves nothing. */
  async remove(): Promise<void> {
    for (const running of this.#running) await running.close();
    await this.removeDatabase();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

export class RunningPool implements PoolPlace {
  constructor(
    readonly pool: Pool,
    readonly config: Config,
    readonly logs: LogLines,
    readonly publicKey: string,
  ) {}

  get host(): string {
    return this.pool.address.host;
  }

  get port(): number {
    return this.pool.address.port;
  }

  /** Rows of the books. */
  async rows<T extends object>(sql: string, values: unknown[] = []): Promise<T[]> {
    return (await this.pool.database.pool.query<T>(sql, values)).rows;
  }

  close(): Promise<void> {
    return this.pool.close();
  }
}
