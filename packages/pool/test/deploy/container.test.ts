/** The files for containers agree with the pool: settings, packages, files. No image is built here. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { loadCrypto } from "@openprime/datum";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { loadConfig, SETTINGS } from "../../src/cli/config/index.js";
import { init } from "../../src/cli/init.js";
import { ADDRESS, capture, folder } from "../cli/support.js";
import { PACKED, ROOT } from "./support.js";

const SOURCE = join(ROOT, "deploy", "container");

interface Compose {
  readonly services: Record<
    string,
    {
      readonly environment?: Record<string, string>;
      readonly volumes?: readonly string[];
      readonly build?: { readonly context: string; readonly dockerfile: string };
      readonly depends_on?: Record<string, unknown>;
      readonly healthcheck?: { readonly test: readonly string[] };
    }
  >;
  readonly volumes: Record<string, unknown>;
}

const compose = parse(readFileSync(join(SOURCE, "compose.yaml"), "utf8")) as Compose;
const pool = compose.services.pool as Compose["services"][string];

test("the pool takes its settings from the compose file, with the configuration as init and the document make it", async () => {
  const dir = folder();
  const modules = { crypto: await loadCrypto(), randomBytes: (count: number) => new Uint8Array(count).fill(7), now: () => new Date(0) };
  init({ dir, network: "mainnet", payoutAddress: ADDRESS }, modules, capture());
  const file = join(dir, "openprime.yaml");
  // As docs/deploying.md says: the node is asked by user and password.
  const text = readFileSync(file, "utf8");
  expect(text).toMatch(/^ {2}cookieFile:/m);
  writeFileSync(file, text.replace(/^ {2}cookieFile:/m, "  # cookieFile:"), { mode: 0o600 });
  const env = Object.fromEntries(
    Object.entries(pool.environment ?? {}).map(([name, value]) => [name, value.replaceAll(/\$\{[^}]*\}/g, "secret")]),
  );
  const config = loadConfig(file, env);
  expect(config.database).toEqual({ url: "postgresql://openprime:secret@postgres:5432/openprime" });
  expect(config.node.url).toBe("http://node:8332");
});

test("each service, volume and file that the compose file names is there", () => {
  const named = Object.values(pool.environment ?? {}).flatMap((value) => /(?:@|\/\/)(postgres|node)[:/]/.exec(value)?.[1] ?? []);
  expect(new Set([...named, ...Object.keys(pool.depends_on ?? {})])).toEqual(new Set(["postgres", "node"]));
  for (const name of named) expect(compose.services).toHaveProperty(name);
  for (const { volumes } of Object.values(compose.services)) {
    for (const volume of volumes ?? []) expect(compose.volumes).toHaveProperty(volume.split(":")[0] as string);
  }
  const { context, dockerfile } = pool.build ?? { context: "", dockerfile: "" };
  expect(existsSync(join(resolve(SOURCE, context), dockerfile))).toBe(true);
});

test("the pool's health is asked where the API is by default", () => {
  const { host, port } = { host: SETTINGS["api.host"].fallback, port: SETTINGS["api.port"].fallback };
  expect(pool.healthcheck?.test.join(" ")).toContain(`http://${host}:${port}/healthz`);
});

test("the image is made of the packages that the pool needs", () => {
  const text = readFileSync(join(SOURCE, "Containerfile"), "utf8");
  expect([...text.matchAll(/-w packages\/(\w+)/g)].map(([, name]) => name)).toEqual(PACKED);
  const manifest = JSON.parse(readFileSync(join(ROOT, "packages", "pool", "package.json"), "utf8")) as { dependencies: object };
  const ours = Object.keys(manifest.dependencies).flatMap((name) => (name.startsWith("@openprime/") ? name.slice(11) : []));
  expect(PACKED.toSorted()).toEqual([...ours, "pool"].toSorted());
});
