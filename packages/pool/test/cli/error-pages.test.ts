import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { REJECT_REASONS } from "@openprime/datum";
import { describe, expect, it } from "vitest";

const REASONS = Object.entries(REJECT_REASONS);
const root = fileURLToPath(new URL("../../../..", import.meta.url));
const page = readFileSync(join(root, "docs/errors.md"), "utf8");
const miners = readFileSync(join(root, "docs/miners.md"), "utf8");

/** Codes by the heading they belong under: unions named …ErrorCode or CloseReason, and single codes of error classes. */
function codesInSources(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const add = (heading: string, codes: string[]): unknown => found.set(heading, [...(found.get(heading) ?? []), ...codes]);
  for (const name of readdirSync(join(root, "packages"))) {
    for (const file of readdirSync(join(root, "packages", name, "src"), { recursive: true, encoding: "utf8" })) {
      if (!file.endsWith(".ts")) continue;
      const text = readFileSync(join(root, "packages", name, "src", file), "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
      for (const [, type = "", union = ""] of text.matchAll(/export type (\w+ErrorCode|CloseReason)\s*=([^;]*);/g)) {
        add(
          type.replace(/Code$/, ""),
          [...union.matchAll(/"([^"]+)"/g)].map(([, code = ""]) => code),
        );
      }
      for (const [, type = "", body = ""] of text.matchAll(/class (\w+Error) extends ([\s\S]*?)^}/gm)) {
        add(
          type,
          [...body.matchAll(/\bcode = "([^"]+)"|^BitcoinError<"([^"]+)">/gm)].map(([, field, argument]) => field ?? argument ?? ""),
        );
      }
    }
  }
  return new Map([...found].filter(([, codes]) => codes.length > 0));
}

/** First cells of the tables under each heading of the third level. */
function codesOnPage(): Map<string, string[]> {
  const sections = page.split(/^###? /m).slice(1);
  const codes = sections.map((section) => {
    const heading = section.split("\n", 1)[0] ?? "";
    return [heading, [...section.matchAll(/^\| `([^`]+)`/gm)].map(([, code = ""]) => code)] as const;
  });
  return new Map(codes.filter(([, list]) => list.length > 0));
}

describe("docs/errors.md", () => {
  const sources = codesInSources();

  it("has a section for each kind of error in the sources, and no other", () => {
    expect([...codesOnPage().keys()].sort()).toEqual([...sources.keys()].sort());
  });

  it.each([...sources])("explains each code of %s, and no other", (heading, codes) => {
    expect([...(codesOnPage().get(heading) ?? [])].sort()).toEqual([...codes].sort());
  });

  it("names each reject reason with its code", () => {
    const rows = [...page.matchAll(/^\| (\d+) \| `(\w+)` \|/gm)].map(([, code, name]) => [name, Number(code)]);
    expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(REASONS.map(([name, { code }]) => [name, code])));
  });
});

describe("docs/miners.md", () => {
  it("says of each reject reason what to do", () => {
    const codes = [...miners.matchAll(/^\| (\d+) \| .+ \| .+ \|$/gm)].map(([, code]) => Number(code));
    expect(codes).toEqual(REASONS.map(([, { code }]) => code).sort((a, b) => a - b));
  });
});
