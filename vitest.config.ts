import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (name: string) => fileURLToPath(new URL(`./packages/${name}/src/index.ts`, import.meta.url));

// Tests run the sources, so that a stale build can never make a test pass; only tests that start real processes use dist/.
export default defineConfig({
  resolve: {
    alias: {
      "@openprime/datum": source("datum"),
      "@openprime/bitcoin": source("bitcoin"),
      "@openprime/rewards": source("rewards"),
      "@openprime/simulator": source("simulator"),
    },
  },
  test: {
    include: ["packages/*/test/**/*.test.ts"],
    // Most of them wait for real processes: one worker less than cores, the default, would leave half of a small machine idle.
    maxWorkers: Math.max(2, availableParallelism()),
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // CI's machines are shared: a test that real processes made late gets a second try there, and is told as flaky. At a desk it fails.
    retry: process.env.CI === undefined ? 0 : 1,
  },
});
