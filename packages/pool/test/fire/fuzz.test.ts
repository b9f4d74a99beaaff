/** The short form of `npm run fuzz`: every target, with another seed each day so that CI does not look at the same inputs for ever. */
import type { FuzzReport } from "@openprime/simulator";
import { expect, test } from "vitest";
import { program } from "./program.js";

const INPUTS = Number(process.env.OPENPRIME_FUZZ_INPUTS ?? 30_000);
const DAY_MS = 86_400_000;
const SEED = Number(process.env.OPENPRIME_FUZZ_SEED ?? Math.floor(Date.now() / DAY_MS));

test(`${INPUTS} mutated inputs, seed ${SEED}: every property holds`, { timeout: 120_000 + INPUTS * 10 }, async () => {
  const { code, report, said } = await program<FuzzReport>("fuzz", "--inputs", String(INPUTS), "--seed", String(SEED));
  expect(code, said).toBe(0);
  expect(report.findings).toEqual([]);
  expect(report.inputs).toBeGreaterThanOrEqual(INPUTS * 0.99);
  // It reaches what it is to reach: all decoders, and shares that are accepted.
  expect(report.targets.map(({ target }) => target)).toEqual([
    "headers",
    "gateway-messages",
    "pool-messages",
    "hello",
    "response",
    "line-to-pool",
    "line-to-gateway",
    "peer-at-pool",
    "peer-at-gateway",
    "connection",
  ]);
  const figures = Object.fromEntries(report.targets.map((one) => [one.target, one.figures]));
  for (const name of ["gateway-messages", "pool-messages"]) expect(figures[name]?.decoded, name).toBeGreaterThan(50);
  for (const name of ["hello", "response", "peer-at-pool", "peer-at-gateway"]) expect(figures[name]?.read, name).toBeGreaterThan(5);
  expect(figures.connection?.accepted).toBeGreaterThan(100);
  expect(report.coverage.functions).toBeGreaterThan(300);
});
