import { afterEach, describe, expect, it } from "vitest";
import { minerAddress, minerScript } from "../../src/gateway/addresses.js";
import { type LoadWork, runLoad } from "../../src/load/load.js";
import { MiniPool } from "../mini-pool.js";

const work: LoadWork = {
  prevhash: "11".repeat(32),
  height: 500,
  nbits: 0x1b00ffff,
  version: 0x20000000,
  ntime: 1_795_000_000,
  value: "5000000000",
  transactionCount: 3000,
  branches: "22".repeat(32 * 12),
  witnessCommitment: `6a24aa21a9ed${"33".repeat(32)}`,
};

let pool: MiniPool;
afterEach(() => pool.stop());

describe("load", () => {
  it.each([
    [1, 500],
    [3, 6500],
    [4, 16000],
  ] as const)("kind %i sends distinct valid shares with coinbases of about %i bytes", async (coinbaseKind, bytes) => {
    const outputs = Array.from({ length: 450 }, (_, i) => ({ value: 11_000_000n, script: minerScript("load", i) }));
    pool = await MiniPool.start({ split: () => outputs });
    let prepared = 0;
    const report = await runLoad(
      {
        host: "127.0.0.1",
        port: pool.port,
        poolPublicKey: pool.publicKey,
        work,
        coinbaseKind,
        shares: 600,
        usernames: [minerAddress("load", 0), minerAddress("load", 1)],
        inFlight: 100,
      },
      () => {
        prepared += 1;
      },
    );
    expect(prepared).toBe(1);
    expect(report).toMatchObject({ shares: 600, accepted: 600, tentative: 0, rejected: 0 });
    expect(report.coinbaseBytes).toBeGreaterThan(bytes - 60);
    expect(report.coinbaseBytes).toBeLessThan(bytes + 8);
    expect(report.latency.p50).toBeLessThanOrEqual(report.latency.max);
    expect(report.sharesPerSecond).toBeGreaterThan(0);
    const hashes = new Set(pool.shares.map((one) => Buffer.from(one.hash).toString("hex")));
    expect(hashes.size).toBe(600);
    expect(pool.shares.every((one) => one.meetsTarget)).toBe(true);
    expect(pool.shares.filter(({ share }) => share.job !== undefined)).toHaveLength(1);
  });

  it("tells why it could not finish", async () => {
    pool = await MiniPool.start({ split: () => [] });
    const other = await MiniPool.start();
    const wrongKey = { host: "127.0.0.1", port: pool.port, poolPublicKey: other.publicKey, work, coinbaseKind: 1 as const, shares: 10 };
    await pool.stop();
    await expect(runLoad({ ...wrongKey, usernames: [minerAddress("load", 0)] })).rejects.toMatchObject({ code: "loadFailed" });
    await other.stop();
    pool = await MiniPool.start();
  });
});
