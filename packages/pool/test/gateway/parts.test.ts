import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addressKey } from "../../src/gateway/address-key.js";
import { classify, firstLine, httpAnswer, stratumAnswer } from "../../src/gateway/first-bytes.js";
import { LogLimiter } from "../../src/gateway/log-limiter.js";
import { checkOptions, minimumTargetByte } from "../../src/gateway/options.js";
import { RateWindow } from "../../src/gateway/rate-window.js";
import { SeenHellos } from "../../src/gateway/seen-hellos.js";
import { TokenBucket } from "../../src/gateway/token-bucket.js";

describe("first bytes", () => {
  it("never take a HELLO for another client, whatever its length", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 22 - 1 }), (length) => {
        const header = Buffer.alloc(4);
        header.writeUInt32LE(((0x0b000000 | length) ^ 0xdc871829) >>> 0);
        expect(classify(header)).toBe("datum");
      }),
      { numRuns: 2000 },
    );
  });

  it("wait for four", () => {
    for (const text of ["", "G", "GET", "{", '{"i']) expect(classify(Buffer.from(text))).toBe("more");
    expect(classify(Buffer.from("GET / HTTP/1.1"))).toBe("http");
    expect(classify(Buffer.from("POST /"))).toBe("http");
    expect(classify(Buffer.from('{"id'))).toBe("json");
    expect(classify(Buffer.from([0x7b, 0x18, 0x87, 0xd7]))).toBe("datum");
  });

  it("of a Stratum client are answered with its own id", () => {
    const line = firstLine(Buffer.from('{"id":7,"method":"mining.subscribe","params":[]}\nmore'), 2048)!;
    const answer = JSON.parse(Buffer.from(stratumAnswer(line)!).toString()) as { id: unknown; error: [number, string, null] };
    expect(answer.id).toBe(7);
    expect(answer.error[1]).toContain("datum_gateway");
    expect(firstLine(Buffer.from('{"id":7'), 2048)).toBeUndefined();
    expect(firstLine(Buffer.alloc(3000, 0x20), 2048)).toHaveLength(2048);
    for (const other of ['{"id":7}', "{nothing", '{"method":5}', "[1]"]) expect(stratumAnswer(other)).toBeUndefined();
    expect(Buffer.from(stratumAnswer(`{"id":{"a":1},"method":"x"}`)!).toString()).toContain('"id":null');
  });

  it("of an HTTP client are answered with a whole response", () => {
    const [head, body] = Buffer.from(httpAnswer()).toString().split("\r\n\r\n") as [string, string];
    expect(head).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(head).toContain(`Content-Length: ${body.length}`);
  });
});

describe("addressKey", () => {
  it.each([
    ["192.0.2.7", "192.0.2.7"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::1", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ])("%s counts as %s", (address, key) => {
    expect(addressKey(address)).toBe(key);
  });
});

describe("TokenBucket", () => {
  it("allows a burst, then the rate", () => {
    const bucket = new TokenBucket(3, 2, 0);
    expect([0, 0, 0, 0].map((now) => bucket.take(now))).toEqual([true, true, true, false]);
    expect(bucket.take(499)).toBe(false);
    expect(bucket.take(500)).toBe(true);
    expect(bucket.take(500)).toBe(false);
    expect([1e9, 1e9, 1e9, 1e9].map((now) => bucket.take(now))).toEqual([true, true, true, false]);
  });
});

describe("SeenHellos", () => {
  const key = (n: number): Uint8Array => new Uint8Array(32).fill(n);

  it("knows a key for its time", () => {
    const seen = new SeenHellos(10, 1000);
    expect(seen.check(key(1), 0)).toBe(false);
    expect(seen.check(key(1), 999)).toBe(true);
    expect(seen.check(key(2), 999)).toBe(false);
    expect(seen.check(key(1), 1000)).toBe(false);
  });

  it("forgets the oldest when full, and a repeated one costs none", () => {
    const seen = new SeenHellos(2, 1000);
    seen.check(key(1), 0);
    seen.check(key(2), 0);
    expect(seen.check(key(1), 1)).toBe(true);
    expect(seen.check(key(3), 1)).toBe(false);
    expect(seen.size).toBe(2);
    expect(seen.check(key(2), 1)).toBe(true);
    expect(seen.check(key(1), 1)).toBe(false);
  });
});

describe("RateWindow", () => {
  it("keeps the recent past only", () => {
    const window = new RateWindow(0, 1000, 5);
    window.add(0, 10);
    window.add(2500, 5);
    expect(window.read(2500)).toEqual({ weight: 15, seconds: 2.5 });
    expect(window.read(4999).weight).toBe(15);
    expect(window.read(5000).weight).toBe(5);
    expect(window.read(8000)).toEqual({ weight: 0, seconds: 4 });
    window.add(1e9, 3);
    expect(window.read(1e9)).toEqual({ weight: 3, seconds: 4 });
  });

  it("agrees with a plain sum over the window", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ step: fc.nat(3000), weight: fc.nat(100) }), { maxLength: 50 }), (events) => {
        const window = new RateWindow(0, 1000, 5);
        let now = 0;
        const all: { at: number; weight: number }[] = [];
        for (const { step, weight } of events) {
          now += step;
          window.add(now, weight);
          all.push({ at: now, weight });
        }
        const from = (Math.floor(now / 1000) - 4) * 1000;
        expect(window.read(now).weight).toBe(all.filter(({ at }) => at >= from).reduce((sum, { weight }) => sum + weight, 0));
      }),
    );
  });
});

describe("LogLimiter", () => {
  it("writes so many a minute and tells how many it kept back", () => {
    const limiter = new LogLimiter(2);
    expect([0, 1, 2, 3].map((now) => limiter.allow("a", now))).toEqual([0, 0, undefined, undefined]);
    expect(limiter.allow("b", 3)).toBe(0);
    expect(limiter.allow("a", 60_000)).toBe(2);
    expect(limiter.allow("a", 60_001)).toBe(0);
  });
});

describe("options", () => {
  const good = { host: "::", port: 0, payoutScript: new Uint8Array(22), tag: Buffer.from("OpenPrime"), minimumDifficulty: 1n, motd: "" };

  it("knows the target byte of a difficulty", () => {
    expect([1n, 2n, 131_072n, 1n << 62n].map((difficulty) => minimumTargetByte(difficulty))).toEqual([0, 1, 17, 62]);
  });

  it.each([
    ["minimumDifficulty", { minimumDifficulty: 3n }],
    ["minimumDifficulty", { minimumDifficulty: 0n }],
    ["minimumDifficulty", { minimumDifficulty: 1n << 63n }],
    ["minimumDifficultyCeiling", { minimumDifficultyCeiling: 3n }],
    ["minimumDifficultyCeiling", { minimumDifficulty: 16n, minimumDifficultyCeiling: 8n }],
    ["gatewaySharesPerMinute", { gatewaySharesPerMinute: 19 }],
    ["gatewaySharesPerMinute", { gatewaySharesPerMinute: Number.NaN }],
    ["payoutScript", { payoutScript: new Uint8Array(65) }],
    ["payoutScript", { payoutScript: new Uint8Array(0) }],
    ["tag", { tag: new Uint8Array(84).fill(65) }],
    ["tag", { tag: Uint8Array.of(65, 0) }],
    ["tag", { tag: Uint8Array.of(65, 15) }],
    ["motd", { motd: "é".repeat(256) }],
  ])("refuses a bad %s: %o", (option, change) => {
    expect(() => checkOptions(good)).not.toThrow();
    expect(() => checkOptions({ ...good, ...change })).toThrow(expect.objectContaining({ code: "gatewayOptions", option }));
  });
});
