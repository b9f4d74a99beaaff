/** Several long-term keys at once: who is answered with which, and what the operator sees of it. */
import { encodePublicKey, generateLongTermKeys } from "@openprime/datum";
import { afterEach, describe, expect, it } from "vitest";
import type { PoolLongTermKeys } from "../../src/gateway/index.js";
import { crypto, TestPool, until, untilMetric } from "./pool.js";
import { TestGateway } from "./test-gateway.js";

const pools: TestPool[] = [];
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.server.close();
});

const prefix = (keys: PoolLongTermKeys): string => encodePublicKey(keys).slice(0, 16);

describe("a gateway that knows an old key of the pool", () => {
  it("is answered with it, works, and is seen", async () => {
    const present = generateLongTermKeys(crypto);
    const old: PoolLongTermKeys = { ...generateLongTermKeys(crypto), old: true, until: 4_000_000_000_000 };
    const next = generateLongTermKeys(crypto);
    const pool = await TestPool.start({}, { keys: present, modules: { longTermKeys: [present, next, old] } });
    pools.push(pool);
    // The gateway's side refuses an answer that is signed by any key but the one it sealed to.
    const behind = await TestGateway.connect(pool, { poolPublicKey: encodePublicKey(old) });
    const ahead = await TestGateway.connect(pool, { poolPublicKey: encodePublicKey(next) });
    const work = await behind.work(pool);
    behind.send(work.share(true));
    expect(await behind.next("shareResponse")).toMatchObject({ status: "accepted" });
    expect(pool.server.snapshot().map((row) => row.poolKeyPrefix)).toEqual(expect.arrayContaining([prefix(old), prefix(next)]));
    const lines = pool.logs.saying("a gateway uses an old key of the pool");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ poolKey: prefix(old), gateway: encodePublicKey(behind.longTermKeys).slice(0, 16) });
    await untilMetric(pool, "openprime_pool_key_connections", { key: prefix(old) }, 1);
    await untilMetric(pool, "openprime_pool_key_connections", { key: prefix(next) }, 1);
    await untilMetric(pool, "openprime_pool_key_connections", { key: prefix(present) }, 0);
    expect(await pool.metric("openprime_pool_key_end_timestamp_seconds", { key: prefix(old) })).toBe(4_000_000_000);
    behind.close();
    await untilMetric(pool, "openprime_pool_key_connections", { key: prefix(old) }, 0);
    ahead.close();
  });

  it("is answered until the key's end, while the pool runs, and not after", async () => {
    const present = generateLongTermKeys(crypto);
    const old: PoolLongTermKeys = { ...generateLongTermKeys(crypto), old: true, until: Date.now() + 3_600_000 };
    let ahead = 0;
    const now = () => Date.now() + ahead;
    const pool = await TestPool.start({}, { keys: present, modules: { longTermKeys: [present, old], now } });
    pools.push(pool);
    const poolPublicKey = encodePublicKey(old);
    const before = await TestGateway.connect(pool, { poolPublicKey });
    ahead = 3_600_001;
    const after = await TestGateway.dial(pool, { poolPublicKey });
    after.write(after.channel.hello());
    await after.closed;
    await until(() => expect(pool.closings("protocolError")[0]).toMatchObject({ code: "helloUnreadable" }));
    // Whoever is in stays in, and the present key goes on.
    const work = await before.work(pool);
    before.send(work.share(true));
    expect(await before.next("shareResponse")).toMatchObject({ status: "accepted" });
    await TestGateway.connect(pool);
  });
});
