/** A gateway that has splits and mines without them is counted and told; one that lacks a split is not. */
import { afterEach, describe, expect, it } from "vitest";
import { SplitUse } from "../../src/gateway/split-use.js";
import type { Parent } from "../../src/work/index.js";
import { TestPool } from "./pool.js";
import { TestGateway } from "./test-gateway.js";

const MINUTE = 60_000;

describe("SplitUse", () => {
  /** Shares without a split, one a minute from `from` on. @returns the minutes at which the gateway is told */
  function shares(use: SplitUse, from: number, count: number): number[] {
    return Array.from({ length: count }, (_, index) => from + index).filter((minute) => use.passedOver(minute * MINUTE));
  }

  it("looks at shares only where splits have been there for long, and none is used", () => {
    const use = new SplitUse();
    expect(use.overdue(1e12)).toBe(false);
    use.offered(1000);
    use.offered(80_000);
    expect([use.overdue(91_000), use.overdue(91_001)]).toEqual([false, true]);
    use.took();
    expect(use.overdue(1e12)).toBe(false);
    use.offered(200_000);
    expect([use.overdue(290_000), use.overdue(290_001)]).toEqual([false, true]);
  });

  it("tells after ten shares and five minutes, once an hour, for as long as it lasts", () => {
    const use = new SplitUse();
    expect(shares(use, 0, 131)).toEqual([9, 69, 129]);
    expect(use.unused).toBe(131);
    const quick = new SplitUse();
    expect(Array.from({ length: 100 }, (_, index) => quick.passedOver(index)).some(Boolean)).toBe(false);
    expect(quick.passedOver(5 * MINUTE)).toBe(true);
  });

  it("begins anew with a share that has a split", () => {
    const use = new SplitUse();
    shares(use, 0, 9);
    use.took();
    expect(shares(use, 9, 9)).toEqual([]);
    expect(use.ignores(18 * MINUTE)).toBe(false);
    expect(shares(use, 18, 1)).toEqual([18]);
    expect(use.ignores(18 * MINUTE)).toBe(true);
    use.took();
    expect(use.ignores(19 * MINUTE)).toBe(false);
    expect(use.unused).toBe(19);
  });
});

describe("through the wire", () => {
  const VALUE = 5_000_000_000n;
  const pools: TestPool[] = [];
  afterEach(async () => {
    for (const pool of pools.splice(0)) await pool.server.close();
  });

  /** A pool whose steady clock the test moves on by minutes. */
  async function start(): Promise<{ pool: TestPool; gateway: TestGateway; pass: (minutes: number) => void }> {
    let passed = 0;
    const pool = await TestPool.start({ idleMs: 1e12, stalledMs: 1e12 }, { modules: { monotonic: () => performance.now() + passed } });
    pools.push(pool);
    const gateway = await TestGateway.connect(pool);
    return {
      pool,
      gateway,
      pass: (minutes) => {
        passed += minutes * MINUTE;
      },
    };
  }

  async function ask(gateway: TestGateway, parent: Parent, value = VALUE): Promise<void> {
    gateway.send({ type: "coinbaserRequest", value, prevhash: parent.hash });
    await gateway.next("coinbaser");
  }

  it("a gateway that never takes its split is told so, and shown", async () => {
    const { pool, gateway, pass } = await start();
    const work = await gateway.work(pool, { value: VALUE });
    await ask(gateway, pool.chain.current);
    for (let i = 0; i < 12; i++) {
      gateway.send(work.share(i === 0));
      expect(await gateway.next("shareResponse")).toMatchObject({ status: "accepted" });
      pass(1);
    }
    expect((await gateway.next("info")).text).toMatch(/mines without them/);
    // The shares of the first two minutes may have been made before the split came.
    expect(pool.server.snapshot()[0]).toMatchObject({ accepted: 12, splitUnused: 10, ignoresSplit: true });
    expect(await pool.metric("openprime_split_unused_shares_total")).toBe(10);
    expect(await pool.metric("openprime_split_ignored_total")).toBe(1);
    expect(pool.logs.saying("takes no split")).toHaveLength(1);
  });

  it("one share that pays the split is enough", async () => {
    const { pool, gateway, pass } = await start();
    gateway.send({ type: "coinbaserRequest", value: VALUE, prevhash: pool.chain.current.hash });
    const split = await gateway.next("coinbaser");
    const early = await gateway.work(pool, { value: VALUE });
    const paying = await gateway.work(pool, { value: VALUE, jobId: 1, split });
    for (let i = 0; i < 12; i++) {
      pass(1);
      const work = i === 8 ? paying : early;
      gateway.send(work.share(i === 0 || i === 8));
      expect(await gateway.next("shareResponse")).toMatchObject({ status: "accepted" });
    }
    // Minutes 2 to 8; from then on it has used all that it was given.
    expect(pool.server.snapshot()[0]).toMatchObject({ accepted: 12, splitUnused: 7, ignoresSplit: false });
    expect(pool.appended.map(({ splitId }) => splitId).filter((id) => id !== undefined)).toEqual([5n]);
  });

  it.each([
    ["another value", VALUE + 1n, 2],
    ["its value, with nobody in it", VALUE, 0],
  ])("a gateway that has a split for %s lacks one", async (_, value, payees) => {
    const { pool, gateway, pass } = await start();
    pool.splitSize = payees;
    const work = await gateway.work(pool, { value: VALUE });
    await ask(gateway, pool.chain.current, value);
    for (let i = 0; i < 12; i++) {
      pass(1);
      gateway.send(work.share(i === 0));
      await gateway.next("shareResponse");
    }
    expect(pool.server.snapshot()[0]).toMatchObject({ accepted: 12, splitUnused: 0, ignoresSplit: false });
    expect(gateway.received.some(({ type }) => type === "info")).toBe(false);
  });
});
