/** Signature discipline is in the types: the TypeScript compiler itself says so. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const run = promisify(execFile);
const compiler = createRequire(import.meta.url).resolve("typescript/bin/tsc");
const project = fileURLToPath(new URL("types/tsconfig.json", import.meta.url));
const source = readFileSync(new URL("types/signature-discipline.ts", import.meta.url), "utf8");

it("the compiler refuses each mixed-up pair of keys, and takes the right ones", async () => {
  const { stdout } = await run(process.execPath, [compiler, "-p", project, "--listFiles"]);
  // The files must have been compiled, or their silence would mean nothing.
  expect(stdout).toContain("test/types/signature-discipline.ts");
  expect(stdout).toContain("src/keys.ts");
  expect(source.match(/^\/\/ @ts-expect-error /gm)).toHaveLength(11);
}, 120_000);
