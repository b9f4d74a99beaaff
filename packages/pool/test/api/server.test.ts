/** The API's server: routes, request ids, errors, and what a bad caller gets, over real sockets. */
import { pino } from "pino";
import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { ApiListenError, ApiServer, poolStatusDocument } from "../../src/api/index.js";
import { STATUS, startApi } from "./support.js";

const CLOSE = "connection: close\r\n\r\n";

describe("the routes", () => {
  it("answer health, readiness, metrics and status", async () => {
    const { url, metrics } = await startApi();
    expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: "ok" });
    const ready = await fetch(`${url}/readyz`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toEqual({ ready: true, failing: [], parts: { books: { ok: true } } });
    const figures = await fetch(`${url}/metrics`);
    expect(figures.headers.get("content-type")).toBe(metrics.contentType);
    expect(await figures.text()).toContain('openprime_api_requests_total{route="/readyz",status="200"} 1\n');
    const status = await fetch(`${url}/v1/status`);
    expect(poolStatusDocument.parse(await status.json())).toEqual(STATUS);
    for (const name of ["x-content-type-options", "cache-control", "x-request-id"]) expect(status.headers.get(name)).toBeTruthy();
    expect((await fetch(`${url}/healthz`, { method: "HEAD" })).status).toBe(200);
  });

  it("say 503 with the name of each part that fails", async () => {
    const parts = [
      { name: "books", ok: true },
      { name: "node", ok: false, why: "no node can be followed" },
    ] as const;
    const { url } = await startApi({ readiness: async () => parts });
    const answer = await fetch(`${url}/readyz`);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toEqual({
      ready: false,
      failing: ["node"],
      parts: { books: { ok: true }, node: { ok: false, why: "no node can be followed" } },
    });
  });

  it("make what costs something once for all who ask at the same time", async () => {
    let made = 0;
    let finish: (() => void) | undefined;
    const held = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const { url } = await startApi({
      status: async () => {
        made++;
        await held;
        return STATUS;
      },
    });
    const asked = Promise.all(Array.from({ length: 8 }, () => fetch(`${url}/v1/status`)));
    // The last of them is there when a later request on another route has been answered.
    await fetch(`${url}/healthz`);
    finish?.();
    expect((await asked).map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect(made).toBe(1);
  });
});

describe("requests", () => {
  it("keep their own id where it is a sane one, in the answer and in the log", async () => {
    const { url, lines } = await startApi();
    const kept = await fetch(`${url}/healthz`, { headers: { "x-request-id": "probe-7" } });
    expect(kept.headers.get("x-request-id")).toBe("probe-7");
    for (const id of ["a b", "x".repeat(65), 'q"', ""]) {
      const made = await fetch(`${url}/healthz`, { headers: { "x-request-id": id } });
      expect(made.headers.get("x-request-id")).toMatch(/^[0-9a-f]{16}$/);
    }
    expect(lines).toContainEqual(expect.objectContaining({ level: 20, request: "probe-7", route: "/healthz", status: 200 }));
  });

  it("that fail on our side tell the caller nothing, and the log everything", async () => {
    const { url, lines } = await startApi({ status: async () => Promise.reject(new Error("hunter2 went wrong")) });
    const answer = await fetch(`${url}/v1/status`, { headers: { "x-request-id": "r1" } });
    expect(answer.status).toBe(500);
    const text = await answer.text();
    expect(JSON.parse(text)).toMatchObject({ error: { code: "internal", request: "r1" } });
    expect(text).not.toContain("hunter2");
    expect(lines).toContainEqual(expect.objectContaining({ level: 50, request: "r1", route: "/v1/status" }));
  });

  it("are counted by routes that exist, whatever paths are made up", async () => {
    const { url, metrics } = await startApi();
    for (const path of ["/a", "/b/c", "/metrics/x", "/%00", "/v1"]) {
      const answer = await fetch(`${url}${path}`);
      expect(answer.status).toBe(404);
      expect(await answer.json()).toMatchObject({ error: { code: "notFound" } });
    }
    const counter = await metrics.getSingleMetric("openprime_api_requests_total")?.get();
    expect(counter?.values.map(({ labels, value }) => [labels.route, labels.status, value])).toEqual([["none", "404", 5]]);
  });
});

describe("a bad caller", () => {
  it.each([
    ["another method", `POST /metrics HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n${CLOSE}`, 405, "methodNotAllowed"],
    ["a method for no path", `DELETE /x HTTP/1.1\r\nhost: localhost\r\n${CLOSE}`, 405, "methodNotAllowed"],
    ["a body", `GET /metrics HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n${CLOSE}hello`, 413, "bodyNotAllowed"],
    ["a body in chunks", `GET /x HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n${CLOSE}0\r\n\r\n`, 413, "bodyNotAllowed"],
    ["a strange name", `GET /v1/status HTTP/1.1\r\nhost: evil.example:28916\r\n${CLOSE}`, 421, "hostNotAllowed"],
    ["no HTTP", "hello\r\n\r\n", 400, "badRequest"],
    ["too long headers", `GET / HTTP/1.1\r\nhost: localhost\r\nx: ${"y".repeat(9000)}\r\n${CLOSE}`, 431, "headersTooLarge"],
    ["a path that can't be read", `GET /%zz HTTP/1.1\r\nhost: localhost\r\n${CLOSE}`, 400, "badRequest"],
  ])("with %s is refused with its code", async (_, request, status, code) => {
    const answer = await (await startApi()).raw(request);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4))).toMatchObject({ error: { code } });
  });

  it("that never ends its request is cut off", async () => {
    const { raw } = await startApi({}, { requestMs: 200 });
    expect(await raw("GET / HTTP/1.1\r\nhost: localhost\r\n")).toMatch(/^HTTP\/1\.1 408 [\s\S]*"requestTimeout"/);
  });

  it("that asks too often is told so, for unknown paths too", async () => {
    const { url } = await startApi({}, { requestsPerMinute: 3 });
    for (let i = 0; i < 3; i++) expect((await fetch(`${url}/healthz`)).status).toBe(200);
    const answer = await fetch(`${url}/healthz`);
    expect(answer.status).toBe(429);
    expect(await answer.json()).toMatchObject({ error: { code: "tooManyRequests" } });
    const { url: other } = await startApi({}, { requestsPerMinute: 3 });
    const seen = [];
    for (let i = 0; i < 4; i++) seen.push((await fetch(`${other}/nothing`)).status);
    expect(seen).toEqual([404, 404, 404, 429]);
  });
});

it("tells that its port is taken", async () => {
  const { port } = await startApi();
  const modules = { sources: {} as never, log: pino({ level: "silent" }), metrics: new Registry() };
  await expect(ApiServer.start({ host: "127.0.0.1", port }, modules)).rejects.toBeInstanceOf(ApiListenError);
});

it("ends connections that are kept open when it closes", async () => {
  const { url, close } = await startApi();
  await (await fetch(`${url}/healthz`)).text();
  await close();
  await expect(fetch(`${url}/healthz`)).rejects.toThrow();
});
