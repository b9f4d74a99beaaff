/** The built `openprime` command as a process of its own, and the lines it logs. */
import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { PoolPlace } from "@openprime/simulator";
import { onTestFinished } from "vitest";
import { until } from "./until.js";

const OPENPRIME = fileURLToPath(new URL("../../../bin/openprime.js", import.meta.url));
const BUILT = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));

const HANDED = 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"';

export type LogLine = Readonly<Record<string, unknown>>;

export class Command {
  stdout = "";
  stderr = "";
  /** Exit code, or the signal that ended it; undefined while it runs. */
  end: number | NodeJS.Signals | undefined;
  readonly ended: Promise<number | NodeJS.Signals>;
  readonly #child: ChildProcess;

  /** Starts `openprime`, logging JSON; ended with the test at the latest. */
  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}, listenFd?: number) {
    if (!existsSync(BUILT)) throw new Error(`${BUILT} is missing: run npm test, which builds first`);
    // Nothing of the tester's own pool may reach this one.
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("OPENPRIME_"));
    // Only the process itself knows the number that a socket is handed to.
    const [file, before] = listenFd === undefined ? [process.execPath, []] : ["/bin/sh", ["-c", HANDED, process.execPath]];
    const child = spawn(file, [...before, OPENPRIME, ...args], {
      env: { ...Object.fromEntries(inherited), OPENPRIME_LOG_FORMAT: "json", OPENPRIME_API_PORT: "0", ...env },
      stdio: ["ignore", "pipe", "pipe", ...(listenFd === undefined ? [] : [listenFd])],
    }) as ChildProcessByStdio<null, Readable, Readable>;
    this.#child = child;
    child.stdout.on("data", (text: Buffer) => {
      this.stdout += text;
    });
    child.stderr.on("data", (text: Buffer) => {
      this.stderr += text;
    });
    this.ended = new Promise((resolve) =>
      child.once("close", (code, signal) => {
        this.end = code ?? (signal as NodeJS.Signals);
        resolve(this.end);
      }),
    );
    onTestFinished(async () => {
      if (this.end === undefined) this.kill("SIGKILL");
      await this.ended;
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The log so far. */
  get log(): LogLine[] {
    return this.stderr
      .split("\n")
      .slice(0, -1)
      .flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as LogLine] : []));
  }

  /** The first line of the log whose message holds the text; fails when the command ends without it. */
  said(text: string, limitMs = 60_000): Promise<LogLine> {
    return until(
      `"${text}"`,
      () => {
        const line = this.log.find(({ msg }) => String(msg).includes(text));
        if (line === undefined && this.end !== undefined) throw new Error(`ended (${this.end}) without "${text}":\n${this.stderr}`);
        return line;
      },
      limitMs,
    );
  }

  /** Where a pool listens, as soon as it does. */
  async listening(): Promise<PoolPlace> {
    const { host, port } = await this.said("listening for gateways");
    const { publicKey } = await this.said("OpenPrime starts");
    return { host: String(host), port: Number(port), publicKey: String(publicKey) };
  }
}

/** Process id of the embedded database's server; undefined while it has none. */
export function postmaster(dataDir: string): number | undefined {
  try {
    return Number(readFileSync(join(dataDir, "cluster", "postmaster.pid"), "utf8").split("\n")[0]) || undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Whether there is such a process, and it is no zombie. */
export function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
  if (process.platform !== "linux") return true;
  try {
    // The state follows the name, which is in parentheses.
    return readFileSync(`/proc/${pid}/stat`, "latin1").replace(/^.*\) /s, "")[0] !== "Z";
  } catch {
    return false;
  }
}
