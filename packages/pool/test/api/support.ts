/** Shared by the tests of the API room: a server with made-up sources, and requests to it down to the last byte. */
import { connect } from "node:net";
import { pino } from "pino";
import { Registry } from "prom-client";
import { onTestFinished } from "vitest";
import { type ApiOptions, ApiServer, type ApiSources, type PoolStatusDocument } from "../../src/api/index.js";

export const STATUS: PoolStatusDocument = {
  version: "0.1.0",
  network: "regtest",
  state: "running",
  startedAt: "2026-11-22T21:04:05.000Z",
  hashrate: 17_600,
  shares: { accepted: 96, tentative: 4, refusedByReason: { 25: 2 } },
  gateways: { connected: 1, workers: 2, list: [] },
  nodeReachable: true,
  nodes: [{ name: "127.0.0.1:8332", state: "good", followed: true, height: 117 }],
  tip: { height: 117, hash: "07".repeat(32) },
  log: { position: "9007199254740993", waiting: 0, lagSeconds: 0, state: "running" },
  split: { payees: 1, value: "5000000000", list: [{ address: "bcrt1q", value: "5000000000" }] },
  blocks: { found: 1, accepted: 1, newest: [] },
};

export interface TestApi {
  readonly url: string;
  readonly port: number;
  readonly metrics: Registry;
  /** JSON of every line that was logged. */
  readonly lines: Record<string, unknown>[];
  readonly close: () => Promise<void>;
  /** What a raw request is answered with, until the server closes or falls silent. */
  readonly raw: (text: string) => Promise<string>;
}

export async function startApi(sources: Partial<ApiSources> = {}, options: Partial<ApiOptions> = {}): Promise<TestApi> {
  const metrics = new Registry();
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: "debug" }, { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
  const all: ApiSources = {
    metrics: () => metrics.metrics(),
    readiness: async () => [{ name: "books", ok: true }],
    status: async () => STATUS,
    ...sources,
  };
  const server = await ApiServer.start({ host: "127.0.0.1", port: 0, ...options }, { sources: all, log, metrics });
  onTestFinished(() => server.close());
  const { port } = server.address;
  return { url: `http://127.0.0.1:${port}`, port, metrics, lines, close: () => server.close(), raw: (text) => rawRequest(port, text) };
}

function rawRequest(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" }, () => socket.write(text));
    let answer = "";
    socket.on("data", (chunk) => {
      answer += String(chunk);
    });
    socket.on("close", () => resolve(answer));
    socket.on("error", (error: NodeJS.ErrnoException) => (error.code === "ECONNRESET" ? resolve(answer) : reject(error)));
  });
}
