/** `openprime doctor`: tries out everything that the pool needs, changes nothing, and says what to do. */
import { setTimeout as sleep } from "node:timers/promises";
import { loadCrypto } from "@openprime/datum";
import { type Config, ConfigError, type Environment, loadConfig } from "../config/index.js";
import { CliError } from "../errors.js";
import type { CommandIo } from "../io.js";
import { readKeys, standingKeys } from "../keys.js";
import { checkApi } from "./api.js";
import { checkListener } from "./listener.js";
import { checkClock, checkCrypto, checkDisk, checkNodeVersion, checkProver, checkPublished } from "./machine.js";
import { type Check, checkLines, fail, ok, warn } from "./report.js";
import { checkBitcoinNodes, checkDatabase } from "./services.js";

export interface DoctorOptions {
  /** Path of the configuration file. */
  readonly config: string;
  readonly json: boolean;
}

/**
 * Runs all checks and prints them, each as it is done; with `json` one object `{ ok, checks }`.
 *
 * Without a usable configuration the checks that depend on none are still made.
 * @returns the exit code: 1 when a check failed
 */
export async function doctor(options: DoctorOptions, env: Environment, io: CommandIo): Promise<number> {
  const checks: Check[] = [];
  const add = (...found: Check[]): void => {
    checks.push(...found);
    if (!options.json) for (const check of found) io.stdout.write(checkLines(check));
  };
  add(checkNodeVersion(process.versions.node), await checkCrypto(), await checkProver());
  const clocks = { wall: Date.now, steady: () => performance.now(), sleep: (ms: number) => sleep(ms) };
  add(await checkClock(clocks));
  const config = checkConfig(options.config, env, add);
  if (config !== undefined) await checkAround(config, add, io);
  const failed = checks.filter((check) => check.status === "FAIL").length;
  if (options.json) io.stdout.write(`${JSON.stringify({ ok: failed === 0, checks }, null, 2)}\n`);
  else io.stdout.write(failed === 0 ? "\nThe pool can run.\n" : `\n${failed} ${failed === 1 ? "check" : "checks"} failed.\n`);
  return failed === 0 ? 0 : 1;
}

function checkConfig(file: string, env: Environment, add: (...found: Check[]) => void): Config | undefined {
  const name = "config";
  try {
    const config = loadConfig(file, env);
    add(ok(name, `${file}: network ${config.network.name}, paying to ${config.pool.payoutAddress}`));
    add(...config.warnings.map((warning) => warn(name, warning, "docs/operators.md explains the settings")));
    return config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    add(fail(name, error.message, error.todo));
    return undefined;
  }
}

async function checkAround(config: Config, add: (...found: Check[]) => void, io: CommandIo): Promise<void> {
  const crypto = await loadCrypto();
  let publicKey: string | undefined;
  try {
    const keys = readKeys(config.keys, crypto);
    publicKey = keys[0].publicKey;
    standingKeys(keys, new Date());
    add(
      ok(
        "keys",
        `${config.keys.file}: ${keys.length} ${keys.length === 1 ? "key" : "keys"}, only you can read them; public key ${publicKey}`,
      ),
    );
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    add(fail("keys", error.message, error.todo));
  }
  add(await checkListener(config.listen, publicKey, crypto), await checkApi(config.api));
  io.stderr.write("asking the database and the node\n");
  add(await checkDatabase(config.database));
  if ("embedded" in config.database) add(await checkDisk(config.database.embedded.dataDir));
  add(await checkPublished(config.publish.dir));
  add(...(await checkBitcoinNodes(config, Date.now)));
}
