/** Who is told of a new tip (0xF9), and who is not; and work on the one before. */
import { afterEach, describe, expect, it } from "vitest";
import type { Parent } from "../../src/work/index.js";
import { TestPool } from "./pool.js";
import { TestGateway } from "./test-gateway.js";

const pools: TestPool[] = [];
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.server.close();
});

/** A pool whose gateways are told in the order in which they connected, the last one after `tipSpreadMs`. */
async function start(gateways: number, tipSpreadMs = 50): Promise<TestPool> {
  let turn = 0;
  const pool = await TestPool.start(
    { tipSpreadMs },
    { modules: { random: () => (gateways === 1 ? 1 : (turn++ % gateways) / (gateways - 1)) } },
  );
  pools.push(pool);
  return pool;
}

function advance(pool: TestPool, fill: number, height = pool.chain.current.height + 1): Parent {
  const before = pool.chain.current;
  pool.chain.others.set(Buffer.from(before.hash).toString("hex"), before);
  before.state = "stale";
  if (height > before.height) before.staleSince = Date.now();
  pool.chain.current = pool.chain.parentOf(Buffer.alloc(32, fill), height);
  return pool.chain.current;
}

const told = (gateway: TestGateway): number => gateway.received.filter(({ type }) => type === "blockNotify").length;

/** Whatever the pool had to say before is there when it resolves. */
async function roundTrip(gateway: TestGateway, pool: TestPool): Promise<void> {
  gateway.send({ type: "coinbaserRequest", value: 1n, prevhash: pool.chain.current.hash });
  await gateway.next("coinbaser");
}

async function share(gateway: TestGateway, pool: TestPool, parent = pool.chain.current): Promise<void> {
  gateway.send((await gateway.work(pool, { parent })).share(true));
  await gateway.next("shareResponse");
}

describe("a new tip", () => {
  it("is told to the gateways that are not on it, by their last job or their last question", async () => {
    const pool = await start(4);
    const [idle, working, asking, last] = await Promise.all([1, 2, 3, 4].map(() => TestGateway.connect(pool)));
    for (const gateway of [working!, asking!, last!]) await share(gateway, pool);
    const tip = advance(pool, 2);
    await share(working!, pool);
    await roundTrip(asking!, pool);
    pool.server.newTip(tip);
    for (const gateway of [idle!, last!]) await gateway.next("blockNotify");
    for (const gateway of [working!, asking!]) await roundTrip(gateway, pool);
    expect([idle!, working!, asking!, last!].map(told)).toEqual([1, 0, 0, 1]);
    expect(await pool.metric("openprime_block_notifies_total", { outcome: "sent" })).toBe(2);
    expect(await pool.metric("openprime_block_notifies_total", { outcome: "needless" })).toBe(2);
  });

  it("is not told to a gateway whose work on it comes meanwhile", async () => {
    const pool = await start(1, 1000);
    const [first, second] = [await TestGateway.connect(pool), await TestGateway.connect(pool)];
    const tip = advance(pool, 2);
    // Both after one second.
    pool.server.newTip(tip);
    await share(first, pool);
    await second.next("blockNotify");
    await roundTrip(first, pool);
    expect(told(first)).toBe(0);
  });

  it("that the chain leaves at once is not told, and each gateway gets one word", async () => {
    const pool = await start(1);
    const gateway = await TestGateway.connect(pool);
    const before = advance(pool, 2);
    pool.server.newTip(before);
    const after = advance(pool, 3);
    pool.server.newTip(after);
    pool.server.newTip(after);
    await gateway.next("blockNotify");
    const other = await TestGateway.connect(pool);
    pool.server.newTip(advance(pool, 4));
    await other.next("blockNotify");
    await gateway.next("blockNotify");
    expect(told(gateway)).toBe(2);
  });

  it("that goes back is told only to those who had followed it", async () => {
    const pool = await start(2);
    const [stayed, followed] = [await TestGateway.connect(pool), await TestGateway.connect(pool)];
    const first = pool.chain.current;
    for (const gateway of [stayed, followed]) await share(gateway, pool);
    advance(pool, 2, first.height);
    await share(followed, pool);
    pool.chain.current.state = "stale";
    first.state = "tip";
    pool.chain.current = first;
    pool.server.newTip(first);
    await followed.next("blockNotify");
    await roundTrip(stayed, pool);
    expect(told(stayed)).toBe(0);
  });

  it("is not told to a gateway that has left", async () => {
    const pool = await start(2);
    const [first, second] = [await TestGateway.connect(pool), await TestGateway.connect(pool)];
    pool.server.newTip(advance(pool, 2));
    first.close();
    await second.next("blockNotify");
    expect(pool.logs.saying("fault of ours")).toEqual([]);
  });
});

describe("work on the block before", () => {
  it("is taken for the grace time and counted apart", async () => {
    const pool = await start(1);
    const gateway = await TestGateway.connect(pool);
    const before = pool.chain.current;
    await share(gateway, pool);
    advance(pool, 2);
    before.staleSince = Date.now() + 60_000;
    gateway.send((await gateway.work(pool, { parent: before })).share(true, { ntime: Math.floor(Date.now() / 1000) + 9 }));
    expect(await gateway.next("shareResponse")).toMatchObject({ status: "accepted" });
    before.staleSince = 0;
    gateway.send((await gateway.work(pool, { parent: before })).share(true, { ntime: Math.floor(Date.now() / 1000) + 19 }));
    expect(await gateway.next("shareResponse")).toMatchObject({ status: "rejected", reason: 25 });
    expect(await pool.metric("openprime_late_shares_total")).toBe(1);
    expect(pool.server.snapshot()[0]).toMatchObject({ accepted: 2, late: 1, refusedByReason: { 25: 1 } });
  });
});
