/** What a gateway in good order sees of the pool. */
import { afterEach, describe, expect, it } from "vitest";
import { TestPool, until, untilMetric } from "./pool.js";
import { RawClient, TestGateway } from "./test-gateway.js";
import { MINER, MINER_SCRIPT, POOL_SCRIPT, TAG } from "./work.js";

const pools: TestPool[] = [];
const start = async (...given: Parameters<typeof TestPool.start>): Promise<TestPool> => {
  const pool = await TestPool.start(...given);
  pools.push(pool);
  return pool;
};

afterEach(async () => {
  for (const pool of pools.splice(0)) {
    pool.commit();
    await pool.server.close();
  }
});

const PREVHASH = new Uint8Array(32).fill(9);

describe("handshake", () => {
  it("is answered, and followed by the configuration", async () => {
    const pool = await start();
    const gateway = await TestGateway.connect(pool, { version: "v0.4.1-beta/abc\u0007" });
    expect(gateway.motd).toBe("hello from the test");
    expect(gateway.received).toEqual([
      {
        type: "configuration",
        payoutScript: expect.objectContaining({ length: POOL_SCRIPT.length }),
        primeId: 0xabc00001,
        tag: expect.objectContaining({ length: TAG.length }),
        minimumDifficulty: 1n,
      },
    ]);
    expect(await pool.metric("openprime_handshakes_total", { outcome: "accepted" })).toBe(1);
    expect(await pool.metric("openprime_gateway_connections", { state: "open" })).toBe(1);
    expect(pool.logs.saying("handshake")[0]).toMatchObject({ version: "v0.4.1-beta/abc?", primeId: 0xabc00001, session: "1" });
  });

  it("works over IPv6", async () => {
    const pool = await start({}, { host: "::1" });
    expect((await TestGateway.connect(pool)).primeId).toBe(0xabc00001);
    expect(pool.server.snapshot()[0]!.address).toBe("::1");
  });

  it("works in single bytes", async () => {
    const pool = await start();
    const gateway = await TestGateway.dial(pool);
    for (const byte of gateway.channel.hello()) {
      await new Promise<void>((resolve) => gateway.socket.write(Uint8Array.of(byte), () => resolve()));
    }
    expect((await gateway.next("configuration")).primeId).toBe(0xabc00001);
  });

  it("gives every gateway its own prime id", async () => {
    const pool = await start();
    const ids = await Promise.all([1, 2, 3].map(async () => (await TestGateway.connect(pool)).primeId));
    expect(new Set(ids).size).toBe(3);
  });

  it("whose session can't be loaded is closed, and the next works", async () => {
    const pool = await start();
    pool.nextSession = () => Promise.reject(new Error("no database"));
    const gateway = await TestGateway.dial(pool);
    gateway.write(gateway.channel.hello());
    await gateway.closed;
    expect(pool.closings("sessionUnavailable")).toHaveLength(1);
    await untilMetric(pool, "openprime_handshakes_total", { outcome: "sessionUnavailable" }, 1);
    pool.nextSession = undefined;
    expect((await TestGateway.connect(pool)).primeId).toBeGreaterThan(0);
  });

  it("handles nothing before the session is loaded, and all of it after", async () => {
    const pool = await start();
    let load: () => void = () => undefined;
    pool.nextSession = () =>
      new Promise((resolve) => {
        load = () => resolve({ id: 1n, primeId: 5, splits: [] });
      });
    const gateway = await TestGateway.dial(pool);
    gateway.write(gateway.channel.hello());
    await until(() => expect(pool.opened).toHaveLength(1));
    expect(await pool.metric("openprime_gateway_connections", { state: "opening" })).toBe(1);
    expect(gateway.received).toEqual([]);
    load();
    expect((await gateway.next("configuration")).primeId).toBe(5);
  });
});

describe("coinbaser requests", () => {
  it("are answered in order, each with its value and an id of its own", async () => {
    const pool = await start();
    const gateway = await TestGateway.connect(pool);
    const values = [312_500_000n, 312_500_001n, 312_500_002n];
    gateway.send(...values.map((value) => ({ type: "coinbaserRequest" as const, value, prevhash: PREVHASH })));
    const answers = [];
    for (const _ of values) answers.push(await gateway.next("coinbaser"));
    expect(answers.map((answer) => answer.value)).toEqual(values);
    expect(new Set(answers.map((answer) => answer.coinbaserId)).size).toBe(3);
    expect(answers[0]!.outputs.map((output) => [output.value, Buffer.from(output.script)])).toEqual([
      [1000n, MINER_SCRIPT],
      [1001n, MINER_SCRIPT],
    ]);
    expect(await pool.metric("openprime_coinbaser_requests_total", { result: "split" })).toBe(3);
  });

  it("over the budget get an empty list of their value", async () => {
    const pool = await start({ coinbaserBurst: 2, coinbaserPerSecond: 0 });
    const gateway = await TestGateway.connect(pool);
    gateway.send(...[1n, 2n, 3n].map((value) => ({ type: "coinbaserRequest" as const, value, prevhash: PREVHASH })));
    const sizes = [];
    for (const value of [1n, 2n, 3n]) {
      const answer = await gateway.next("coinbaser");
      expect(answer.value).toBe(value);
      expect(answer.coinbaserId).toBeGreaterThan(0);
      sizes.push(answer.outputs.length);
    }
    expect(sizes).toEqual([2, 2, 0]);
    expect(pool.logs.saying("over the budget")).toHaveLength(1);
    expect(await pool.metric("openprime_coinbaser_requests_total", { result: "overBudget" })).toBe(1);
  });

  it("get an empty list when none can be made, or there is nobody to pay", async () => {
    const pool = await start();
    const gateway = await TestGateway.connect(pool);
    const ask = async (value: bigint): Promise<number> => {
      gateway.send({ type: "coinbaserRequest", value, prevhash: PREVHASH });
      const answer = await gateway.next("coinbaser");
      expect(answer.value).toBe(value);
      return answer.outputs.length;
    };
    pool.splitFails = true;
    expect(await ask(7n)).toBe(0);
    expect(pool.logs.saying("no split could be made")).toHaveLength(1);
    pool.splitFails = false;
    pool.splitSize = 0;
    expect(await ask(8n)).toBe(0);
    pool.splitSize = 2;
    expect(await ask(9n)).toBe(2);
  });
});

describe("shares", () => {
  it("are answered after their commit, in the order of the commits", async () => {
    const pool = await start();
    pool.holding = true;
    const gateway = await TestGateway.connect(pool);
    const work = await gateway.work(pool);
    const shares = [work.share(true), work.share(false), work.share(false)];
    gateway.send(...shares);
    await until(() => expect(pool.held).toHaveLength(3));
    // What is asked after them is answered before, so nothing was answered that waits for a commit.
    gateway.send({ type: "coinbaserRequest", value: 1n, prevhash: PREVHASH });
    await gateway.next("coinbaser");
    expect(gateway.received.some((message) => message.type === "shareResponse")).toBe(false);
    pool.commit();
    for (const share of shares) {
      expect(await gateway.next("shareResponse")).toEqual({
        type: "shareResponse",
        status: "accepted",
        reason: 0,
        nonce: share.nonce,
        targetByte: 0,
        jobId: 0,
      });
    }
    expect(await pool.metric("openprime_shares_total", { result: "accepted" })).toBe(3);
    expect(await pool.metric("openprime_share_ack_seconds")).toBeGreaterThan(0);
  });

  it("on a parent the node does not know are accepted tentatively", async () => {
    const pool = await start();
    const gateway = await TestGateway.connect(pool);
    const parent = pool.chain.parentOf(Buffer.alloc(32, 1), 101);
    const work = await gateway.work(pool, { parent });
    gateway.send(work.share(true));
    expect(await gateway.next("shareResponse")).toMatchObject({ status: "tentative", reason: 0 });
    expect(pool.server.snapshot()[0]).toMatchObject({ accepted: 0, tentative: 1 });
  });

  it("that the database knows already are duplicates; those it could not store may come again", async () => {
    const pool = await start();
    const gateway = await TestGateway.connect(pool);
    const work = await gateway.work(pool);
    const answer = async (share: ReturnType<typeof work.share>): Promise<number> => {
      gateway.send(share);
      return (await gateway.next("shareResponse")).reason;
    };
    const first = work.share(true);
    expect(await answer(first)).toBe(0);
    expect(await answer(first)).toBe(29);
    pool.outcome = "duplicate";
    expect(await answer(work.share(false))).toBe(29);
    pool.outcome = "failed";
    const again = work.share(false);
    expect(await answer(again)).toBe(30);
    pool.full = true;
    expect(await answer(again)).toBe(30);
    pool.full = false;
    pool.outcome = "committed";
    expect(await answer(again)).toBe(0);
    expect(pool.logs.saying("takes no more")).toHaveLength(1);
    expect(pool.server.snapshot()[0]).toMatchObject({ accepted: 2, refusedByReason: { 29: 2, 30: 2 } });
  });

  it("of a connection that has gone are committed and counted, their answers dropped", async () => {
    const pool = await start();
    pool.holding = true;
    const gateway = await TestGateway.connect(pool);
    gateway.send((await gateway.work(pool)).share(true));
    await until(() => expect(pool.held).toHaveLength(1));
    gateway.close();
    await until(() => expect(pool.server.connectionCount).toBe(0));
    pool.commit();
    expect(await pool.metric("openprime_answers_dropped_total")).toBe(1);
    expect(await pool.metric("openprime_shares_total", { result: "accepted" })).toBe(1);
  });

  it("past the bound of unanswered ones wait in the socket", async () => {
    const pool = await start({ pendingShares: 4 });
    pool.holding = true;
    const gateway = await TestGateway.connect(pool);
    const work = await gateway.work(pool);
    const shares = Array.from({ length: 10 }, (_, index) => work.share(index === 0));
    gateway.send(...shares);
    await until(() => expect(pool.held).toHaveLength(4));
    // Two answered make half: then the rest is read, up to the bound again.
    pool.held.shift()!("committed");
    pool.held.shift()!("committed");
    await until(() => expect(pool.held).toHaveLength(4));
    pool.holding = false;
    pool.commit();
    for (const share of shares) expect((await gateway.next("shareResponse")).nonce).toBe(share.nonce);
  });
});

describe("a connection", () => {
  it("is pinged after silence", async () => {
    const pool = await start({ pingMs: 20 });
    const gateway = await TestGateway.connect(pool);
    await gateway.next("ping");
    await gateway.next("ping");
    expect(gateway.isClosed).toBe(false);
  });

  it("that says nothing for too long is closed", async () => {
    const pool = await start({ idleMs: 30, pingMs: 20 });
    const gateway = await TestGateway.connect(pool);
    await gateway.closed;
    expect(pool.closings("idle")).toHaveLength(1);
    expect(await pool.metric("openprime_gateway_closed_total", { reason: "idle" })).toBe(1);
  });

  it("that does not read is closed, and others keep being answered", async () => {
    const pool = await start({ queuedBytes: 100_000, coinbaserBurst: 1e9 });
    pool.splitSize = 512;
    const slow = await TestGateway.connect(pool);
    slow.socket.pause();
    const healthy = await TestGateway.connect(pool);
    const ask = { type: "coinbaserRequest", value: 1n, prevhash: PREVHASH } as const;
    let refused = false;
    await until(async () => {
      if (!refused && !slow.socket.destroyed) slow.send(ask, ask, ask, ask, ask, ask, ask, ask, ask, ask);
      refused = pool.closings("slowReader").length > 0;
      healthy.send(ask);
      await healthy.next("coinbaser");
      expect(refused).toBe(true);
    });
    expect(pool.closings("slowReader")).toHaveLength(1);
  });

  it("that stays unread below the bound is closed after a time", async () => {
    const pool = await start({ queuedBytes: 1e9, stalledMs: 40, coinbaserBurst: 1e9 });
    pool.splitSize = 512;
    const slow = await TestGateway.connect(pool);
    slow.socket.pause();
    const ask = { type: "coinbaserRequest", value: 1n, prevhash: PREVHASH } as const;
    slow.send(...Array.from({ length: 1000 }, () => ask));
    await until(() => expect(pool.closings("slowReader")).toHaveLength(1));
    expect(pool.closings("slowReader")[0]).toMatchObject({ stalledMs: expect.any(Number) });
  });
});

describe("limits", () => {
  it("turn away connections past the total", async () => {
    const pool = await start({ connections: 1 });
    const gateway = await TestGateway.connect(pool);
    const other = await RawClient.connect(pool);
    await other.closed;
    expect(await pool.metric("openprime_handshakes_total", { outcome: "tooManyConnections" })).toBe(1);
    expect(pool.logs.saying("tooManyConnections")).toHaveLength(1);
    gateway.close();
    await until(() => expect(pool.server.connectionCount).toBe(0));
    expect((await TestGateway.connect(pool)).primeId).toBeGreaterThan(0);
  });

  it("turn away connections past an address's share", async () => {
    const pool = await start({ connectionsPerAddress: 2 });
    const first = await TestGateway.connect(pool);
    await TestGateway.connect(pool);
    await (await RawClient.connect(pool)).closed;
    expect(await pool.metric("openprime_handshakes_total", { outcome: "tooManyFromAddress" })).toBe(1);
    first.close();
    await until(() => expect(pool.server.connectionCount).toBe(1));
    await TestGateway.connect(pool);
  });
});

describe("snapshot", () => {
  it("tells what each gateway did", async () => {
    const pool = await start();
    const gateway = await TestGateway.connect(pool);
    expect(pool.server.snapshot()[0]).toMatchObject({ proven: false, workerCount: 0 });
    const work = await gateway.work(pool);
    gateway.send(work.share(true), work.share(false, { username: Buffer.from(`${MINER}.rig`) }), work.share(false, { jobId: 7 }));
    for (let i = 0; i < 3; i++) await gateway.next("shareResponse");
    const [row] = pool.server.snapshot();
    expect(row).toMatchObject({
      sessionId: 1n,
      primeId: gateway.primeId,
      version: "v0.4.1-beta/test",
      address: "127.0.0.1",
      proven: true,
      accepted: 2,
      tentative: 0,
      refusedByReason: { 10: 1 },
      acceptedWeight: 2n,
      recentWeight: 2,
      workerCount: 2,
    });
    expect(row!.keyPrefix).toMatch(/^[0-9a-f]{16}$/);
    expect(row!.workers.map((worker) => worker.name).sort()).toEqual([MINER, `${MINER}.rig`]);
    // Less is made where less is asked for.
    expect(pool.server.snapshot({ workers: 0 })).toMatchObject([{ accepted: 2, workerCount: 2, workers: [] }]);
    expect(pool.server.snapshot({ workers: 1 })[0]!.workers).toHaveLength(1);
    const other = await TestGateway.connect(pool);
    expect(pool.server.snapshot()).toHaveLength(2);
    expect(pool.server.snapshot({ most: 1 })).toMatchObject([{ primeId: gateway.primeId }]);
    // The other one has not proved itself.
    expect(pool.server.totals()).toMatchObject({ gateways: 1, workers: 2 });
    expect(pool.server.totals().weightPerSecond).toBeGreaterThan(0);
    other.close();
    gateway.close();
    await until(() => expect(pool.server.snapshot()).toEqual([]));
  });
});

describe("close", () => {
  it("answers what waits for its commit, then ends", async () => {
    const pool = await start();
    pool.holding = true;
    const gateway = await TestGateway.connect(pool);
    const idle = await RawClient.connect(pool);
    gateway.send((await gateway.work(pool)).share(true));
    await until(() => expect(pool.held).toHaveLength(1));
    let ended = false;
    const closing = pool.server.close().then(() => {
      ended = true;
    });
    await idle.closed;
    expect(ended).toBe(false);
    expect(gateway.isClosed).toBe(false);
    pool.commit();
    expect(await gateway.next("shareResponse")).toMatchObject({ status: "accepted" });
    await closing;
    await gateway.closed;
    await expect(RawClient.connect(pool)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  it("does not wait for ever", async () => {
    const pool = await start({ closeMs: 20 });
    pool.holding = true;
    const gateway = await TestGateway.connect(pool);
    gateway.send((await gateway.work(pool)).share(true));
    await until(() => expect(pool.held).toHaveLength(1));
    await pool.server.close();
    await gateway.closed;
    expect(pool.logs.saying("gateways cut off")).toHaveLength(1);
  });
});
