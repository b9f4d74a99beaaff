/** How long gateways wait for their splits: one that asks, waits and asks again, and many that ask at the same moment. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { DatumCrypto } from "@openprime/datum";
import { Asker, type PoolPlace } from "./asker.js";

export interface CoinbaserFigures {
  readonly outputs: number;
  /** Milliseconds from handing the request to the socket to the answer. */
  readonly median: number;
  readonly p99: number;
}

/**
 * Asks `count` times for a split, each time of another value (another job), so that no answer is one that was made before.
 *
 * @param value satoshis of the first request
 */
export async function askForSplits(
  crypto: DatumCrypto,
  pool: PoolPlace,
  { value, prevhash }: { readonly value: bigint; readonly prevhash: Uint8Array },
  count: number,
): Promise<CoinbaserFigures> {
  const asker = await Asker.connect(crypto, pool);
  const times: number[] = [];
  let outputs = 0;
  for (let i = 0; i < count; i++) {
    const askedAt = performance.now();
    outputs = await asker.ask(value - BigInt(i), prevhash);
    times.push(performance.now() - askedAt);
  }
  asker.close();
  times.sort((a, b) => a - b);
  const at = (part: number): number => times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? Number.NaN;
  return { outputs, median: at(0.5), p99: at(0.99) };
}

/** To the process of the crowd. Hashes as hex, satoshis as decimal text. */
export interface CrowdOrder {
  readonly value: string;
  readonly prevhash: string;
}

/** From it: everybody is connected, or what came of an order. */
export type CrowdReport =
  | { readonly type: "connected" }
  | { readonly type: "answered"; readonly outputs: number; readonly ms: readonly number[] };

const processFile = fileURLToPath(new URL("../../../dist/cli/bench/crowd-process.js", import.meta.url));

/** Gateways that are connected and ask at the same moment, each for another value; a process of its own. */
export class Crowd {
  readonly #child: ReturnType<typeof fork>;

  private constructor(child: ReturnType<typeof fork>) {
    this.#child = child;
  }

  static async connect(pool: PoolPlace, gateways: number): Promise<Crowd> {
    const child = fork(processFile, [JSON.stringify(pool), String(gateways)], { execArgv: [] });
    const crowd = new Crowd(child);
    await crowd.#report();
    return crowd;
  }

  /** Milliseconds until each gateway had its answer, ascending, and how many outputs the last one had. */
  async ask(value: bigint, prevhash: Uint8Array): Promise<{ readonly outputs: number; readonly ms: readonly number[] }> {
    this.#child.send({ value: String(value), prevhash: Buffer.from(prevhash).toString("hex") } satisfies CrowdOrder);
    const report = await this.#report();
    if (report.type !== "answered") throw new Error(`expected answers from the crowd of the bench, got ${report.type}`);
    return report;
  }

  close(): void {
    if (this.#child.connected) this.#child.disconnect();
  }

  async #report(): Promise<CrowdReport> {
    const ended = new AbortController();
    try {
      const exit = once(this.#child, "exit", { signal: ended.signal }).then(([code]) => {
        throw new Error(`the crowd of the bench has ended (exit ${code})`);
      });
      const message = once(this.#child, "message", { signal: ended.signal });
      const [report] = await Promise.race([message, exit]);
      return report as CrowdReport;
    } finally {
      ended.abort();
    }
  }
}
