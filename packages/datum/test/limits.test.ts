/** What a channel refuses, and when: by the header alone where that is enough, so that no memory is taken for it. */
import { describe, expect, it } from "vitest";
import {
  DEFAULT_MAX_PAYLOAD,
  decodePublicKey,
  encodePoolMessage,
  encodePublicKey,
  type FrameHeader,
  feedback,
  firstNonces,
  GatewayChannel,
  generateLongTermKeys,
  generateSessionKeys,
  HELLO_HEADER_KEY,
  type Hello,
  LARGEST_PAYLOAD,
  MAX_HELLO_BYTES,
  MAX_MOTD_BYTES,
  PoolChannel,
  randomPadding,
  readHeader,
  signLongTerm,
  writeHeader,
} from "../src/index.js";
import { POOL_SAYS } from "./conversation.js";
import {
  BOTH,
  connected,
  datumError,
  drain,
  gatewayChannel,
  MOTD,
  NK,
  native,
  parties,
  poolChannel,
  readJson,
  seed,
  unhex,
  VERSION,
} from "./support.js";

const HELLO: FrameHeader = { length: 400, signed: true, sealed: true, channel: false, command: 1 };
const RESPONSE: FrameHeader = { ...HELLO, command: 2 };
const MINING: FrameHeader = { length: 100, signed: false, sealed: false, channel: true, command: 5 };

/** A header as it is on the wire, under one key. */
function word(header: FrameHeader, key: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE((writeHeader(header) ^ key) >>> 0);
  return bytes;
}

function frameOf(header: FrameHeader, key: number, payload: Uint8Array): Uint8Array {
  return Buffer.concat([word({ ...header, length: payload.length }, key), payload]);
}

describe("headers", () => {
  it("hold what they were made of", () => {
    for (const command of [0, 1, 5, 31]) {
      for (const length of [0, 1, LARGEST_PAYLOAD]) {
        for (const flags of [0, 1, 2, 3, 4, 5, 6, 7]) {
          const header = { length, signed: (flags & 1) !== 0, sealed: (flags & 2) !== 0, channel: (flags & 4) !== 0, command };
          expect(readHeader(writeHeader(header))).toEqual(header);
        }
      }
    }
    // Bits as DATUM.md counts them: length 0-21, signed 24, sealed 25, channel 26, command 27-31.
    expect(writeHeader({ length: 0x3fffff, signed: true, sealed: false, channel: true, command: 5 })).toBe(0x2d3fffff);
  });

  it("are refused with a reserved bit or a length that does not fit", () => {
    for (const bit of [22, 23]) expect(datumError(() => readHeader((1 << bit) | 1)).code).toBe("badHeader");
    expect(datumError(() => writeHeader({ ...MINING, length: LARGEST_PAYLOAD + 1 })).code).toBe("frameTooLarge");
  });
});

describe("before HELLO, judged by four bytes", () => {
  it.each([
    ["another command", { ...HELLO, command: 5 }, "unexpectedFrame"],
    ["not signed", { ...HELLO, signed: false }, "unexpectedFrame"],
    ["not sealed", { ...HELLO, sealed: false }, "unexpectedFrame"],
    ["encrypted by a channel that is not there", { ...HELLO, channel: true }, "unexpectedFrame"],
    ["empty", { ...HELLO, length: 0 }, "unexpectedFrame"],
    ["too short to be sealed", { ...HELLO, length: 47 }, "unexpectedFrame"],
    ["longer than any HELLO", { ...HELLO, length: MAX_HELLO_BYTES + 1 }, "frameTooLarge"],
    ["of 4 MB", { ...HELLO, length: LARGEST_PAYLOAD }, "frameTooLarge"],
  ] as const)("%s", (_, header, code) => {
    const channel = poolChannel(native);
    channel.receive(word(header, HELLO_HEADER_KEY));
    expect(datumError(() => channel.next()).code).toBe(code);
  });

  it("a HELLO as long as it may be is waited for", () => {
    const channel = poolChannel(native);
    channel.receive(word({ ...HELLO, length: MAX_HELLO_BYTES }, HELLO_HEADER_KEY));
    expect(channel.next()).toBeUndefined();
  });

  it("the longest version and padding fit", () => {
    const keys = parties(native);
    const gateway = new GatewayChannel({
      crypto: native,
      poolPublicKey: decodePublicKey(encodePublicKey(keys.pool)),
      longTermKeys: keys.gateway,
      sessionKeys: keys.gatewaySession,
      version: "\xe9".repeat(256),
      nk: 0,
      padding: (_, most) => ({ length: most, byte: 0xfe }),
    });
    const hello = gateway.hello();
    expect(hello).toHaveLength(4 + MAX_HELLO_BYTES);
    const pool = poolChannel(native, keys);
    pool.receive(hello);
    expect(pool.next()).toMatchObject({ type: "hello", hello: { version: "\xe9".repeat(256), nk: 0 } });
  });

  it("a version or nk that can't be sent is refused", () => {
    const { gateway, gatewaySession, pool } = parties(native);
    const poolPublicKey = decodePublicKey(encodePublicKey(pool));
    const base = { crypto: native, poolPublicKey, longTermKeys: gateway, sessionKeys: gatewaySession };
    for (const wrong of [
      { version: "x".repeat(257), nk: 0 },
      { version: "a\0b", nk: 0 },
      { version: "\u20ac", nk: 0 },
      { version: "", nk: 2 ** 32 },
      { version: "", nk: -1 },
    ]) {
      expect(datumError(() => new GatewayChannel({ ...base, ...wrong }).hello()).code).toBe("badValue");
    }
  });
});

describe.each(BOTH)("HELLO by the $name implementation", (crypto) => {
  const keys = parties(crypto);
  const { gateway, gatewaySession, pool } = keys;
  const four = Buffer.concat([gateway.sign.publicKey, gateway.box.publicKey, gatewaySession.sign.publicKey, gatewaySession.box.publicKey]);
  const tail = (version: string, mark: number, padding: number) =>
    Buffer.concat([Buffer.from(version, "latin1"), Uint8Array.of(0, mark, 0x78, 0x56, 0x34, 0x12), new Uint8Array(padding)]);
  const send = (body: Uint8Array, signer = gateway) => {
    const channel = poolChannel(crypto, keys);
    const plain = Buffer.concat([body, signLongTerm(crypto, signer, body)]);
    channel.receive(frameOf(HELLO, HELLO_HEADER_KEY, crypto.seal(plain, pool.box.publicKey)));
    return channel;
  };

  it("is read by position: marks in the keys and in the text mislead nobody, padding may hold anything", () => {
    const strange = Buffer.concat([four, Buffer.from("v\xfe\xfe/(\xfe)\0", "latin1"), unhex("fe78563412"), unhex("4452530101fe00fe")]);
    expect(send(strange).next()).toMatchObject({ type: "hello", hello: { version: "v\xfe\xfe/(\xfe)", nk: NK } });
  });

  it.each([
    ["keys alone", four, "helloMalformed"],
    ["shorter than its keys", four.subarray(0, 100), "helloMalformed"],
    ["a version without end", Buffer.concat([four, Buffer.from("v0.4.1-beta")]), "helloMalformed"],
    ["a version of 257 bytes", Buffer.concat([four, tail("x".repeat(257), 0xfe, 1)]), "helloMalformed"],
    ["another mark", Buffer.concat([four, tail("v", 0xfd, 1)]), "helloMalformed"],
    ["no nk", Buffer.concat([four, unhex("7600fe7856")]), "helloMalformed"],
    ["no padding", Buffer.concat([four, tail("v", 0xfe, 0)]), "helloMalformed"],
    ["201 bytes of padding", Buffer.concat([four, tail("v", 0xfe, 201)]), "helloMalformed"],
  ] as const)("with %s is refused", (_, body, code) => {
    expect(datumError(() => send(body).next()).code).toBe(code);
  });

  it("signed by another key than the long-term one in it is refused", () => {
    expect(datumError(() => send(Buffer.concat([four, tail("v", 0xfe, 1)]), pool).next()).code).toBe("badSignature");
  });

  it("sealed to another pool is refused", () => {
    const stranger = poolChannel(crypto, { ...keys, pool: generateLongTermKeys(crypto) });
    stranger.receive(gatewayChannel(crypto, keys).hello());
    expect(datumError(() => stranger.next()).code).toBe("helloUnreadable");
  });

  it("to one of several long-term keys is answered with that one", () => {
    const old = generateLongTermKeys(crypto);
    for (const [addressed, order] of [
      [pool, [pool, old]],
      [pool, [old, pool]],
      [old, [pool, old]],
    ] as const) {
      const channel = new PoolChannel({ crypto, longTermKeys: order, sessionKeys: keys.poolSession, motd: MOTD });
      const caller = gatewayChannel(crypto, { ...keys, pool: addressed });
      channel.receive(caller.hello());
      expect(channel.next()?.type).toBe("hello");
      expect(channel.longTermKeys).toBe(addressed);
      caller.receive(channel.accept());
      expect(caller.next()).toMatchObject({ type: "accepted", motd: MOTD });
    }
  });

  it.each(readJson<{ lowOrder: string[] }>("vectors/keys.json").lowOrder)("with the low-order session key %s gets no answer", (key) => {
    const channel = send(Buffer.concat([four.subarray(0, 96), unhex(key), tail("v", 0xfe, 1)]));
    expect(channel.next()?.type).toBe("hello");
    expect(datumError(() => channel.accept()).code).toBe("badKey");
  });

  it("is not sent to a pool whose key is of low order", () => {
    const poolPublicKey = { sign: pool.sign.publicKey, box: new Uint8Array(32) };
    const options = { crypto, poolPublicKey, longTermKeys: gateway, sessionKeys: gatewaySession, version: VERSION, nk: NK };
    expect(datumError(() => new GatewayChannel(options).hello()).code).toBe("badKey");
  });
});

describe("the pool's channel", () => {
  it("answers nothing, and says nothing, out of turn", () => {
    const channel = poolChannel(native);
    expect(datumError(() => channel.accept()).code).toBe("unexpectedFrame");
    expect(datumError(() => channel.send({ type: "ping" })).code).toBe("unexpectedFrame");
    expect(channel.hello).toBeUndefined();
    channel.receive(gatewayChannel(native).hello());
    channel.next();
    expect((channel.hello as Hello).version).toBe(VERSION);
    expect(datumError(() => channel.send({ type: "ping" })).code).toBe("unexpectedFrame");
    channel.accept();
    expect(datumError(() => channel.accept()).code).toBe("unexpectedFrame");
    expect(channel.send({ type: "ping" })).toHaveLength(4);
  });

  it("takes no frame between HELLO and its answer", () => {
    const { gateway, hello } = connected(native);
    const channel = poolChannel(native);
    channel.receive(Buffer.concat([hello, gateway.send({ type: "coinbaserRequest", value: 1n, prevhash: seed(0) })]));
    expect(channel.next()?.type).toBe("hello");
    expect(datumError(() => channel.next()).code).toBe("unexpectedFrame");
  });

  it.each([
    ["a second HELLO", HELLO, "unexpectedFrame"],
    ["a PING, which gateways never send", { ...MINING, channel: false, length: 0, command: 1 }, "unexpectedFrame"],
    ["an unencrypted mining message", { ...MINING, channel: false }, "unencryptedMiningMessage"],
    ["a sealed mining message", { ...MINING, sealed: true }, "unencryptedMiningMessage"],
    ["a sealed, unencrypted mining message", { ...MINING, sealed: true, channel: false }, "unencryptedMiningMessage"],
    ["INFO, which only pools send", { ...MINING, command: 7 }, "unknownCommand"],
    ["a handshake response", RESPONSE, "unknownCommand"],
    ["command 0", { ...MINING, command: 0 }, "unknownCommand"],
    ["command 31", { ...MINING, command: 31 }, "unknownCommand"],
    ["a frame over the limit", { ...MINING, length: DEFAULT_MAX_PAYLOAD + 1 }, "frameTooLarge"],
    ["a frame of 4 MB", { ...MINING, length: LARGEST_PAYLOAD }, "frameTooLarge"],
  ] as const)("refuses by its header: %s", (_, header, code) => {
    const { pool } = connected(native);
    pool.maxPayload = DEFAULT_MAX_PAYLOAD;
    pool.receive(word(header, feedback(NK)));
    expect(datumError(() => pool.next()).code).toBe(code);
    expect(datumError(() => pool.receive(Uint8Array.of(0))).code).toBe(code);
  });

  it("waits for a frame at the limit, and takes a larger one while the limit is raised", () => {
    const { pool, gateway } = connected(native);
    pool.maxPayload = DEFAULT_MAX_PAYLOAD;
    const reply = gateway.send({ type: "fullSet", jobId: 0, transactions: [new Uint8Array(DEFAULT_MAX_PAYLOAD)] });
    pool.maxPayload = LARGEST_PAYLOAD;
    pool.receive(reply);
    expect(drain(pool)).toHaveLength(1);
    pool.maxPayload = DEFAULT_MAX_PAYLOAD;
    pool.receive(word({ ...MINING, length: DEFAULT_MAX_PAYLOAD }, feedback(feedback(NK))));
    expect(pool.next()).toBeUndefined();
  });

  it("refuses mining frames without room for a MAC", () => {
    for (const length of [0, 15]) {
      const { pool } = connected(native);
      pool.receive(Buffer.concat([word({ ...MINING, length }, feedback(NK)), new Uint8Array(length)]));
      expect(datumError(() => pool.next()).code).toBe("badMac");
    }
  });

  it("refuses a message of the day that a gateway would not show whole", () => {
    for (const motd of ["x".repeat(MAX_MOTD_BYTES + 1), "\u20ac".repeat(171), "a\0b"]) {
      const keys = parties(native);
      const channel = new PoolChannel({ crypto: native, longTermKeys: [keys.pool], sessionKeys: keys.poolSession, motd });
      channel.receive(gatewayChannel(native, keys).hello());
      channel.next();
      expect(datumError(() => channel.accept()).code).toBe("badValue");
    }
  });

  it("stays good when a message can't be sent, and refuses texts that no log should show", () => {
    const { pool, gateway } = connected(native);
    for (const text of ["a\0b", "\x1b[31m", "\x07"]) expect(datumError(() => pool.send({ type: "info", text })).code).toBe("badValue");
    gateway.receive(pool.send({ type: "info", text: "tabs\tand\r\nlines" }));
    expect(drain(gateway)).toEqual([{ type: "message", message: { type: "info", text: "tabs\tand\r\nlines" } }]);
  });
});

describe("the gateway's channel", () => {
  const start = feedback(~NK >>> 0);

  it("sends nothing before the handshake is over", () => {
    const channel = gatewayChannel(native);
    expect(datumError(() => channel.send({ type: "fullSet", jobId: 0, transactions: [] })).code).toBe("unexpectedFrame");
  });

  it.each([
    ["another command", { ...RESPONSE, command: 5 }, "unexpectedFrame"],
    ["unsigned", { ...RESPONSE, signed: false }, "unexpectedFrame"],
    ["not sealed", { ...RESPONSE, sealed: false }, "unexpectedFrame"],
    ["a PING", { ...RESPONSE, signed: false, sealed: false, length: 0, command: 1 }, "unexpectedFrame"],
    ["of 4 MB", { ...RESPONSE, length: LARGEST_PAYLOAD }, "frameTooLarge"],
  ] as const)("refuses by its header a response that is %s", (_, header, code) => {
    const channel = gatewayChannel(native);
    channel.receive(word(header, start));
    expect(datumError(() => channel.next()).code).toBe(code);
  });

  it("refuses a response that echoes other keys, is signed by another, or ends badly", () => {
    const keys = parties(native);
    const own = [keys.gateway.sign, keys.gateway.box, keys.gatewaySession.sign, keys.gatewaySession.box].map((pair) => pair.publicKey);
    const pools = [keys.poolSession.sign.publicKey, keys.poolSession.box.publicKey];
    const motd = Buffer.from("hi\0");
    const cases: readonly [Uint8Array[], typeof keys.pool, string][] = [
      [[...own.slice(0, 3), seed(9), ...pools, motd], keys.pool, "responseMalformed"],
      [[...own, ...pools, motd], keys.gateway, "badSignature"],
      [[...own, ...pools, Buffer.from("hi")], keys.pool, "responseMalformed"],
      [[...own, ...pools, Buffer.from("h\0i\0")], keys.pool, "responseMalformed"],
      [[...own, ...pools], keys.pool, "responseMalformed"],
      [[...own, keys.poolSession.sign.publicKey, new Uint8Array(32), motd], keys.pool, "badKey"],
    ];
    for (const [parts, signer, code] of cases) {
      const body = Buffer.concat(parts);
      const plain = Buffer.concat([body, signLongTerm(native, signer, body)]);
      const channel = gatewayChannel(native, keys);
      channel.receive(frameOf(RESPONSE, start, native.seal(plain, keys.gatewaySession.box.publicKey)));
      expect(datumError(() => channel.next()).code).toBe(code);
    }
  });

  it("refuses a response sealed to another connection's key", () => {
    const { response } = connected(native);
    const channel = gatewayChannel(native, { ...parties(native), gatewaySession: generateSessionKeys(native) });
    channel.receive(response);
    expect(datumError(() => channel.next()).code).toBe("responseUnreadable");
  });

  it.each([
    ["a second response", RESPONSE, "unknownCommand"],
    ["an unencrypted mining message", { ...MINING, channel: false }, "unencryptedMiningMessage"],
    ["a PING with content that nothing vouches for", { ...MINING, channel: false, command: 1, length: 1 }, "unexpectedFrame"],
    ["a signed PING", { ...MINING, channel: false, command: 1, length: 0, signed: true }, "unexpectedFrame"],
    ["an unencrypted INFO", { ...MINING, channel: false, command: 7 }, "unexpectedFrame"],
    ["command 3", { ...MINING, command: 3 }, "unknownCommand"],
  ] as const)("refuses by its header: %s", (_, header, code) => {
    const { gateway } = connected(native);
    gateway.receive(word(header, feedback(start)));
    expect(datumError(() => gateway.next()).code).toBe(code);
  });

  it("takes an unsigned configuration from nobody, nor one by the pool's long-term key", () => {
    const keys = parties(native);
    const configuration = POOL_SAYS[0];
    if (configuration?.type !== "configuration") throw new Error("no configuration");
    const body = encodePoolMessage(configuration);
    const shared = native.sharedKey(keys.gatewaySession.box.publicKey, keys.poolSession.box.secretKey) as Uint8Array;
    for (const [plain, signed] of [
      [body, false],
      [Buffer.concat([body, signLongTerm(native, keys.pool, body)]), true],
    ] as const) {
      const { gateway } = connected(native);
      const box = new Uint8Array(plain.length + 16);
      native.encryptInto(box, plain, firstNonces(NK, keys.gatewaySession.sign.publicKey).poolToGateway.bytes, shared);
      gateway.receive(frameOf({ ...MINING, signed }, feedback(start), box));
      expect(datumError(() => gateway.next()).code).toBe("badSignature");
    }
  });

  it("takes an encrypted PING as well", () => {
    const keys = parties(native);
    const shared = native.sharedKey(keys.gatewaySession.box.publicKey, keys.poolSession.box.secretKey) as Uint8Array;
    const box = new Uint8Array(16);
    native.encryptInto(box, new Uint8Array(0), firstNonces(NK, keys.gatewaySession.sign.publicKey).poolToGateway.bytes, shared);
    const { gateway } = connected(native);
    gateway.receive(frameOf({ ...MINING, command: 1 }, feedback(start), box));
    expect(drain(gateway)).toEqual([{ type: "message", message: { type: "ping" } }]);
  });
});

describe("padding", () => {
  it("is of every allowed length, and of one repeated byte", () => {
    const all = Array.from({ length: 4000 }, () => randomPadding(1, 80));
    expect(new Set(all.map(({ length }) => length))).toEqual(new Set(Array.from({ length: 80 }, (_, i) => i + 1)));
    expect(new Set(all.map(({ byte }) => byte)).size).toBeGreaterThan(250);
  });
});
