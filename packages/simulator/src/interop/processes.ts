/** Child processes of the interop run: output split into lines, nothing left behind. */
import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { SimulatorError } from "../errors.js";

/** Lines kept to tell why a process ended. */
const TAIL = 40;
const STOP_MS = 10_000;

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
}

/** One running program. */
export class Program {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #tail: string[] = [];
  readonly #exited: Promise<void>;
  #ended: string | undefined;

  /** @param onLine hears each line of both outputs */
  constructor(name: string, command: Command, onLine: (line: string) => void = () => undefined) {
    this.name = name;
    this.#child = spawn(command.file, command.args, { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      let rest = "";
      stream?.on("data", (text: Buffer) => {
        const lines = (rest + text.toString()).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          this.#tail.push(line);
          if (this.#tail.length > TAIL) this.#tail.shift();
          onLine(line);
        }
      });
    }
    this.#exited = new Promise((resolve) => {
      this.#child.once("error", (error) => {
        this.#ended = error.message;
        resolve();
      });
      this.#child.once("close", (code, signal) => {
        this.#ended ??= signal ?? `exit ${code}`;
        resolve();
      });
    });
  }

  /** How it ended; undefined while it runs. */
  get ended(): string | undefined {
    return this.#ended;
  }

  /** @throws SimulatorError `interopFailed` when it has ended */
  check(): void {
    if (this.#ended === undefined) return;
    const words = this.#tail.length === 0 ? "it said nothing" : `its last words:\n${this.#tail.join("\n")}`;
    throw new SimulatorError("interopFailed", `${this.name} ended by itself (${this.#ended}); ${words}`);
  }

  /** Asks it to end, and makes it after ten seconds. */
  async stop(): Promise<void> {
    if (this.#ended !== undefined) return;
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_MS);
    await this.#exited;
    clearTimeout(timer);
  }
}

/** Runs a program to its end; answers its standard output. @throws SimulatorError `interopFailed` */
export async function run(command: Command): Promise<string> {
  const child = spawn(command.file, command.args, { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let errors = "";
  child.stdout.on("data", (text: Buffer) => {
    out += text.toString();
  });
  child.stderr.on("data", (text: Buffer) => {
    errors += text.toString();
  });
  const code = await new Promise<number | string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (exit, signal) => resolve(exit ?? signal ?? "ended"));
  });
  if (code === 0) return out;
  throw new SimulatorError("interopFailed", `${[command.file, ...command.args].join(" ")} failed (${code}): ${errors.trim()}`);
}

/** A loopback port that was free a moment ago, for programs that can't choose one themselves. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new SimulatorError("interopFailed", "no free port");
  return address.port;
}

/** Asks again and again until the answer is no longer undefined. @throws SimulatorError `interopFailed` after `seconds` */
export async function eventually<T>(what: string, seconds: number, ask: () => Promise<T | undefined>): Promise<T> {
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new SimulatorError("interopFailed", `${what} within ${seconds} s expected, and did not come`);
}
