/** Alert rules, dashboard and runbook agree with each other and with what pools really expose; `promtool` agrees with all of them. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RegtestNode } from "@openprime/simulator";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { apiUrl } from "../../src/cli/api/url.js";
import { LineCounts } from "../../src/cli/log.js";
import { folder } from "../cli/support.js";
import { PoolHome } from "../pool/support/running-pool.js";
import { ROOT, runProgram } from "./support.js";

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}
interface RuleTest {
  readonly promql_expr_test: readonly { readonly expr: string; readonly exp_samples: readonly { readonly value: number }[] }[];
}
interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly w: number };
  readonly targets?: readonly { readonly expr: string }[];
}

const PROMETHEUS = join(ROOT, "deploy", "prometheus");
const read = (...path: string[]): string => readFileSync(join(ROOT, ...path), "utf8");
const rules = (parse(read("deploy", "prometheus", "alerts.yml")) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules);
const tests = (parse(read("deploy", "prometheus", "alerts.test.yml")) as { tests: RuleTest[] }).tests;
const panels = (JSON.parse(read("deploy", "grafana", "openprime.json")) as { panels: Panel[] }).panels;
const queries = panels.flatMap(({ targets }) => targets?.map(({ expr }) => expr) ?? []);

/** The sections of the runbook by their headings. */
const sections = new Map(
  read("docs", "runbook.md")
    .split(/^### /m)
    .slice(1)
    .map((text) => [text.slice(0, text.indexOf("\n")), text.split(/^## /m)[0] ?? ""]),
);

/** Metrics that an expression names, without what it compares and groups by. */
const metricsOf = (expr: string): string[] => expr.match(/\b(openprime|process|nodejs)_[a-z0-9_]+/g) ?? [];

describe("the alert rules", () => {
  test.each(rules)("$alert has all that an operator needs", ({ alert, labels, annotations }) => {
    expect(alert).toMatch(/^OpenPrime[A-Z]/);
    expect(["page", "ticket"]).toContain(labels.severity);
    expect(annotations.summary).toBeTruthy();
    expect(annotations.description).toMatch(/\.$/);
    expect(annotations.runbook_url).toBe(`docs/runbook.md#${alert.toLowerCase()}`);
  });

  test.each(rules)("$alert is tried: it stays silent, and it fires", ({ alert }) => {
    const samples = tests.flatMap(({ promql_expr_test }) => promql_expr_test).filter(({ expr }) => expr.includes(`"${alert}"`));
    const values = samples.map(({ exp_samples }) => exp_samples[0]?.value ?? Number.NaN);
    expect(values.some((value) => value === 0)).toBe(true);
    expect(values.some((value) => value > 0)).toBe(true);
  });
});

describe("the runbook", () => {
  test("has a section for each alert, and no other", () => {
    expect([...sections.keys()].sort()).toEqual(rules.map(({ alert }) => alert).sort());
  });

  test.each(rules)("says of $alert what it means, what to do and whom to wake", ({ alert, labels }) => {
    const text = sections.get(alert) ?? "";
    expect(text).toContain(labels.severity === "page" ? "**Page.** " : "*Ticket.* ");
    for (const part of ["Miners notice", "Look first", "Do", "Wake somebody"])
      expect(text).toMatch(new RegExp(`^- \\*\\*${part}\\*\\*: \\S`, "m"));
    for (const [, link = ""] of text.matchAll(/\]\(#([a-z]+)\)/g))
      expect([...sections.keys()].map((name) => name.toLowerCase())).toContain(link);
    for (const [, file = ""] of text.matchAll(/\]\(([a-z]+\.md)/g)) expect(existsSync(join(ROOT, "docs", file)), file).toBe(true);
  });

  test("quotes the log as it is", () => {
    const source = join(ROOT, "packages", "pool", "src");
    const sources = readdirSync(source, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => readFileSync(join(source, name), "utf8"))
      .join("\n");
    for (const [name, text] of sections) {
      const [, told = ""] = /\bLog: ([\s\S]*?)^- /m.exec(text.replace(/\n {2}/g, " ")) ?? [];
      const quoted = [...told.matchAll(/`([^`]+)`/g)]
        .map(([, words = ""]) => words)
        .filter((words) => /^[A-Za-z' ,]+ [A-Za-z' ,:]+$/.test(words));
      for (const words of quoted.filter((one) => !one.startsWith("openprime "))) expect(sources, `${name}: ${words}`).toContain(words);
    }
  });
});

describe("the dashboard", () => {
  test("has panels of their own ids within 24 columns, each with a query", () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    for (const { type, title, gridPos, targets } of panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      if (type !== "row") expect(targets?.length, title).toBeGreaterThan(0);
    }
  });
});

describe("pools that run", () => {
  let node: RegtestNode;
  const homes: PoolHome[] = [];
  /** What is scraped of them. */
  const scrapes: string[] = [];
  beforeAll(async () => {
    node = await RegtestNode.start({ bits: 0x1b00ffff });
    for (const scheme of [{ name: "tides" }, { name: "fpps", reserve: 1_000_000 }] as const) {
      const home = await PoolHome.make("external");
      homes.push(home);
      const modules = { longTermKeys: [{ ...home.keys, until: Date.now() + 1e9 }], lines: new LineCounts() };
      const { pool } = await home.start(node.rpc, { scheme, templates: { check: "always" } }, modules);
      const { host, port } = pool.apiAddress!;
      const url = apiUrl(host, port);
      // The API's own figures begin with its first answer.
      await (await fetch(`${url}/healthz`)).text();
      scrapes.push(await (await fetch(`${url}/metrics`)).text());
    }
  });
  afterAll(async () => {
    for (const home of homes) await home.remove();
    await node.stop();
  });

  /** Names that a query may use: a histogram has three. */
  const exposed = (): Set<string> =>
    new Set(
      scrapes.flatMap((text) =>
        [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name = "", type]) =>
          type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
        ),
      ),
    );

  test("expose every metric that the rules and the dashboard name", () => {
    const names = exposed();
    const unknown = [...rules.map(({ expr }) => expr), ...queries].flatMap(metricsOf).filter((name) => !names.has(name));
    expect(unknown).toEqual([]);
  });

  test.skipIf(!hasPromtool())("expose them as Prometheus would have it", () => {
    for (const text of scrapes) {
      const checked = runProgram("promtool", ["check", "metrics"], ROOT, {}, text);
      expect(checked).toMatchObject({ code: 0, out: "", err: "" });
    }
    expect(runProgram("promtool", ["check", "metrics"], ROOT, {}, "# HELP x y\n# TYPE x gauge\nx_total 1\n").code).not.toBe(0);
  });
});

describe.skipIf(!hasPromtool())("promtool", () => {
  const promtool = (...args: string[]) => runProgram("promtool", args, PROMETHEUS);

  test("takes the rules and the example of a configuration", () => {
    const checked = promtool("check", "config", "prometheus.yml");
    expect(checked.code, checked.out + checked.err).toBe(0);
    expect(checked.out).toContain(`${rules.length} rules found`);
  });

  test("sees each alert fire and stay silent", () => {
    const tried = promtool("test", "rules", "alerts.test.yml");
    expect(tried.code, tried.out + tried.err).toBe(0);
  });

  test("understands every query of the dashboard", () => {
    const plain = (expr: string): string => expr.replaceAll("$__rate_interval", "5m").replaceAll("$instance", ".*");
    const records = queries.map((expr, number) => ({ record: `query:${number}`, expr: plain(expr) }));
    const file = join(folder(), "queries.yml");
    writeFileSync(file, JSON.stringify({ groups: [{ name: "dashboard", rules: records }] }));
    const checked = promtool("check", "rules", file);
    expect(checked.code, checked.out + checked.err).toBe(0);
  });
});

function hasPromtool(): boolean {
  const found = runProgram("promtool", ["--version"], ROOT).code === 0;
  if (!found) console.warn("SKIPPED: rules, dashboard and metrics are not checked by promtool, which is not here (Debian: prometheus)");
  return found;
}
