import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { run } from "../../../src/cli/main.js";
import { capture, folder } from "../support.js";

const SMALL = ["simulate", "--days", "14", "--replicas", "2", "--seed", "7"];

describe("openprime simulate", () => {
  it("prints tables of every scheme asked for, and draws them", async () => {
    const io = capture();
    const dir = join(folder(), "charts");
    expect(await run([...SMALL, "--scheme", "tides", "pps", "--pool-share", "0.1", "--svg", dir], {}, io)).toBe(0);
    expect(io.out()).toContain("2 × 14 days, seed 7, pool 10 % of the network, fee 0 %:\n");
    expect(io.out()).toMatch(/^steady 30 % +[01]\.\d{4}±0\.\d{4} +[01]\.\d{4}±0\.\d{4}$/m);
    expect(io.out()).toMatch(/^hops by luck: here only just after a block of the pool +\d+(\.\d)? % +-?\d\.\d{3}±/m);
    expect(io.out()).toMatch(/^pps +2 % +-?\d/m);
    expect(io.out()).toMatch(/^withhold +0 /m);
    expect(io.out()).not.toMatch(/NaN|undefined/);
    expect(io.err()).toContain("2 of 2 replicas of 14 days");
    expect(readdirSync(dir).sort()).toEqual(["gains-pps.svg", "gains-tides.svg", "reserve-pps.svg", "reward-pps.svg", "reward-tides.svg"]);
    for (const name of readdirSync(dir)) expect(readFileSync(join(dir, name), "utf8")).not.toMatch(/NaN|undefined|Infinity/);
  });

  it("prints one JSON object, the same for the same seed", async () => {
    const [one, two] = [capture(), capture()];
    for (const io of [one, two]) expect(await run([...SMALL, "--scheme", "tides,solo", "--json"], {}, io)).toBe(0);
    expect(one.err()).toBe("");
    const result = JSON.parse(one.out());
    expect(result.options).toMatchObject({ days: 14, seed: 7, replicas: 2, poolShare: 0.05 });
    expect(result.schemes.map(({ scheme }: { scheme: string }) => scheme)).toEqual(["tides", "solo"]);
    expect(result.risks.cases).toEqual([]);
    expect(two.out()).toBe(one.out());
  });

  it.each([
    [["--scheme", "tide"], '--scheme is "tide". Allowed: tides, '],
    [["--scheme", "solo:3"], '--scheme is "solo:3". Allowed: tides, '],
    [["--scheme", "tides:0"], '--scheme is "tides:0". Allowed: tides, '],
    [["--days", "0"], "Allowed: a whole number of 7 to 3660."],
    [["--replicas", "1.5"], "Allowed: a whole number of 1 to 1000."],
    [["--pool-share", "0.6"], "Allowed: a number of 0.001 to 0.5."],
    [["--fee", "-1"], "Allowed: a number of 0 to 0.5."],
  ])("refuses %j", async (args, text) => {
    const io = capture();
    expect(await run(["simulate", ...args], {}, io)).toBe(1);
    expect(io.err()).toContain(text);
    expect(io.out()).toBe("");
  });

  it("ends early when it is asked to", async () => {
    const io = { ...capture(), signal: AbortSignal.abort() };
    expect(await run([...SMALL, "--scheme", "solo"], {}, io)).toBe(1);
    expect(io.out()).toBe("");
  });
});
