/** What passes between the soak, the pool's process and the processes of its gateways. */
import type { LoadWork } from "../load/load.js";

/** Memory of the pool's process, bytes. */
export interface MemorySample {
  readonly rss: number;
  readonly heapUsed: number;
  readonly heapTotal: number;
  /** Outside of V8's heap, array buffers included. */
  readonly external: number;
  /** What was alive after a full collection; only where that was asked for. */
  readonly collected?: boolean;
}

/** How fast a gateway is. */
export interface Pace {
  /** Between two jobs; in life 40,000 ms. */
  readonly jobMs: number;
  /** Between the first jobs of a gateway, until all its slots are filled. */
  readonly fillMs: number;
  /** Between two shares. */
  readonly shareMs: number;
}

export interface SoakLoadOptions {
  readonly host: string;
  readonly port: number;
  /** 128 hex digits. */
  readonly poolPublicKey: string;
  readonly work: LoadWork;
  /** Numbers of the gateways of this process: from, and how many. */
  readonly first: number;
  readonly gateways: number;
  /** Accounts that the gateways' miners have in all. */
  readonly accounts: number;
  readonly pace: Pace;
  /** New connections a second. */
  readonly connectsPerSecond: number;
}

/** Sums since the process began, told once a second. */
export interface SoakLoadReport {
  readonly connected: number;
  /** Gateways whose eight slots have been filled. */
  readonly filled: number;
  readonly jobs: number;
  /** Jobs whose split had no payees. */
  readonly withoutSplit: number;
  readonly sent: number;
  readonly accepted: number;
  readonly tentative: number;
  readonly refused: Readonly<Record<number, number>>;
  /** Sent, and the connection ended before the answer. */
  readonly lost: number;
  readonly disconnects: number;
  /** Outputs of the last coinbase that was built. */
  readonly outputs: number;
  /** Of the last second: milliseconds from a share to its answer. */
  readonly latencies: readonly number[];
}
