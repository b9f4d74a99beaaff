/** `openprime top` against an API that comes and goes. */
import { setImmediate as turn } from "node:timers/promises";
import { expect, it } from "vitest";
import { CliError } from "../../src/cli/errors.js";
import type { CommandIo } from "../../src/cli/io.js";
import { run } from "../../src/cli/main.js";
import { configuredUrl, top } from "../../src/cli/top.js";
import { STATUS, startApi } from "../api/support.js";
import { until } from "../pool/support/until.js";
import { capture, closedPort } from "./support.js";

/** A terminal of a size that can change. */
function terminal() {
  let out = "";
  const listeners = new Set<() => void>();
  const end = new AbortController();
  const stdout = {
    isTTY: true,
    columns: 80,
    rows: 24,
    write: (text: string) => (out += text),
    on: (_: string, listener: () => void) => listeners.add(listener),
    off: (_: string, listener: () => void) => listeners.delete(listener),
  };
  const io = { stdout, stderr: { write: () => undefined }, signal: end.signal } as unknown as CommandIo;
  const resize = (columns: number): void => {
    stdout.columns = columns;
    for (const listener of listeners) listener();
  };
  return { io, end, resize, listeners, out: () => out, forget: () => (out = "") };
}

it("shows the table once, without an escape where there is no terminal", async () => {
  const { url } = await startApi();
  const io = capture();
  expect(await top({ url, once: true, seconds: 1 }, io)).toBe(0);
  expect(io.out()).toMatch(/^OpenPrime 0\.1\.0 on regtest, up \d+ (d|h|min) .+ {3}tip 117 070707070707… {3}blocks 1 found, 1 accepted\n/);
  expect(io.out()).toMatch(/1 gateways, 2 miners +17\.6 kH\/s +100 +2\n/);
  expect(io.out()).not.toContain("\u001b");
});

it("prints the status as JSON, with every satoshi", async () => {
  const { url } = await startApi();
  const io = capture();
  expect(await run(["top", "--url", url, "--once", "--json"], {}, io)).toBe(0);
  expect(JSON.parse(io.out())).toEqual(STATUS);
});

it("ends with what to do when there is no pool, or another program", async () => {
  const io = capture();
  expect(await run(["top", "--url", `http://127.0.0.1:${await closedPort()}`, "--once"], {}, io)).toBe(1);
  expect(io.err()).toMatch(/no status from http:.*: ECONNREFUSED\n {2}what to do: start the pool/);
  const other = capture();
  const { url } = await startApi({ status: async () => ({ version: "9" }) as never });
  expect(await run(["top", "--url", url, "--once"], {}, other)).toBe(1);
  expect(other.err()).toContain("no pool's API, or of another version");
  expect(await run(["top", "--url", "ftp://x"], {}, capture())).toBe(1);
});

it("knows the API's address from the configuration", () => {
  expect(configuredUrl({ api: { host: "0.0.0.0", port: 1, names: [] } })).toBe("http://127.0.0.1:1");
  expect(configuredUrl({ api: { host: "::1", port: 2, names: [] } })).toBe("http://[::1]:2");
  for (const port of [0, undefined]) expect(() => configuredUrl({ api: { host: "::", port, names: [] } })).toThrow(CliError);
});

it("follows a pool that goes away and returns, and the terminal's size, until it is asked to end", async () => {
  let away = false;
  const { url } = await startApi({ status: async () => (away ? Promise.reject(new Error("away")) : STATUS) });
  const { io, end, resize, listeners, out, forget } = terminal();
  const ended = top({ url, seconds: 0.02 }, io);
  await until("the table", () => out().includes("present split"));
  away = true;
  await until("the warning", () => out().includes("\u001b[31m! no status from"));
  expect(out()).toContain(", as it was");
  away = false;
  forget();
  await until("the table again", () => out().includes("present split") && !out().includes("as it was"));
  forget();
  resize(60);
  expect(out()).toContain(`${"─".repeat(60)}\u001b[K\n`);
  await turn();
  end.abort();
  expect(await ended).toBe(0);
  expect(listeners.size).toBe(0);
});
