/** The short form of `npm run faults`: one of each kind of fault, and the books at the end. What needs privileges is skipped aloud. */
import { expect, test } from "vitest";
import type { FaultReport } from "../../src/cli/fire/faults/run.js";
import { program } from "./program.js";

const FAULTS = [
  "node hangs",
  "node answers garbage",
  "database killed",
  "database hangs",
  "disk full",
  "cable pulled",
  "a gateway's connection half open",
  "pool stopped",
  "pool killed",
];
const SEED = Number(process.env.OPENPRIME_FAULTS_SEED ?? Math.floor(Date.now() / 86_400_000));

test(`faults, seed ${SEED}: the books are right at the end`, { timeout: 600_000 }, async () => {
  const only = FAULTS.flatMap((name) => ["--only", name]);
  const { code, report, said } = await program<FaultReport>("faults", "--rounds", "1", "--seed", String(SEED), ...only);
  for (const [name, why] of Object.entries(report?.skipped ?? {})) console.warn(`SKIPPED: ${name}: ${why}`);
  console.info(said);
  expect(code, said).toBe(0);
  expect(report.findings).toEqual([]);
  expect(report.thrown.length + Object.keys(report.skipped).length).toBe(FAULTS.length);
  expect(report.thrown.length).toBeGreaterThanOrEqual(4);
  expect(report.shares.acknowledged).toBeGreaterThan(100);
  expect(report.blocks.onChain).toBeGreaterThan(0);
});
