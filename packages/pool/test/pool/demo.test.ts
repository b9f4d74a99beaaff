/** `openprime demo` as a process: node, pool, gateways and miners together find blocks, and the books agree with the chain. */
import { expect, test } from "vitest";
import { Command } from "./support/command.js";

test("the demo ends with one JSON object whose books have no differences", { timeout: 120_000 }, async () => {
  const demo = new Command(["demo", "--seconds", "8", "--json"]);
  expect(await demo.ended, demo.stderr).toBe(0);
  expect(demo.stdout.trim().split("\n")).toHaveLength(1);
  const report = JSON.parse(demo.stdout) as {
    ok: boolean;
    gateways: number;
    miners: number;
    shares: { accepted: number; tentative: number; unknownResponses: number };
    blocks: { found: number; onChain: number; paidSplit: number };
    split: { script: string; value: string }[];
    books: { sharesStored: string; differences: string[] };
  };
  expect(report).toMatchObject({ ok: true, gateways: 3, miners: 12, books: { differences: [] } });
  expect(report.shares.unknownResponses).toBe(0);
  expect(report.blocks.onChain).toBeGreaterThan(0);
  expect(report.blocks.paidSplit).toBeGreaterThan(0);
  expect(report.blocks.found).toBeGreaterThanOrEqual(report.blocks.onChain);
  expect(report.shares.accepted).toBeGreaterThan(0);
  expect(Number(report.books.sharesStored)).toBeGreaterThanOrEqual(report.shares.accepted + report.shares.tentative);
  expect(report.split.length).toBeGreaterThan(1);
});
