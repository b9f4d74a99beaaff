/** Load from outside: a process of its own connects as a gateway, prepares valid shares, and streams them as fast as the pool answers. */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { SimulatorError } from "../errors.js";

/** What the load works on; a template without its transactions. All bytes as hex, so that it passes between processes. */
export interface LoadWork {
  /** Internal order. */
  readonly prevhash: string;
  readonly height: number;
  /** Take bits that no share meets by chance, or the pool gets block candidates too. */
  readonly nbits: number;
  readonly version: number;
  readonly ntime: number;
  /** Satoshis, decimal. The pool's split for it decides the coinbase's size. */
  readonly value: string;
  readonly transactionCount: number;
  /** ceil(log2(transactionCount + 1)) branches of 32 bytes. */
  readonly branches: string;
  /** Script of the commitment output. */
  readonly witnessCommitment: string;
}

export interface LoadOptions {
  readonly host: string;
  readonly port: number;
  /** 128 hex digits. */
  readonly poolPublicKey: string;
  readonly work: LoadWork;
  /** 1 makes coinbases of up to 500 bytes, 3 up to 6500, 4 up to 16000, if the split is long enough. */
  readonly coinbaseKind: 0 | 1 | 2 | 3 | 4 | 5;
  readonly shares: number;
  /** `address` or `address.worker`; they take turns. */
  readonly usernames: readonly string[];
  /** Shares sent and not answered yet, at most; default 4096. */
  readonly inFlight?: number;
}

export interface LoadReport {
  readonly shares: number;
  readonly accepted: number;
  readonly tentative: number;
  readonly rejected: number;
  /** By reason code. */
  readonly reasons: Readonly<Record<number, number>>;
  /** From the first share sent to the last answer. */
  readonly seconds: number;
  readonly sharesPerSecond: number;
  /** Size of the coinbase transaction that was built from the pool's split, without witness. */
  readonly coinbaseBytes: number;
  readonly coinbaseOutputs: number;
  /** Milliseconds from handing a share to the socket to its answer. */
  readonly latency: { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number };
  /** Milliseconds that the shares took to prepare, not part of `seconds`. */
  readonly preparedMs: number;
  /** Seconds of processor time that the load process used while sending. */
  readonly cpuSeconds: number;
}

/** From the load process. */
export type LoadMessage =
  | { readonly type: "prepared" }
  | { readonly type: "done"; readonly report: LoadReport }
  | { readonly type: "failed"; readonly message: string };

const processFile = fileURLToPath(new URL("../../dist/load/process.js", import.meta.url));

/**
 * Runs one load. `onPrepared` is called when everything is ready and the first share is about to be sent: the moment to start measuring.
 *
 * @throws SimulatorError `loadFailed`
 */
export async function runLoad(options: LoadOptions, onPrepared: () => void = () => undefined): Promise<LoadReport> {
  const child = fork(processFile, [JSON.stringify(options)], { execArgv: [], stdio: ["ignore", "ignore", "pipe", "ipc"] });
  let errors = "";
  child.stderr?.on("data", (text: Buffer) => {
    errors = (errors + text.toString()).slice(-2000);
  });
  return new Promise((resolve, reject) => {
    const failed = (why: string): void => reject(new SimulatorError("loadFailed", `the load did not finish: ${why}`));
    child.once("error", (error) => failed(error.message));
    child.once("exit", (code) => failed(`exit ${code} ${errors}`));
    child.on("message", (message: LoadMessage) => {
      if (message.type === "prepared") onPrepared();
      else if (message.type === "done") resolve(message.report);
      else failed(message.message);
    });
  });
}
