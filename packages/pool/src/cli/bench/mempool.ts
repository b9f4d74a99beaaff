/** How long the short ids of a job are looked for in a large mempool, and what the thread that judges shares notices of it. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { parseTransaction } from "@openprime/bitcoin";
import { shortId } from "@openprime/datum";
import { pino } from "pino";
import { Registry } from "prom-client";
import { NodeMempool } from "../../chain/index.js";
import { madeTransaction } from "./made-transaction.js";

export interface MempoolFigures {
  /** Until the whole mempool of the node was read. */
  readonly loadSeconds: number;
  /** The longest time meanwhile that the main thread could not react, milliseconds. */
  readonly loadDelay: number;
  /** Milliseconds of one core for one search: the median of several keys, and the longest. */
  readonly median: number;
  readonly longest: number;
  /** Milliseconds from the question to the last transaction of the answer, median. */
  readonly answered: number;
  /** The longest time that the main thread could not react while searches ran one after another, milliseconds. */
  readonly delay: number;
  /** Megabytes that the process grew by. */
  readonly megabytes: number;
}

const processFile = fileURLToPath(new URL("../../../dist/cli/bench/mempool-process.js", import.meta.url));
const KEYS = 21;
/** Sampling of the event loop's delay; the figures are what comes on top of it. */
const RESOLUTION_MS = 1;
const MATCH_SECONDS = "openprime_mempool_match_seconds";

/** @param transactions in the node's mempool @param ids of one job, most of them there */
export async function measureMempool(transactions: number, ids: number): Promise<MempoolFigures> {
  const child = fork(processFile, [String(transactions)], { execArgv: [] });
  const [port] = (await once(child, "message")) as [number];
  const metrics = new Registry();
  const before = process.memoryUsage().rss;
  const loading = watch();
  const began = performance.now();
  const mempool = new NodeMempool({ node: { url: `http://127.0.0.1:${port}` } }, { log: pino({ level: "error" }), metrics });
  try {
    while (!mempool.loaded) await new Promise((next) => setTimeout(next, 20));
    const loadSeconds = (performance.now() - began) / 1000;
    const loadDelay = loading();
    const megabytes = (process.memoryUsage().rss - before) / 1e6;
    const step = Math.floor(transactions / ids);
    const wtxids = Array.from({ length: ids }, (_, i) => parseTransaction(madeTransaction(i * step)).wtxid);
    const questions = Array.from({ length: KEYS }, (_, k) => question(k, wtxids));
    const answered: number[] = [];
    const seconds: number[] = [];
    const delays: number[] = [];
    for (const { key, asked } of questions) {
      const matching = watch();
      const sum = await matchSeconds(metrics);
      const askedAt = performance.now();
      const found = await mempool.match(key, asked);
      answered.push(performance.now() - askedAt);
      // So that a hold-up by the answer itself is seen too.
      await new Promise((next) => setTimeout(next, 5 * RESOLUTION_MS));
      delays.push(matching());
      seconds.push((await matchSeconds(metrics)) - sum);
      const missing = found.filter((one) => one === undefined).length;
      if (missing > 0) throw new Error(`expected ${ids} transactions of the bench's mempool, ${missing} were not found`);
    }
    const ms = seconds.map((one) => one * 1000);
    return {
      loadSeconds,
      loadDelay,
      median: median(ms),
      longest: Math.max(...ms),
      answered: median(answered),
      delay: Math.max(...delays),
      megabytes,
    };
  } finally {
    await mempool.stop();
    child.disconnect();
  }
}

function question(number: number, wtxids: readonly Uint8Array[]): { key: Uint8Array; asked: Uint8Array } {
  const key = Uint8Array.from({ length: 16 }, (_, i) => i + number);
  return { key, asked: Buffer.concat(wtxids.map((wtxid) => shortId(key, wtxid))) };
}

/** @returns ends the watch: milliseconds of the longest delay since */
function watch(): () => number {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  return () => {
    histogram.disable();
    return Math.max(0, histogram.max / 1e6 - RESOLUTION_MS);
  };
}

/** Time of all searches so far. */
async function matchSeconds(metrics: Registry): Promise<number> {
  const [metric] = (await metrics.getMetricsAsJSON()).filter(({ name }) => name === MATCH_SECONDS);
  const sum = metric?.values.find((value) => "metricName" in value && value.metricName === `${MATCH_SECONDS}_sum`);
  return sum?.value ?? 0;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
