/** Connections through a load balancer that sends PROXY headers, and headers from those who must not. */
import { afterEach, describe, expect, it } from "vitest";
import type { GatewayServerOptions } from "../../src/gateway/index.js";
import { TestPool, until, untilMetric } from "./pool.js";
import { RawClient, TestGateway } from "./test-gateway.js";

const pools: TestPool[] = [];
const start = async (
  limits: Parameters<typeof TestPool.start>[0] = {},
  addresses: GatewayServerOptions["addresses"] = { proxies: ["127.0.0.0/24", "::1"] },
  host = "127.0.0.1",
): Promise<TestPool> => {
  const pool = await TestPool.start(limits, { host, options: { addresses } });
  pools.push(pool);
  return pool;
};

afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.server.close();
});

const tcp4 = (source: string): Buffer => Buffer.from(`PROXY TCP4 ${source} 198.51.100.1 1024 28915\r\n`);
const V2_IPV6 = Buffer.from(
  "0d0a0d0a000d0a515549540a2121002720010db800000000000000000000000720010db8000000000000000000000001dc0470f3040000",
  "hex",
);
const V2_LOCAL = Buffer.from("0d0a0d0a000d0a515549540a20000000", "hex");
const outcome = (pool: TestPool, name: string): Promise<number> => pool.metric("openprime_handshakes_total", { outcome: name });

describe("behind a trusted proxy", () => {
  it.each([
    ["version 1", tcp4("192.0.2.7"), "192.0.2.7"],
    ["version 2 with an extension", V2_IPV6, "2001:db8:0:0:0:0:0:7"],
    ["nothing said of the source", V2_LOCAL, "127.0.0.1"],
    ["an unknown source", Buffer.from("PROXY UNKNOWN\r\n"), "127.0.0.1"],
  ])("a gateway has the address of its header: %s", async (_, before, address) => {
    const pool = await start();
    const gateway = await TestGateway.connect(pool, { before });
    expect(pool.server.snapshot()[0]!.address).toBe(address);
    gateway.send((await gateway.work(pool)).share(true));
    expect(await gateway.next("shareResponse")).toMatchObject({ status: "accepted" });
  });

  it("it may come in single bytes, or in one piece with HELLO", async () => {
    const pool = await start({}, undefined, "::1");
    const slow = await TestGateway.dial(pool);
    for (const byte of Buffer.concat([tcp4("192.0.2.7"), slow.channel.hello()])) {
      await new Promise<void>((resolve) => slow.socket.write(Uint8Array.of(byte), () => resolve()));
    }
    expect((await slow.next("configuration")).primeId).toBe(0xabc00001);
    const quick = await TestGateway.dial(pool);
    quick.socket.write(Buffer.concat([tcp4("192.0.2.8"), quick.channel.hello()]));
    expect((await quick.next("configuration")).primeId).toBe(0xabc00002);
    expect(pool.server.snapshot().map(({ address }) => address)).toEqual(["192.0.2.7", "192.0.2.8"]);
  });

  it("limits, lists and bans go by the header's address", async () => {
    const pool = await start({ connectionsPerAddress: 1, banScore: 2 }, { proxies: ["127.0.0.1"], deny: ["203.0.113.0/24"] });
    await TestGateway.connect(pool, { before: tcp4("192.0.2.7") });
    await (await RawClient.connect(pool, tcp4("192.0.2.7"))).closed;
    expect(await outcome(pool, "tooManyFromAddress")).toBe(1);
    await (await RawClient.connect(pool, tcp4("203.0.113.9"))).closed;
    expect(await outcome(pool, "denied")).toBe(1);
    await (await RawClient.connect(pool, Buffer.concat([tcp4("192.0.2.8"), Buffer.alloc(100)]))).closed;
    await (await RawClient.connect(pool, tcp4("192.0.2.8"))).closed;
    expect(await outcome(pool, "banned")).toBe(1);
    await TestGateway.connect(pool, { before: tcp4("192.0.2.9") });
  });

  it("web clients and miners are told what this port is", async () => {
    const pool = await start();
    const web = await RawClient.connect(pool, Buffer.concat([tcp4("192.0.2.7"), Buffer.from("GET / HTTP/1.1\r\n\r\n")]));
    await web.closed;
    expect(web.text).toContain("DATUM port");
    const miner = await RawClient.connect(pool, tcp4("192.0.2.7"));
    miner.socket.write('{"id":1,"method":"mining.subscribe"}\n');
    await miner.closed;
    expect(miner.text).toContain("datum_gateway");
  });

  it.each([
    ["none", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
    ["a bad one", Buffer.from("PROXY TCP4 nonsense\r\n")],
    ["an endless one", Buffer.alloc(200, "PROXY UNKNOWN ")],
  ])("a connection without a good header is closed: %s", async (_, bytes) => {
    const pool = await start({ banScore: 1 });
    for (let i = 0; i < 3; i++) await (await RawClient.connect(pool, bytes)).closed;
    expect(await outcome(pool, "proxyHeader")).toBe(3);
    expect(await pool.metric("openprime_protocol_errors_total", { code: "proxyHeaderInvalid" })).toBe(3);
    expect(pool.logs.saying("no PROXY header")[0]).toMatchObject({ proxy: "127.0.0.1", why: expect.any(String) });
    // The proxy itself is not banned for it.
    await TestGateway.connect(pool, { before: tcp4("192.0.2.7") });
  });

  it("a header that does not come is waited for only so long", async () => {
    const pool = await start({ handshakeMs: 30 });
    await (await RawClient.connect(pool, Buffer.from("PROX"))).closed;
    expect(await outcome(pool, "timeout")).toBe(1);
    const leaves = await RawClient.connect(pool);
    leaves.socket.destroy();
    await untilMetric(pool, "openprime_handshakes_total", { outcome: "left" }, 1);
  });

  it("connections that wait for theirs take places, and don't hold up the end", async () => {
    const pool = await start({ connections: 2 });
    const waiting = [await RawClient.connect(pool), await RawClient.connect(pool)];
    await (await RawClient.connect(pool)).closed;
    expect(await outcome(pool, "tooManyConnections")).toBe(1);
    await pool.server.close();
    for (const client of waiting) await client.closed;
  });
});

describe("a PROXY header from anybody else", () => {
  it.each([tcp4("192.0.2.7"), V2_IPV6])("is an error", async (bytes) => {
    const pool = await start({}, { proxies: ["10.0.0.0/8"] });
    await (await RawClient.connect(pool, bytes)).closed;
    expect(await outcome(pool, "proxyHeader")).toBe(1);
    expect(await pool.metric("openprime_protocol_errors_total", { code: "proxyNotTrusted" })).toBe(1);
    await until(() => expect(pool.closings("proxyHeader")).toHaveLength(1));
  });
});
