/** Worker thread: hashes for many miners by turns, each at its own rate, so that a dozen fit on a part of one core. */
import { parentPort } from "node:worker_threads";
import type { HasherEvent, HasherOrder } from "./hasher.js";
import { Scanner } from "./scanner.js";

/** Length of a turn of all miners, milliseconds. */
const TURN_MS = 20;
/** Most that a miner may catch up on after the thread was held up, seconds of its rate. */
const MAX_CATCH_UP = 0.5;
/** Nonces that an unlimited miner tries before messages are read. */
const UNLIMITED_SLICE = 200_000;

interface Task {
  readonly serial: number;
  readonly header: Uint8Array;
  readonly target: Uint8Array;
  readonly rate: number;
  next: number;
  /** Hashes due; the fraction is kept. */
  due: number;
}

const tasks = new Map<number, Task>();
const scanner = new Scanner();
let last = performance.now();
let hashes = 0;
let timer: NodeJS.Timeout | undefined;
let immediate: NodeJS.Immediate | undefined;

const tell = (event: HasherEvent): void => parentPort?.postMessage(event);

function work(miner: number, task: Task, count: number): void {
  scanner.load(task.header, task.target);
  const end = Math.min(task.next + count, 0x1_0000_0000);
  hashes += end - task.next;
  while (task.next < end) {
    const found = scanner.search(task.next, end - task.next);
    task.next = found === undefined ? end : found.nonce + 1;
    if (found !== undefined) tell({ type: "found", miner, serial: task.serial, nonce: found.nonce, hash: found.hash });
  }
  if (task.next >= 0x1_0000_0000) {
    tasks.delete(miner);
    tell({ type: "exhausted", miner, serial: task.serial });
  }
}

function turn(): void {
  const now = performance.now();
  const seconds = Math.min((now - last) / 1000, MAX_CATCH_UP);
  last = now;
  let unlimited = false;
  for (const [miner, task] of tasks) {
    if (task.rate === 0) {
      unlimited = true;
      work(miner, task, UNLIMITED_SLICE);
      continue;
    }
    task.due += task.rate * seconds;
    const count = Math.floor(task.due);
    if (count === 0) continue;
    task.due -= count;
    work(miner, task, count);
  }
  schedule(unlimited);
}

function schedule(unlimited: boolean): void {
  timer = undefined;
  immediate = undefined;
  if (tasks.size === 0) return;
  if (unlimited) immediate = setImmediate(turn);
  else timer = setTimeout(turn, TURN_MS);
}

parentPort?.on("message", (order: HasherOrder) => {
  if (order.type === "work") {
    const idle = timer === undefined && immediate === undefined;
    const due = tasks.get(order.miner)?.due ?? 0;
    tasks.set(order.miner, { serial: order.serial, header: order.header, target: order.target, rate: order.rate, next: 0, due });
    if (!idle) return;
    last = performance.now();
    schedule(order.rate === 0);
  } else if (order.type === "stop") {
    tasks.delete(order.miner);
  } else {
    tell({ type: "count", request: order.request, hashes });
  }
});
