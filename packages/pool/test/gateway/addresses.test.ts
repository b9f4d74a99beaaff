import { describe, expect, it } from "vitest";
import { addressKey, plainAddress, prefixKey } from "../../src/gateway/address-key.js";
import { AddressList, isNetwork } from "../../src/gateway/address-list.js";
import { KeyedBuckets } from "../../src/gateway/keyed-buckets.js";
import { KnownAddresses } from "../../src/gateway/known-addresses.js";

describe("keys of an address", () => {
  it.each([
    ["192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.0/24"],
    ["::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.0/24"],
    ["::FFFF:c000:207", "192.0.2.7", "192.0.2.7", "192.0.2.0/24"],
    ["0:0:0:0:0:ffff:192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.0/24"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"],
    ["2001:0DB8:1:2::1", "2001:0DB8:1:2::1", "2001:db8:1:2::/64", "2001:db8:1::/48"],
    ["2001:db8::1", "2001:db8::1", "2001:db8:0:0::/64", "2001:db8:0::/48"],
    ["::1", "::1", "0:0:0:0::/64", "0:0:0::/48"],
    ["::", "::", "0:0:0:0::/64", "0:0:0::/48"],
    ["fe80::1%eth0", "fe80::1", "fe80:0:0:0::/64", "fe80:0:0::/48"],
  ])("%s is %s, counts as %s and %s", (address, plain, key, prefix) => {
    expect([plainAddress(address), addressKey(address), prefixKey(address)]).toEqual([plain, key, prefix]);
  });
});

describe("a list of addresses", () => {
  const list = new AddressList(["192.0.2.7", "198.51.100.0/24", "2001:db8::/32", "::1", "::ffff:203.0.113.5"]);

  it.each(["192.0.2.7", "::ffff:192.0.2.7", "198.51.100.200", "2001:db8:ffff::1", "::1", "203.0.113.5"])("has %s", (address) => {
    expect(list.has(address)).toBe(true);
  });

  it.each(["192.0.2.8", "198.51.101.0", "2001:db9::1", "::2", "::ffff:192.0.2.8"])("has not %s", (address) => {
    expect(list.has(address)).toBe(false);
  });

  it("of everything is two networks", () => {
    const all = new AddressList(["0.0.0.0/0", "::/0"]);
    for (const address of ["0.0.0.0", "255.255.255.255", "::", "ffff::1", "::ffff:1.2.3.4"]) expect(all.has(address)).toBe(true);
  });

  it.each(["192.0.2.7", "192.0.2.0/24", "0.0.0.0/0", "::/0", "2001:db8::/32", "::ffff:192.0.2.7"])("takes %s", (text) => {
    expect(isNetwork(text)).toBe(true);
  });

  it.each([
    ...["", "192.0.2", "192.0.2.7/33", "192.0.2.7/", "192.0.2.7/024", "192.0.2.7/-1", "192.0.2.256", "example.org", "::/129"],
    ...["::ffff:192.0.2.0/120", "fe80::1%eth0", "192.0.2.7 ", "2001:db8:::1"],
  ])("refuses %j", (text) => {
    expect(isNetwork(text)).toBe(false);
    expect(() => new AddressList([text])).toThrow(RangeError);
  });
});

describe("addresses that good work came from", () => {
  it("are forgotten in time, gateway by gateway", () => {
    const known = new KnownAddresses(10, 1000);
    known.note("a", "one", 0);
    known.note("a", "two", 500);
    expect([0, 999, 1000, 1499, 1500].map((now) => known.gateways("a", now))).toEqual([2, 2, 1, 1, 0]);
    known.note("a", "one", 2000);
    known.note("a", "one", 2500);
    expect(known.gateways("a", 3400)).toBe(1);
    expect(known.gateways("b", 3400)).toBe(0);
  });

  it("are bounded, and so are the gateways of one", () => {
    const known = new KnownAddresses(3, 1e9);
    for (const address of ["a", "b", "c", "a", "d"]) known.note(address, "one", 0);
    expect(["a", "b", "c", "d"].map((address) => known.gateways(address, 0))).toEqual([1, 0, 1, 1]);
    for (let i = 0; i < 1000; i++) known.note("d", `${i}`, 0);
    expect(known.gateways("d", 0)).toBe(256);
  });
});

describe("budgets by key", () => {
  it("are apart, refill, and are bounded in number", () => {
    const buckets = new KeyedBuckets(2, 1, 2);
    expect(["a", "a", "a", "b"].map((key) => buckets.take(key, 0))).toEqual([true, true, false, true]);
    expect(buckets.take("a", 999)).toBe(false);
    expect(buckets.take("a", 1000)).toBe(true);
    // The third key pushes out the one that was used longest ago.
    buckets.take("c", 1000);
    expect(buckets.take("a", 1000)).toBe(false);
    expect(buckets.take("b", 1000, 2)).toBe(true);
  });
});
