import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Hasher } from "../../src/mining/hasher.js";
import { Scanner } from "../../src/mining/scanner.js";

const sha256d = (data: Uint8Array): Buffer => createHash("sha256").update(createHash("sha256").update(data).digest()).digest();

/** Every nonce below `end` whose hash has `zeroBytes` zero bytes at its top, by plain hashing. */
function bruteForce(header: Uint8Array, end: number, zeroBytes: number): number[] {
  const copy = Buffer.from(header);
  const found: number[] = [];
  for (let nonce = 0; nonce < end; nonce++) {
    copy.writeUInt32LE(nonce, 76);
    if (
      sha256d(copy)
        .subarray(32 - zeroBytes)
        .every((byte) => byte === 0)
    )
      found.push(nonce);
  }
  return found;
}

const targetWithZeroBytes = (count: number): Uint8Array => new Uint8Array(32).fill(0xff, 0, 32 - count);

describe("nonce search", () => {
  it("finds mainnet's first nonce", () => {
    const genesis = Buffer.from(
      `01000000${"00".repeat(32)}3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d00000000`,
      "hex",
    );
    const target = new Uint8Array(32);
    target.set([0xff, 0xff], 26);
    const scanner = new Scanner();
    scanner.load(genesis, target);
    const found = scanner.search(2_083_236_000, 2000);
    expect(found?.nonce).toBe(2_083_236_893);
    expect(Buffer.from(found!.hash).reverse().toString("hex")).toBe("000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f");
    expect(scanner.search(2_083_236_000, 893)).toBeUndefined();
    expect(scanner.search(2_083_236_000, 894)?.nonce).toBe(2_083_236_893);
  });

  it.each([1, 2, 3])("finds exactly what plain hashing finds (header %i)", (seed) => {
    const header = Buffer.concat([1, 2, 3].map((i) => createHash("sha256").update(`${seed}/${i}`).digest())).subarray(0, 80);
    const expected = bruteForce(header, 3001, 1);
    const scanner = new Scanner();
    scanner.load(header, targetWithZeroBytes(1));
    const found: number[] = [];
    for (let from = 0; from < 3001; ) {
      const next = scanner.search(from, 3001 - from);
      if (next === undefined) break;
      found.push(next.nonce);
      from = next.nonce + 1;
    }
    expect(found).toEqual(expected);
    expect(found.length).toBeGreaterThan(0);
  });

  it("takes all nonces at once", () => {
    const scanner = new Scanner();
    scanner.load(new Uint8Array(80).fill(9), targetWithZeroBytes(1));
    expect(scanner.search(0, 0x1_0000_0000)?.nonce).toBe(bruteForce(new Uint8Array(80).fill(9), 3000, 1)[0]);
  });

  it("ends at the last nonce without going round", () => {
    const scanner = new Scanner();
    scanner.load(new Uint8Array(80).fill(7), targetWithZeroBytes(31));
    expect(scanner.search(0xffff_ffff - 5, 6)).toBeUndefined();
  });
});

describe("hashing thread", () => {
  it("serves several miners, and tells nonces with the serial of their work", async () => {
    const errors: Error[] = [];
    const hasher = new Hasher((error) => errors.push(error));
    const header = new Uint8Array(80).fill(3);
    const seen = new Map<string, number[]>();
    await new Promise<void>((resolve) => {
      const listener = (name: string) => ({
        found: (serial: number, nonce: number, hash: Uint8Array) => {
          const copy = Buffer.from(header);
          copy.writeUInt32LE(nonce, 76);
          expect(sha256d(copy).equals(hash)).toBe(true);
          seen.set(name, [...(seen.get(name) ?? []), serial]);
          if (seen.size === 2 && (seen.get("a")?.length ?? 0) > 3) resolve();
        },
        exhausted: () => undefined,
      });
      hasher.work(hasher.add(listener("a")), 11, header, targetWithZeroBytes(1), 20_000);
      hasher.work(hasher.add(listener("b")), 22, header, targetWithZeroBytes(1), 5_000);
    });
    expect(new Set(seen.get("a"))).toEqual(new Set([11]));
    expect(new Set(seen.get("b"))).toEqual(new Set([22]));
    expect(await hasher.hashes()).toBeGreaterThan(256);
    expect(errors).toEqual([]);
    await hasher.close();
  });
});
