/**
 * Gets the transactions behind a job from its gateway with as little traffic as can be: short ids, found in the pool's own view of the mempool;
 * what is missing by index; all of them when too much is missing or the check over all ids fails.
 */
import { TransactionError } from "@openprime/bitcoin";
import type { OpenedJob } from "../../work/index.js";
import { MempoolError } from "../errors.js";
import { findMismatch, passesCrosscheck, wrongCount } from "./checks.js";
import type { Fault } from "./codes.js";
import { type SetReader, setKey, type TransactionSet } from "./transaction-set.js";
import type { KnownTransaction, MempoolView, TemplateVerdict } from "./types.js";

export type CollectPath = Exclude<TemplateVerdict["path"], undefined>;

/** Why a gateway did not give what was asked for. */
export type SourceFault =
  /** No answer in time, or none that is of use, from a gateway that is there. */
  "silent" | "disconnected" | "slotRefilled";

export type Collected =
  | { readonly kind: "set"; readonly set: TransactionSet; readonly path: CollectPath }
  /** What the gateway gave is not the job's: a lie, or its slot holds a newer job that is not known here yet. */
  | { readonly kind: "mismatch"; readonly fault: Fault }
  | { readonly kind: "fault"; readonly fault: SourceFault; readonly detail: string };

export interface CollectModules {
  readonly mempool: MempoolView;
  /** A set that is in memory, by its key. */
  readonly kept: (key: string) => TransactionSet | undefined;
  readonly reader: SetReader;
}

/** What is asked for by index at most: beyond it, or half of the bytes, the full set is not much longer. */
const MOST_BY_INDEX = 2000;
const MOST_BYTES_BY_INDEX = 2_000_000;
const SHORT_ID_BYTES = 6;
/** A gateway has no short ids of more transactions. */
const MOST_BY_IDS = 16_383;

/**
 * @param fully asks for the full set at once
 * @throws what is no fault of gateway or mempool
 */
export async function collect(job: OpenedJob, modules: CollectModules, fully: boolean): Promise<Collected> {
  try {
    const found = fully || job.job.transactionCount > MOST_BY_IDS ? undefined : await byIds(job, modules);
    return found ?? (await fullSet(job, modules));
  } catch (error) {
    return { kind: "fault", ...readSourceError(error) };
  }
}

/** By short ids and index; undefined when it takes the full set. */
async function byIds(opened: OpenedJob, modules: CollectModules): Promise<Collected | undefined> {
  const { source, jobId, jobSerial, job } = opened;
  const key = source.shortIdKey;
  const { ids, crosscheck } = await source.shortIds(jobId, jobSerial);
  if (ids.length !== SHORT_ID_BYTES * job.transactionCount) return undefined;
  const known = await modules.mempool.match(key, ids).catch(notNow);
  if (known === undefined) return undefined;
  const all = everyOne(known);
  if (all !== undefined) {
    const wtxids = all.map(({ wtxid }) => wtxid);
    if (!passesCrosscheck(wtxids, crosscheck)) return undefined;
    const kept = modules.kept(setKey(wtxids));
    if (kept !== undefined) return matching(opened, kept, "known");
  }
  const raw = await rawOf(known, modules.mempool);
  if (raw === undefined) return undefined;
  const missing = [...raw.keys()].filter((index) => raw[index] === undefined);
  if (missing.length > 0) {
    const bytes = job.totalSize - raw.reduce((sum, one) => sum + (one?.length ?? 0), 0);
    if (missing.length > MOST_BY_INDEX || bytes > Math.min(MOST_BYTES_BY_INDEX, job.totalSize / 2)) return undefined;
    const shown = await source.byIndex(jobId, jobSerial, missing);
    for (const [at, index] of missing.entries()) raw[index] = shown[at];
  }
  const complete = everyOne(raw);
  const read = complete === undefined ? undefined : await modules.reader.read(complete).catch(noTransactions);
  if (read === undefined || !passesCrosscheck(read.set.wtxids, crosscheck)) return undefined;
  const collected = matching(opened, read.set, read.kept ? "known" : missing.length > 0 ? "byIndex" : "shortIds");
  if (collected !== undefined) modules.mempool.learn(missing.map((index) => read.set.raw[index]!));
  return collected;
}

/** The set if it is the job's; else the full set tells whether ids or branches are wrong. */
function matching({ job }: OpenedJob, set: TransactionSet, path: CollectPath): Collected | undefined {
  return findMismatch(job, set) === undefined ? { kind: "set", set, path } : undefined;
}

async function fullSet({ source, jobId, jobSerial, job }: OpenedJob, { mempool, reader }: CollectModules): Promise<Collected> {
  const raw = await source.fullSet(jobId, jobSerial);
  if (raw.length !== job.transactionCount) return { kind: "mismatch", fault: wrongCount(job.transactionCount, raw.length) };
  const read = await reader.read(raw).catch(noTransactions);
  if (read === undefined) {
    return { kind: "mismatch", fault: { code: "badTransaction", detail: "the gateway gave bytes that are no transaction" } };
  }
  const fault = findMismatch(job, read.set);
  if (fault !== undefined) return { kind: "mismatch", fault };
  mempool.learn(read.set.raw);
  return { kind: "set", set: read.set, path: read.kept ? "known" : "fullSet" };
}

/** In the job's order; undefined for a transaction that must be asked for. */
async function rawOf(
  known: readonly (KnownTransaction | undefined)[],
  mempool: MempoolView,
): Promise<(Uint8Array | undefined)[] | undefined> {
  const found = await mempool.raw(known.filter((one) => one !== undefined)).catch(notNow);
  if (found === undefined) return undefined;
  let next = 0;
  return known.map((one) => (one === undefined ? undefined : found[next++]));
}

function everyOne<T>(list: readonly (T | undefined)[]): T[] | undefined {
  return list.every((one) => one !== undefined) ? (list as T[]) : undefined;
}

/** The mempool can't be asked now: the gateway is. */
function notNow(error: unknown): undefined {
  if (!(error instanceof MempoolError)) throw error;
}

function noTransactions(error: unknown): undefined {
  if (!(error instanceof TransactionError)) throw error;
}

/** Reads a SourceError of the gateway room, which is known here by its code only. @throws anything else */
function readSourceError(error: unknown): { readonly fault: SourceFault; readonly detail: string } {
  if (!(error instanceof Error) || error.name !== "SourceError" || !("code" in error)) throw error;
  const { code, message } = error;
  return { fault: code === "disconnected" || code === "slotRefilled" ? code : "silent", detail: message };
}
