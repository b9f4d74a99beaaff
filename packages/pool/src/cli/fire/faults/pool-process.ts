/** `openprime serve` as a process of its own, in a folder of its own, that can be stopped, killed and started again. */
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { minerAddress, type PoolPlace, type RpcAccess } from "@openprime/simulator";

const OPENPRIME = fileURLToPath(new URL("../../../../bin/openprime.js", import.meta.url));
const START_MS = 120_000;
const TAIL_BYTES = 6000;
const ERROR = 50;

export interface PoolSettings {
  readonly dir: string;
  readonly node: RpcAccess;
  /** Address to listen on. */
  readonly host: string;
  /** Where the database lies. */
  readonly databaseDir: string;
  /** Words before `node`: another network namespace. */
  readonly prefix: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** More of the configuration, by its sections. */
  readonly config?: Readonly<Record<string, object>>;
}

export class PoolProcess {
  readonly configFile: string;
  /** Messages of errors in the log, counted. */
  readonly errors = new Map<string, number>();
  place: PoolPlace = { host: "", port: 0, publicKey: "" };
  #child: ChildProcess | undefined;
  #ended: Promise<string> = Promise.resolve("not started");
  #end: string | undefined = "not started";
  #tail = "";
  /** What the log said of blocks, and its errors: for findings. */
  readonly #notable: string[] = [];

  private constructor(private readonly settings: PoolSettings) {
    this.configFile = join(settings.dir, "openprime.yaml");
  }

  /** Makes keys and configuration; nothing runs yet. */
  static async make(settings: PoolSettings): Promise<PoolProcess> {
    const pool = new PoolProcess(settings);
    const payoutAddress = minerAddress("pool under fire", 0);
    await run([OPENPRIME, "init", "--dir", settings.dir, "--network", "regtest", "--payout-address", payoutAddress]);
    const config: Record<string, unknown> = {
      network: "regtest",
      listen: { host: settings.host, port: 0 },
      pool: { payoutAddress, tag: "OpenPrime", minimumDifficulty: 1, minimumDifficultyCeiling: 1 },
      keys: { file: "openprime.keys.json" },
      node: { ...settings.node, pollSeconds: 0.2 },
      database: { dir: settings.databaseDir },
      templates: { check: "off" },
      api: { port: "off" },
      log: { format: "json", level: "info" },
    };
    for (const [section, more] of Object.entries(settings.config ?? {})) config[section] = { ...(config[section] as object), ...more };
    // YAML takes JSON as it is.
    writeFileSync(pool.configFile, JSON.stringify(config, null, 2), { mode: 0o600 });
    return pool;
  }

  get pid(): number | undefined {
    return this.#end === undefined ? this.#child?.pid : undefined;
  }

  /** The end of its log, and how it ended if it has. */
  get lastWords(): string {
    return `${this.#tail}\n(${this.#end ?? "it runs"})`;
  }

  /** The lines of the log, errors and those about blocks, that hold these words. */
  said(words: string): string[] {
    return this.#notable.filter((line) => line.includes(words));
  }

  /** Starts it; resolves when it listens. @throws when it ends instead */
  async start(): Promise<void> {
    const [file, ...args] = [...this.settings.prefix, process.execPath, OPENPRIME, "serve", "--config", this.configFile];
    const child = spawn(file as string, args, { env: { ...inherited(), ...this.settings.env }, stdio: ["ignore", "ignore", "pipe"] });
    this.#child = child;
    this.#end = undefined;
    this.#ended = new Promise((resolve) =>
      child.once("exit", (code, signal) => {
        this.#end = signal ?? `exit ${code}`;
        resolve(this.#end);
      }),
    );
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the pool did not listen within ${START_MS} ms:\n${this.lastWords}`)), START_MS);
      void this.#ended.then((end) => reject(new Error(`the pool ended (${end}) before it listened:\n${this.lastWords}`)));
      let rest = "";
      child.stderr?.on("data", (text: Buffer) => {
        const lines = (rest + text.toString()).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          if (!this.#read(line)) continue;
          clearTimeout(timer);
          resolve();
        }
      });
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** @returns how it ended */
  async kill(signal: "SIGKILL" | "SIGTERM"): Promise<string> {
    if (this.#end === undefined) this.signal(signal);
    return this.#ended;
  }

  /** Runs another command of `openprime`; answers its exit code and output. */
  command(...args: string[]): Promise<{ readonly code: number | null; readonly out: string }> {
    return run([OPENPRIME, ...args], true);
  }

  /** Process id of the embedded database's server. */
  get postmaster(): number | undefined {
    try {
      return Number(readFileSync(join(this.settings.databaseDir, "cluster", "postmaster.pid"), "utf8").split("\n")[0]) || undefined;
    } catch {
      return undefined;
    }
  }

  /** The database's server and every process of it. */
  get databaseProcesses(): number[] {
    const parent = this.postmaster;
    if (parent === undefined) return [];
    const children = readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .filter((name) => parentOf(name) === parent)
      .map(Number);
    return [parent, ...children];
  }

  /** Takes in a line of the log. @returns true when it says that gateways may come */
  #read(line: string): boolean {
    this.#tail = `${this.#tail}${line}\n`.slice(-TAIL_BYTES);
    let entry: {
      readonly msg?: string;
      readonly level?: number;
      readonly host?: string;
      readonly port?: number;
      readonly publicKey?: string;
    };
    try {
      entry = JSON.parse(line) as typeof entry;
    } catch {
      return false;
    }
    const { msg = "", level = 0, host, port, publicKey } = entry;
    if (level >= ERROR) this.errors.set(msg, (this.errors.get(msg) ?? 0) + 1);
    if (level >= ERROR || line.includes('"hash"')) this.#notable.push(line);
    if (publicKey !== undefined) this.place = { ...this.place, publicKey };
    if (!msg.includes("listening for gateways")) return false;
    this.place = { ...this.place, host: host ?? "", port: port ?? 0 };
    return true;
  }
}

/** Nothing of the tester's own pool may reach this one. */
const inherited = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("OPENPRIME_")));

function parentOf(pid: string): number | undefined {
  try {
    // State and parent follow the name, which is in parentheses.
    return Number(
      readFileSync(`/proc/${pid}/stat`, "latin1")
        .replace(/^.*\) /s, "")
        .split(" ")[1],
    );
  } catch {
    return undefined;
  }
}

/** Runs `node` to its end. @throws when it fails and `anyEnd` is not set */
async function run(args: readonly string[], anyEnd = false): Promise<{ readonly code: number | null; readonly out: string }> {
  const child = spawn(process.execPath, args, { env: inherited(), stdio: ["ignore", "pipe", "pipe"] });
  let [out, errors] = ["", ""];
  child.stdout.on("data", (text: Buffer) => {
    out += text.toString();
  });
  child.stderr.on("data", (text: Buffer) => {
    errors += text.toString();
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  if (code !== 0 && !anyEnd) throw new Error(`${args.join(" ")} failed (${code}): ${errors}`);
  return { code, out: out === "" ? errors : out };
}
