import { expect, it } from "vitest";
import { CALM, DAY, meanOf, NETWORK, Network, quantile, Random } from "../../src/simulation/index.js";

/** Lets the network find blocks for some days. */
function run(network: Network, days: number, each: () => void): number {
  const random = new Random(1, "blocks");
  let blocks = 0;
  for (; network.time < days * DAY; blocks++) {
    each();
    network.found((random.exponential() * network.difficulty) / network.rate);
  }
  return blocks;
}

it("retargets so that blocks come nearly every ten minutes although the hash rate grows", () => {
  const network = new Network(NETWORK, new Random(1, "network"), 0);
  const start = network.difficulty;
  const blocks = run(network, 365, () => undefined);
  expect(blocks / (365 * 144)).toBeGreaterThan(1);
  expect(blocks / (365 * 144)).toBeLessThan(1.03);
  expect(network.difficulty / start).toBeGreaterThan(1.2);
});

it("changes the difficulty at a retarget and nowhere else, by what it foretold", () => {
  const network = new Network({ ...CALM, growth: 3 }, new Random(1, "network"), 0);
  let [difficulty, toGo, foretold, changes] = [network.difficulty, network.blocksToRetarget, 0, 0];
  run(network, 60, () => {
    if (network.difficulty !== difficulty) {
      expect(toGo).toBe(1);
      expect(network.difficulty / difficulty - 1).toBeCloseTo(foretold, 2);
      changes++;
    }
    [difficulty, toGo, foretold] = [network.difficulty, network.blocksToRetarget, network.expectedChange];
  });
  expect(changes).toBeGreaterThanOrEqual(4);
});

it("has fees with a heavy tail, and the mean of the last 144 for FPPS", () => {
  const network = new Network(NETWORK, new Random(1, "network"), 0);
  const fees: number[] = [];
  run(network, 365, () => {
    if (fees.length >= 144) expect(network.averageFees).toBeCloseTo(meanOf(fees.slice(-144)), 0);
    fees.push(network.fees);
  });
  expect(quantile(fees, 0.5) / NETWORK.medianFees).toBeGreaterThan(0.7);
  expect(quantile(fees, 0.5) / NETWORK.medianFees).toBeLessThan(1.4);
  expect(Math.max(...fees)).toBeGreaterThan(8 * quantile(fees, 0.5));
});
