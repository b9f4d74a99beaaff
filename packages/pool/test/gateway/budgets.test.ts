/** What one gateway may send: budgets make reading wait, throw nothing away, and end what is hopeless. */
import { afterEach, describe, expect, it } from "vitest";
import { SessionBudgets } from "../../src/gateway/budgets.js";
import type { GatewayLimits } from "../../src/gateway/index.js";
import type { OpenedJob } from "../../src/work/index.js";
import { TestPool, until, untilMetric } from "./pool.js";
import { TestGateway } from "./test-gateway.js";
import type { GatewayWork } from "./work.js";

const pools: TestPool[] = [];
/** The steady clock of the pool stands still, so that nothing refills by itself. */
const clock = { now: 0 };
const start = async (limits: Partial<GatewayLimits>, change: Parameters<typeof TestPool.start>[1] = {}): Promise<TestPool> => {
  const pool = await TestPool.start({ idleMs: 1e12, pingMs: 1e12, ...limits }, { modules: { monotonic: () => clock.now }, ...change });
  pools.push(pool);
  return pool;
};

afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.server.close();
});

const answers = (gateway: TestGateway) => gateway.received.filter((message) => message.type === "shareResponse");
const told = (gateway: TestGateway): string[] => gateway.received.flatMap((message) => (message.type === "info" ? [message.text] : []));
const shares = (work: GatewayWork, count: number, change: Parameters<GatewayWork["share"]>[1] = {}) =>
  Array.from({ length: count }, () => work.share(false, change));
const slowed = (pool: TestPool, budget: string): Promise<number> => pool.metric("openprime_gateway_slowed_total", { budget });

async function proven(pool: TestPool): Promise<{ gateway: TestGateway; work: GatewayWork }> {
  const gateway = await TestGateway.connect(pool);
  const work = await gateway.work(pool);
  gateway.send(work.share(true));
  expect(await gateway.next("shareResponse")).toMatchObject({ status: "accepted" });
  return { gateway, work };
}

describe("a gateway over its budget", () => {
  it("of shares is read more slowly, and every share is judged", async () => {
    const pool = await start({ sharesPerSecond: 40 });
    const { gateway, work } = await proven(pool);
    gateway.send(...shares(work, 1205));
    await until(() => expect(answers(gateway)).toHaveLength(1206));
    expect(answers(gateway).every(({ status }) => status === "accepted")).toBe(true);
    expect(await slowed(pool, "shares")).toBe(1);
    expect(told(gateway)).toEqual([expect.stringContaining("more shares than this pool takes")]);
    expect(pool.logs.saying("over its budget")[0]).toMatchObject({ budget: "shares" });
    expect(gateway.isClosed).toBe(false);
  });

  it("of other messages is read more slowly, and each is answered", async () => {
    const pool = await start({ messagesPerSecond: 10 });
    const { gateway } = await proven(pool);
    const ask = { type: "coinbaserRequest", value: 1n, prevhash: new Uint8Array(32) } as const;
    gateway.send(...Array.from({ length: 303 }, () => ask));
    await until(() => expect(gateway.received.filter(({ type }) => type === "coinbaser")).toHaveLength(303));
    expect(await slowed(pool, "messages")).toBe(1);
  });

  it("of bytes is read more slowly; what it was asked for is free", async () => {
    const jobs: OpenedJob[] = [];
    const open = (job: OpenedJob) => {
      jobs.push(job);
      return { id: 1n, state: "sound" as const, why: undefined };
    };
    const pool = await start({ bytesPerSecond: 50_000 }, { templates: { open } });
    const { gateway, work } = await proven(pool);
    const fetched = jobs[0]!.source.fullSet(0, jobs[0]!.jobSerial);
    await gateway.next("fullSetRequest");
    gateway.send({ type: "fullSet", jobId: 0, transactions: Array.from({ length: 20 }, () => new Uint8Array(100_000)) });
    expect(await fetched).toHaveLength(20);
    gateway.send(work.share(false));
    await until(() => expect(answers(gateway)).toHaveLength(2));
    expect(await slowed(pool, "bytes")).toBe(0);
    // 1.5 MB are held: coinbases of 15 kB use them up.
    const big = work.share(true);
    const padded = { ...big, coinbase: { ...big.coinbase!, coinbaseId: 4, coinb2: Buffer.alloc(15_000) } };
    gateway.send(...Array.from({ length: 102 }, () => ({ ...padded, coinbaseId: 4 })));
    await untilMetric(pool, "openprime_gateway_slowed_total", { budget: "bytes" }, 1);
    await until(() => expect(answers(gateway)).toHaveLength(104));
  });

  it("of refused shares is slowed while it has good ones, and closed in words when it has none", async () => {
    const pool = await start({ invalidSharesPerMinute: 600 });
    const { gateway, work } = await proven(pool);
    let sent = 1;
    const bad = async (count: number): Promise<void> => {
      gateway.send(...shares(work, count, { version: 1 }));
      sent += count;
      await until(() => expect(answers(gateway)).toHaveLength(sent));
    };
    // Ten a second, 3000 held.
    await bad(3005);
    expect(await slowed(pool, "invalidShares")).toBe(1);
    clock.now += 110_000;
    gateway.send(work.share(false));
    sent += 1;
    await bad(1100);
    clock.now += 110_000;
    await bad(1100);
    expect(gateway.isClosed).toBe(false);
    expect(await slowed(pool, "invalidShares")).toBe(3);
    clock.now += 15_000;
    gateway.send(...shares(work, 200, { version: 1 }));
    await gateway.closed;
    expect(told(gateway).at(-1)).toContain("none is accepted");
    expect(pool.closings("invalidShares")).toHaveLength(1);
  });

  it("of refused shares is closed at once when none was ever good; a block behind them is not lost", async () => {
    const pool = await start({ invalidSharesPerMinute: 2 });
    const gateway = await TestGateway.connect(pool);
    const bad = await gateway.work(pool);
    gateway.send(bad.share(true, { version: 1 }), ...shares(bad, 10, { version: 1 }));
    await until(() => expect(told(gateway)).toHaveLength(1));
    pool.chain.current = { ...pool.chain.parentOf(Buffer.alloc(32, 3), 101), childBits: 0x207fffff };
    const block = await gateway.work(pool, { jobId: 1 });
    gateway.send(block.share(true));
    await until(() => expect(answers(gateway).at(-1)).toMatchObject({ status: "accepted" }));
    expect(answers(gateway)).toHaveLength(12);
    await until(() => expect(pool.blocks).toHaveLength(1));
    await gateway.closed;
    expect(pool.closings("invalidShares")).toHaveLength(1);
  });

  it("has the same budget on a new connection", async () => {
    const pool = await start({ invalidSharesPerMinute: 10 });
    const { gateway, work } = await proven(pool);
    gateway.send(...shares(work, 50, { version: 1 }));
    await until(() => expect(answers(gateway)).toHaveLength(51));
    expect(await slowed(pool, "invalidShares")).toBe(0);
    const again = await TestGateway.connect(pool, { longTermKeys: gateway.longTermKeys });
    again.send(work.share(true, { version: 1 }), work.share(false, { version: 1 }));
    await untilMetric(pool, "openprime_gateway_slowed_total", { budget: "invalidShares" }, 1);
  });
});

describe("the default budgets", () => {
  const limits = {
    sharesPerSecond: 2000,
    messagesPerSecond: 20,
    bytesPerSecond: 2_000_000,
    invalidSharesPerMinute: 1200,
  } satisfies Partial<GatewayLimits>;

  it("never touch a farm of 10,000 miners, with its refused and stale shares, when blocks come fast", () => {
    const budgets = new SessionBudgets(limits, 0);
    // 8 shares a minute and miner. After each block all of them are stale for five seconds, as when its node is slow; and one in 50 is hashed
    // with another job's sections, all the time.
    const perSecond = Math.ceil((10_000 * 8) / 60);
    const intervals = [600, 10, 30, 60, 300, 1200, 5, 120, 120];
    let now = 0;
    for (const interval of intervals) {
      for (let second = 0; second < interval; second++) {
        now += 1000;
        const stale = second < 5 ? perSecond : 0;
        for (let i = 0; i < 2; i++) expect(budgets.message("messages", 150, now).waitMs).toBe(0);
        for (let i = 0; i < perSecond; i++) {
          if (budgets.message("shares", 400, now).waitMs > 0) throw new Error(`slowed ${second} s after a block`);
        }
        for (let i = 0; i < stale + perSecond / 50; i++) {
          if (budgets.refused(i < stale ? 25 : 21, true, now) !== 0) throw new Error(`slowed for refused shares ${second} s after a block`);
        }
      }
    }
  });

  it("tell what is used up", () => {
    const budgets = new SessionBudgets(limits, 0);
    expect(budgets.message("shares", 60_000_000, 0)).toEqual({ waitMs: 0, budget: "shares" });
    expect(budgets.message("shares", 2000, 0)).toEqual({ waitMs: 1, budget: "bytes" });
    for (let i = 0; i < 1000; i++) expect(budgets.refused(10, false, 0)).toBe(0);
    for (let i = 0; i < 1000; i++) expect(budgets.refused(10, true, 0)).toBe(0);
    expect(budgets.refused(10, true, 0)).toBe(50);
    expect(budgets.refused(25, true, 0)).toBeCloseTo(55);
    expect(budgets.refused(10, false, 0)).toBe("hopeless");
  });
});
