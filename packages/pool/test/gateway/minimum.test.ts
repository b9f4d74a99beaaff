/** The minimum difficulty that follows a gateway's work, on the wire. */
import { generateLongTermKeys } from "@openprime/datum";
import { afterEach, describe, expect, it } from "vitest";
import { crypto, TestPool, until } from "./pool.js";
import { TestGateway } from "./test-gateway.js";
import type { GatewayWork } from "./work.js";

const FAST = 64;

let stop: (() => Promise<void>) | undefined;
afterEach(async () => {
  await stop?.();
  stop = undefined;
});

/** A pool whose clock the test moves: by hand, or by a second whenever somebody looks at it. */
class Clock {
  ms = 1_000_000;
  runs = false;
  readonly read = (): number => {
    if (this.runs) this.ms += 1000;
    return this.ms;
  };
}

async function start(ceiling: bigint): Promise<{ pool: TestPool; clock: Clock }> {
  const clock = new Clock();
  const options = { minimumDifficultyCeiling: ceiling, gatewaySharesPerMinute: 20 };
  // A handshake's deadline sets how often the timers run; it can't pass while the clock stands.
  const pool = await TestPool.start({ handshakeMs: 20 }, { options, modules: { monotonic: clock.read } });
  stop = () => pool.server.close();
  return { pool, clock };
}

async function mine(gateway: TestGateway, work: GatewayWork, count: number): Promise<void> {
  for (let share = 0; share < count; share++) gateway.send(work.share(share === 0));
  for (let share = 0; share < count; share++) expect(await gateway.next("shareResponse")).toMatchObject({ status: "accepted" });
}

describe("a gateway's minimum", () => {
  it("is raised by a signed configuration that changes nothing else, and what was made before it stays good", async () => {
    const { pool, clock } = await start(16n);
    const gateway = await TestGateway.connect(pool);
    await mine(gateway, await gateway.work(pool), FAST);
    clock.ms += 10_000;
    // 64 in half a minute are 128 a minute; at eight times the difficulty, 16.
    const [first] = gateway.received;
    expect(await gateway.next("configuration")).toEqual({ ...first, minimumDifficulty: 8n });
    expect(pool.server.snapshot()[0]).toMatchObject({ minimumDifficulty: 8n });
    expect(await pool.metric("openprime_minimum_difficulty_changes_total", { direction: "raised" })).toBe(1);
    expect(await pool.metric("openprime_gateway_minimum_difficulty", { log2: "3" })).toBe(1);
    expect(await pool.metric("openprime_gateway_minimum_difficulty", { log2: "0" })).toBe(0);
    await mine(gateway, await gateway.work(pool, { jobId: 1 }), 1);
  });

  it("is kept for the gateway that returns, told to a connection that was configured before it, and lowered when the work ends", async () => {
    const { pool, clock } = await start(16n);
    const longTermKeys = generateLongTermKeys(crypto);
    const first = await TestGateway.connect(pool, { longTermKeys });
    const early = await TestGateway.connect(pool, { longTermKeys });
    await mine(first, await first.work(pool), FAST);
    clock.ms += 10_000;
    expect((await first.next("configuration")).minimumDifficulty).toBe(8n);
    expect(early.received.filter(({ type }) => type === "configuration")).toMatchObject([{ minimumDifficulty: 1n }]);
    await mine(early, await early.work(pool, { jobId: 1 }), 1);
    expect((await early.next("configuration")).minimumDifficulty).toBe(8n);
    early.close();
    await until(() => expect(pool.server.snapshot()).toEqual([]));

    const late = await TestGateway.dial(pool, { longTermKeys });
    late.write(late.channel.hello());
    const configuration = await late.next("configuration");
    expect(configuration.minimumDifficulty).toBe(8n);
    late.primeId = configuration.primeId;
    await mine(late, await late.work(pool, { jobId: 2 }), 1);
    clock.runs = true;
    expect((await late.next("configuration")).minimumDifficulty).toBe(1n);
    clock.runs = false;
    expect(await pool.metric("openprime_minimum_difficulty_changes_total", { direction: "lowered" })).toBe(1);
    expect(pool.server.snapshot()[0]).toMatchObject({ minimumDifficulty: 1n });
  });

  it("never moves without a ceiling over it", async () => {
    const { pool, clock } = await start(1n);
    const gateway = await TestGateway.connect(pool);
    await mine(gateway, await gateway.work(pool), FAST);
    clock.ms += 10_000;
    // The timers have run: they send pings.
    clock.ms += 15_000;
    await gateway.next("ping");
    expect(gateway.received.filter(({ type }) => type === "configuration")).toHaveLength(1);
  });
});
