import { describe, expect, it } from "vitest";
import type { PoolStatusDocument } from "../../src/api/index.js";
import { liveTable } from "../../src/cli/live-table.js";
import { STATUS } from "../api/support.js";

const ADDRESS = "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry";

/** Some gateways of four miners each, and twelve payees. */
function status(gateways = 3, changes: Partial<PoolStatusDocument> = {}): PoolStatusDocument {
  const workers = Array.from({ length: 4 }, (_, number) => ({ name: `${ADDRESS}.rig${number}`, accepted: 10 * number, hashrate: 20 }));
  const list = Array.from({ length: gateways }, (_, number) => ({
    primeId: number + 1,
    key: "0123456789abcdef",
    poolKey: "fedcba9876543210",
    version: "v0.4",
    connection: number + 1,
    address: "127.0.0.1",
    connectedAt: "2026-11-22T21:04:05.000Z",
    hashrate: 80,
    accepted: 50,
    tentative: 10,
    late: 0,
    refusedByReason: { 21: 1, 25: 7 },
    minimumDifficulty: "1024",
    ignoresSplit: false,
    workerCount: 4,
    workers,
  }));
  return {
    ...STATUS,
    hashrate: 80 * gateways,
    shares: { accepted: 150, tentative: 30, refusedByReason: {} },
    gateways: { connected: gateways, workers: 4 * gateways, list },
    split: { payees: 12, value: "1200000000", list: Array.from({ length: 12 }, () => ({ address: ADDRESS, value: "100000000" })) },
    blocks: { found: 3, accepted: 2, newest: [] },
    ...changes,
  };
}

const table = (shown: PoolStatusDocument, columns: number, rows: number) => liveTable(shown, "OpenPrime demo, 12 s", { columns, rows });

describe("liveTable", () => {
  it.each([
    [120, 45, 3],
    [100, 36, 3],
    [80, 24, 3],
    [80, 36, 3],
    [60, 18, 3],
    [40, 24, 3],
    [200, 100, 3],
    [80, 24, 50],
    [80, 24, 0],
    [80, 14, 12],
  ])("fits %i columns and %i rows with %i gateways", (columns, rows, gateways) => {
    const lines = table(status(gateways), columns, rows);
    expect(lines.length).toBeLessThanOrEqual(rows);
    for (const line of lines) expect([...line].length).toBeLessThanOrEqual(columns);
  });

  it("shows everything where there is room", () => {
    const text = table(status(), 120, Number.POSITIVE_INFINITY).join("\n");
    expect(text).toContain("12 s   tip 117 070707070707…   blocks 3 found, 2 accepted");
    expect(text.match(/\.rig/g)).toHaveLength(12);
    expect(text.match(/8\.33 %/g)).toHaveLength(12);
    expect(text).toContain(`  ${ADDRESS}.rig3`);
    expect(text).not.toContain("more");
    expect(text).not.toContain("! ");
    expect(text).toContain("refused by reason: none");
    expect(text).toMatch(/3 gateways, 12 miners +240 H\/s +180 +0\n/);
  });

  it("sums up what a low terminal has no room for", () => {
    const lines = table(status(), 80, 23);
    expect(lines.filter((line) => line.includes("… 3 more miners"))).toHaveLength(3);
    expect(lines.at(-1)).toMatch(/^ {2}… 9 more +9\.00000000 +75\.00 %$/);
  });

  it("tells how many gateways have no line", () => {
    const many = status(50);
    const lines = table({ ...many, gateways: { ...many.gateways, connected: 2000 } }, 80, 24);
    const shown = lines.filter((line) => line.startsWith("gateway ") && line.includes("key")).length;
    expect(shown).toBeGreaterThan(0);
    expect(lines).toContain(`… ${2000 - shown} more gateways`);
  });

  it("names the reasons of refusals, the most frequent first", () => {
    const lines = table(status(3, { shares: { accepted: 1, tentative: 0, refusedByReason: { 21: 3, 25: 21 } } }), 80, 40);
    expect(lines).toContain("refused by reason: stale 21, highHash 3");
    expect(lines.find((line) => line.startsWith("gateway 1"))).toMatch(/ 60 +8$/);
  });

  it("puts the figures of all rows under each other", () => {
    const ends = table(status(), 90, 40)
      .filter((line) => /^(gateway|3 gateways)/.test(line))
      .map((line) => line.length);
    expect(new Set(ends)).toEqual(new Set([90]));
  });

  it("has a line for each trouble", () => {
    const lines = table(
      status(0, {
        state: "draining",
        nodeReachable: false,
        nodes: [{ name: "a:8332", state: "unreachable", why: "no answer within 3 s", followed: true }],
        log: { position: "1", waiting: 7, lagSeconds: 9, state: "waiting" },
      }),
      100,
      30,
    );
    expect(lines.filter((line) => line.startsWith("! "))).toEqual([
      "! the pool is draining",
      "! node a:8332 is unreachable: no answer within 3 s",
      "! the share log is waiting: 7 entries wait",
    ]);
    const behind = table(status(0, { log: { position: "1", waiting: 7, lagSeconds: 9, state: "running" } }), 100, 30);
    expect(behind).toContain("! the database is behind: the oldest share waits for 9.0 s");
  });

  it("lets no miner's name move the cursor", () => {
    const evil = status(1);
    const list = evil.gateways.list.map((gateway) => ({ ...gateway, workers: [{ name: "a\u001b[2Jb\n", accepted: 1, hashrate: 1 }] }));
    const lines = table({ ...evil, gateways: { ...evil.gateways, list } }, 80, 40);
    expect(lines.some((line) => line.startsWith("  a?[2Jb?"))).toBe(true);
  });
});
