import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import {
  type Config,
  ConfigError,
  configTemplate,
  environmentName,
  loadConfig,
  resolveConfig,
  SETTING_PATHS,
  SETTINGS,
} from "../../../src/cli/config/index.js";

interface Case {
  readonly name: string;
  readonly yaml: string;
  readonly env?: Record<string, string>;
}

const data = <T>(name: string): T => JSON.parse(readFileSync(new URL(name, import.meta.url), "utf8")) as T;
const dir = mkdtempSync(join(tmpdir(), "openprime-config-"));
afterAll(() => rmSync(dir, { recursive: true }));

const ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
let files = 0;

/** Writes `yaml` to a file of its own and loads it. */
function load(yaml: string, env: Record<string, string> = {}): Config {
  const file = join(dir, `${files++}.yaml`);
  writeFileSync(file, yaml, { mode: 0o600 });
  return loadConfig(file, env);
}

function problemsOf(run: () => unknown): ConfigError {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("expected a ConfigError, nothing was thrown");
}

/** A configuration as JSON can show it. */
function plain(config: Config): unknown {
  const text = JSON.stringify({ ...config, network: config.network.name }, (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value,
  );
  return JSON.parse(text.replaceAll(`"${dir}`, '"DIR').replaceAll(`"${dirname(dir)}`, '"PARENT'));
}

describe("loadConfig", () => {
  it.each(data<(Case & { config: Record<string, unknown> })[]>("valid.json"))("takes $name", ({ yaml, env, config }) => {
    expect(plain(load(yaml, env))).toMatchObject(config);
  });

  it("has nothing but the settings asked for", () => {
    const [least] = data<(Case & { config: Record<string, Record<string, unknown>> })[]>("valid.json");
    const loaded = plain(load(least!.yaml)) as Record<string, unknown>;
    expect(Object.keys(loaded).sort()).toEqual([...Object.keys(least!.config), "file"].sort());
    expect(loaded.node).toEqual(least!.config.node);
  });

  it.each(data<(Case & { messages: string[] })[]>("invalid.json"))("refuses $name", ({ yaml, env, messages }) => {
    const file = join(dir, `${files++}.yaml`);
    writeFileSync(file, yaml, { mode: 0o600 });
    const error = problemsOf(() => loadConfig(file, env ?? {}));
    const found = error.problems.map((problem) => problem.message.replaceAll(file, "test.yaml"));
    expect(error.code).toBe("configInvalid");
    expect(found).toHaveLength(messages.length);
    for (const [index, message] of messages.entries()) expect(found[index]).toContain(message);
    for (const message of found) expect(error.message.replaceAll(file, "test.yaml")).toContain(message);
    expect(error.message).not.toMatch(/hunter2|7654321/);
  });

  it("tells a missing file from one that can't be read", () => {
    expect(problemsOf(() => loadConfig(join(dir, "absent.yaml"), {})).code).toBe("configMissing");
    expect(problemsOf(() => loadConfig(dir, {})).code).toBe("configUnreadable");
  });

  it.skipIf(process.platform === "win32")("warns of a password that others can read", () => {
    const yaml = `pool: { payoutAddress: ${ADDRESS} }\nnode: { user: pool, password: hunter2 }\n`;
    const file = join(dir, `${files++}.yaml`);
    writeFileSync(file, yaml);
    chmodSync(file, 0o644);
    expect(loadConfig(file, {}).warnings).toEqual([`${file} holds a password and others on this machine can read it: chmod 600 ${file}`]);
    chmodSync(file, 0o600);
    expect(loadConfig(file, {}).warnings).toEqual([]);
  });

  it("ends in a configuration or a ConfigError, whatever the file holds", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc
        .array(fc.tuple(fc.constantFrom("pool:", "  tag", "  port", "listen:", "a", "- ", "&x", "*x", "<<:"), fc.string()))
        .map((parts) => parts.map(([name, value]) => `${name}: ${value}`).join("\n")),
    );
    fc.assert(
      fc.property(text, (yaml) => {
        try {
          load(yaml);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("resolveConfig", () => {
  it("fills what is left out with the file's defaults", () => {
    const fromCode = resolveConfig({ pool: { payoutAddress: ADDRESS }, listen: { port: 0 } }, dir);
    const fromFile = load(`pool:\n  payoutAddress: ${ADDRESS}\nlisten:\n  port: 0\n`);
    expect({ ...fromCode, file: "" }).toEqual({ ...fromFile, file: "" });
    expect(fromCode.file).toBeUndefined();
  });

  it("takes further nodes, and refuses what none has", () => {
    const pool = { payoutAddress: ADDRESS };
    const { nodes } = resolveConfig({ pool, nodes: [{ url: "http://10.0.0.2:8332", user: undefined }] } as never, dir);
    expect(nodes).toEqual([{ url: "http://127.0.0.1:8332" }, { url: "http://10.0.0.2:8332" }]);
    const wrong = { pool, nodes: [{ ulr: "http://10.0.0.2:8332" }] } as never;
    expect(problemsOf(() => resolveConfig(wrong, dir)).problems[0]?.message).toContain("Did you mean url?");
  });

  it("takes bigint, and refuses unknown settings", () => {
    expect(resolveConfig({ pool: { payoutAddress: ADDRESS, minimumDifficulty: 1n } }, dir).pool.minimumTargetByte).toBe(0);
    const wrong = { pool: { payoutAddress: ADDRESS, tagg: "x" } };
    expect(problemsOf(() => resolveConfig(wrong, dir)).problems[0]?.message).toContain("Did you mean pool.tag?");
  });

  it("keeps every fee exact that four decimals can tell", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999_999 }), (ppm) => {
        const text = `${Math.floor(ppm / 10_000)}.${String(ppm % 10_000).padStart(4, "0")}`;
        for (const feePercent of [text, Number(text)]) {
          // Numbers under 1e-6 are written with an exponent; parts per million don't get there.
          expect(resolveConfig({ pool: { payoutAddress: ADDRESS, feePercent } }, dir).pool.feePpm).toBe(ppm);
        }
      }),
    );
  });
});

describe("the names of settings", () => {
  it("make one environment variable each", () => {
    expect(environmentName("pool.payoutAddress")).toBe("OPENPRIME_POOL_PAYOUT_ADDRESS");
    expect(new Set(SETTING_PATHS.map(environmentName)).size).toBe(SETTING_PATHS.length);
  });

  it.each(SETTING_PATHS)("%s has its row in docs/operators.md", (path) => {
    const page = readFileSync(new URL("../../../../../docs/operators.md", import.meta.url), "utf8");
    const { fallback, about, allowed } = SETTINGS[path];
    const shown = fallback === undefined ? "" : `\`${fallback}\``;
    expect(page).toContain(`\n| \`${path}\` | \`${environmentName(path)}\` | ${shown} | ${about} Allowed: ${allowed} |\n`);
  });
});

describe("configTemplate", () => {
  it("explains every setting and is valid as it stands", () => {
    const yaml = configTemplate({ "pool.payoutAddress": ADDRESS });
    expect({ ...load(yaml), file: "" }).toEqual({ ...load(`pool:\n  payoutAddress: ${ADDRESS}\n`), file: "" });
    for (const path of SETTING_PATHS) expect(yaml).toMatch(new RegExp(`^ *(# )?${path.split(".").at(-1)}:`, "m"));
  });

  it("shows defaults that are valid when their comment sign is taken away", () => {
    const yaml = configTemplate({ "pool.payoutAddress": ADDRESS }).replace(/^( *)# (\w+: .+)$/gm, (line, indent: string, rest: string) =>
      SETTING_PATHS.some((path) => rest.startsWith(`${path.split(".").at(-1)}: `)) ? indent + rest : line,
    );
    const uncommented = load(yaml);
    expect({ ...uncommented, file: "" }).toEqual({ ...load(`pool:\n  payoutAddress: ${ADDRESS}\n`), file: "" });
    expect(yaml).toContain('\n  tag: "OpenPrime"');
  });
});
