/** Every fault that the run throws: what begins it, how long it stands, what ends it. */
import { readFileSync } from "node:fs";
import type { FaultyProxy, ProxyMode, Random } from "@openprime/simulator";
import type { JumpyClock, Namespace, SmallDisk } from "./machine.js";
import type { PoolProcess } from "./pool-process.js";

export interface Stage {
  readonly pool: PoolProcess;
  readonly node: FaultyProxy;
  /** Between each gateway and the pool. */
  readonly lines: readonly FaultyProxy[];
  readonly random: Random;
  readonly namespace: Namespace | string;
  readonly disk: SmallDisk | string;
  readonly clock: JumpyClock | string;
}

export interface Fault {
  readonly name: string;
  /** Why it can't be had on this machine. */
  readonly skipped?: string;
  begin(): void | Promise<void>;
  /** How long it stands, milliseconds. */
  readonly ms: number;
  end(): void | Promise<void>;
}

const SHORT_MS = 3000;
const LONG_MS = 6000;
/** Under the two hours that a header may be ahead of the clock. */
const JUMP_SECONDS = 3000;
const nothing = (): void => undefined;

/** All faults; those that this machine can't have say why. */
export function faults(stage: Stage): Fault[] {
  const { pool, node, lines, random, namespace, disk, clock } = stage;
  const nodeIs = (name: string, mode: ProxyMode, ms = SHORT_MS): Fault => ({
    name,
    ms,
    begin: () => {
      node.mode = mode;
    },
    end: () => {
      node.mode = "through";
    },
  });
  const lineIs = (name: string, mode: ProxyMode): Fault => {
    let line = lines[0];
    return {
      name,
      ms: LONG_MS,
      begin: () => {
        line = random.pick(lines);
        line.mode = mode;
      },
      end: () => {
        if (line !== undefined) line.mode = "through";
      },
    };
  };
  const all = (signal: NodeJS.Signals, pids: readonly number[]): void => {
    for (const pid of pids) signalled(pid, signal);
  };
  let stopped: readonly number[] = [];
  const database: Fault[] = [
    { name: "database killed", ms: SHORT_MS, begin: () => all("SIGKILL", pool.databaseProcesses.slice(0, 1)), end: nothing },
    {
      name: "database hangs",
      ms: LONG_MS,
      begin: () => {
        stopped = pool.databaseProcesses;
        all("SIGSTOP", stopped);
      },
      end: () => all("SIGCONT", stopped),
    },
    {
      name: "database connections cut",
      ms: SHORT_MS,
      begin: () => all("SIGTERM", pool.databaseProcesses.filter(isClient)),
      end: nothing,
    },
  ];
  const restart = (name: string, signal: "SIGKILL" | "SIGTERM"): Fault => ({
    name,
    ms: 0,
    begin: async () => void (await pool.kill(signal)),
    end: () => pool.start(),
  });
  return [
    nodeIs("node away", "cut"),
    nodeIs("node hangs", "hang", LONG_MS),
    nodeIs("node slow", "slow"),
    nodeIs("node answers garbage", "garbage"),
    ...(process.platform === "linux" ? database : database.map((one) => ({ ...one, skipped: "needs /proc" }))),
    onMachine("disk full", disk, (it) => ({ ms: LONG_MS, begin: () => it.fill(), end: () => it.free() })),
    onMachine("clock an hour ahead", clock, (it) => ({ ms: SHORT_MS, begin: () => it.set(JUMP_SECONDS), end: () => it.set(0) })),
    onMachine("clock an hour back", clock, (it) => ({ ms: SHORT_MS, begin: () => it.set(-JUMP_SECONDS), end: () => it.set(0) })),
    lineIs("a gateway's connection half open", "hang"),
    lineIs("a gateway's line slow", "slow"),
    lineIs("a gateway cut off", "cut"),
    onMachine("packets lost", namespace, (it) => ({ ms: LONG_MS, begin: () => told(it.lose()), end: () => it.mend() })),
    onMachine("line narrow", namespace, (it) => ({ ms: LONG_MS, begin: () => told(it.narrow()), end: () => it.mend() })),
    onMachine("cable pulled", namespace, (it) => ({ ms: LONG_MS, begin: () => it.unplug(), end: () => it.plug() })),
    { name: "pool stopped", ms: SHORT_MS, begin: () => pool.signal("SIGSTOP"), end: () => pool.signal("SIGCONT") },
    restart("pool killed", "SIGKILL"),
    restart("pool restarted", "SIGTERM"),
  ];
}

function onMachine<T>(name: string, it: T | string, fault: (it: T) => Pick<Fault, "ms" | "begin" | "end">): Fault {
  return typeof it === "string" ? { name, skipped: it, ms: 0, begin: nothing, end: nothing } : { name, ...fault(it) };
}

/** A fault that the machine refuses when it comes to it. */
export class FaultRefused extends Error {}

function told(why: string | undefined): void {
  if (why !== undefined) throw new FaultRefused(why);
}

function signalled(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It has just ended by itself.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Whether a process of the database serves a connection. */
function isClient(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("[local]");
  } catch {
    return false;
  }
}
