/** The fuzz itself: coverage leads it to a bug that chance would not find, and a property that holds ends well. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { mutate } from "../../src/fuzz/mutate.js";
import { Random } from "../../src/fuzz/random.js";

const dist = (name: string): string => new URL(`../../dist/fuzz/${name}.js`, import.meta.url).href;

/** One byte right shows the way to the next. By chance alone the four take some 2^32 inputs. */
const DECODER = `export function decode(input) {
  if (input[0] === 0x62) {
    if (input[1] === 0x75) {
      if (input[2] === 0x67) {
        if (input[3] === 0x21) throw new Error("the planted bug");
      }
    }
  }
}
`;

/** Runs a fuzz of that decoder in a process of its own. */
function fuzzed(
  decoder: string,
  options: object,
): { findings: { what: string; input: string }[]; inputs: number; targets: { corpus: number }[] } {
  const dir = mkdtempSync(join(tmpdir(), "openprime-fuzz-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, "decoder.mjs"), decoder);
  const program = `
    import { Coverage } from ${JSON.stringify(dist("coverage"))};
    import { fuzz } from ${JSON.stringify(dist("fuzzer"))};
    const coverage = new Coverage((url) => url.endsWith("decoder.mjs"));
    const { decode } = await import(${JSON.stringify(pathToFileURL(join(dir, "decoder.mjs")).href)});
    const target = { name: "planted", seeds: [Uint8Array.of(1, 2, 3, 4)], part: 1, run: decode };
    console.log(JSON.stringify(await fuzz([target], ${JSON.stringify({ seed: 1, save: false, ...options })}, coverage, () => undefined)));`;
  const run = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    encoding: "utf8",
    cwd: fileURLToPath(new URL(".", import.meta.url)),
  });
  expect(run.stderr).toBe("");
  return JSON.parse(run.stdout) as ReturnType<typeof fuzzed>;
}

describe("a coverage-guided fuzz", () => {
  it("finds a bug behind four right bytes", () => {
    const report = fuzzed(DECODER, { inputs: 300_000 });
    expect(report.findings.length).toBeGreaterThan(0);
    expect(report.findings[0]?.what).toContain("the planted bug");
    expect(report.findings[0]?.input.slice(0, 8)).toBe("62756721");
    expect(report.targets[0]?.corpus).toBeGreaterThanOrEqual(4);
  });

  it("ends without a finding when there is none, after as many inputs as it was told", () => {
    const report = fuzzed("export const decode = (input) => input.length;", { inputs: 5000 });
    expect(report.findings).toEqual([]);
    expect(report.inputs).toBeGreaterThanOrEqual(5000);
  });
});

describe("mutations", () => {
  it("are the same for the same seed, and bounded", () => {
    const inputs = [new Uint8Array(0), Uint8Array.of(1, 2, 3), new Uint8Array(39_990).fill(7)];
    const made = (seed: number): string => {
      const random = new Random(seed);
      const digest = createHash("sha256");
      for (let i = 0; i < 2000; i++) {
        const input = mutate(random.pick(inputs), random, inputs);
        expect(input.length).toBeLessThanOrEqual(40_000);
        digest.update(input);
      }
      return digest.digest("hex");
    };
    expect(made(5)).toBe(made(5));
    expect(made(5)).not.toBe(made(6));
  });
});
