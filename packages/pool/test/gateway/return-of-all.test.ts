/**
 * A restart meets every gateway at once: 2,000 connections within a second, from as many networks, over real sockets, to a pool whose memory
 * knows nobody. All get in, and so they do while strangers flood it. Counted, not timed.
 */
import { generateLongTermKeys, type LongTermKeys } from "@openprime/datum";
import { afterEach, expect, it } from "vitest";
import { crypto, TestPool, until } from "./pool.js";
import { TestGateway } from "./test-gateway.js";

const GATEWAYS = 2000;
const FLOODERS = 8;

const pools: TestPool[] = [];
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.server.close();
});

/** One of 127.0.0.0/8, each in a /24 of its own. */
const addressOf = (index: number): string => `127.${10 + (index >> 8)}.${index & 255}.7`;

/** A pool that has just started, with books that know these gateways. */
async function restarted(keys: readonly LongTermKeys[]): Promise<TestPool> {
  // Nobody may be new: the books are the only memory, and it is not asked of networks.
  const pool = await TestPool.start({ newSessionsPerHour: 0 });
  pools.push(pool);
  keys.forEach(({ sign }, index) => {
    pool.know(Buffer.from(sign.publicKey).toString("hex"), { id: BigInt(index + 1), primeId: 0x1000 + index, splits: [] });
  });
  return pool;
}

/** Dials them all in a second's time and says their HELLO at once. */
async function comeBack(pool: TestPool, keys: readonly LongTermKeys[]): Promise<TestGateway[]> {
  return Promise.all(
    keys.map(async (longTermKeys, index) => {
      const gateway = await TestGateway.dial(pool, { longTermKeys, localAddress: addressOf(index) });
      gateway.write(gateway.channel.hello());
      return gateway;
    }),
  );
}

const keys = Array.from({ length: GATEWAYS }, () => generateLongTermKeys(crypto));

async function allIn(gateways: readonly TestGateway[]): Promise<void> {
  const primeIds = await Promise.all(gateways.map(async (gateway) => (await gateway.next("configuration")).primeId));
  expect(primeIds).toEqual(keys.map((_, index) => 0x1000 + index));
  expect(gateways.filter(({ isClosed }) => isClosed)).toEqual([]);
}

it("lets 2,000 known gateways in that come within a second, when memory knows nobody", async () => {
  const pool = await restarted(keys);
  const gateways = await comeBack(pool, keys);
  await allIn(gateways);
  expect(await pool.metric("openprime_handshakes_total")).toBe(GATEWAYS);
  expect(await pool.metric("openprime_handshakes_total", { outcome: "accepted" })).toBe(GATEWAYS);
  for (const gateway of gateways) gateway.close();
  await until(() => expect(pool.server.connectionCount).toBe(0));
});

it("lets them in while strangers connect as fast as they can, with HELLOs of fresh keys and with bytes that only look like one", async () => {
  const pool = await restarted(keys);
  let flooding = true;
  let floods = 0;
  const flood = async (index: number): Promise<void> => {
    const localAddress = `127.200.${index}.1`;
    // In the form of a HELLO, so that the pool must open it to know.
    const forged = Buffer.alloc(4 + 300, index);
    forged.writeUInt32LE((0xd7871829 ^ 300) >>> 0, 0);
    while (flooding) {
      const stranger = await TestGateway.dial(pool, { localAddress });
      stranger.write(floods % 2 === 0 ? forged : stranger.channel.hello());
      floods += 1;
      await stranger.closed;
    }
  };
  const flooders = Array.from({ length: FLOODERS }, (_, index) => flood(index));
  await until(() => expect(floods).toBeGreaterThan(FLOODERS));
  const gateways = await comeBack(pool, keys);
  await allIn(gateways);
  flooding = false;
  await Promise.all(flooders);
  const outcome = (name: string): Promise<number> => pool.metric("openprime_handshakes_total", { outcome: name });
  expect(await outcome("accepted")).toBe(GATEWAYS);
  expect((await outcome("refused")) + (await outcome("tooManyNewSessions")) + (await outcome("banned"))).toBe(floods);
  expect(floods).toBeGreaterThan(2 * FLOODERS);
  for (const gateway of gateways) gateway.close();
});
