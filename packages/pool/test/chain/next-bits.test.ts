import { NETWORKS, type NetworkName } from "@openprime/bitcoin";
import { describe, expect, it } from "vitest";
import { type BitsHeader, type HeaderSource, nextBits } from "../../src/chain/next-bits.js";
import retargets from "./data/retargets.json" with { type: "json" };

const header = (height: number, bits: string, time: number, previousblockhash?: string): BitsHeader => ({
  height,
  bits: Number.parseInt(bits, 16),
  time,
  previousblockhash,
});

const nothing: HeaderSource = {
  byHash: (hash) => Promise.reject(new Error(`asked for ${hash}`)),
  byHeight: (height) => Promise.reject(new Error(`asked for ${height}`)),
};

describe("nextBits at the end of a period", () => {
  for (const one of retargets.cases) {
    it(`${one.network}: ${one.what}`, async () => {
      const asked: number[] = [];
      const source: HeaderSource = {
        ...nothing,
        byHeight: (height) => {
          asked.push(height);
          return Promise.resolve(header(height, one.firstBits, one.firstTime));
        },
      };
      const parent = header(one.height, one.bits, one.time);
      const bits = await nextBits(parent, NETWORKS[one.network as NetworkName], one.time + 600, source);
      expect(bits.toString(16)).toBe(one.next);
      expect(asked).toEqual([one.height - 2015]);
    });
  }

  it("regtest never changes its target", async () => {
    expect(await nextBits(header(2015, "1e7fffff", 0), NETWORKS.regtest, 10, nothing)).toBe(0x1e7fffff);
  });
});

describe("nextBits within a period", () => {
  it("keeps the parent's on mainnet, however long the block takes", async () => {
    expect(await nextBits(header(100, "1c05a3f4", 1000), NETWORKS.mainnet, 1000 + 86_400, nothing)).toBe(0x1c05a3f4);
  });

  it("is the least on the test networks after 20 minutes, and not at 20 minutes", async () => {
    for (const name of ["testnet", "testnet4"] as const) {
      const parent = header(100, "1c05a3f4", 1000);
      expect(await nextBits(parent, NETWORKS[name], 2201, nothing)).toBe(0x1d00ffff);
      expect(await nextBits(parent, NETWORKS[name], 2200, nothing)).toBe(0x1c05a3f4);
    }
  });

  it("looks past blocks of the 20-minute rule on the test networks, not past the period's first", async () => {
    const chain = new Map([
      ["a", header(100, "1c05a3f4", 0, "start")],
      ["b", header(101, "1d00ffff", 0, "a")],
    ]);
    const source: HeaderSource = { ...nothing, byHash: (hash) => Promise.resolve(chain.get(hash)!) };
    expect(await nextBits(header(102, "1d00ffff", 1000, "b"), NETWORKS.testnet, 1600, source)).toBe(0x1c05a3f4);
    expect(await nextBits(header(2016, "1d00ffff", 1000, "b"), NETWORKS.testnet, 1600, nothing)).toBe(0x1d00ffff);
  });
});
