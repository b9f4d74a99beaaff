import { expect, it } from "vitest";
import { TURNS, takeTurns } from "../../src/simulation/index.js";

it.each([
  { accounts: 60, outputs: 10 },
  { accounts: 300, outputs: 10 },
  { accounts: 300, outputs: 4 },
])("each of $accounts has its turn in time where coinbases hold $outputs outputs", (some) => {
  const report = takeTurns({ ...TURNS, ...some, blocks: 600 });
  expect(report.late).toBe(0);
  expect(report.mostTurns).toBeLessThanOrEqual(report.turnsAllowed);
  // More are due than a coinbase can pay, or nothing would be in question.
  expect(report.open).toBeGreaterThan(2 * some.outputs);
  expect(report.longest).toBeGreaterThan(report.open / some.outputs);
  expect(report.paid).toBeGreaterThan(0.8);
  expect(report.paid).toBeLessThanOrEqual(1);
});

it("coinbases never work off what work without a split leaves with the pool", () => {
  const [short, long] = [500, 1000].map((blocks) => takeTurns({ ...TURNS, accounts: 300, blocks, noSplit: 0.1 }));
  expect(short?.late).toBe(0);
  expect(long?.longest).toBeGreaterThan(1.2 * (short?.longest ?? 0));
  expect(long?.paid).toBeLessThan(0.91);
});
