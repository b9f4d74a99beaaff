import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { run } from "../../src/cli/main.js";
import { version } from "../../src/cli/version.js";
import { ADDRESS, capture, folder } from "./support.js";

describe("openprime", () => {
  it("makes a pool's files, and shows their key", async () => {
    const dir = folder();
    const made = capture();
    expect(await run(["init", "--dir", dir, "--payout-address", ADDRESS], {}, made)).toBe(0);
    const shown = capture();
    expect(await run(["keys", "--config", join(dir, "openprime.yaml")], {}, shown)).toBe(0);
    expect(shown.out()).toMatch(/^[0-9a-f]{128}\n$/);
    expect(made.out()).toContain(shown.out());
    const named = capture();
    expect(await run(["keys"], { OPENPRIME_CONFIG: join(dir, "openprime.yaml") }, named)).toBe(0);
    expect(named.out()).toBe(shown.out());
  });

  it("makes other keys each time", async () => {
    const [one, two] = [capture(), capture()];
    for (const io of [one, two]) await run(["init", "--dir", folder()], {}, io);
    const keyOf = (text: string) => /[0-9a-f]{128}/.exec(text)?.[0];
    expect(keyOf(one.out())).toBeDefined();
    expect(keyOf(one.out())).not.toBe(keyOf(two.out()));
  });

  it.each(["keys", "serve", "doctor"])("%s says what to do without a configuration", async (command) => {
    const io = capture();
    expect(await run([command, "--config", join(folder(), "absent.yaml")], {}, io)).toBe(1);
    expect(io.err() + io.out()).toContain("there is no configuration file");
    expect(io.err() + io.out()).toContain("what to do: `openprime init` writes one");
    expect(io.err()).not.toContain("    at ");
  });

  it("tells all problems of a configuration", async () => {
    const file = join(folder(), "openprime.yaml");
    writeFileSync(file, "listen:\n  port: -1\n  hots: x\n");
    const io = capture();
    expect(await run(["serve", "-c", file], {}, io)).toBe(1);
    expect(io.err()).toContain("the configuration has 3 problems:\n");
    for (const start of [`${file}:2: listen.port`, `${file}:3: unknown setting`, `${file}: pool.payoutAddress`])
      expect(io.err()).toContain(start);
  });

  it.each([
    [["--help"], 0, "Usage: openprime"],
    [["--version"], 0, version()],
    [[], 1, "Usage: openprime"],
    [["dance"], 1, "unknown command 'dance'"],
    [["serve", "--fast"], 1, "unknown option '--fast'"],
    [["demo", "--seconds", "soon"], 1, "Allowed: a number of seconds over 0."],
    [["demo", "--seconds", "0"], 1, "Allowed: a number of seconds over 0."],
  ])("answers %j with %i", async (args, code, text) => {
    const io = capture();
    expect(await run(args, {}, io)).toBe(code);
    expect(io.out() + io.err()).toContain(text);
  });
});

describe("bin/openprime.js", () => {
  it("says what to do where nothing is built", () => {
    const dir = folder();
    mkdirSync(join(dir, "bin"));
    writeFileSync(join(dir, "package.json"), '{"type":"module"}');
    cpSync(fileURLToPath(new URL("../../bin/openprime.js", import.meta.url)), join(dir, "bin", "openprime.js"));
    const { status, stderr } = spawnSync(process.execPath, [join(dir, "bin", "openprime.js")], { encoding: "utf8" });
    expect(status).toBe(1);
    expect(stderr).toBe("openprime: it is not built yet\n  what to do: npm run setup\n");
  });
});
