import { expect, it } from "vitest";
import { CALM, type ReserveOptions, reserveRisks } from "../../src/simulation/index.js";
import { ended } from "./support.js";

const OPTIONS: ReserveOptions = {
  cases: [{ scheme: "fpps", fee: 0.1 }],
  network: { ...CALM, medianFees: 0 },
  days: 365,
  seed: 1,
  paths: 300,
  poolShare: 0.2,
  orphans: 0,
  withheld: 0,
  empty: 0,
  reserves: [2, 5, 10, 20],
};

/**
 * Chance that funds which shrink by `1 - fee` a block's worth of work and grow by one a block ever fall by `reserve`: e^(-a reserve), where a > 0 solves
 * e^(-a) - 1 + a (1 - fee) = 0 (Lundberg; for small fees a is 2 × fee, which is Rosenfeld's appendix C).
 */
function everRuined(fee: number, reserve: number): number {
  let [low, high] = [fee, 10];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (Math.exp(-middle) - 1 + middle * (1 - fee) < 0) low = middle;
    else high = middle;
  }
  return Math.exp(-low * reserve);
}

it("is ruined as often as theory has it", () => {
  const [risk] = ended(reserveRisks(OPTIONS));
  for (const [i, reserve] of OPTIONS.reserves.entries()) {
    const due = everRuined(0.1, reserve);
    expect(Math.abs((risk?.ruin[i] ?? 0) - due)).toBeLessThan(3 * Math.sqrt((due * (1 - due)) / OPTIONS.paths));
  }
});

it("loses what is withheld and what empty templates lack, and keeps the fee", () => {
  const base = { ...OPTIONS, network: CALM, paths: 200, days: 100 };
  const blocks = 100 * 144 * 0.2;
  const mean = (options: Partial<ReserveOptions>) => ended(reserveRisks({ ...base, ...options })).map(({ mean: left }) => left / blocks);
  const error = Math.sqrt(1 / blocks / base.paths);
  const fees = 3 / 312.5;
  const [pps, fpps] = mean({ cases: [{ scheme: "pps", fee: 0.02 }, { scheme: "fpps", fee: 0.02 }] }); // biome-ignore format: one line
  expect(Math.abs((pps ?? 0) - (0.02 + fees))).toBeLessThan(4 * error);
  expect(Math.abs((fpps ?? 0) - 0.02 * (1 + fees))).toBeLessThan(4 * error);
  const [withheld] = mean({ cases: [{ scheme: "fpps", fee: 0 }], withheld: 0.3 });
  expect(Math.abs((withheld ?? 0) + 0.3 * (1 + fees))).toBeLessThan(0.02);
  const [empty] = mean({ cases: [{ scheme: "fpps", fee: 0 }], empty: 1 });
  expect(Math.abs((empty ?? 0) + fees)).toBeLessThan(4 * error);
});

it("shows more risk to a smaller reserve, and the paths by week", () => {
  const [risk] = ended(reserveRisks({ ...OPTIONS, cases: [{ scheme: "pps", fee: 0 }], paths: 50, days: 70 }));
  expect([...(risk?.ruin ?? [])].sort((a, b) => b - a)).toEqual(risk?.ruin);
  expect(risk?.weeks.middle).toHaveLength(11);
  for (const week of [1, 5, 10]) expect(risk?.weeks.low[week]).toBeLessThan(risk?.weeks.high[week] ?? 0);
});
