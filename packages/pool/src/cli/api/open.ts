/** The API of a pool, put together: it is there before anything else is, and tells what the others wait for. */
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { Gauge, type Registry } from "prom-client";
import { ApiServer, watchFolders, watchProcess } from "../../api/index.js";
import type { Config } from "../config/index.js";
import { version } from "../version.js";
import { PoolView } from "./view.js";

export interface ApiParts {
  readonly log: Logger;
  readonly metrics: Registry;
  /** Pool clock, milliseconds. */
  readonly now: () => number;
  /** What must be ended, in the order in which it was begun. */
  readonly stops: (() => Promise<void> | void)[];
}

export interface OpenApi {
  readonly view: PoolView;
  /** Undefined when it is turned off. */
  readonly address: { readonly host: string; readonly port: number } | undefined;
}

const PORT_PATIENCE_MS = 15_000;
const PORT_RETRY_MS = 100;

/** @throws ApiListenError */
export async function openApi(config: Config, { log, metrics, now, stops }: ApiParts): Promise<OpenApi> {
  const { network, scheme, api } = config;
  const view = new PoolView(network, metrics, now);
  watchProcess(metrics, { version: version(), network: network.name, scheme: scheme.name, node: process.version });
  watchFolders(metrics, dataFolders(config));
  new Gauge({
    name: "openprime_hashrate_hashes_per_second",
    help: "Hash rate of all connected gateways over the last minutes, as their accepted shares tell it.",
    registers: [metrics],
    collect() {
      this.set(view.hashrate());
    },
  });
  new Gauge({
    name: "openprime_ready",
    help: "1 while this part is as it must be for gateways to be served.",
    labelNames: ["part"],
    registers: [metrics],
    async collect() {
      for (const { name, ok } of await view.readiness()) this.set({ part: name }, ok ? 1 : 0);
    },
  });
  if (api.port === undefined) return { view, address: undefined };
  const sources = { metrics: () => metrics.metrics(), readiness: () => view.readiness(), status: () => view.status() };
  await portFree(api.host, api.port, log);
  const server = await ApiServer.start({ host: api.host, port: api.port, names: api.names }, { sources, log, metrics });
  stops.push(() => server.close());
  return { view, address: server.address };
}

/** A pool that is about to end has its port to the last moment: it is waited for. In vain, if it takes too long: listening tells the reason then. */
async function portFree(host: string, port: number, log: Logger): Promise<void> {
  const patience = performance.now() + PORT_PATIENCE_MS;
  for (let tries = 0; performance.now() < patience && (await isTaken(host, port)); tries++) {
    if (tries === 0)
      log.warn({ host, port, forMs: PORT_PATIENCE_MS }, "the API's port is taken, by a pool that ends just now perhaps: waiting for it");
    await sleep(PORT_RETRY_MS);
  }
}

function isTaken(host: string, port: number): Promise<boolean> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "EADDRINUSE"));
    probe.listen({ host, port }, () => probe.close(() => resolve(false)));
  });
}

/** Folders that the pool writes to, by what they hold. */
function dataFolders({ database, publish, keys }: Config): Record<string, string> {
  return {
    blocks: join(dirname(keys.file), "blocks"),
    published: publish.dir,
    ...("embedded" in database && { books: database.embedded.dataDir }),
  };
}
