/**
 * What the pool knows of one gateway's work: its eight job slots with their coinbases, the splits it was given, its usernames and its
 * minimum. It outlives connections: a gateway that returns finds its old jobs still good.
 *
 * Memory of one session: eight jobs of under 1.2 kB, each with seven coinbases of under 16,008 bytes (0.9 MB in all if a gateway fills
 * every one); 64 splits of under 32 kB, as long as the wire lets them be, and eight more that jobs hold on to (2.3 MB); and the usernames (see
 * there). An honest gateway with two coinbases a job and 200 payees in its splits comes to 250 kB, connection included: `npm run soak` counts it.
 */
import { type CoinbaseSection, JOB_COUNT, type JobAnnouncement, type JobSection, type Share } from "@openprime/datum";
import { key, sameBytes } from "./bytes.js";
import { HeldCoinbase } from "./coinbase.js";
import { HeldSplit } from "./held-split.js";
import { COINBASES_PER_JOB, coinbasePlace } from "./kinds.js";
import { DifficultyMinimum } from "./minimum.js";
import { type Refusal, refusal } from "./refusal.js";
import { jobDigest, type RestoredJob, type RestoredWork, type SavedJob, type SavedWork } from "./saved-work.js";
import type { JobTemplate, OfferedSplit, Parent, TransactionSource } from "./types.js";
import { Usernames } from "./username.js";

/**
 * Splits remembered, and for how long. Work is at most 270 s old and a gateway asks for a split per job, at shortest every 5 s: 54; most ask every
 * 40 s. A split that a job names stays with the job, however many follow.
 */
const MAX_RECENT_SPLITS = 64;
const SPLIT_LIFE_MS = 300_000;
/** The transaction count is a u32, so no honest job has more branches. */
const MAX_BRANCHES = 32;
const HASH_BYTES = 32;
/** Block candidates on parents that the node does not know: so many in so long. Hashes that meet the claimed bits may be cheap there. */
const UNKNOWN_PARENT_CANDIDATES = 8;
const UNKNOWN_PARENT_WINDOW_MS = 60_000;
/** Such parents that one session may bring in that time: the chain holds a bounded number for all. An honest gateway is ahead by one. */
const UNKNOWN_PARENTS = 16;
/** Accepted shares on parents that the node knows, after which a session is no stranger: more work than filling its share of the room takes. */
const PROVEN_SHARES = 100;

/** One filling of a job slot. */
export class JobSlot {
  /** The job's claims, in bytes of its own. */
  readonly job: JobSection;
  /** Differs between any two fillings of the session's slots. */
  readonly serial: number;
  /** The split that the job's coinbaser id names, if it was offered for the job's value and prevhash. */
  readonly namedSplit: OfferedSplit | undefined;
  /** Committed position of the share log when the job was first seen: what work without a split is pinned to. */
  readonly pin: bigint;
  /** The round's key among the seen shares. */
  readonly round: string;
  /** 16, or undefined. */
  readonly refusal: Refusal | undefined;
  /** By `coinbasePlace`. */
  readonly coinbases: (HeldCoinbase | undefined)[] = new Array<HeldCoinbase | undefined>(COINBASES_PER_JOB).fill(undefined);
  /** Set by the judge when the chain told of it. */
  parent: Parent | undefined;
  /** Set by the judge at the first share that is good for everything else, where templates are judged. */
  template: JobTemplate | undefined;
  /**
   * What its coinbases commit to, as the one that did good work first: they share the transactions, and one that commits to others was not
   * judged with them.
   */
  commitment: Uint8Array | undefined;
  /** The compact target that `blockTarget` was worked out from. */
  blockBits: number | undefined;
  /** Little-endian target of a block on the parent; undefined for bits that no target has. */
  blockTarget: Uint8Array | undefined;
  #digest: Uint8Array | undefined;

  /** `before`: what was known of the same job before a restart. */
  constructor(section: JobSection, serial: number, namedSplit: OfferedSplit | undefined, pin: bigint, before?: RestoredJob) {
    this.refusal = branchCountError(section);
    // More branches than any job can have are refused anyway and not worth the memory.
    const branches = section.branches.length > MAX_BRANCHES * HASH_BYTES ? new Uint8Array(0) : new Uint8Array(section.branches);
    this.job = { ...section, prevhash: new Uint8Array(section.prevhash), branches };
    this.serial = serial;
    this.namedSplit = before?.split ?? namedSplit;
    this.pin = before?.pin ?? pin;
    this.template = before?.template;
    this.commitment = before?.commitment;
    this.round = key(section.prevhash);
  }

  saved(slot: number): SavedJob {
    this.#digest ??= jobDigest(slot, this.job);
    const { pin, namedSplit, template, commitment } = this;
    const splitId = namedSplit === undefined || namedSplit.id === 0n ? undefined : namedSplit.id;
    return { slot, digest: this.#digest, pin, splitId, templateId: template?.id, commitment };
  }
}

/** 0 to 3: how much is known of it that was not when the slot was filled. */
function progressOf({ commitment, template }: JobSlot): number {
  return (
    (commitment === undefined ? 0 : 1) + (template === undefined ? 0 : 1) + (template === undefined || template.state === "pending" ? 0 : 1)
  );
}

/** The tree over the coinbase and n transactions is ceil(log2(n + 1)) levels high. */
function branchCountError(job: JobSection): Refusal | undefined {
  const got = job.branches.length / HASH_BYTES;
  // The number of bits of n is ceil(log2(n + 1)) for every u32.
  const expected = 32 - Math.clz32(job.transactionCount);
  if (got === expected) return undefined;
  return refusal("badMerkleCount", `${got} branches, ${job.transactionCount} transactions make ${expected}`);
}

export interface WorkSessionInit {
  /** Database id of the session. */
  readonly sessionId: bigint;
  /** What every coinbase of this gateway carries; u32, never 0. */
  readonly primeId: number;
  /** log2 of the least difficulty of a share, where nothing is restored. */
  readonly minimumTargetByte: number;
  /** What was saved of an earlier life. */
  readonly restored?: RestoredWork | undefined;
  /** The share log's committed position now. */
  readonly head: () => bigint;
  /** True for a relay, whose work pays the relayed fee. */
  readonly relayed?: boolean;
}

export class WorkSession {
  readonly sessionId: bigint;
  readonly primeId: number;
  readonly relayed: boolean;
  readonly usernames = new Usernames();
  /** Script of the account that had a share accepted last: whom a split pays where the scheme pays the finder. */
  payee: Uint8Array | undefined;
  /** Where the transactions of its jobs are had; set by `gateway`. */
  source: TransactionSource | undefined;
  /** Parent of the job that was sent or announced last: what the gateway works on now, as far as it has told. */
  latestPrevhash: Uint8Array | undefined;
  readonly #minimum: DifficultyMinimum;
  readonly #head: () => bigint;
  readonly #slots: (JobSlot | undefined)[] = new Array<JobSlot | undefined>(JOB_COUNT).fill(undefined);
  /** By slot: jobs of an earlier life that the gateway has not sent again yet. */
  readonly #restored: (RestoredJob | undefined)[] = [];
  /** By coinbaser id, the oldest first. */
  readonly #splits = new Map<number, HeldSplit>();
  #lastCoinbaserId = 0;
  #serial = 0;
  #minimumChanges = 0;
  #unknownSince = 0;
  #unknownCandidates = 0;
  #unknownParents = 0;
  #goodShares = 0;

  constructor(init: WorkSessionInit) {
    this.sessionId = init.sessionId;
    this.primeId = init.primeId;
    this.relayed = init.relayed ?? false;
    const { restored } = init;
    this.#minimum = new DifficultyMinimum(restored?.minimum.targetByte ?? init.minimumTargetByte, restored?.minimum.earlier);
    this.#head = init.head;
    this.payee = restored?.payee;
    if (restored?.proven === true) this.#goodShares = PROVEN_SHARES;
    for (const job of restored?.jobs ?? []) this.#restored[job.slot] = job;
  }

  /**
   * Another number whenever `saved` would be something else, but for the payee, who changes with every share and is only a guess. Cheap: it is
   * asked for once a second.
   */
  get mark(): number {
    // Nothing known of a slot is ever taken back but by filling it, so the sum never comes to the same again.
    let known = (this.#serial + this.#minimumChanges) * JOB_COUNT * 4 + (this.proven ? 1 : 0);
    for (const slot of this.#slots) if (slot !== undefined) known += progressOf(slot);
    return known;
  }

  /** What must outlive the process. */
  saved(): SavedWork {
    const jobs: SavedJob[] = [];
    for (let slot = 0; slot < JOB_COUNT; slot++) {
      const held = this.#slots[slot];
      const job = held === undefined ? this.#restored[slot] : held.saved(slot);
      if (job !== undefined) jobs.push(job);
    }
    return { minimum: this.#minimum.saved(), payee: this.payee, proven: this.proven, jobs };
  }

  /** Log2 of the minimum difficulty in force. */
  get minimumTargetByte(): number {
    return this.#minimum.current;
  }

  /**
   * Announce another minimum; shares under an earlier, lower one stay good for 300 s.
   *
   * @param now milliseconds, pool clock
   */
  setMinimum(targetByte: number, now: number): void {
    this.#minimum.set(targetByte, now);
    this.#minimumChanges++;
  }

  /** The lowest target byte that is good now (milliseconds). */
  lowestTargetByte(now: number): number {
    return this.#minimum.at(now);
  }

  /**
   * The id for the next split: 1-255, and none that a remembered split or a job in a slot still has. At most 72 are in use, so there
   * always is one.
   */
  nextCoinbaserId(): number {
    let id = this.#lastCoinbaserId;
    do {
      id = id >= 255 ? 1 : id + 1;
    } while (this.#splits.has(id) || this.#slots.some((slot) => slot?.job.coinbaserId === id));
    this.#lastCoinbaserId = id;
    return id;
  }

  /** Remember a split that is offered to this gateway, or one that was before a restart (the oldest first). `now`: milliseconds, pool clock. */
  addSplit(split: OfferedSplit, now: number): void {
    this.#splits.delete(split.coinbaserId);
    this.#splits.set(split.coinbaserId, new HeldSplit(split, now));
    this.#lastCoinbaserId = split.coinbaserId;
    for (const [id, { heldAt }] of this.#splits) {
      if (this.#splits.size <= MAX_RECENT_SPLITS && now - heldAt < SPLIT_LIFE_MS) break;
      this.#splits.delete(id);
    }
  }

  /** Remembered splits for a value and prevhash, the newest first. */
  splitsFor(value: bigint, prevhash: Uint8Array): OfferedSplit[] {
    const found: OfferedSplit[] = [];
    for (const split of this.#splits.values()) {
      if (split.value === value && sameBytes(split.prevhash, prevhash)) found.push(split);
    }
    return found.reverse();
  }

  /** What slot `jobId` holds; undefined when it was never filled. */
  slot(jobId: number): JobSlot | undefined {
    return this.#slots[jobId];
  }

  /** Serial of the job in a slot: another one means that the slot was filled anew. */
  jobSerial(jobId: number): number | undefined {
    return this.#slots[jobId]?.serial;
  }

  /** Keep the sections that a share brings, whatever becomes of the share: the gateway sends each only once. */
  keep(share: Share): void {
    if (share.job !== undefined) this.#fill(share.jobId, share.job);
    if (share.coinbase !== undefined) this.#hold(share.jobId, share.coinbase);
  }

  /**
   * Keep a job that is announced before its first share, as if that had brought it. Its template is not judged before that share: an
   * announcement costs its sender nothing.
   *
   * @returns false when a part of it can't be kept: a job id that no slot has, or a coinbase id that no kind has
   */
  announce({ jobId, job, coinbases }: JobAnnouncement): boolean {
    this.#fill(jobId, job);
    let kept = jobId < JOB_COUNT;
    for (const coinbase of coinbases) kept = this.#hold(jobId, coinbase) && kept;
    return kept;
  }

  /** Whether a candidate on a parent that the node does not know may be taken now (milliseconds); counts it when so. */
  takeUnknownParentCandidate(now: number): boolean {
    this.#renewUnknown(now);
    if (this.#unknownCandidates >= UNKNOWN_PARENT_CANDIDATES) return false;
    this.#unknownCandidates++;
    return true;
  }

  /** Whether the node may be asked for one more parent that it has not told of (milliseconds); counts it when so. */
  takeUnknownParent(now: number): boolean {
    this.#renewUnknown(now);
    if (this.#unknownParents >= UNKNOWN_PARENTS) return false;
    this.#unknownParents++;
    return true;
  }

  /** Whether it has done enough work on parents that the node knows. */
  get proven(): boolean {
    return this.#goodShares >= PROVEN_SHARES;
  }

  /** Counts an accepted share on such a parent. */
  noteGoodShare(): void {
    this.#goodShares++;
  }

  #renewUnknown(now: number): void {
    if (now - this.#unknownSince < UNKNOWN_PARENT_WINDOW_MS) return;
    this.#unknownSince = now;
    this.#unknownCandidates = 0;
    this.#unknownParents = 0;
  }

  #fill(jobId: number, section: JobSection): void {
    if (jobId < 0 || jobId >= JOB_COUNT) return;
    const before = this.#slots[jobId];
    // The same job again (after a reconnect, or after it was announced) was first seen when it was first seen: it keeps its pin, its split,
    // what is known of its transactions, and the coinbases that came before, since each is sent only once.
    if (before === undefined || !sameJob(before.job, section)) {
      const known = this.#restored[jobId];
      this.#restored[jobId] = undefined;
      const same = known !== undefined && sameBytes(known.digest, jobDigest(jobId, section)) ? known : undefined;
      this.#slots[jobId] = new JobSlot(section, ++this.#serial, this.#named(section), this.#head(), same);
    }
    this.latestPrevhash = this.#slots[jobId]?.job.prevhash;
  }

  #named(section: JobSection): OfferedSplit | undefined {
    const split = this.#splits.get(section.coinbaserId);
    if (split === undefined || split.value !== section.coinbaseValue || !sameBytes(split.prevhash, section.prevhash)) return undefined;
    return split;
  }

  #hold(jobId: number, section: CoinbaseSection): boolean {
    const place = coinbasePlace(section.coinbaseId);
    const slot = this.#slots[jobId];
    if (slot === undefined || place === undefined) return false;
    slot.coinbases[place] = new HeldCoinbase(section);
    return true;
  }
}

function sameJob(a: JobSection, b: JobSection): boolean {
  return (
    a.coinbaserId === b.coinbaserId &&
    a.coinbaseValue === b.coinbaseValue &&
    a.height === b.height &&
    a.nbits === b.nbits &&
    a.targetByteIndex === b.targetByteIndex &&
    a.transactionCount === b.transactionCount &&
    a.totalWeight === b.totalWeight &&
    a.totalSize === b.totalSize &&
    a.totalSigops === b.totalSigops &&
    sameBytes(a.prevhash, b.prevhash) &&
    sameBytes(a.branches, b.branches)
  );
}
