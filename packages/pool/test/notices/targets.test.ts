/** What a receiver can be, which addresses are closed to miners' webhooks, and what is kept of a target. */
import { generateSecretKey, getPublicKey } from "nostr-tools";
import { npubEncode, nsecEncode } from "nostr-tools/nip19";
import { describe, expect, it } from "vitest";
import { isPublicAddress } from "../../src/notices/channels/public-address.js";
import { NoticeSecrets } from "../../src/notices/secrets.js";
import { maskTarget, parseTarget } from "../../src/notices/targets.js";

const STRICT = { privateAllowed: false };
const key = getPublicKey(generateSecretKey());

describe("parseTarget", () => {
  it.each([
    ["webhook", "https://example.com/hook?token=1#part", "https://example.com/hook?token=1"],
    ["email", "a.b+c@example.com", "a.b+c@example.com"],
    ["nostr", npubEncode(key), key],
    ["nostr", key.toUpperCase(), key],
  ] as const)("takes for %s: %s", (channel, text, target) => {
    expect(parseTarget(channel, text, STRICT)).toBe(target);
  });

  it.each([
    ["webhook", "http://example.com/"],
    ["webhook", "https://user:password@example.com/"],
    ["webhook", "ftp://example.com/"],
    ["webhook", "example.com"],
    ["webhook", `https://example.com/${"x".repeat(2000)}`],
    ["email", "a@example.com\r\nBcc: b@example.com"],
    ["email", "a@example.com, b@example.com"],
    ["email", "A <a@example.com>"],
    ["email", '"a b"@example.com'],
    ["email", "a..b@example.com"],
    ["email", "a@"],
    ["email", "a@-", "a@-"],
    ["nostr", nsecEncode(generateSecretKey())],
    ["nostr", "f".repeat(64)],
    ["nostr", key.slice(1)],
  ] as const)("refuses for %s: %s", (channel, text, taken?: string) => {
    // A lone dash is a strange domain, and harmless.
    if (taken !== undefined) expect(parseTarget(channel, text, STRICT)).toBe(taken);
    else expect(() => parseTarget(channel, text, STRICT)).toThrow(expect.objectContaining({ code: "notices.badTarget" }));
  });

  it("never shows a target in its error", () => {
    expect(() => parseTarget("webhook", "http://example.com/t0psecret", STRICT)).toThrow(/^(?!.*t0psecret)/);
  });

  it("lets http pass where private networks are allowed", () => {
    expect(parseTarget("webhook", "http://127.0.0.1:1/x", { privateAllowed: true })).toBe("http://127.0.0.1:1/x");
  });
});

it.each([
  ["8.8.8.8", true],
  ["1.1.1.1", true],
  ["2606:4700::1111", true],
  ["127.0.0.1", false],
  ["10.1.2.3", false],
  ["172.16.0.1", false],
  ["172.32.0.1", true],
  ["192.168.1.1", false],
  ["169.254.169.254", false],
  ["100.64.0.1", false],
  ["0.0.0.0", false],
  ["224.0.0.1", false],
  ["255.255.255.255", false],
  ["198.18.0.1", false],
  ["::1", false],
  ["::", false],
  ["fe80::1", false],
  ["fc00::1", false],
  ["fd12:3456::1", false],
  ["ff02::1", false],
  ["::ffff:127.0.0.1", false],
  ["::ffff:8.8.8.8", false],
  ["::ffff:7f00:1", false],
  ["64:ff9b::7f00:1", false],
  ["2002:7f00:1::", false],
  ["2001:0:1::", false],
  ["2001:db8::1", false],
  ["localhost", false],
  ["", false],
])("isPublicAddress(%s) is %s", (address, expected) => {
  expect(isPublicAddress(address)).toBe(expected);
});

it.each([
  ["webhook", "https://hooks.example.com:8443/services/T0/B0/secret", "https://hooks.example.com:8443/…"],
  ["webhook", "https://example.com/?token=1", "https://example.com/…"],
  ["webhook", "https://example.com/", "https://example.com/"],
  ["email", "alice@example.com", "a…@example.com"],
  ["nostr", key, npubEncode(key)],
] as const)("maskTarget of %s %s", (channel, target, shown) => {
  expect(maskTarget(channel, target)).toBe(shown);
});

describe("NoticeSecrets", () => {
  const text = NoticeSecrets.newKey();
  const secrets = new NoticeSecrets(text);

  it("opens what it sealed, for the same receiver and with the same key only", () => {
    const sealed = secrets.seal(7n, "https://example.com/secret");
    expect(secrets.open(7n, sealed)).toBe("https://example.com/secret");
    expect(Buffer.from(sealed).toString("latin1")).not.toContain("secret");
    const wrong = expect.objectContaining({ code: "notices.sealed" });
    expect(() => secrets.open(8n, sealed)).toThrow(wrong);
    expect(() => new NoticeSecrets(NoticeSecrets.newKey()).open(7n, sealed)).toThrow(wrong);
    expect(() => secrets.open(7n, sealed.subarray(0, 20))).toThrow(wrong);
    expect(() => secrets.open(7n, new Uint8Array())).toThrow(wrong);
    sealed[15]! ^= 1;
    expect(() => secrets.open(7n, sealed)).toThrow(wrong);
  });

  it("gives each purpose and receiver a secret of its own, the same after a restart", () => {
    const all = [secrets.webhookSecret("1"), secrets.webhookSecret("2"), secrets.webhookSecret("operator"), secrets.nostrKey()];
    expect(new Set(all.map((secret) => Buffer.from(secret).toString("hex"))).size).toBe(4);
    expect(new NoticeSecrets(text).webhookSecret("1")).toEqual(all[0]);
    for (const secret of all) expect(text).not.toContain(Buffer.from(secret).toString("hex"));
  });

  it.each(["", "abc", "0".repeat(63), `${"0".repeat(64)}\nmore`])("refuses %j as a key", (bad) => {
    expect(() => new NoticeSecrets(bad)).toThrow(expect.objectContaining({ code: "notices.badKey" }));
  });
});
