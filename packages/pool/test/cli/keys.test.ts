import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { decodePublicKey, encodePublicKey, loadCrypto } from "@openprime/datum";
import { describe, expect, it } from "vitest";
import { CliError } from "../../src/cli/errors.js";
import { createKeyFile, readKeyFile } from "../../src/cli/keys.js";
import { showKeys } from "../../src/cli/show-keys.js";
import { capture, folder } from "./support.js";

const crypto = await loadCrypto();
const NOW = new Date("2026-11-22T00:00:00.000Z");
/** Seeds that are as easy to find in a message as they must not be there. */
const seedOf = (start: number) => (count: number) => Uint8Array.from({ length: count }, (_, index) => start + index);

function errorOf(run: () => unknown): CliError {
  try {
    run();
  } catch (error) {
    if (error instanceof CliError) return error;
    throw error;
  }
  throw new Error("expected a CliError, nothing was thrown");
}

describe("createKeyFile", () => {
  it("writes a file of its owner's alone, which reads back as the same keys", () => {
    const file = join(folder(), "keys.json");
    const made = createKeyFile(file, crypto, seedOf(0xa0), NOW);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(made.publicKey).toMatch(/^[0-9a-f]{128}$/);
    expect(() => decodePublicKey(made.publicKey)).not.toThrow();
    const [read, ...others] = readKeyFile(file, crypto);
    expect(others).toEqual([]);
    expect(read?.publicKey).toBe(made.publicKey);
    expect(read?.created).toEqual(NOW);
    expect(encodePublicKey(read!.keys)).toBe(made.publicKey);
  });

  it("asks for fresh randomness for each of the two seeds", () => {
    const file = join(folder(), "keys.json");
    let calls = 0;
    createKeyFile(file, crypto, (count) => new Uint8Array(count).fill(++calls), NOW);
    const { keys } = JSON.parse(readFileSync(file, "utf8")) as { keys: { signSeed: string; boxSeed: string }[] };
    expect(keys[0]).toMatchObject({ signSeed: "01".repeat(32), boxSeed: "02".repeat(32) });
  });

  it("never overwrites", () => {
    const file = join(folder(), "keys.json");
    writeFileSync(file, "precious", { mode: 0o600 });
    expect(errorOf(() => createKeyFile(file, crypto, seedOf(1), NOW)).code).toBe("fileExists");
    expect(readFileSync(file, "utf8")).toBe("precious");
  });
});

describe("readKeyFile", () => {
  it.skipIf(process.platform === "win32").each([0o640, 0o604, 0o644, 0o660, 0o601])("refuses mode %o and says how to mend it", (mode) => {
    const file = join(folder(), "keys.json");
    createKeyFile(file, crypto, seedOf(1), NOW);
    chmodSync(file, mode);
    const error = errorOf(() => readKeyFile(file, crypto));
    expect(error.code).toBe("keyFileExposed");
    expect(error.message).toContain(`mode 0${mode.toString(8)}`);
    expect(error.todo).toBe(`chmod 600 ${file}`);
    chmodSync(file, 0o400);
    expect(readKeyFile(file, crypto)).toHaveLength(1);
  });

  it("tells a missing file, and one that is none", () => {
    const dir = folder();
    expect(errorOf(() => readKeyFile(join(dir, "absent"), crypto)).code).toBe("keyFileMissing");
  });

  it("reads several keys in their order", () => {
    const dir = folder();
    const files = [join(dir, "a"), join(dir, "b")];
    const made = files.map((file, index) => createKeyFile(file, crypto, seedOf(index * 64), NOW));
    const entries = files.map((file) => (JSON.parse(readFileSync(file, "utf8")) as { keys: unknown[] }).keys[0]);
    const both = join(dir, "both");
    writeFileSync(both, JSON.stringify({ format: "openprime-keys/1", keys: entries }), { mode: 0o600 });
    expect(readKeyFile(both, crypto).map((key) => key.publicKey)).toEqual(made.map((key) => key.publicKey));
  });

  it.each([
    ["no JSON", (text: string) => text.slice(0, -20), "it is not JSON"],
    ["another format", (text: string) => text.replace("keys/1", "keys/2"), "wrong is: format"],
    ["no key", () => '{"format":"openprime-keys/1","keys":[]}', "wrong is: keys"],
    ["a seed cut short", (text: string) => text.replace(/("signSeed": ".{10})../, "$1"), "wrong is: keys.0.signSeed"],
    ["an unknown field", (text: string) => text.replace('"created"', '"x": 1, "created"'), "wrong is: keys.0"],
    ["another key's public half", (text: string) => text.replace(/("publicKey": ")../, "$1ff"), "the seeds of key 1 make the public key"],
  ])("refuses a file with %s, and quotes no seed", (_, change, expected) => {
    const file = join(folder(), "keys.json");
    createKeyFile(file, crypto, seedOf(0xa0), NOW);
    const text = readFileSync(file, "utf8");
    writeFileSync(file, change(text));
    const error = errorOf(() => readKeyFile(file, crypto));
    expect(error.code).toBe("keyFileInvalid");
    expect(error.message).toContain(expected);
    const { keys } = JSON.parse(text) as { keys: { signSeed: string; boxSeed: string }[] };
    for (const seed of [keys[0]!.signSeed, keys[0]!.boxSeed]) expect(error.message).not.toContain(seed.slice(0, 10));
  });
});

describe("openprime keys", () => {
  it("prints the public key alone on stdout, and nothing of the seeds", () => {
    const file = join(folder(), "keys.json");
    const { publicKey } = createKeyFile(file, crypto, seedOf(0xa0), NOW);
    const plain = capture();
    showKeys(file, crypto, false, plain);
    expect(plain.out()).toBe(`${publicKey}\n`);
    const json = capture();
    showKeys(file, crypto, true, json);
    expect(JSON.parse(json.out())).toEqual({ keys: [{ publicKey, created: NOW.toISOString() }] });
    expect(json.err()).toBe("");
    expect(plain.err() + json.out()).not.toContain("a0a1a2a3");
  });
});
