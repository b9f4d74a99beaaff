/**
 * The soak in its short form: a really running pool under real gateways, and a ceiling that is counted, not timed: bytes that are alive in the pool
 * for each gateway with eight jobs, two coinbases a job and 200 accounts in the split, after a full collection. The long form is `npm run soak`.
 */
import { describe, expect, it } from "vitest";
import { describeSoak, problems, type SoakReport } from "../../src/soak/report.js";
import { soak } from "../../src/soak/soak.js";

const GATEWAYS = 30;
/** Two thousand of them are to fit into 1 GiB, which is 536,870 bytes for each, with the pool itself and what the collector leaves lying. */
const CEILING = 300_000;

describe("the soak", () => {
  it("finds the pool within its memory, every share accepted and the books right", { timeout: 180_000 }, async () => {
    const report = await soak(
      {
        gateways: GATEWAYS,
        accounts: 200,
        minutes: 0.05,
        pace: { jobMs: 4000, fillMs: 400, shareMs: 1000 },
        processes: 1,
        connectsPerSecond: 100,
        countBytes: true,
        say: () => undefined,
      },
      new AbortController().signal,
    );
    expect(problems(report, { perGateway: CEILING })).toEqual([]);
    expect(report.jobs).toBeGreaterThanOrEqual(8 * GATEWAYS);
    // Of the 200 accounts as many as a coinbase of 6,500 bytes holds.
    expect(report.outputs).toBeGreaterThan(150);
    expect(report.shares.accepted).toBe(report.shares.sent);
    // It is no bookkeeping of nothing: the coinbases alone, and the splits, take as much.
    expect(report.memory.perGateway.filled).toBeGreaterThan(100_000);
    expect(describeSoak(report)).toContain("The books agree with the chain.");
  });

  it("names every problem", () => {
    const good: SoakReport = {
      ...{ gateways: 1, accounts: 1, outputs: 1, jobs: 8, withoutSplit: 0, fillSeconds: 1, steadySeconds: 1, warnings: {} },
      memory: {
        ...{ rss: spread(5), heapUsed: spread(1), external: spread(1), peakRss: 9, quarters: [] },
        perGateway: { filled: 3, end: 4 },
      },
      shares: { sent: 1, accepted: 1, tentative: 0, refused: {}, lost: 0, disconnects: 0, seeded: 1 },
      latency: { answers: 1, p50: 1, p95: 1, p99: 1, max: 1 },
      books: "The books agree with the chain.",
      booksAgree: true,
    };
    expect(problems(good, { ceiling: 9, perGateway: 4 })).toEqual([]);
    expect(problems(good, { ceiling: 8, perGateway: 3 })).toHaveLength(2);
    const { memory, shares } = good;
    expect(problems({ ...good, memory: { ...memory, perGateway: { filled: 1, end: undefined } } }, { perGateway: 3 })).toHaveLength(1);
    expect(problems({ ...good, shares: { ...shares, refused: { 25: 1 }, lost: 1 } }, {})).toHaveLength(2);
    expect(problems({ ...good, withoutSplit: 1, books: "wrong", booksAgree: false }, {})).toHaveLength(2);
  });
});

function spread(value: number): SoakReport["memory"]["rss"] {
  return { min: value, median: value, max: value };
}
