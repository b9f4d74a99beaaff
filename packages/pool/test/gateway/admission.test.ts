/** Who gets a connection, over real sockets; 127.x.y.z are addresses of this machine, so networks can be had at will. */
import { randomBytes } from "node:crypto";
import { generateLongTermKeys } from "@openprime/datum";
import { afterEach, describe, expect, it } from "vitest";
import type { GatewayLimits } from "../../src/gateway/index.js";
import { crypto, TestPool, until, untilMetric } from "./pool.js";
import { RawClient, TestGateway } from "./test-gateway.js";
import { MINER } from "./work.js";

const pools: TestPool[] = [];
/** The steady clock of the pool: moved by the test. */
const clock = { now: 1_000_000 };
const start = async (limits: Partial<GatewayLimits> = {}, change: Parameters<typeof TestPool.start>[1] = {}): Promise<TestPool> => {
  const pool = await TestPool.start(
    { idleMs: 1e12, pingMs: 1e12, handshakeMs: 1e12, ...limits },
    {
      ...change,
      modules: { monotonic: () => clock.now, ...change.modules },
    },
  );
  pools.push(pool);
  return pool;
};

afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.server.close();
});

const outcome = (pool: TestPool, name: string): Promise<number> => pool.metric("openprime_handshakes_total", { outcome: name });
const from = (localAddress: string) => ({ localAddress });
const silent = (pool: TestPool, address: string): Promise<RawClient> => RawClient.connect(pool, undefined, address);

let worker = 0;
/** A gateway with an accepted share. */
async function proven(pool: TestPool, options: Parameters<typeof TestGateway.connect>[1] = {}): Promise<TestGateway> {
  const gateway = await TestGateway.connect(pool, options);
  worker += 1;
  const username = Buffer.from(`${MINER}.${worker}`);
  gateway.send((await gateway.work(pool, { username, value: BigInt(5_000_000_000 + worker) })).share(true));
  expect(await gateway.next("shareResponse")).toMatchObject({ status: "accepted" });
  return gateway;
}

describe("connections", () => {
  it("are limited by network as well as by address", async () => {
    const pool = await start({ connectionsPerPrefix: 2 });
    const [first] = [await TestGateway.connect(pool, from("127.1.1.1")), await TestGateway.connect(pool, from("127.1.1.2"))];
    await (await silent(pool, "127.1.1.3")).closed;
    expect(await outcome(pool, "tooManyFromPrefix")).toBe(1);
    expect(pool.logs.saying("tooManyFromPrefix")[0]).toMatchObject({ address: "127.1.1.3", prefix: "127.1.1.0/24" });
    await TestGateway.connect(pool, from("127.1.2.1"));
    first.close();
    await until(() => expect(pool.server.connectionCount).toBe(2));
    await TestGateway.connect(pool, from("127.1.1.3"));
  });

  it("are limited by address over IPv6", async () => {
    const pool = await start({ connectionsPerAddress: 1 }, { host: "::1" });
    await TestGateway.connect(pool);
    await (await RawClient.connect(pool)).closed;
    expect(await outcome(pool, "tooManyFromAddress")).toBe(1);
    expect(pool.logs.saying("tooManyFromAddress")[0]).toMatchObject({ address: "0:0:0:0::/64", prefix: "0:0:0::/48" });
  });

  it("from IPv4 count alike on a socket that takes both", async () => {
    const pool = await start({ connectionsPerAddress: 1 }, { host: "::" });
    const overIPv4 = Object.assign(Object.create(pool) as TestPool, { host: "127.0.0.1" });
    await TestGateway.connect(overIPv4, from("127.1.1.1"));
    expect(pool.server.snapshot()[0]!.address).toBe("127.1.1.1");
    await (await silent(overIPv4, "127.1.1.1")).closed;
    expect(pool.logs.saying("tooManyFromAddress")[0]).toMatchObject({ address: "127.1.1.1" });
  });

  it("that say nothing give way, where an address has all its places", async () => {
    const pool = await start({ connectionsPerAddress: 2 });
    const quiet = await silent(pool, "127.1.1.1");
    await until(() => expect(pool.server.connectionCount).toBe(1));
    await TestGateway.connect(pool, from("127.1.1.1"));
    await (await silent(pool, "127.1.1.1")).closed;
    expect(await outcome(pool, "tooManyFromAddress")).toBe(1);
    clock.now += 1000;
    await TestGateway.connect(pool, from("127.1.1.1"));
    await quiet.closed;
    expect(await outcome(pool, "gaveWay")).toBe(1);
    expect(pool.closings("gaveWay")[0]).toMatchObject({ standing: "greeting" });
  });

  it("without accepted work give way where all places are taken: of the network that holds the most, and never to itself", async () => {
    const pool = await start({ connections: 4 });
    const good = await proven(pool, from("127.1.1.1"));
    const strangers = [];
    for (const host of [2, 3, 4]) strangers.push(await TestGateway.connect(pool, from(`127.1.1.${host}`)));
    await (await silent(pool, "127.2.1.1")).closed;
    expect(await outcome(pool, "tooManyConnections")).toBe(1);
    clock.now += 30_000;
    await (await silent(pool, "127.1.1.5")).closed;
    expect(await outcome(pool, "tooManyConnections")).toBe(2);
    await TestGateway.connect(pool, from("127.2.1.1"));
    await strangers[0]!.closed;
    await TestGateway.connect(pool, from("127.3.1.1"));
    await strangers[1]!.closed;
    expect([good, strangers[2]!].map((gateway) => gateway.isClosed)).toEqual([false, false]);
    expect(await pool.metric("openprime_gateway_closed_total", { reason: "gaveWay" })).toBe(2);
  });
});

describe("lists of addresses", () => {
  it("keep out, and the other list lets in", async () => {
    const pool = await start({ connectionsPerAddress: 1 }, { options: { addresses: { deny: ["127.1.0.0/16"], allow: ["127.1.1.0/30"] } } });
    await (await silent(pool, "127.1.2.1")).closed;
    expect(await outcome(pool, "denied")).toBe(1);
    expect(pool.logs.saying("denied")).toHaveLength(1);
    // Listed addresses are not counted either.
    for (let i = 0; i < 3; i++) await TestGateway.connect(pool, from("127.1.1.1"));
    await TestGateway.connect(pool, from("127.2.1.1"));
  });

  it("hold over IPv6", async () => {
    const pool = await start({}, { host: "::1", options: { addresses: { deny: ["::/0"] } } });
    await (await RawClient.connect(pool)).closed;
    expect(await outcome(pool, "denied")).toBe(1);
  });
});

describe("bans", () => {
  const garbage = async (pool: TestPool, address: string | undefined, count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await (await RawClient.connect(pool, randomBytes(100), address)).closed;
  };

  it.each(["127.0.0.1", "::1"])("refuse an address (%s) at once, and end", async (host) => {
    const pool = await start({ banScore: 10 }, { host });
    const stays = await TestGateway.connect(pool);
    await garbage(pool, undefined, 5);
    await untilMetric(pool, "openprime_bans_total", { scope: "address" }, 1);
    expect(await pool.metric("openprime_banned_addresses", { scope: "address" })).toBe(1);
    expect(pool.logs.saying("an address is banned")[0]).toMatchObject({ scope: "address", reason: "protocolError" });
    await (await RawClient.connect(pool)).closed;
    expect(await outcome(pool, "banned")).toBe(1);
    // Who was there before stays.
    stays.send((await stays.work(pool)).share(true));
    expect(await stays.next("shareResponse")).toMatchObject({ status: "accepted" });
    clock.now += 11 * 60_000;
    await TestGateway.connect(pool);
    expect(await pool.metric("openprime_banned_addresses")).toBe(0);
  });

  it("of a network come at ten times the score", async () => {
    const pool = await start({ banScore: 4 });
    for (let host = 1; host <= 20; host++) await garbage(pool, `127.1.1.${host}`, 1);
    await untilMetric(pool, "openprime_bans_total", { scope: "prefix" }, 1);
    await (await silent(pool, "127.1.1.200")).closed;
    expect(await outcome(pool, "banned")).toBe(1);
    await TestGateway.connect(pool, from("127.1.2.1"));
  });

  it("spare the allow list", async () => {
    const pool = await start({ banScore: 4 }, { options: { addresses: { allow: ["127.1.1.1"] } } });
    await garbage(pool, "127.1.1.1", 50);
    await TestGateway.connect(pool, from("127.1.1.1"));
    expect(await pool.metric("openprime_bans_total")).toBe(0);
  });

  it("leave a trickle to an address that good work came from, for each of its gateways", async () => {
    const pool = await start({ banScore: 4 });
    const keys = [generateLongTermKeys(crypto), generateLongTermKeys(crypto)];
    for (const longTermKeys of keys) await proven(pool, { ...from("127.1.1.1"), longTermKeys });
    await garbage(pool, "127.1.1.1", 2);
    await untilMetric(pool, "openprime_bans_total", { scope: "address" }, 1);
    // Ten at once for each of two gateways; then two a second.
    await garbage(pool, "127.1.1.1", 20);
    expect(await outcome(pool, "banned")).toBe(0);
    await (await silent(pool, "127.1.1.1")).closed;
    expect(await outcome(pool, "banned")).toBe(1);
    clock.now += 500;
    await TestGateway.connect(pool, { ...from("127.1.1.1"), longTermKeys: keys[0]! });
    // A stranger whom nobody knows is not spared.
    await garbage(pool, "127.1.2.1", 2);
    await (await silent(pool, "127.1.2.1")).closed;
    expect(await outcome(pool, "banned")).toBe(2);
  });

  it("come of replayed greetings sooner than of a key that is mistyped", async () => {
    const pool = await start({ banScore: 20 });
    const honest = await TestGateway.connect(pool, from("127.1.1.1"));
    for (let i = 0; i < 2; i++) await (await RawClient.connect(pool, honest.sent[0], "127.2.1.1")).closed;
    await (await silent(pool, "127.2.1.1")).closed;
    expect(await outcome(pool, "replayed")).toBe(2);
    expect(await outcome(pool, "banned")).toBe(1);
    const other = await TestPool.start();
    pools.push(other);
    for (let i = 0; i < 19; i++) {
      const mistyped = await TestGateway.dial(pool, { poolPublicKey: other.publicKey, ...from("127.3.1.1") });
      mistyped.write(mistyped.channel.hello());
      await mistyped.closed;
    }
    await TestGateway.connect(pool, from("127.3.1.1"));
  });
});

describe("handshakes", () => {
  it("of a network are so many, however well its keys are known", async () => {
    const pool = await start({ handshakesPerPrefix: 0.1, banScore: 0 });
    const longTermKeys = generateLongTermKeys(crypto);
    for (let i = 0; i < 5; i++) (await proven(pool, { ...from("127.1.1.1"), longTermKeys })).close();
    const sixth = await TestGateway.dial(pool, { ...from("127.1.1.2"), longTermKeys });
    sixth.write(sixth.channel.hello());
    await sixth.closed;
    expect(sixth.motd).toBe("");
    expect(await outcome(pool, "tooManyHandshakes")).toBe(1);
    await TestGateway.connect(pool, from("127.1.2.1"));
    clock.now += 10_000;
    await TestGateway.connect(pool, { ...from("127.1.1.2"), longTermKeys });
  });
});

describe("new gateways", () => {
  it("of a network are so many an hour; those that the books know are always taken", async () => {
    const pool = await start({ newSessionsPerHour: 2 });
    const known = await TestGateway.connect(pool, from("127.1.1.1"));
    await TestGateway.connect(pool, from("127.1.1.2"));
    const refused = await TestGateway.dial(pool, from("127.1.1.3"));
    refused.write(refused.channel.hello());
    expect(await refused.next("info")).toMatchObject({ text: expect.stringContaining("Too many new gateways") });
    await refused.closed;
    expect(refused.motd).toBe("hello from the test");
    expect(await outcome(pool, "tooManyNewSessions")).toBe(1);
    expect(pool.closings("tooManyNewSessions")).toHaveLength(1);
    await TestGateway.connect(pool, from("127.1.2.1"));
    const { longTermKeys } = known;
    await TestGateway.connect(pool, { ...from("127.1.1.3"), longTermKeys });
    // Also one that memory has forgotten.
    known.close();
    await until(() => expect(pool.server.connectionCount).toBeLessThan(5));
    await TestGateway.connect(pool, { ...from("127.1.1.1"), longTermKeys });
    clock.now += 30 * 60_000;
    await TestGateway.connect(pool, from("127.1.1.3"));
  });

  it("of a network share a budget of splits until they have brought work", async () => {
    const pool = await start({ strangersCoinbaserPerMinute: 3 });
    const ask = async (gateway: TestGateway): Promise<number> => {
      gateway.send({ type: "coinbaserRequest", value: 5n, prevhash: new Uint8Array(32) });
      return (await gateway.next("coinbaser")).outputs.length;
    };
    const gateways = [await proven(pool, from("127.1.1.1"))];
    for (const host of [2, 3]) gateways.push(await TestGateway.connect(pool, from(`127.1.1.${host}`)));
    const sizes = [];
    for (const index of [1, 2, 1, 2, 1, 0, 0]) sizes.push(await ask(gateways[index]!));
    expect(sizes).toEqual([2, 2, 2, 0, 0, 2, 2]);
    expect(await pool.metric("openprime_coinbaser_requests_total", { result: "overBudget" })).toBe(2);
    expect(await ask(await TestGateway.connect(pool, from("127.1.2.1")))).toBe(2);
  });
});
