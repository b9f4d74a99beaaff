import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { checkRooms } from "../../../../scripts/check-rooms.mjs";

const script = fileURLToPath(new URL("../../../../scripts/check-rooms.mjs", import.meta.url));

/** A repository of these files, for one test. */
function tree(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), "openprime-rooms-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

describe("scripts/check-rooms.mjs", () => {
  it("lets downward imports by the index pass", () => {
    const root = tree({
      "packages/datum/src/frame.ts": 'import sodium from "sodium-native";\nimport { x } from "./messages.js";\n',
      "packages/bitcoin/src/index.ts":
        'import { p2wpkh } from "@scure/btc-signer/payment.js";\nimport { createHash } from "node:crypto";\n',
      "packages/pool/src/work/judge.ts": 'import type { Share } from "@openprime/datum";\nexport * from "./deep/file.js";\n',
      "packages/pool/src/work/deep/file.ts": 'import { a } from "../judge.js";\n',
      "packages/pool/src/ledger/log.ts":
        'import type { JudgedShare } from "../work/index.js";\nimport { type Parent } from "../work/index.js";\n',
      "packages/pool/src/cli/demo-run.ts": 'import { simulate } from "@openprime/simulator";\nconst name = "x";\nawait import(name);\n',
      "packages/pool/src/cli/demo/table.ts": 'import type { Miner } from "@openprime/simulator";\n',
      "packages/pool/src/index.ts": 'export { main } from "./cli/index.js";\n',
    });
    expect(checkRooms(root)).toEqual([]);
  });

  it.each([
    ["packages/datum/src/a.ts", 'import "@openprime/bitcoin";', "packages/datum/src imports @openprime/bitcoin; allowed rooms: none"],
    ["packages/datum/src/a.ts", 'import { connect } from "node:net";', "imports node:net; allowed modules of Node.js: node:crypto"],
    ["packages/bitcoin/src/a.ts", 'import { createHash } from "crypto";', "imports crypto; allowed: the form node:crypto"],
    ["packages/rewards/src/a.ts", 'import { z } from "zod";', "imports zod; allowed libraries: none"],
    [
      "packages/pool/src/work/a.ts",
      'import { x } from "../gateway/index.js";',
      "imports ../gateway/index.js; allowed rooms: @openprime/datum",
    ],
    ["packages/pool/src/work/a.ts", 'export { x } from "../ledger/index.js";', "imports ../ledger/index.js"],
    ["packages/pool/src/work/a.ts", 'const x = await import("../cli/main.js");', "imports ../cli/main.js"],
    ["packages/pool/src/work/a.ts", 'let x: import("../chain/index.js").Y;', "imports ../chain/index.js"],
    ["packages/pool/src/gateway/a.ts", 'import { x } from "../work/judge.js";', "allowed: another room by its index, ../work/index.js"],
    [
      "packages/pool/src/ledger/a.ts",
      'import { ShareJudge } from "../work/index.js";',
      "allowed rooms: @openprime/rewards, ../proofs/index.js, types of ../work/index.js",
    ],
    ["packages/pool/src/ledger/a.ts", 'import { type A, b } from "../work/index.js";', "allowed rooms: @openprime/rewards"],
    ["packages/pool/src/work/a.ts", 'import { x } from "@openprime/datum/dist/frame.js";', "allowed: packages by their index alone"],
    [
      "packages/pool/src/work/a.ts",
      'import { x } from "../../../datum/src/frame.js";',
      "allowed: another package by its name, @openprime/datum",
    ],
    [
      "packages/pool/src/work/a.ts",
      'const name = "x";\nawait import(name);',
      "imports a computed name; allowed: imports that name their module",
    ],
    [
      "packages/pool/src/cli/serve.ts",
      'import { x } from "@openprime/simulator";',
      "imports @openprime/simulator; allowed rooms: @openprime/datum",
    ],
    ["packages/pool/src/cli/main.ts", 'import { x } from "../../../../scripts/setup.mjs";', "allowed: files of packages/pool/src/cli"],
    ["packages/other/src/a.ts", "export {};", "lies in no room"],
  ])("refuses in %s: %s", (file, text, expected) => {
    const lines = checkRooms(tree({ [file]: `// a comment\n${text}\n`, "packages/rewards/src/good.ts": "export {};\n" }));
    const line = text.includes("\n") ? 3 : file.includes("other") ? 1 : 2;
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`${file}:${line}: `);
    expect(lines[0]).toContain(expected);
  });

  it("ends with 1 and all objections for a bad tree, with 0 for a good one", () => {
    const bad = tree({ "packages/rewards/src/a.ts": 'import "node:fs";\nimport "pg";\n', "packages/datum/src/b.ts": 'import "pg";\n' });
    const refused = spawnSync(process.execPath, [script, bad], { encoding: "utf8" });
    expect(refused.status).toBe(1);
    expect(refused.stderr.trim().split("\n").sort()).toEqual([
      "packages/datum/src/b.ts:1: packages/datum/src imports pg; allowed libraries: @noble/ciphers, @noble/hashes, libsodium-wrappers, sodium-native",
      "packages/rewards/src/a.ts:1: packages/rewards/src imports node:fs; allowed modules of Node.js: none",
      "packages/rewards/src/a.ts:2: packages/rewards/src imports pg; allowed libraries: none",
      "rooms: 3 imports not allowed",
    ]);
    const passed = spawnSync(process.execPath, [script, tree({ "packages/rewards/src/a.ts": "export {};\n" })], { encoding: "utf8" });
    expect(passed.stderr).toBe("rooms: imports run downwards only\n");
    expect(passed.status).toBe(0);
  });
});
