import { expect, test } from "vitest";
import { NETWORKS, subsidy } from "../src/index.js";

test.each([
  ["mainnet", 0, 5_000_000_000n],
  ["mainnet", 209_999, 5_000_000_000n],
  ["mainnet", 210_000, 2_500_000_000n],
  ["mainnet", 840_000, 312_500_000n],
  ["mainnet", 6_929_999, 1n],
  ["mainnet", 6_930_000, 0n],
  ["mainnet", 64 * 210_000, 0n],
  ["signet", 210_000, 2_500_000_000n],
  ["regtest", 149, 5_000_000_000n],
  ["regtest", 150, 2_500_000_000n],
] as const)("%s at height %i: %s", (network, height, satoshis) => {
  expect(subsidy(height, NETWORKS[network])).toBe(satoshis);
});

test("no more than 21 million coins ever come of it", () => {
  let sum = 0n;
  for (let height = 0; height < 64 * 210_000; height += 210_000) sum += subsidy(height, NETWORKS.mainnet) * 210_000n;
  expect(sum).toBe(2_099_999_997_690_000n);
});
