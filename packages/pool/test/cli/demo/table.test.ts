import { NETWORKS } from "@openprime/bitcoin";
import { describe, expect, it } from "vitest";
import { liveTable, type TableFigures } from "../../../src/cli/demo/table.js";

const ADDRESS = "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry";
const SCRIPT = Buffer.from("00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262", "hex");

/** Three gateways of four miners each, and as many payees. */
function figures(refusedByReason: Record<number, number> = {}): TableFigures {
  const workers = Array.from({ length: 4 }, (_, number) => ({
    name: `${ADDRESS}.rig${number}`,
    accepted: 10 * number,
    recentWeight: 100,
    recentSeconds: 10,
  }));
  const gateways = [1, 2, 3].map((primeId) => ({
    sessionId: BigInt(primeId),
    primeId,
    keyPrefix: "0123456789abcdef",
    poolKeyPrefix: "fedcba9876543210",
    version: "v0.4",
    address: "127.0.0.1",
    connectedAt: 0,
    proven: true,
    accepted: 50,
    tentative: 10,
    late: 0,
    splitUnused: 0,
    ignoresSplit: false,
    minimumDifficulty: 1024n,
    refusedByReason,
    acceptedWeight: 400n,
    recentWeight: 400,
    recentSeconds: 10,
    workerCount: 4,
    workers,
  }));
  const tip = { hash: new Uint8Array(32).fill(7), height: 117 } as TableFigures["status"]["tip"];
  return {
    network: NETWORKS.regtest,
    status: { gateways, tip, nodeReachable: true, nodes: [], position: 180n, waiting: 0 },
    split: Array.from({ length: 12 }, () => ({ script: new Uint8Array(SCRIPT), value: 100_000_000n })) as unknown as TableFigures["split"],
    blocks: { found: 3, accepted: 2 },
    seconds: 12.7,
  };
}

describe("liveTable", () => {
  it.each([
    [120, 45],
    [100, 36],
    [80, 24],
    [80, 36],
    [60, 18],
    [40, 24],
    [200, 100],
  ])("fits %i columns and %i rows", (columns, rows) => {
    const lines = liveTable(figures({ 25: 2 }), { columns, rows });
    expect(lines.length).toBeLessThanOrEqual(rows);
    for (const line of lines) expect([...line].length).toBeLessThanOrEqual(columns);
  });

  it("shows everything where there is room", () => {
    const text = liveTable(figures(), { columns: 120, rows: Number.POSITIVE_INFINITY }).join("\n");
    expect(text).toContain("12 s   tip 117 070707070707…   blocks 3 found, 2 accepted");
    expect(text.match(/\.rig/g)).toHaveLength(12);
    expect(text.match(/8\.33 %/g)).toHaveLength(12);
    expect(text).toContain(`  ${ADDRESS}.rig3`);
    expect(text).not.toContain("more");
    expect(text).toContain("refused by reason: none");
    // 400 shares' worth of two hashes each in ten seconds, three times.
    expect(text).toMatch(/3 gateways, 12 miners +240 H\/s +180 +0\n/);
  });

  it("sums up what a low terminal has no room for", () => {
    const lines = liveTable(figures(), { columns: 80, rows: 23 });
    expect(lines.filter((line) => line.includes("… 3 more miners"))).toHaveLength(3);
    expect(lines.at(-1)).toMatch(/^ {2}… 9 more +9\.00000000 +75\.00 %$/);
  });

  it("names the reasons of refusals, the most frequent first", () => {
    const lines = liveTable(figures({ 21: 1, 25: 7 }), { columns: 80, rows: 40 });
    expect(lines).toContain("refused by reason: stale 21, highHash 3");
    expect(lines.find((line) => line.startsWith("gateway 1"))).toMatch(/ 60 +8$/);
  });

  it("puts the figures of all rows under each other", () => {
    const lines = liveTable(figures(), { columns: 90, rows: 40 });
    const ends = lines.filter((line) => /^(gateway|3 gateways)/.test(line)).map((line) => line.length);
    expect(new Set(ends)).toEqual(new Set([90]));
  });
});
