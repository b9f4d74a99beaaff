/** Each line of the "Bad input": a counted, logged refusal, while another gateway's shares go on being answered. */
import { randomBytes } from "node:crypto";
import { encodePublicKey, generateLongTermKeys, type JobSection } from "@openprime/datum";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { crypto, TestPool, until, untilMetric } from "./pool.js";
import { RawClient, TestGateway } from "./test-gateway.js";
import { type GatewayWork, MINER, MINER_SCRIPT } from "./work.js";

let pool: TestPool;
let healthy: TestGateway;
let healthyWork: GatewayWork;

beforeEach(async () => {
  pool = await TestPool.start();
  healthy = await TestGateway.connect(pool);
  healthyWork = await healthy.work(pool);
  await stillAnswered(true);
});

afterEach(async () => {
  // Whatever a test sent, the other gateway never noticed.
  await stillAnswered(false);
  expect(healthy.isClosed).toBe(false);
  expect(pool.logs.saying("a fault of ours")).toEqual([]);
  await pool.server.close();
});

async function stillAnswered(sections: boolean): Promise<void> {
  healthy.send(healthyWork.share(sections));
  expect(await healthy.next("shareResponse")).toMatchObject({ status: "accepted" });
}

/** The header of a frame is XORed, so flipping its bits on the wire flips them for the pool: changes the length and command at will. */
function changeHeader(frame: Uint8Array, flip: number): Uint8Array {
  const changed = Buffer.from(frame);
  changed.writeUInt32LE((changed.readUInt32LE(0) ^ flip) >>> 0, 0);
  return changed;
}

const JOB: JobSection = {
  prevhash: new Uint8Array(32),
  targetByteIndex: 60,
  nbits: 0x1b00ffff,
  coinbaserId: 0,
  height: 101,
  coinbaseValue: 1n,
  transactionCount: 0,
  totalWeight: 0,
  totalSize: 0,
  totalSigops: 0,
  branches: new Uint8Array(0),
};

const lengthOf = (frame: Uint8Array): number => frame.length - 4;
const askedFrame = (gateway: TestGateway): Uint8Array =>
  gateway.channel.send({ type: "coinbaserRequest", value: 1n, prevhash: new Uint8Array(32) });

async function protocolErrors(): Promise<number> {
  return pool.metric("openprime_protocol_errors_total");
}

/** The connection was ended for its bytes: one count, one line with a code. */
async function refusedForBytes(code: unknown = expect.any(String)): Promise<void> {
  await until(() => expect(pool.closings("protocolError")).toHaveLength(1));
  expect(pool.closings("protocolError")[0]!.code).toEqual(code);
  expect(await protocolErrors()).toBe(1);
  expect(await pool.metric("openprime_gateway_closed_total", { reason: "protocolError" })).toBe(1);
}

describe("before HELLO", () => {
  it.each([
    ["random bytes", randomBytes(5000)],
    ["zeros", Buffer.alloc(5000)],
    ["a TLS client", Buffer.from("1603010200010001fc0303", "hex")],
    ["a JSON line that is no request", Buffer.from('{"hello":"world"}\n')],
    ["a brace and garbage", Buffer.from("{abc\n".repeat(1000))],
    ["an endless line", Buffer.alloc(5000, "{")],
  ])("garbage: %s", async (_, bytes) => {
    const client = await RawClient.connect(pool, bytes);
    await client.closed;
    expect(client.got).toEqual([]);
    await refusedForBytes();
    expect(await pool.metric("openprime_handshakes_total", { outcome: "refused" })).toBe(1);
  });

  it("an HTTP client is told what this port is", async () => {
    const client = await RawClient.connect(pool, Buffer.from("GET / HTTP/1.1\r\nHost: pool\r\n\r\n"));
    await client.closed;
    expect(client.text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(client.text).toContain("DATUM port");
    expect(await pool.metric("openprime_handshakes_total", { outcome: "http" })).toBe(1);
    expect(pool.closings("http")).toHaveLength(1);
  });

  it("an HTTP client that sends a big body still reads the answer", async () => {
    const client = await RawClient.connect(pool, Buffer.from(`POST / HTTP/1.1\r\nContent-Length: 500000\r\n\r\n${"x".repeat(500_000)}`));
    await client.closed;
    expect(client.text).toContain("DATUM port");
  });

  it("a Stratum client is told where to connect, also when it writes slowly", async () => {
    const client = await RawClient.connect(pool, Buffer.from('{"id":'));
    client.socket.write('1,"method":"mining.subscribe","params":["cgminer"]}\n');
    await client.closed;
    expect(JSON.parse(client.text)).toMatchObject({ id: 1, result: null, error: [20, expect.stringContaining("datum_gateway"), null] });
    expect(await pool.metric("openprime_handshakes_total", { outcome: "stratum" })).toBe(1);
    expect(pool.closings("stratum")).toHaveLength(1);
  });

  it("a HELLO to another key", async () => {
    const gateway = await TestGateway.dial(pool, { poolPublicKey: encodePublicKey(generateLongTermKeys(crypto)) });
    gateway.write(gateway.channel.hello());
    await gateway.closed;
    expect(gateway.received).toEqual([]);
    await refusedForBytes("helloUnreadable");
  });

  it("a HELLO that another key signed", async () => {
    const [named, signing] = [generateLongTermKeys(crypto), generateLongTermKeys(crypto)];
    const sign = { publicKey: named.sign.publicKey, secretKey: signing.sign.secretKey };
    const gateway = await TestGateway.dial(pool, { longTermKeys: { ...named, sign } });
    gateway.write(gateway.channel.hello());
    await gateway.closed;
    expect(gateway.received).toEqual([]);
    await refusedForBytes("badSignature");
    expect(pool.opened).toHaveLength(1);
  });

  it("a HELLO with bits flipped", async () => {
    const gateway = await TestGateway.dial(pool);
    const hello = gateway.channel.hello();
    hello[hello.length - 30]! ^= 4;
    gateway.write(hello);
    await gateway.closed;
    await refusedForBytes();
  });
});

describe("a handshake that is not finished in time", () => {
  it.each([
    ["nothing", Buffer.alloc(0)],
    ["half an HTTP word", Buffer.from("GE")],
    ["half a JSON line", Buffer.from('{"id":1')],
  ])("%s: closed", async (_, bytes) => {
    const quick = await TestPool.start({ handshakeMs: 40 });
    const other = await TestGateway.connect(quick);
    const client = await RawClient.connect(quick, bytes);
    await client.closed;
    await untilMetric(quick, "openprime_handshakes_total", { outcome: "timeout" }, 1);
    expect(quick.closings("handshakeTimeout")).toHaveLength(1);
    other.send((await other.work(quick)).share(true));
    expect(await other.next("shareResponse")).toMatchObject({ status: "accepted" });
    await quick.server.close();
  });

  it("half a HELLO: closed", async () => {
    const quick = await TestPool.start({ handshakeMs: 40 });
    const gateway = await TestGateway.dial(quick);
    gateway.write(gateway.channel.hello().subarray(0, 100));
    await gateway.closed;
    expect(quick.closings("handshakeTimeout")).toHaveLength(1);
    await quick.server.close();
  });

  it("a session that takes too long to load: closed", async () => {
    const quick = await TestPool.start({ handshakeMs: 40 });
    quick.nextSession = () => new Promise(() => undefined);
    const gateway = await TestGateway.dial(quick);
    gateway.write(gateway.channel.hello());
    await gateway.closed;
    expect(quick.closings("handshakeTimeout")[0]).toMatchObject({ state: "opening" });
    await quick.server.close();
  });
});

describe("after the handshake", () => {
  it.each<[string, string | undefined, (gateway: TestGateway) => Uint8Array]>([
    ["random bytes", undefined, () => randomBytes(2000)],
    ["a second HELLO", undefined, (gateway) => gateway.sent[0]!],
    [
      "a replayed frame",
      undefined,
      (gateway) => {
        const frame = askedFrame(gateway);
        return Buffer.concat([frame, frame]);
      },
    ],
    [
      "a replayed payload under a header that is due",
      "badMac",
      (gateway) => {
        const message = { type: "jobAnnouncement", jobId: 0, job: JOB, coinbases: [] } as const;
        const [first, second] = [gateway.channel.send(message), gateway.channel.send(message)];
        const header = changeHeader(second, lengthOf(first) ^ lengthOf(second)).subarray(0, 4);
        return Buffer.concat([first, header, first.subarray(4)]);
      },
    ],
    [
      "a wrong MAC",
      "badMac",
      (gateway) => {
        const frame = Buffer.from(askedFrame(gateway));
        frame[4]! ^= 0x80;
        return frame;
      },
    ],
    ["an oversized length", "frameTooLarge", (gateway) => changeHeader(askedFrame(gateway), 1 << 17)],
    [
      "a zero length",
      "badMac",
      (gateway) => {
        const frame = askedFrame(gateway);
        return changeHeader(frame, lengthOf(frame)).subarray(0, 4);
      },
    ],
    [
      "a frame of 4 MB",
      "frameTooLarge",
      (gateway) => {
        const frame = askedFrame(gateway);
        return Buffer.concat([changeHeader(frame, lengthOf(frame) ^ (2 ** 22 - 1)).subarray(0, 4), Buffer.alloc(100_000)]);
      },
    ],
    ["an unknown command", "unknownCommand", (gateway) => changeHeader(askedFrame(gateway), 1 << 27)],
    ["a frame that is not encrypted", "unencryptedMiningMessage", (gateway) => changeHeader(askedFrame(gateway), 1 << 26)],
    ["a reserved bit", "badHeader", (gateway) => changeHeader(askedFrame(gateway), 1 << 22)],
    ["a reply nobody asked for", "unaskedReply", (gateway) => gateway.channel.send({ type: "fullSet", jobId: 0, transactions: [] })],
    [
      "short ids nobody asked for",
      "unaskedReply",
      (gateway) => gateway.channel.send({ type: "shortIds", jobId: 0, ids: new Uint8Array(0) }),
    ],
  ])("%s", async (_, code, bytes) => {
    const gateway = await TestGateway.connect(pool);
    gateway.write(bytes(gateway));
    await gateway.closed;
    await refusedForBytes(code);
  });

  it("good frames before a bad one are answered", async () => {
    const gateway = await TestGateway.connect(pool);
    gateway.write(Buffer.concat([askedFrame(gateway), randomBytes(200)]));
    expect(await gateway.next("coinbaser")).toMatchObject({ value: 1n });
    await gateway.closed;
    await refusedForBytes();
  });

  it("a flood of bad peers is a bounded number of lines", async () => {
    const clients = await Promise.all(Array.from({ length: 40 }, () => RawClient.connect(pool, Buffer.alloc(4))));
    await Promise.all(clients.map((client) => client.closed));
    expect(await protocolErrors()).toBe(40);
    expect(pool.closings("protocolError").length).toBeLessThanOrEqual(21);
  });
});

describe("shares that are refused", () => {
  const refusals = async (reason: number): Promise<void> => {
    expect(await pool.metric("openprime_shares_total", { result: "refused", reason: String(reason) })).toBe(1);
    const lines = pool.logs.saying("share refused").filter((line) => line.reason === reason);
    // The warning that can't flood, and the line for each at debug.
    expect(lines.map((line) => line.level).sort()).toEqual([20, 40]);
  };

  it("for a job never sent", async () => {
    const gateway = await TestGateway.connect(pool);
    gateway.send((await gateway.work(pool)).share(false));
    expect(await gateway.next("shareResponse")).toMatchObject({ status: "rejected", reason: 10 });
    await refusals(10);
  });

  it("with a coinbase that pays another script", async () => {
    const gateway = await TestGateway.connect(pool);
    gateway.send((await gateway.work(pool, { payTo: MINER_SCRIPT })).share(true));
    expect(await gateway.next("shareResponse")).toMatchObject({ status: "rejected", reason: 27 });
    await refusals(27);
  });

  it.each([
    ["control characters", Buffer.from("tb1q\u0000".slice(0, 4).concat("\u0007\u001b[31m"))],
    ["SQL", Buffer.from("'; DROP TABLE shares; --")],
    ["SQL after an address that is wrong", Buffer.from(`${MINER.slice(0, -1)}x' OR '1'='1`)],
    ["384 bytes of UTF-8", Buffer.from("é".repeat(192))],
    ["bytes that are no UTF-8", Buffer.alloc(384, 0xff)],
    ["nothing", Buffer.alloc(0)],
  ])("with a username of %s", async (_, username) => {
    const gateway = await TestGateway.connect(pool);
    gateway.send((await gateway.work(pool, { username })).share(true));
    expect(await gateway.next("shareResponse")).toMatchObject({ status: "rejected", reason: 14 });
    await refusals(14);
    expect(gateway.isClosed).toBe(false);
  });
});
