/**
 * The share window as it was at a position of the log, from the database.
 *
 * Segments before the pin's are read as sums, with what was taken back after the pin put back in. The pin's own segment is summed from its raw shares up to
 * the pin, without what had been taken back by then. What lies between the left edge and the pin's segment is added up by the database: only where the
 * edge cuts does it matter which segment a share is in, so `ShareWindow` gives the same numbers as one that has followed the log. Segments whose shares are
 * paid one by one weigh nothing here.
 */
import {
  type AccountId,
  type AccountSum,
  EMPTY_WINDOW,
  type NetworkTargets,
  type SegmentSums,
  ShareWindow,
  type WindowRule,
  type WindowWeights,
  windowSize,
} from "@openprime/rewards";
import type { ClientBase } from "pg";
import type { Steps } from "../../proofs/index.js";
import { LedgerError } from "../errors.js";
import { LATER_VOIDS, MERGED_SUMS, RAW_SUMS, SEGMENT_AT, SEGMENT_TOTAL, SEGMENT_TOTALS, SEGMENT_VOIDS } from "../queries/money-window.js";
import { breathe, inSlices } from "../slices.js";

export interface WindowQuery {
  /** Committed position of the log. */
  readonly pin: bigint;
  readonly rule: WindowRule;
  readonly targets: NetworkTargets;
  /** Weight of the log at the pins of the pool's blocks on the chain, oldest first. */
  readonly blockWeights: readonly bigint[];
}

export interface WindowAt {
  /** Empty where the rule is `none`. */
  readonly weights: WindowWeights;
  /** Weight asked for, 0n where the rule is `none`. */
  readonly size: bigint;
  /** Weight of the whole log up to the pin, without what was taken back up to it and without shares that are paid one by one. */
  readonly logWeight: bigint;
  /** The segment that holds the entry at the pin; 0 when nothing has been logged up to it. */
  readonly lastSegment: number;
}

/**
 * Weighs the window.
 *
 * @param client in a snapshot of the database (a repeatable read): sums and voids must be of one moment
 * @throws LedgerError `ledger.pinTooOld` when raw shares of the pin's segment are no longer kept
 */
export async function windowAt(client: ClientBase, { pin, rule, targets, blockWeights }: WindowQuery): Promise<WindowAt> {
  const log = await logAt(client, pin);
  const size = windowSize(rule, { targets, logWeight: log.weight, blockWeights });
  let weights = EMPTY_WINDOW;
  if (rule.kind !== "none") {
    const window = new ShareWindow();
    window.load(await segmentsFrom(client, log, firstInside(log.totals, size)), false);
    await breathe();
    weights = window.weigh(size);
  }
  return { weights, size, logWeight: log.weight, lastSegment: log.last };
}

type Sums = Map<AccountId, { weight: bigint; feeWeight: bigint }>;

/** What the log weighed at a pin. */
interface LogAt {
  /** The segment of the pin, 0 for none. */
  readonly last: number;
  /** That segment up to the pin. */
  readonly lastSums: Sums;
  /** By segment, newest first. */
  readonly totals: readonly { readonly segment: number; readonly weight: bigint }[];
  readonly weight: bigint;
  /** Put back: what was taken back after the pin, by segment. */
  readonly restored: ReadonlyMap<number, Sums>;
}

async function logAt(client: ClientBase, pin: bigint): Promise<LogAt> {
  const { rows } = await client.query<{ id: number; per_share: boolean; until: string | null }>(SEGMENT_AT, [String(pin)]);
  const segment = rows[0];
  if (segment === undefined) return { last: 0, lastSums: new Map(), totals: [], weight: 0n, restored: new Map() };
  const whole = segment.until !== null && BigInt(segment.until) <= pin;
  const restored = await laterVoids(client, whole ? segment.id + 1 : segment.id, pin);
  // Of one that is paid share by share nothing counts, up to the pin or after it.
  const summed = whole || segment.per_share;
  const lastSums = summed ? await mergedSums(client, segment.id, segment.id) : await rawSums(client, segment.id, pin);
  addAll(lastSums, restored.get(segment.id));
  const totals = new Map([[segment.id, totalOf(lastSums)]]);
  for (const row of (await client.query<{ segment: number; weight: string }>(SEGMENT_TOTALS, [segment.id])).rows) {
    totals.set(row.segment, BigInt(row.weight));
  }
  for (const [id, sums] of restored) if (id !== segment.id) totals.set(id, (totals.get(id) ?? 0n) + totalOf(sums));
  const ordered = [...totals].map(([id, weight]) => ({ segment: id, weight })).sort((a, b) => b.segment - a.segment);
  return { last: segment.id, lastSums, totals: ordered, weight: ordered.reduce((sum, { weight }) => sum + weight, 0n), restored };
}

/** Oldest segment with weight that the last `size` units reach into; 0 when there is none. */
function firstInside(totals: LogAt["totals"], size: bigint): number {
  let weight = 0n;
  let oldest = 0;
  for (const { segment, weight: own } of totals) {
    if (weight >= size) break;
    weight += own;
    if (own > 0n) oldest = segment;
  }
  return oldest;
}

/** The edge's segment, everything between it and the pin's as one, and the pin's. */
async function segmentsFrom(client: ClientBase, { last, lastSums, restored }: LogAt, first: number): Promise<SegmentSums[]> {
  if (first === 0) return [];
  const segments: SegmentSums[] = [];
  if (first < last) {
    const edge = await mergedSums(client, first, first);
    addAll(edge, restored.get(first));
    segments.push({ id: first, sums: await inSlices(listed(edge)) });
  }
  if (first + 1 < last) {
    const between = await mergedSums(client, first + 1, last - 1);
    for (const [segment, sums] of restored) if (segment > first && segment < last) addAll(between, sums);
    segments.push({ id: first + 1, sums: await inSlices(listed(between)) });
  }
  segments.push({ id: last, sums: await inSlices(listed(lastSums)) });
  return segments;
}

interface SumRow {
  account: number;
  weight: string;
  fee_weight: string;
}

async function mergedSums(client: ClientBase, first: number, last: number): Promise<Sums> {
  const sums: Sums = new Map();
  await inSlices(adding(sums, (await client.query<SumRow>(MERGED_SUMS, [first, last])).rows, 1n));
  return sums;
}

async function rawSums(client: ClientBase, segment: number, pin: bigint): Promise<Sums> {
  type Row = SumRow & { all_weight: string };
  const { rows: shares } = await client.query<Row>(RAW_SUMS, [segment, String(pin)]);
  const { rows: voids } = await client.query<Row>(SEGMENT_VOIDS, [segment, String(pin)]);
  const { rows: kept } = await client.query<{ weight: string }>(SEGMENT_TOTAL, [segment]);
  const weigh = (rows: readonly Row[]): bigint => rows.reduce((sum, row) => sum + BigInt(row.all_weight), 0n);
  const expected = BigInt(kept[0]?.weight ?? 0) + weigh(voids);
  if (weigh(shares) !== expected) {
    throw new LedgerError(
      "ledger.pinTooOld",
      `the window at position ${pin} can't be weighed: the shares of segment ${segment} should weigh ${expected}, those that are kept weigh ` +
        `${weigh(shares)}. Raw shares that old have been dropped (shares.keep): put those of the segment into share_archive from a backup of the ` +
        "database, and the pool goes on by itself",
    );
  }
  const sums: Sums = new Map();
  await inSlices(adding(sums, shares, 1n));
  await inSlices(adding(sums, voids, -1n));
  return sums;
}

async function laterVoids(client: ClientBase, before: number, pin: bigint): Promise<Map<number, Sums>> {
  const segments = new Map<number, Sums>();
  for (const row of (await client.query<SumRow & { segment: number }>(LATER_VOIDS, [before, String(pin)])).rows) {
    const sums: Sums = segments.get(row.segment) ?? new Map();
    segments.set(row.segment, sums);
    addRow(sums, row, 1n);
  }
  return segments;
}

function* adding(sums: Sums, rows: readonly SumRow[], sign: 1n | -1n): Steps<void> {
  for (const row of rows) {
    addRow(sums, row, sign);
    yield;
  }
}

function addRow(sums: Sums, { account, weight, fee_weight }: SumRow, sign: 1n | -1n): void {
  add(sums, account, sign * BigInt(weight), sign * BigInt(fee_weight));
}

function addAll(sums: Sums, more: Sums | undefined): void {
  for (const [account, { weight, feeWeight }] of more ?? []) add(sums, account, weight, feeWeight);
}

function add(sums: Sums, account: AccountId, weight: bigint, feeWeight: bigint): void {
  const sum = sums.get(account);
  if (sum === undefined) sums.set(account, { weight, feeWeight });
  else {
    sum.weight += weight;
    sum.feeWeight += feeWeight;
  }
}

function totalOf(sums: Sums): bigint {
  let total = 0n;
  for (const { weight } of sums.values()) total += weight;
  return total;
}

function* listed(sums: Sums): Steps<AccountSum[]> {
  const list: AccountSum[] = [];
  for (const [account, { weight, feeWeight }] of sums) {
    if (weight > 0n) list.push({ account, weight, feeWeight });
    yield;
  }
  return list;
}
