import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadCrypto } from "@openprime/datum";
import { describe, expect, it } from "vitest";
import { ConfigError, loadConfig } from "../../src/cli/config/index.js";
import { type InitOptions, init } from "../../src/cli/init.js";
import { readKeys } from "../../src/cli/keys.js";
import { ADDRESS, capture, folder } from "./support.js";

const crypto = await loadCrypto();

function run(options: InitOptions): string {
  const io = capture();
  let start = 0;
  const randomBytes = (count: number) => Uint8Array.from({ length: count }, () => start++ & 0xff);
  init(options, { crypto, randomBytes, now: () => new Date("2026-11-22T00:00:00Z") }, io);
  return io.out();
}

describe("openprime init", () => {
  it("writes a configuration and keys that the pool can be started with", () => {
    const dir = join(folder(), "new", "pool");
    const told = run({ dir, network: "mainnet", payoutAddress: ADDRESS });
    const config = loadConfig(join(dir, "openprime.yaml"), { HOME: "/home/pool" });
    expect(config.network.name).toBe("mainnet");
    expect(config.pool.payoutAddress).toBe(ADDRESS);
    expect(config.node.cookieFile).toBe("/home/pool/.bitcoin/.cookie");
    expect(config.warnings).toEqual([]);
    const [key] = readKeys(config.keys, crypto);
    expect(told).toContain(key!.publicKey);
    expect(told).toContain(`openprime serve --config ${join(dir, "openprime.yaml")}`);
    for (const name of ["openprime.yaml", "openprime.keys.json"]) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
  });

  it("leaves the payout address to be filled in, and says so", () => {
    const dir = folder();
    expect(run({ dir, network: "signet" })).toContain(`Set pool.payoutAddress in ${join(dir, "openprime.yaml")}`);
    expect(() => loadConfig(join(dir, "openprime.yaml"), {})).toThrow("pool.payoutAddress is missing");
    expect(
      loadConfig(join(dir, "openprime.yaml"), { OPENPRIME_POOL_PAYOUT_ADDRESS: "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx" }).network.name,
    ).toBe("signet");
  });

  it.each(["openprime.yaml", "openprime.keys.json"])("overwrites no %s and then writes nothing at all", (name) => {
    const dir = folder();
    writeFileSync(join(dir, name), "precious");
    expect(() => run({ dir, network: "mainnet" })).toThrow(expect.objectContaining({ code: "fileExists" }) as Error);
    expect(readdirSync(dir)).toEqual([name]);
    expect(readFileSync(join(dir, name), "utf8")).toBe("precious");
  });

  it("refuses an unknown network and another network's address before it writes", () => {
    const dir = folder();
    expect(() => run({ dir, network: "constructor" })).toThrow(expect.objectContaining({ code: "optionInvalid" }) as Error);
    expect(() => run({ dir, network: "regtest", payoutAddress: ADDRESS })).toThrow(ConfigError);
    expect(readdirSync(dir)).toEqual([]);
  });
});
