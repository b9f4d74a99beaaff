/** Found blocks and the transactions asked of a gateway. */
import { randomBytes } from "node:crypto";
import { merkleRoot, parseTransaction, sha256d } from "@openprime/bitcoin";
import { afterEach, describe, expect, it } from "vitest";
import { TestPool, until } from "./pool.js";
import { TestGateway } from "./test-gateway.js";

const pools: TestPool[] = [];
const EASY_BITS = 0x207fffff;

afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.server.close();
});

async function start(...given: Parameters<typeof TestPool.start>): Promise<TestPool> {
  const pool = await TestPool.start(...given);
  pools.push(pool);
  pool.chain.current = { ...pool.chain.current, childBits: EASY_BITS };
  return pool;
}

function transaction(size: number): Uint8Array {
  const script = randomBytes(size);
  const length = Buffer.alloc(5, 0xfe);
  length.writeUInt32LE(size, 1);
  return Buffer.concat([
    Buffer.from("0100000001", "hex"),
    randomBytes(36),
    Buffer.from("00ffffffff", "hex"),
    Buffer.from("01e803000000000000", "hex"),
    length,
    script,
    Buffer.alloc(4),
  ]);
}

const BIG = [transaction(1_200_000), transaction(900_000), transaction(70_000)];

/** A gateway that has just found a block with three big transactions. */
async function found(pool: TestPool): Promise<TestGateway> {
  const gateway = await TestGateway.connect(pool);
  gateway.send((await gateway.work(pool, { transactions: BIG })).share(true));
  await gateway.next("shareResponse");
  expect(pool.blocks).toHaveLength(1);
  return gateway;
}

describe("a found block", () => {
  it("goes to the chain before its share goes to the log", async () => {
    const pool = await start();
    const gateway = await TestGateway.connect(pool);
    gateway.send((await gateway.work(pool)).share(true));
    expect(await gateway.next("shareResponse")).toMatchObject({ status: "accepted" });
    expect(pool.events).toEqual(["block", "append"]);
    expect(pool.blocks[0]!.candidate).toMatchObject({ jobId: 0, transactionCount: 0, height: 101, sessionId: 1n });
    expect(pool.logs.saying("block found")).toHaveLength(1);
  });

  it("goes to the chain also when its share is refused", async () => {
    const pool = await start();
    const gateway = await TestGateway.connect(pool);
    const work = await gateway.work(pool, { username: Buffer.from("nobody") });
    gateway.send(work.share(true));
    expect(await gateway.next("shareResponse")).toMatchObject({ status: "rejected", reason: 14 });
    expect(pool.blocks).toHaveLength(1);
    pool.chain.current = { ...pool.chain.parentOf(Buffer.alloc(32, 3), 101), childBits: EASY_BITS };
    const stale = pool.blocks[0]!.candidate.parent as { state: string; staleSince: number };
    stale.state = "stale";
    stale.staleSince = 0;
    gateway.send(work.share(false, { username: Buffer.from("tb1qfakfafakfafakfafakfafakfafakfafakfaf") }));
    await gateway.next("shareResponse");
    expect(pool.blocks).toHaveLength(2);
  });

  it("sent over and over goes to the chain each time, and to the log a few times", async () => {
    const pool = await start();
    const gateway = await TestGateway.connect(pool);
    const share = (await gateway.work(pool)).share(true);
    gateway.send(...Array.from({ length: 100 }, () => share));
    await until(() => expect(pool.blocks).toHaveLength(100));
    // 20 a minute, and the minute may end meanwhile.
    expect(pool.logs.saying("block found").length).toBeLessThanOrEqual(40);
  });

  it("does not keep its share from being answered when the chain fails", async () => {
    const pool = await start(
      {},
      {
        modules: {
          blocks: {
            found: () => {
              throw new Error("of no use");
            },
          },
        },
      },
    );
    const gateway = await TestGateway.connect(pool);
    gateway.send((await gateway.work(pool)).share(true));
    expect(await gateway.next("shareResponse")).toMatchObject({ status: "accepted" });
    expect(pool.logs.saying("could not be handed on")).toHaveLength(1);
  });
});

describe("its transactions", () => {
  it("are asked of the gateway, megabytes of them, and give the header's root", async () => {
    const pool = await start();
    const gateway = await found(pool);
    const { candidate, fetch } = pool.blocks[0]!;
    const fetched = fetch();
    expect(await gateway.next("fullSetRequest")).toEqual({ type: "fullSetRequest", jobId: 0 });
    gateway.send({ type: "fullSet", jobId: 0, transactions: BIG });
    const transactions = await fetched;
    const root = merkleRoot([sha256d(candidate.coinbase), ...transactions.map((raw) => parseTransaction(raw).txid)]);
    expect(Buffer.from(root).equals(Buffer.from(candidate.header.subarray(36, 68)))).toBe(true);
    expect(await pool.metric("openprime_gateway_questions_total", { kind: "fullSet", outcome: "answered" })).toBe(1);
    // The big frame was let in once: unasked it ends the connection.
    gateway.send({ type: "fullSet", jobId: 0, transactions: BIG });
    await gateway.closed;
    expect(pool.closings("protocolError")).toEqual([expect.objectContaining({ code: "frameTooLarge" })]);
  });

  it("are not had when the gateway has none, and the connection goes on", async () => {
    const pool = await start();
    const gateway = await found(pool);
    const fetched = pool.blocks[0]!.fetch();
    await gateway.next("fullSetRequest");
    gateway.send({ type: "fullSet", jobId: 0, error: "noTemplate", transactions: [] });
    await expect(fetched).rejects.toMatchObject({ code: "noTemplate" });
    gateway.send({ type: "coinbaserRequest", value: 1n, prevhash: new Uint8Array(32) });
    await gateway.next("coinbaser");
  });

  it("are not had when the slot was filled anew meanwhile", async () => {
    const pool = await start();
    const gateway = await found(pool);
    const fetched = pool.blocks[0]!.fetch();
    await gateway.next("fullSetRequest");
    const other = await gateway.work(pool, { transactions: BIG.slice(0, 1) });
    gateway.send(other.share(true), { type: "fullSet", jobId: 0, transactions: BIG.slice(0, 1) });
    await expect(fetched).rejects.toMatchObject({ code: "slotRefilled" });
  });

  it("are not had in time, or when the gateway leaves", async () => {
    const pool = await start({ transactionsMs: 200 });
    const gateway = await found(pool);
    await expect(pool.blocks[0]!.fetch()).rejects.toMatchObject({ code: "timeout" });
    // Late, but asked for.
    gateway.send({ type: "fullSet", jobId: 0, transactions: BIG });
    gateway.send({ type: "coinbaserRequest", value: 1n, prevhash: new Uint8Array(32) });
    await gateway.next("coinbaser");
    expect(await pool.metric("openprime_gateway_questions_total", { kind: "fullSet", outcome: "timeout" })).toBe(1);
    gateway.close();
    await until(() => expect(pool.server.connectionCount).toBe(0));
    await expect(pool.blocks[0]!.fetch()).rejects.toMatchObject({ code: "disconnected" });
  });

  it("are asked of the connection that the gateway has now", async () => {
    const pool = await start();
    const first = await found(pool);
    first.close();
    await until(() => expect(pool.server.connectionCount).toBe(0));
    const second = await TestGateway.connect(pool, { longTermKeys: first.longTermKeys });
    second.send({ type: "coinbaserRequest", value: 1n, prevhash: new Uint8Array(32) });
    await second.next("coinbaser");
    const fetched = pool.blocks[0]!.fetch();
    await second.next("fullSetRequest");
    second.send({ type: "fullSet", jobId: 0, transactions: BIG });
    expect(await fetched).toHaveLength(3);
  });
});
