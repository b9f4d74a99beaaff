/** Usernames: addresses with their checksums, workers made harmless, bounds per session. */
import { readFileSync } from "node:fs";
import { NETWORKS, type NetworkName, scriptToAddress } from "@openprime/bitcoin";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FOLDED_WORKER, MAX_WORKER_LENGTH } from "../../src/work/index.js";
import { type Miner, Usernames } from "../../src/work/username.js";

interface Vectors {
  readonly valid: readonly { readonly network: NetworkName; readonly username: string; readonly script: string; readonly worker: string }[];
  readonly invalid: readonly { readonly network: NetworkName; readonly username: string }[];
}

const vectors = JSON.parse(readFileSync(new URL("data/usernames.json", import.meta.url), "utf8")) as Vectors;
const LIMITS = { accountsPerSession: 3, workersPerSession: 4 };
const { regtest } = NETWORKS;
const address = (n: number) => scriptToAddress(Buffer.concat([Buffer.from("0014", "hex"), Buffer.alloc(20, n)]), regtest) ?? "";

function miner(usernames: Usernames, name: string): Miner {
  const found = usernames.resolve(Buffer.from(name), regtest, LIMITS);
  if ("reason" in found) throw new Error(found.detail);
  return found;
}

describe("vectors", () => {
  test.each(vectors.valid)("$network takes $username", ({ network, username, script, worker }) => {
    const found = new Usernames().resolve(Buffer.from(username), NETWORKS[network], LIMITS);
    if ("reason" in found) throw new Error(found.detail);
    expect(Buffer.from(found.account).toString("hex")).toBe(script);
    expect(found.worker).toBe(worker);
    expect(username.startsWith(found.address)).toBe(true);
  });

  test.each(vectors.invalid)("$network refuses $username", ({ network, username }) => {
    expect(new Usernames().resolve(Buffer.from(username), NETWORKS[network], LIMITS)).toMatchObject({ reason: 14 });
  });
});

test("bytes that are not UTF-8, and 384 bytes that are, are refused", () => {
  const usernames = new Usernames();
  expect(usernames.resolve(Buffer.concat([Buffer.from(`${address(1)}.`), Buffer.from([0xc3, 0x28])]), regtest, LIMITS)).toMatchObject({
    reason: 14,
    detail: "username is not UTF-8",
  });
  expect(usernames.resolve(Buffer.from("ü".repeat(192)), regtest, LIMITS)).toMatchObject({ reason: 14 });
  expect(usernames.resolve(Buffer.from(`${address(1)}.${"ü".repeat(150)}`), regtest, LIMITS)).toMatchObject({ reason: 14 });
});

test("a name is cut to its length in code points, never in the middle of one", () => {
  const found = miner(new Usernames(), `${address(1)}.${"😀".repeat(50)}`);
  expect(found.worker).toBe("😀".repeat(50));
  expect([...miner(new Usernames(), `${address(1)}.${"x".repeat(100)}`).worker].length).toBe(MAX_WORKER_LENGTH);
});

test("spellings of one address are one account, named as first written", () => {
  const usernames = new Usernames();
  const lower = miner(usernames, `${address(1)}.a`);
  const upper = miner(usernames, `${address(1).toUpperCase()}.b`);
  expect(upper.account).toBe(lower.account);
  expect(upper.address).toBe(address(1));
  for (const n of [2, 3]) miner(usernames, address(n));
  expect(usernames.resolve(Buffer.from(address(4)), regtest, LIMITS)).toMatchObject({ reason: 14 });
  expect(miner(usernames, address(1).toUpperCase()).worker).toBe("");
});

test("accounts over the bound are refused; known ones stay good", () => {
  const usernames = new Usernames();
  for (const n of [1, 2, 3]) miner(usernames, address(n));
  for (const n of [4, 5]) expect(usernames.resolve(Buffer.from(`${address(n)}.w`), regtest, LIMITS)).toMatchObject({ reason: 14 });
  expect(miner(usernames, `${address(2)}.new`).worker).toBe("new");
});

test("workers over the bound share one name; known ones keep theirs", () => {
  const usernames = new Usernames();
  const names = ["a", "b", "c", "d", "e", "f"].map((worker) => miner(usernames, `${address(1)}.${worker}`).worker);
  expect(names).toEqual(["a", "b", "c", "d", FOLDED_WORKER, FOLDED_WORKER]);
  expect(miner(usernames, `${address(2)}.a`).worker).toBe(FOLDED_WORKER);
  expect(miner(usernames, `${address(1)}.b`).worker).toBe("b");
  expect(miner(usernames, address(2)).worker).toBe("");
});

test("a flood of names changes nothing for a miner, who stays known after being forgotten", () => {
  const usernames = new Usernames();
  const first = miner(usernames, `${address(1)}.a`);
  for (let i = 0; i < 5000; i++) usernames.resolve(Buffer.from(`nobody${i}`), regtest, LIMITS);
  const again = miner(usernames, `${address(1)}.a`);
  expect(again).not.toBe(first);
  expect(again).toEqual(first);
});

test("any bytes give a miner or reason 14, and a worker's name that is short, printable and on one line", () => {
  const usernames = new Usernames();
  const tail = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc.string({ unit: "binary", maxLength: 40 }).map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(tail, (bytes) => {
      const found = usernames.resolve(Buffer.concat([Buffer.from(`${address(1)}.`), bytes]), regtest, {
        ...LIMITS,
        workersPerSession: 10_000,
      });
      if ("reason" in found) expect(found.reason).toBe(14);
      else {
        expect(found.worker).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
        expect([...found.worker].length).toBeLessThanOrEqual(MAX_WORKER_LENGTH);
        expect(found.worker).toBe(found.worker.trim());
      }
    }),
    { numRuns: 500 },
  );
});
