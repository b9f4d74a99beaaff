import { EventEmitter } from "node:events";
import { describe, expect, it } from "vitest";
import { endSignal } from "../../src/cli/signals.js";

class Target extends EventEmitter {
  readonly pid = 4711;
  readonly kills: [number, string | number | undefined][] = [];

  kill(pid: number, signal?: string | number): true {
    this.kills.push([pid, signal]);
    return true;
  }
}

function listening() {
  const target = new Target();
  const clock = { now: 1000 };
  const signal = endSignal(target as unknown as NodeJS.Process, () => clock.now);
  return { target, clock, signal };
}

describe("endSignal", () => {
  it.each(["SIGINT", "SIGTERM"] as const)("fires at the first %s", (name) => {
    const { target, signal } = listening();
    expect(signal.aborted).toBe(false);
    target.emit(name, name);
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toBe(name);
    expect(target.kills).toEqual([]);
  });

  it("takes the same Ctrl-C, forwarded by npm, for one", () => {
    const { target, clock } = listening();
    target.emit("SIGINT", "SIGINT");
    clock.now += 11;
    target.emit("SIGINT", "SIGINT");
    expect(target.kills).toEqual([]);
    expect(target.listenerCount("SIGINT")).toBe(1);
  });

  it("ends the process at the second one", () => {
    const { target, clock } = listening();
    target.emit("SIGINT", "SIGINT");
    clock.now += 500;
    target.emit("SIGTERM", "SIGTERM");
    expect(target.kills).toEqual([[4711, "SIGTERM"]]);
    expect(target.listenerCount("SIGINT")).toBe(0);
    expect(target.listenerCount("SIGTERM")).toBe(0);
  });
});
