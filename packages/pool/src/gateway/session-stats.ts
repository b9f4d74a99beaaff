/** What a gateway's session has done, in bounded memory: for the live table and the API. */
import type { ShareStatus } from "@openprime/datum";
import type { JudgedShare } from "../work/index.js";
import { RateWindow } from "./rate-window.js";

/** Distinct workers counted one by one; what comes past them is summed under one name. */
const MAX_WORKERS = 256;
const OTHER_WORKERS = "(others)";

export interface WorkerSnapshot {
  /** `address` or `address.worker`. */
  readonly name: string;
  readonly accepted: number;
  /** Weight accepted in the last `recentSeconds`, in units of the network's difficulty one. */
  readonly recentWeight: number;
  readonly recentSeconds: number;
}

/** Taken on trust: its parent or its job's transactions may turn out not to be good. */
export function statusOf(share: JudgedShare): Exclude<ShareStatus, "rejected"> {
  return share.tentative || share.templateId !== undefined ? "tentative" : "accepted";
}

export class SessionStats {
  accepted = 0;
  tentative = 0;
  /** Of both: those on a block that the chain had passed a moment ago. */
  late = 0;
  /** Sum of the weights of accepted shares, tentative ones included. */
  acceptedWeight = 0n;
  readonly refusedByReason = new Map<number, number>();
  readonly #window: RateWindow;
  readonly #workers = new Map<string, { accepted: number; window: RateWindow }>();

  constructor(now: number) {
    this.#window = new RateWindow(now);
  }

  addAccepted(share: JudgedShare, now: number): void {
    this[statusOf(share)] += 1;
    if (share.late === true) this.late += 1;
    this.acceptedWeight += share.weight;
    const weight = Number(share.weight);
    this.#window.add(now, weight);
    let name = share.worker === "" ? share.address : `${share.address}.${share.worker}`;
    let worker = this.#workers.get(name);
    if (worker === undefined) {
      if (this.#workers.size >= MAX_WORKERS) name = OTHER_WORKERS;
      worker = this.#workers.get(name) ?? { accepted: 0, window: new RateWindow(now) };
      this.#workers.set(name, worker);
    }
    worker.accepted += 1;
    worker.window.add(now, weight);
  }

  addRefused(reason: number): void {
    this.refusedByReason.set(reason, (this.refusedByReason.get(reason) ?? 0) + 1);
  }

  recent(now: number): { weight: number; seconds: number } {
    return this.#window.read(now);
  }

  get workerCount(): number {
    return this.#workers.size;
  }

  /** The workers with the most recent weight first. */
  topWorkers(now: number, count: number): WorkerSnapshot[] {
    return [...this.#workers]
      .map(([name, worker]) => {
        const { weight, seconds } = worker.window.read(now);
        return { name, accepted: worker.accepted, recentWeight: weight, recentSeconds: seconds };
      })
      .sort((a, b) => b.recentWeight - a.recentWeight)
      .slice(0, count);
  }
}
