/** The pool under load: `openprime serve` as a process of its own, which tells how much memory it takes. */
import { type ChildProcess, fork } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SimulatorError } from "../errors.js";
import { minerAddress } from "../gateway/addresses.js";
import { run } from "../interop/processes.js";
import type { RpcAccess } from "../node/options.js";
import type { MemorySample } from "./messages.js";

const OPENPRIME = fileURLToPath(new URL("../../../pool/bin/openprime.js", import.meta.url));
const REPORTER = new URL("../../dist/soak/memory-reporter.js", import.meta.url).href;
const TAIL_BYTES = 4000;
/** Above this level, lines of the log are counted as warnings. */
const WARN = 40;

interface LogLine {
  readonly msg?: string;
  readonly level?: number;
  readonly port?: number;
  readonly publicKey?: string;
  /** Why a connection was closed. */
  readonly reason?: unknown;
}

export class SoakPool {
  readonly samples: MemorySample[] = [];
  /** Warnings of the log by their words. */
  readonly warnings = new Map<string, number>();
  readonly #child: ChildProcess;
  readonly #ended: Promise<string>;
  #tail = "";
  #end: string | undefined;
  #port: number | undefined;
  #publicKey: string | undefined;
  #changed: () => void = () => undefined;

  private constructor(private readonly configFile: string) {
    this.#child = fork(OPENPRIME, ["serve", "--config", configFile], {
      execArgv: ["--import", REPORTER],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#child.on("message", (sample: MemorySample) => {
      this.samples.push(sample);
      this.#changed();
    });
    let rest = "";
    this.#child.stderr?.on("data", (text: Buffer) => {
      const lines = (rest + text.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#read(line);
      this.#changed();
    });
    this.#ended = new Promise((resolve) =>
      this.#child.once("exit", (code, signal) => {
        this.#end = signal ?? `exit ${code}`;
        this.#changed();
        resolve(this.#end);
      }),
    );
  }

  /** Makes a configuration for that many gateways, all from this machine, and starts a pool with it. */
  static async start(dir: string, node: RpcAccess, gateways: number): Promise<SoakPool> {
    const payoutAddress = minerAddress("soak pool", 0);
    await run({
      file: process.execPath,
      args: [OPENPRIME, "init", "--dir", dir, "--network", "regtest", "--payout-address", payoutAddress],
    });
    const configFile = join(dir, "openprime.yaml");
    const connections = gateways + 10;
    const config = {
      network: "regtest",
      listen: { host: "127.0.0.1", port: 0, allow: "127.0.0.1" },
      pool: { payoutAddress, tag: "OpenPrime soak", minimumDifficulty: 1, minimumDifficultyCeiling: 1 },
      keys: { file: "openprime.keys.json" },
      node: { ...node, pollSeconds: 1 },
      // So small that every account is in the split.
      split: { threshold: 1000 },
      limits: { connections },
      // The jobs have branches and no transactions behind them.
      templates: { check: "off" },
      api: { port: 0 },
      log: { format: "json", level: "info" },
    };
    // YAML takes JSON as it is.
    writeFileSync(configFile, JSON.stringify(config, null, 2), { mode: 0o600 });
    const pool = new SoakPool(configFile);
    await pool.#until(() => pool.#port !== undefined && pool.#publicKey !== undefined);
    return pool;
  }

  get place(): { readonly host: string; readonly port: number; readonly poolPublicKey: string } {
    return { host: "127.0.0.1", port: this.#port!, poolPublicKey: this.#publicKey! };
  }

  /** @throws SimulatorError `loadFailed` when it has ended */
  check(): void {
    if (this.#end !== undefined) throw new SimulatorError("loadFailed", `the pool ended (${this.#end}):\n${this.#tail}`);
  }

  /** What is alive in it: bytes of heap and outside of it, after a full collection. */
  async alive(): Promise<number> {
    const from = this.samples.length;
    this.#child.send("collect");
    const found = (): MemorySample | undefined => this.samples.slice(from).find(({ collected }) => collected === true);
    await this.#until(() => found() !== undefined);
    const { heapUsed, external } = found()!;
    return heapUsed + external;
  }

  /** SIGTERM, and its end. */
  async stop(): Promise<string> {
    if (this.#end === undefined) this.#child.kill("SIGTERM");
    return this.#ended;
  }

  /** What `ledger check` says of the books. @throws SimulatorError when they are wrong */
  checkBooks(): Promise<string> {
    return run({ file: process.execPath, args: [OPENPRIME, "ledger", "check", "--config", this.configFile] });
  }

  async #until(ready: () => boolean): Promise<void> {
    while (!ready()) {
      this.check();
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  #read(line: string): void {
    this.#tail = `${this.#tail}${line}\n`.slice(-TAIL_BYTES);
    let entry: LogLine;
    try {
      entry = JSON.parse(line) as LogLine;
    } catch {
      return;
    }
    const { msg = "", level = 0, port, publicKey, reason } = entry;
    if (msg.includes("listening for gateways")) this.#port = port;
    if (publicKey !== undefined) this.#publicKey ??= publicKey;
    if (level < WARN) return;
    const words = typeof reason === "string" ? `${msg} (${reason})` : msg;
    this.warnings.set(words, (this.warnings.get(words) ?? 0) + 1);
  }
}
