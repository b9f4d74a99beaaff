/** Small parts of the API room. */
import { describe, expect, it } from "vitest";
import { hostAllowed } from "../../src/api/host-names.js";
import { requestId } from "../../src/api/request-id.js";
import { sharedFor } from "../../src/api/shared.js";

describe("hostAllowed", () => {
  const names = new Set(["pool.example"]);
  it.each([
    "localhost",
    "LOCALHOST:28916",
    "127.0.0.1",
    "127.0.0.1:80",
    "[::1]:28916",
    "10.0.0.2:28916",
    "pool.example",
    "Pool.Example:443",
  ])("takes %s", (host) => expect(hostAllowed(host, names)).toBe(true));
  it.each([
    "evil.example",
    "localhost.evil.example:28916",
    "pool.example.evil",
    "127.0.0.1.evil.example",
    "",
    ":80",
    "localhost:x",
    "[evil]:80",
    "a b",
  ])("refuses %s", (host) => expect(hostAllowed(host, names)).toBe(false));
  it("takes a request of HTTP/1.0, which names none", () => {
    expect(hostAllowed(undefined, names)).toBe(true);
  });
});

it("requestId never lets a caller's bytes make a line of their own", () => {
  expect(requestId("a:b-c_d.1")).toBe("a:b-c_d.1");
  for (const bad of ["a\nb", "", "ü", "x".repeat(65), undefined, ["a", "b"]]) expect(requestId(bad)).toMatch(/^[0-9a-f]{16}$/);
});

describe("sharedFor", () => {
  it("gives one result to all for its time, and makes the next after it", async () => {
    let now = 0;
    let made = 0;
    const get = sharedFor(
      500,
      async () => ++made,
      () => now,
    );
    expect(await Promise.all([get(), get()])).toEqual([1, 1]);
    now = 499;
    expect(await get()).toBe(1);
    now = 500;
    expect(await get()).toBe(2);
  });

  it("tells a failure to those who waited, and tries again", async () => {
    let tries = 0;
    const get = sharedFor(
      1000,
      async () => {
        if (++tries === 1) throw new Error("away");
        return tries;
      },
      () => 0,
    );
    const both = await Promise.allSettled([get(), get()]);
    expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(await get()).toBe(2);
  });
});
