/** The files for systemd are what systemd takes, and its own judgement of the unit's exposure stays low. */
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { SETTINGS } from "../../src/cli/config/index.js";
import { folder } from "../cli/support.js";
import { ROOT, runProgram } from "./support.js";

const SOURCE = join(ROOT, "deploy", "systemd");
const PROGRAM = "/usr/local/bin/openprime";
/** Of 100; systemd calls 20 and less OK. */
const MOST_EXPOSURE = 20;

function has(program: string): boolean {
  const found = runProgram(program, ["--version"], ROOT).code === 0;
  if (!found) console.warn(`SKIPPED: files for systemd are not checked, there is no ${program}`);
  return found;
}

/** The unit with `edit` done to it and a program that exists, since verify looks for it. */
function unit(edit = (text: string): string => text): string {
  const text = readFileSync(join(SOURCE, "openprime.service"), "utf8");
  expect(text).toContain(`ExecStart=${PROGRAM} serve`);
  const file = join(folder(), "openprime.service");
  writeFileSync(file, edit(text).replace(PROGRAM, "/bin/true"));
  return file;
}

describe.skipIf(!has("systemd-analyze"))("the unit", () => {
  test("has no word that systemd does not know", () => {
    const file = unit();
    expect(runProgram("systemd-analyze", ["verify", file], ROOT)).toMatchObject({ code: 0, err: "" });
    const wrong = unit((text) => text.replace("KillMode=mixed", "KillMode=gently"));
    expect(runProgram("systemd-analyze", ["verify", wrong], ROOT).err).toContain("kill mode");
  });

  test("and the socket that outlives it has none either, and the port that the pool has by default", () => {
    const file = join(dirname(unit()), "openprime.socket");
    copyFileSync(join(SOURCE, "openprime.socket"), file);
    expect(runProgram("systemd-analyze", ["verify", file], ROOT)).toMatchObject({ code: 0, err: "" });
    expect(readFileSync(file, "utf8")).toContain(`ListenStream=${SETTINGS["listen.port"].fallback}\n`);
  });

  test("and the timer that asks for its health have none either, and ask where the API is by default", () => {
    for (const name of ["openprime-health.service", "openprime-health.timer"]) {
      expect(runProgram("systemd-analyze", ["verify", join(SOURCE, name)], ROOT), name).toMatchObject({ code: 0, err: "" });
    }
    const text = readFileSync(join(SOURCE, "openprime-health.service"), "utf8");
    expect(text).toContain(`http://${SETTINGS["api.host"].fallback}:${SETTINGS["api.port"].fallback}/healthz`);
  });

  test("leaves few doors open", () => {
    const security = (file: string) =>
      runProgram("systemd-analyze", ["security", "--offline=true", `--threshold=${MOST_EXPOSURE}`, file], ROOT).code;
    expect(security(unit())).toBe(0);
    expect(security(unit((text) => text.replace("CapabilityBoundingSet=\n", "")))).not.toBe(0);
  });
});

test.skipIf(!has("systemd-sysusers"))("the user has the name and the home that the unit means", () => {
  const root = folder();
  const made = runProgram("systemd-sysusers", [`--root=${root}`, "--dry-run", join(SOURCE, "sysusers.conf")], ROOT);
  expect(made.code, made.err).toBe(0);
  expect(`${made.out}${made.err}`).toContain("Creating user 'openprime' (OpenPrime)");
  expect(readFileSync(join(SOURCE, "sysusers.conf"), "utf8")).toContain(" /var/lib/openprime\n");
});

test.skipIf(!has("systemd-tmpfiles") || process.getuid?.() !== 0)("the folders are made (as root)", () => {
  const root = folder();
  const text = readFileSync(join(SOURCE, "tmpfiles.conf"), "utf8");
  const file = join(root, "tmpfiles.conf");
  // The user is not on this machine.
  writeFileSync(file, text.replaceAll("openprime openprime -", "root root -"));
  const made = runProgram("systemd-tmpfiles", [`--root=${root}`, "--create", file], ROOT);
  expect(made.code, made.err).toBe(0);
  const modes = runProgram("stat", ["-c", "%a", join(root, "etc/openprime"), join(root, "var/lib/openprime")], ROOT);
  expect(modes.out).toBe("750\n755\n");
});
