/** What `npm pack` makes can be installed elsewhere and runs from there, also with the files where Debian would have them. */
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { version } from "../../src/cli/version.js";
import { folder } from "../cli/support.js";
import { PACKED, ROOT, runProgram } from "./support.js";

const NO_REGISTRY = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH/;
const ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

test("a packed pool is installed into an empty folder, and has its version, init and doctor there", (context) => {
  const packs = folder();
  const workspaces = PACKED.flatMap((name) => ["-w", `packages/${name}`]);
  const packed = runProgram("npm", ["pack", "--ignore-scripts", ...workspaces, "--pack-destination", packs], ROOT);
  expect(packed.code, packed.err).toBe(0);
  const files = readdirSync(packs).map((name) => join(packs, name));
  expect(files).toHaveLength(PACKED.length);

  const home = folder();
  writeFileSync(join(home, "package.json"), '{ "private": true }');
  const installed = runProgram("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", ...files], home);
  if (NO_REGISTRY.test(installed.err)) {
    console.warn("SKIPPED: the packed pool is not installed, there is no way to the npm registry");
    context.skip();
  }
  expect(installed.code, installed.err).toBe(0);
  const program = join(home, "node_modules", ".bin", "openprime");
  const env = { OPENPRIME_LISTEN_PORT: "0", OPENPRIME_API_PORT: "0", OPENPRIME_NODE_COOKIE_FILE: join(home, "no-cookie") };
  const openprime = (...args: string[]) => runProgram(program, args, home, env);

  expect(openprime("--version").out).toBe(`${version()}\n`);
  const [state, etc] = [join(home, "state"), join(home, "etc")];
  mkdirSync(etc);
  const made = openprime("init", "--dir", state, "--network", "regtest", "--payout-address", ADDRESS);
  expect(made.code, made.err).toBe(0);
  renameSync(join(state, "openprime.yaml"), join(etc, "openprime.yaml"));
  const edited = runProgram("bash", ["-c", layoutEdit().replaceAll("/var/lib/openprime", state).replaceAll("/etc/openprime", etc)], home);
  expect(edited.code, edited.err).toBe(0);

  // Everything but the node, which is not there, and in the folder of the state.
  const { checks } = JSON.parse(openprime("doctor", "--json", "--config", join(etc, "openprime.yaml")).out) as Report;
  expect(checks.filter(({ status }) => status === "FAIL").map(({ name }) => name)).toEqual(["node"]);
  const told = (name: string) => checks.find((check) => check.name === name)?.message;
  expect(told("keys")).toContain(join(state, "openprime.keys.json"));
  expect(told("database")).toContain(join(state, "data"));
  expect(told("publish")).toContain(join(state, "public"));
}, 120_000);

interface Report {
  readonly checks: readonly { readonly name: string; readonly status: string; readonly message: string }[];
}

/** The command of the document that moves keys and books to the folder of the state. */
function layoutEdit(): string {
  const text = readFileSync(join(ROOT, "docs", "deploying.md"), "utf8");
  const found = /^sudo (sed -i (?:.*\\\n)*.*openprime\.yaml)$/m.exec(text)?.[1];
  if (found === undefined) throw new Error("docs/deploying.md has no sed command any more");
  return found;
}
