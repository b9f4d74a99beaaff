import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { createLogger, LineCounts } from "../../src/cli/log.js";
import { capture } from "./support.js";

function logged(format: "text" | "json", write: (log: ReturnType<typeof createLogger>) => void): string {
  const io = capture();
  write(createLogger({ level: "info", format }, io.stderr));
  return io.err();
}

describe("createLogger", () => {
  it("writes one line an entry for people", () => {
    const text = logged("text", (log) => log.info({ port: 28915, host: "::1", note: "two words", id: { a: 1 } }, "listening"));
    expect(text).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z INFO {2}listening port=28915 host=::1 note="two words" id=\{"a":1\}\n$/);
  });

  it("leaves out what weighs less than the level", () => {
    expect(logged("text", (log) => log.debug("share"))).toBe("");
    expect(logged("text", (log) => log.warn("careful"))).toContain(" WARN  careful\n");
  });

  it("counts the lines that it writes, by level", async () => {
    const lines = new LineCounts();
    const io = capture();
    const log = createLogger({ level: "info", format: "json" }, io.stderr, lines);
    log.info("one");
    log.child({ a: 1 }).error({ code: "x" }, "two");
    log.error("three");
    log.debug("not this one");
    const metrics = new Registry();
    lines.watch(metrics);
    await metrics.metrics();
    const text = await metrics.metrics();
    for (const [level, count] of Object.entries({ info: 1, error: 2, debug: 0, warn: 0, fatal: 0 })) {
      expect(text).toContain(`openprime_log_lines_total{level="${level}"} ${count}\n`);
    }
    expect(io.err().split("\n")).toHaveLength(4);
  });

  it("writes JSON for machines", () => {
    const entry = JSON.parse(logged("json", (log) => log.error({ code: "x" }, "no"))) as Record<string, unknown>;
    expect(entry).toMatchObject({ level: 50, code: "x", msg: "no" });
  });

  it("lets no stranger's bytes forge a line", () => {
    const text = logged("text", (log) => log.info({ version: "v1\n2026 ERROR gone" }, "hello\r\nworld\u001b[31m"));
    expect(text.split("\n")).toHaveLength(2);
    expect(text).not.toContain("\u001b");
    expect(text).toContain("hello\\x0d\\x0aworld\\x1b[31m");
  });

  it.each(["text", "json"] as const)("masks secrets as %s", (format) => {
    const text = logged(format, (log) =>
      log.info({ password: "hunter2", node: { cookie: "hunter2" }, key: { signSeed: "hunter2" } }, "start"),
    );
    expect(text).not.toContain("hunter2");
    expect(text).toContain("***");
  });
});
