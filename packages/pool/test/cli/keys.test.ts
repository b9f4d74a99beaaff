import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { decodePublicKey, encodePublicKey, generateLongTermKeys, loadCrypto } from "@openprime/datum";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CliError } from "../../src/cli/errors.js";
import { KeyDesk } from "../../src/cli/keys/desk.js";
import { decodeKeyFile, encodeKeyFile, type KeyEntry } from "../../src/cli/keys/format.js";
import { changeKeys, createKeyFile, type KeySource, newEntry, readKeys, standingKeys } from "../../src/cli/keys.js";
import { run } from "../../src/cli/main.js";
import { ADDRESS, capture, folder } from "./support.js";

const crypto = await loadCrypto();
const NOW = new Date("2026-11-22T00:00:00.000Z");
const LATER = new Date("2026-12-22T00:00:00.000Z");
/** The least that Argon2 takes: tests lock many files. */
const COST = { passes: 1, memoryBytes: 8192 };
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

function keyFile(): KeySource & { publicKey: string } {
  const file = join(folder(), "keys.json");
  return { file, publicKey: createKeyFile(file, crypto, crypto.randomBytes, NOW).publicKey };
}

function secret(text: string): string {
  const file = join(folder(), "passphrase");
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

function desk(source: KeySource, io = capture(), change: { now?: Date; json?: boolean } = {}): KeyDesk {
  const modules = { crypto, randomBytes: crypto.randomBytes, publishDir: "nowhere", json: change.json ?? false, cost: COST };
  return new KeyDesk(source, { ...modules, now: () => change.now ?? NOW }, io);
}

const states = (source: KeySource): string[] =>
  readKeys(source, crypto).map(({ publicKey, state }) => `${state} ${publicKey.slice(0, 16)}`);

describe("createKeyFile", () => {
  it("writes a file of its owner's alone, which reads back as the same keys", () => {
    const file = join(folder(), "keys.json");
    const made = createKeyFile(file, crypto, seedOf(0xa0), NOW);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(() => decodePublicKey(made.publicKey)).not.toThrow();
    const [read, ...others] = readKeys({ file }, crypto);
    expect(others).toEqual([]);
    expect(read).toMatchObject({ publicKey: made.publicKey, created: NOW, state: "present", until: undefined });
    expect(encodePublicKey(read.keys)).toBe(made.publicKey);
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

describe("the text of a key file", () => {
  const date = fc.date({ min: new Date(0), max: new Date("2200-01-01"), noInvalidDate: true }).map((value) => value.toISOString());
  const hexOf = (length: number) =>
    fc.uint8Array({ minLength: length, maxLength: length }).map((value) => Buffer.from(value).toString("hex"));
  const one = (state: KeyEntry["state"]): fc.Arbitrary<KeyEntry> =>
    fc.record(
      { state: fc.constant(state), created: date, publicKey: hexOf(64), signSeed: hexOf(32), boxSeed: hexOf(32), until: date },
      { requiredKeys: ["state", "created", "publicKey", "signSeed", "boxSeed"] },
    );
  const entries = fc
    .tuple(one("present"), fc.array(fc.oneof(one("old"), one("next")), { maxLength: 15 }))
    .map(([present, others]) => [...others, present]);

  it("reads back as what was written, locked or not", () => {
    fc.assert(
      fc.property(entries, fc.option(fc.uint8Array({ minLength: 1 }), { nil: undefined }), (given, passphrase) => {
        const text = encodeKeyFile(given, crypto, passphrase && { passphrase, cost: COST });
        if (passphrase !== undefined) for (const { signSeed } of given) expect(text).not.toContain(signSeed);
        const read = decodeKeyFile("x", text, crypto, () => passphrase!);
        expect(read).toEqual({ entries: given, locked: passphrase !== undefined });
      }),
    );
  });

  it("of a locked file opens with no other passphrase, and with no byte changed", () => {
    fc.assert(
      fc.property(entries, fc.nat(), fc.integer({ min: 1, max: 255 }), (given, place, change) => {
        const passphrase = Buffer.from("right");
        const text = encodeKeyFile(given, crypto, { passphrase, cost: COST });
        expect(errorOf(() => decodeKeyFile("x", text, crypto, () => Buffer.from("wrong"))).code).toBe("passphraseWrong");
        const file = JSON.parse(text) as { locked: { box: string } };
        const box = Buffer.from(file.locked.box, "hex");
        box[place % box.length]! ^= change;
        file.locked.box = box.toString("hex");
        expect(errorOf(() => decodeKeyFile("x", JSON.stringify(file), crypto, () => passphrase)).code).toBe("passphraseWrong");
      }),
    );
  });

  it("of the earlier format is read: its first key is the present one", () => {
    const made = [1, 64].map((start) => newEntry("old", crypto, seedOf(start), NOW));
    const file = join(folder(), "keys.json");
    const keys = made.map(({ state: _, ...entry }) => entry);
    writeFileSync(file, JSON.stringify({ format: "openprime-keys/1", keys }), { mode: 0o600 });
    expect(states({ file })).toEqual([`present ${made[0]!.publicKey.slice(0, 16)}`, `old ${made[1]!.publicKey.slice(0, 16)}`]);
    // The first change writes the new format.
    desk({ file }).next();
    expect(readFileSync(file, "utf8")).toContain("openprime-keys/2");
    expect(readKeys({ file }, crypto)).toHaveLength(3);
  });

  it.each([
    ["no JSON", (text: string) => text.slice(0, -20), "it is not JSON"],
    ["another format", (text: string) => text.replace("keys/2", "keys/9"), "wrong is: format"],
    ["no key", () => '{"format":"openprime-keys/2","keys":[]}', "wrong is: keys"],
    ["a seed cut short", (text: string) => text.replace(/("signSeed": ".{10})../, "$1"), "wrong is: keys.0.signSeed"],
    ["an unknown field", (text: string) => text.replace('"created"', '"x": 1, "created"'), "wrong is: keys.0"],
    ["another key's public half", (text: string) => text.replace(/("publicKey": ")../, "$1ff"), "the seeds of key 1 make the public key"],
    ["no present key", (text: string) => text.replace('"present"', '"old"'), "none of its keys is the present one"],
    [
      "a lock that takes all memory",
      () =>
        JSON.stringify({
          format: "openprime-keys/2",
          locked: {
            kdf: "argon2id13",
            passes: 1,
            memoryBytes: 2 ** 40,
            salt: "00".repeat(16),
            nonce: "00".repeat(24),
            box: "00".repeat(16),
          },
        }),
      "wrong is: locked.memoryBytes",
    ],
  ])("with %s is refused, and no seed is quoted", (_, change, expected) => {
    const file = join(folder(), "keys.json");
    createKeyFile(file, crypto, seedOf(0xa0), NOW);
    const text = readFileSync(file, "utf8");
    writeFileSync(file, change(text));
    const error = errorOf(() => readKeys({ file }, crypto));
    expect(error.code).toBe("keyFileInvalid");
    expect(error.message).toContain(expected);
    const { keys } = JSON.parse(text) as { keys: { signSeed: string; boxSeed: string }[] };
    for (const seed of [keys[0]!.signSeed, keys[0]!.boxSeed]) expect(error.message).not.toContain(seed.slice(0, 10));
  });

  it("with two present keys is refused", () => {
    const { file } = keyFile();
    const { keys } = JSON.parse(readFileSync(file, "utf8")) as { keys: KeyEntry[] };
    const two = [...keys, newEntry("present", crypto, seedOf(1), NOW)];
    writeFileSync(file, JSON.stringify({ format: "openprime-keys/2", keys: two }));
    expect(errorOf(() => readKeys({ file }, crypto)).code).toBe("keysAmbiguous");
  });
});

describe("a key file on disk", () => {
  it.skipIf(process.platform === "win32").each([0o640, 0o604, 0o644, 0o660, 0o601])(
    "of mode %o is refused, and how to mend it is told",
    (mode) => {
      const { file } = keyFile();
      chmodSync(file, mode);
      const error = errorOf(() => readKeys({ file }, crypto));
      expect(error.code).toBe("keyFileExposed");
      expect(error.message).toContain(`mode 0${mode.toString(8)}`);
      expect(error.todo).toBe(`chmod 600 ${file}`);
      chmodSync(file, 0o400);
      expect(readKeys({ file }, crypto)).toHaveLength(1);
    },
  );

  it("that is not there is told", () => {
    expect(errorOf(() => readKeys({ file: join(folder(), "absent") }, crypto)).code).toBe("keyFileMissing");
  });

  it("is as it was when a change fails, and nothing stays beside it", () => {
    const { file } = keyFile();
    const before = readFileSync(file, "utf8");
    expect(() =>
      changeKeys({ file }, crypto, () => {
        throw new Error("no");
      }),
    ).toThrow("no");
    expect(readFileSync(file, "utf8")).toBe(before);
    expect(readdirSync(join(file, ".."))).toEqual(["keys.json"]);
  });

  it("is changed by one command at a time", () => {
    const { file } = keyFile();
    const inner = errorOf(() =>
      changeKeys({ file }, crypto, () => {
        desk({ file }).next();
        return [];
      }),
    );
    expect(inner.code).toBe("fileExists");
    expect(readKeys({ file }, crypto)).toHaveLength(1);
  });

  it("is locked and unlocked by the passphrase of a file that only its owner can read", () => {
    const { file, publicKey } = keyFile();
    expect(errorOf(() => desk({ file }).lock(true)).code).toBe("passphraseMissing");
    const source = { file, passphraseFile: secret("correct horse\n") };
    desk(source).lock(true);
    expect(readFileSync(file, "utf8")).not.toContain("Seed");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readKeys(source, crypto)[0].publicKey).toBe(publicKey);
    // A change leaves it locked.
    desk(source).next();
    expect(readFileSync(file, "utf8")).not.toContain("Seed");
    expect(readKeys(source, crypto)).toHaveLength(2);
    expect(errorOf(() => readKeys({ file }, crypto)).code).toBe("passphraseMissing");
    expect(errorOf(() => readKeys({ file, passphraseFile: secret("") }, crypto)).code).toBe("passphraseMissing");
    const wrong = errorOf(() => readKeys({ file, passphraseFile: secret("wrong horse") }, crypto));
    expect(wrong.code).toBe("passphraseWrong");
    expect(wrong.message).not.toContain("horse");
    chmodSync(source.passphraseFile, 0o644);
    expect(errorOf(() => readKeys(source, crypto)).code).toBe("keyFileExposed");
    chmodSync(source.passphraseFile, 0o600);
    desk(source).lock(false);
    expect(readKeys({ file }, crypto)).toHaveLength(2);
  });

  it("may be systemd's credential, and its passphrase too; then nothing changes it", () => {
    const { file, publicKey } = keyFile();
    desk({ file, passphraseFile: secret("horse") }).lock(true);
    const credentials = join(folder(), "credentials");
    mkdirSync(credentials, { mode: 0o700 });
    // As systemd makes them: the access list of the service's user shows as the group's mode.
    writeFileSync(join(credentials, "openprime-keys"), readFileSync(file), { mode: 0o440 });
    writeFileSync(join(credentials, "openprime-passphrase"), "horse", { mode: 0o440 });
    const source = { file: join(folder(), "absent"), credentials };
    expect(readKeys(source, crypto)[0].publicKey).toBe(publicKey);
    expect(errorOf(() => desk(source).next()).code).toBe("keysReadOnly");
    chmodSync(join(credentials, "openprime-keys"), 0o444);
    expect(errorOf(() => readKeys(source, crypto)).code).toBe("keyFileExposed");
  });
});

describe("rotation", () => {
  it("goes from next over present to old and to its end", () => {
    const { publicKey: first, ...source } = keyFile();
    const io = capture();
    desk(source, io).next();
    const second = io.out().trim();
    expect(states(source)).toEqual([`present ${first.slice(0, 16)}`, `next ${second.slice(0, 16)}`]);
    expect(errorOf(() => desk(source).next()).code).toBe("keyState");
    desk(source).use(second.slice(0, 8), LATER);
    expect(states(source)).toEqual([`present ${second.slice(0, 16)}`, `old ${first.slice(0, 16)}`]);
    const keys = readKeys(source, crypto);
    expect(standingKeys(keys, NOW)).toMatchObject([{ old: false }, { old: true, until: LATER.getTime() }]);
    expect(standingKeys(keys, LATER)).toHaveLength(1);
    expect(errorOf(() => desk(source).remove(first)).code).toBe("keyState");
    expect(errorOf(() => desk(source).retire(second, undefined)).code).toBe("keyState");
    expect(errorOf(() => desk(source).use(second, undefined)).code).toBe("keyState");
    expect(errorOf(() => desk(source).use("zz", undefined)).code).toBe("keyUnknown");
    expect(errorOf(() => desk(source).use("", undefined)).code).toBe("keyUnknown");
    desk(source).retire(first, undefined);
    const listed = capture();
    desk(source, listed).list();
    expect(listed.out()).toMatch(new RegExp(`${first.slice(0, 16)}  ended    ${NOW.toISOString()}  ${NOW.toISOString()}`));
    desk(source).remove(first);
    expect(states(source)).toEqual([`present ${second.slice(0, 16)}`]);
  });

  it("starts no pool whose present key has ended", () => {
    const { publicKey: _, ...source } = keyFile();
    changeKeys(source, crypto, (entries) => entries.map((entry) => ({ ...entry, until: NOW.toISOString() })));
    const keys = readKeys(source, crypto);
    expect(errorOf(() => standingKeys(keys, NOW)).code).toBe("keyExpired");
    expect(standingKeys(keys, new Date(NOW.getTime() - 1))).toHaveLength(1);
  });

  it("imports another file's keys as old ones, once, up to the bound", () => {
    const { publicKey: own, ...source } = keyFile();
    const { publicKey: other, ...from } = keyFile();
    desk(source).import(from);
    expect(states(source)).toEqual([`present ${own.slice(0, 16)}`, `old ${other.slice(0, 16)}`]);
    expect(errorOf(() => desk(source).import(from)).code).toBe("keyState");
    for (let count = 2; count < 16; count++) desk(source).import(keyFile());
    expect(errorOf(() => desk(source).next()).message).toContain("16 keys");
  });
});

describe("openprime keys", () => {
  it("prints the public key alone on stdout, and nothing of the seeds", () => {
    const file = join(folder(), "keys.json");
    const { publicKey } = createKeyFile(file, crypto, seedOf(0xa0), NOW);
    const plain = capture();
    desk({ file }, plain).show();
    expect(plain.out()).toBe(`${publicKey}\n`);
    const json = capture();
    desk({ file }, json, { json: true }).show();
    expect(JSON.parse(json.out())).toEqual({ keys: [{ publicKey, state: "present", created: NOW.toISOString() }] });
    expect(json.err()).toBe("");
    expect(plain.err() + json.out()).not.toContain("a0a1a2a3");
  });

  it("takes its subcommands on the command line, wherever the options stand; what is signed verifies", async () => {
    const dir = folder();
    const config = join(dir, "openprime.yaml");
    const call = async (...args: string[]): Promise<{ code: number; out: string; err: string }> => {
      const io = capture();
      const code = await run(args, {}, io);
      return { code, out: io.out(), err: io.err() };
    };
    expect((await call("init", "--dir", dir, "--network", "mainnet", "--payout-address", ADDRESS)).code).toBe(0);
    const first = (await call("keys", "--config", config)).out.trim();
    const next = (await call("keys", "next", "--config", config)).out.trim();
    expect((await call("keys", "-c", config, "export", next.slice(0, 10))).out).toBe(`${next}\n`);
    const announcement = await call("sign", "next-key", "--config", config);
    const file = join(dir, "announcement");
    writeFileSync(file, announcement.out);
    expect(await call("verify", file, "--key", first)).toMatchObject({ code: 0, out: `next ${next}\n` });
    expect(await call("verify", file, "--key", next)).toMatchObject({ code: 1, out: "" });
    writeFileSync(file, announcement.out.replace(next, generatedKey()));
    const changed = await call("verify", file, "--key", first);
    expect(changed).toMatchObject({ code: 1, out: "" });
    expect(changed.err).toContain("the text was changed");
    expect((await call("keys", "use", next, "--until", "2999-01-01", "-c", config)).code).toBe(0);
    const { keys } = JSON.parse((await call("keys", "list", "--json", "-c", config)).out) as { keys: object[] };
    expect(keys).toMatchObject([
      { publicKey: next, state: "present" },
      { publicKey: first, state: "old", until: "2999-01-01T00:00:00.000Z" },
    ]);
    expect((await call("keys", "retire", first, "--on", "tomorrow", "-c", config)).code).toBe(1);
  });
});

const generatedKey = (): string => encodePublicKey(generateLongTermKeys(crypto));
