/** Frames up to their limit and over it, and what a connection can make the pool hold. */
import { DEFAULT_MAX_PAYLOAD, LARGEST_PAYLOAD } from "@openprime/datum";
import { afterEach, describe, expect, it } from "vitest";
import type { OpenedJob } from "../../src/work/index.js";
import { TestPool, until, untilMetric } from "./pool.js";
import { RawClient, TestGateway } from "./test-gateway.js";

const pools: TestPool[] = [];
const start = async (...given: Parameters<typeof TestPool.start>): Promise<TestPool> => {
  const pool = await TestPool.start(...given);
  pools.push(pool);
  return pool;
};

afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.server.close();
});

const SHORT_IDS = 128 * 1024;
const ask = { type: "coinbaserRequest", value: 1n, prevhash: new Uint8Array(32) } as const;

/** The header of a due frame, saying another length. */
function headerSaying(gateway: TestGateway, length: number): Uint8Array {
  const frame = gateway.channel.send(ask);
  const header = Buffer.from(frame.subarray(0, 4));
  header.writeUInt32LE((header.readUInt32LE(0) ^ (frame.length - 4) ^ length) >>> 0, 0);
  return header;
}

type Asked = "nothing" | "shortIds" | "fullSet";

/** A gateway with a job, of which the pool has asked for that. */
async function asked(what: Asked): Promise<{ pool: TestPool; gateway: TestGateway }> {
  const jobs: OpenedJob[] = [];
  const open = (job: OpenedJob) => {
    jobs.push(job);
    return { id: 1n, state: "sound" as const, why: undefined };
  };
  const pool = await start({}, { templates: { open } });
  const gateway = await TestGateway.connect(pool);
  gateway.send((await gateway.work(pool)).share(true));
  await gateway.next("shareResponse");
  const { source, jobSerial } = jobs[0]!;
  if (what === "shortIds") source.shortIds(0, jobSerial).catch(() => undefined);
  if (what === "fullSet") source.fullSet(0, jobSerial).catch(() => undefined);
  if (what !== "nothing") await gateway.next(`${what}Request`);
  return { pool, gateway };
}

describe("a frame", () => {
  it.each<[Asked, number]>([
    ["nothing", DEFAULT_MAX_PAYLOAD],
    ["shortIds", SHORT_IDS],
    ["fullSet", LARGEST_PAYLOAD],
  ])("of the limit is waited for, where the pool has asked for %s (%i bytes)", async (what, limit) => {
    const { pool, gateway } = await asked(what);
    gateway.write(headerSaying(gateway, limit));
    gateway.socket.write(Buffer.alloc(limit));
    await gateway.closed;
    // It came whole, and its MAC is the first thing that is wrong with it.
    expect(pool.closings("protocolError")[0]).toMatchObject({ code: "badMac" });
  });

  it.each<[Asked, number]>([
    ["nothing", DEFAULT_MAX_PAYLOAD],
    ["shortIds", SHORT_IDS],
  ])("of one byte more is refused by its header, where the pool has asked for %s (%i bytes)", async (what, limit) => {
    const { pool, gateway } = await asked(what);
    gateway.write(headerSaying(gateway, limit + 1));
    await gateway.closed;
    expect(pool.closings("protocolError")[0]).toMatchObject({ code: "frameTooLarge" });
  });

  it("too short or too long for a HELLO is refused by its header, before anything is opened", async () => {
    const pool = await start();
    // The header of a HELLO is 0xd7871829 XOR its length.
    for (const length of [0, 47, 246, 1000]) {
      const header = Buffer.alloc(4);
      header.writeUInt32LE((0xd7871829 ^ length) >>> 0, 0);
      await (await RawClient.connect(pool, header)).closed;
    }
    const codes = pool.closings("protocolError").map(({ code }) => code);
    expect(codes).toEqual(["unexpectedFrame", "unexpectedFrame", "helloMalformed", "frameTooLarge"]);
  });
});

describe("memory", () => {
  /** As docs/operators.md states it. */
  const MOST = 500_000;

  it("of a connection is bounded, whatever the peer sends and does not read", async () => {
    const pool = await start({ coinbaserBurst: 1e9, messagesPerSecond: 1e6, stalledMs: 60_000 });
    pool.splitSize = 500;
    const held: number[] = [];
    const gateways = await Promise.all(Array.from({ length: 8 }, () => TestGateway.connect(pool)));
    for (const gateway of gateways) {
      gateway.socket.pause();
      // Questions whose answers it does not read, up to what it may leave unread; then a frame that never ends.
      for (let i = 0; i < 200; i++) gateway.write(gateway.channel.send(ask));
      gateway.write(headerSaying(gateway, DEFAULT_MAX_PAYLOAD));
      gateway.socket.write(Buffer.alloc(DEFAULT_MAX_PAYLOAD - 1));
    }
    for (let i = 0; i < 50; i++) {
      held.push(pool.server.heldBytes);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => expect(pool.server.heldBytes).toBeGreaterThan(DEFAULT_MAX_PAYLOAD));
    held.push(pool.server.heldBytes);
    expect(Math.max(...held)).toBeLessThan(8 * MOST);
    for (const gateway of gateways) gateway.close();
    await untilMetric(pool, "openprime_gateway_held_bytes", {}, 0);
  });

  it("of strangers is bounded before HELLO, too", async () => {
    const pool = await start();
    const clients = await Promise.all(Array.from({ length: 50 }, () => RawClient.connect(pool, Buffer.from(`{"${"x".repeat(1900)}`))));
    await until(() => expect(pool.server.heldBytes).toBe(50 * 1902));
    for (const client of clients) client.socket.destroy();
    await untilMetric(pool, "openprime_gateway_held_bytes", {}, 0);
  });
});
