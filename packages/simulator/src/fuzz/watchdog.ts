/** Ends a fuzz that hangs in one input: only another thread can tell. */
import { Worker } from "node:worker_threads";

/** Longest input that it can tell. */
const TOLD_BYTES = 8192;
/** Int32 places before the input: turns, its length. */
const HEAD_BYTES = 8;

const WATCH = `
const { workerData: { shared, limitMs, head } } = require("node:worker_threads");
const words = new Int32Array(shared);
let turn = 0, since = Date.now();
setInterval(() => {
  const now = Atomics.load(words, 0);
  if (now !== turn) { turn = now; since = Date.now(); return; }
  if (now === 0 || Date.now() - since < limitMs) return;
  const input = Buffer.from(shared, head, Math.min(Atomics.load(words, 1), shared.byteLength - head)).toString("hex");
  require("node:fs").writeSync(2, "fuzz: HANG: no end of this input after " + limitMs + " ms: " + input + "\\n");
  process.kill(process.pid, "SIGKILL");
}, 500);
`;

export class Watchdog {
  readonly #shared = new SharedArrayBuffer(HEAD_BYTES + TOLD_BYTES);
  readonly #words = new Int32Array(this.#shared);
  readonly #bytes = new Uint8Array(this.#shared, HEAD_BYTES);
  readonly #worker: Worker;

  /** @param limitMs that one input may take; the process is killed past it, its input told on stderr */
  constructor(limitMs: number) {
    this.#worker = new Worker(WATCH, { eval: true, execArgv: [], workerData: { shared: this.#shared, limitMs, head: HEAD_BYTES } });
    this.#worker.unref();
  }

  /** This input is next. */
  next(input: Uint8Array): void {
    this.#bytes.set(input.length > TOLD_BYTES ? input.subarray(0, TOLD_BYTES) : input);
    Atomics.store(this.#words, 1, input.length);
    Atomics.add(this.#words, 0, 1);
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}
