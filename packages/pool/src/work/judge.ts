/**
 * The judge of shares: one share in, one verdict out, with no I/O and one call of the prover. What can be judged once for a job or a
 * coinbase is judged once and kept with it; what is left for each share is comparisons of numbers, two look-ups and the hash.
 *
 * The order of the checks is the design's ("Shares"), and the first that fails names the reason. But before any of them can refuse a share
 * its hash is held against the network's target, as soon as job, coinbase and extranonce allow: a found block is never lost.
 *
 * A parent that the chain does not hold is entered there only by a share that is good for everything else, so that its price is the work of a
 * share: until then a stand-in is judged. At the same price the desk that judges templates is told of a job, once, and never earlier: a job
 * that was announced waits for its first good share, too.
 */
import { meetsTarget, type Network, type ShareProver, shareTarget, targetBytes, targetFromBits } from "@openprime/bitcoin";
import { JOB_COUNT, type Share } from "@openprime/datum";
import { sameBytes } from "./bytes.js";
import { type CoinbaseFindings, coinbaseValue, commitmentOf, type HeldCoinbase, isOfPool, judgeCoinbase } from "./coinbase.js";
import { coinbasePlace, EXTRANONCE_BYTES, SUBSIDY_ONLY } from "./kinds.js";
import { type Refusal, refusal } from "./refusal.js";
import { SeenShares } from "./seen.js";
import type { JobSlot, WorkSession } from "./session.js";
import type { BlockCandidate, ChainView, JobTemplate, JudgedShare, Parent, TemplateDesk, Verdict } from "./types.js";
import type { Miner, UsernameLimits } from "./username.js";

/** 2^63 is the highest difficulty that the protocol's 64 bits hold. */
const MAX_TARGET_BYTE = 63;
/** A header may be this far ahead of the clock, seconds (consensus). */
const MAX_FUTURE_SECONDS = 7200;
/**
 * Nothing on the wire says which version the template asked for, so what consensus refuses is refused: versions under 4 (BIP34, 66, 65),
 * negative ones among them. Version rolling (BIP320) stays inside what is left.
 */
const MIN_VERSION = 4;
/**
 * A block that is not built on the tip is taken for one up to this many times the tip's target, what one change of difficulty can do: on an
 * unknown parent the bits are a claim, and on the chain's old blocks every share would be a block.
 */
const LARGEST_EASE = 4n;
/** The books count heights in 31 bits, enough for 40,000 years. Only on an unknown parent can a gateway claim more. */
const MAX_HEIGHT = 0x7fffffff;

export interface JudgeOptions {
  readonly network: Network;
  /** scriptPubKey that takes what no payee takes. */
  readonly payoutScript: Uint8Array;
  /** The pool's primary coinbase tag. */
  readonly tag: Uint8Array;
  /**
   * Earlier scripts of the pool, and until when (milliseconds, pool clock) new coinbases that pay them are good: jobs made before the script was
   * changed.
   */
  readonly retiredScripts?: readonly RetiredScript[];
  /** The pool's fee, parts per million: shares keep the one they were accepted under. */
  readonly feePpm: number;
  /** The fee of work that a relay brings; the same by default. */
  readonly relayedFeePpm?: number;
  /** How long work on a block is still good after the chain has passed it, milliseconds. */
  readonly staleGraceMs: number;
  readonly limits: UsernameLimits;
}

/** A script that was the pool's. */
export interface RetiredScript {
  readonly script: Uint8Array;
  /** Milliseconds, pool clock. */
  readonly until: number;
}

/** What judging needs of `bitcoin`'s prover. */
export type Prover = Pick<ShareProver, "prove" | "header" | "coinbase">;

export interface JudgeModules {
  readonly chain: ChainView;
  readonly prover: Prover;
  /** Judges the transactions behind jobs; without it they are taken on trust. */
  readonly templates?: TemplateDesk | undefined;
  /** Milliseconds. */
  readonly now: () => number;
}

export class ShareJudge {
  readonly #options: JudgeOptions;
  readonly #chain: ChainView;
  readonly #prover: Prover;
  readonly #templates: TemplateDesk | undefined;
  readonly #now: () => number;
  readonly #seen = new SeenShares();
  /** By target byte: little-endian target, and difficulty. */
  readonly #targets: readonly Uint8Array[];
  readonly #weights: readonly bigint[];

  constructor(options: JudgeOptions, modules: JudgeModules) {
    this.#options = options;
    this.#chain = modules.chain;
    this.#prover = modules.prover;
    this.#templates = modules.templates;
    this.#now = modules.now;
    const bytes = Array.from({ length: MAX_TARGET_BYTE + 1 }, (_, targetByte) => targetByte);
    this.#targets = bytes.map((targetByte) => targetBytes(shareTarget(targetByte, options.network)));
    this.#weights = bytes.map((targetByte) => 1n << BigInt(targetByte));
  }

  /**
   * Judge one share and keep the sections it brings. An accepted share is remembered as seen: `forget` it when it can't be stored.
   *
   * @returns the share for the log, or a reason; and in both cases the block, if it is one
   */
  judge(session: WorkSession, share: Share): Verdict {
    session.keep(share);
    const slot = session.slot(share.jobId);
    if (slot === undefined) return refused(unknownJob(share.jobId));
    if (share.extranonce.length !== EXTRANONCE_BYTES) {
      return refused(refusal("extranonceSize", `extranonce of ${share.extranonce.length} bytes, not ${EXTRANONCE_BYTES}`));
    }
    const now = this.#now();
    slot.parent ??= this.#chain.known(slot.job.prevhash);
    const parent = slot.parent ?? standIn(slot);
    // A subsidy-only block is hashed with its own coinbase, whatever id the share gives.
    const place = coinbasePlace(share.subsidyOnly ? SUBSIDY_ONLY : share.coinbaseId);
    const held = place === undefined ? undefined : slot.coinbases[place];
    const hash = held === undefined ? undefined : this.#hash(slot, held, share);
    const miner = session.usernames.resolve(share.username, this.#options.network, this.#options.limits);
    const isBlock = held !== undefined && hash !== undefined && this.#isBlock(session, slot, parent, held, hash, now);
    if (!isBlock) return this.#decide(session, slot, parent, held, hash, share, miner, now);
    // With an unknown parent hashes that meet the claimed bits may be cheap.
    const overLimit = parent.childBits === undefined && !session.takeUnknownParentCandidate(now);
    const block = overLimit ? undefined : this.#candidate(session, slot, parent, held, hash, share, miner);
    const verdict = this.#decide(session, slot, parent, held, hash, share, miner, now);
    return block === undefined ? { ...verdict, overLimit: true } : { ...verdict, block };
  }

  /** Take an accepted share out of the memory of seen ones, because it could not be stored: the gateway may send it again. */
  forget(share: JudgedShare): void {
    this.#seen.forget(share.prevhash, share.hash);
  }

  #decide(
    session: WorkSession,
    slot: JobSlot,
    parent: Parent,
    held: HeldCoinbase | undefined,
    hash: Uint8Array | undefined,
    share: Share,
    miner: Miner | Refusal,
    now: number,
  ): Verdict {
    if ("reason" in miner) return refused(miner);
    const unknown = coinbaseIdError(share);
    if (unknown !== undefined) return refused(unknown);
    if (held === undefined) {
      return refused(refusal("coinbaseMissing", `coinbase ${share.coinbaseId} of job ${share.jobId} was never sent`));
    }
    const findings = this.#findings(session, slot, held, now);
    const why =
      slot.refusal ??
      findings.shape ??
      parentError(slot, parent) ??
      findings.payees ??
      commitmentError(slot, held) ??
      this.#targetByteError(session, share.targetByte, now) ??
      findings.targetPlace ??
      headerError(share, parent, now);
    if (why !== undefined) return refused(why);
    if (hash === undefined) {
      return refused(refusal("other", "the share can't be hashed though nothing is wrong with its coinbase"));
    }
    const late = this.#hashError(share, hash) ?? this.#staleError(slot, parent, hash, now);
    if (late !== undefined) return refused(late);
    if (!this.#seen.addTo(slot.round, hash)) return refused(refusal("duplicate", "this share was sent before"));
    if (slot.parent === undefined && session.takeUnknownParent(now)) {
      slot.parent = this.#chain.parent(slot.job.prevhash, parent.height, session.proven);
    }
    if (slot.parent === undefined) {
      this.#seen.forget(slot.job.prevhash, hash);
      return refused(refusal("other", "too many parents are waiting that the node does not know"));
    }
    if (!share.subsidyOnly) slot.commitment ??= new Uint8Array(commitmentOf(held));
    // Subsidy-only work has no transactions: there is nothing in it but the coinbase.
    const template = share.subsidyOnly ? undefined : (slot.template ?? this.#open(session, slot, share.jobId, slot.parent));
    if (template?.state === "unsound") {
      this.#seen.forget(slot.job.prevhash, hash);
      return refused(refusal("other", `the job's transactions are refused: ${template.why ?? "unsound"}`));
    }
    const split = findings.split;
    session.payee = miner.account;
    if (slot.parent.state !== "unknown") session.noteGoodShare();
    return {
      kind: "accepted",
      share: {
        hash: new Uint8Array(hash),
        parent: slot.parent,
        prevhash: slot.job.prevhash,
        account: miner.account,
        address: miner.address,
        worker: miner.worker,
        weight: this.#weights[share.targetByte] ?? 0n,
        feePpm: session.relayed ? (this.#options.relayedFeePpm ?? this.#options.feePpm) : this.#options.feePpm,
        sessionId: session.sessionId,
        splitId: splitId(split),
        pin: split?.position ?? slot.pin,
        ntime: share.ntime,
        targetByte: share.targetByte,
        coinbaseId: share.coinbaseId,
        height: slot.job.height,
        tentative: slot.parent.state === "unknown",
        templateId: template?.state === "pending" ? template.id : undefined,
        late: parent.state === "stale" && parent.staleSince !== undefined && this.#chain.reachable,
        receivedAt: now,
      },
    };
  }

  /** Hands a job to the desk. Must follow the `prove` of the share that opens it: header and coinbase are the prover's last. */
  #open(session: WorkSession, slot: JobSlot, jobId: number, parent: Parent): JobTemplate | undefined {
    if (this.#templates === undefined || session.source === undefined) return undefined;
    slot.template = this.#templates.open({
      sessionId: session.sessionId,
      jobId,
      jobSerial: slot.serial,
      job: slot.job,
      coinbase: this.#prover.coinbase(),
      header: this.#prover.header(),
      parent,
      source: session.source,
    });
    return slot.template;
  }

  /** The header's hash in the prover's own buffer, good until its next call; undefined when the parts can't make one. */
  #hash(slot: JobSlot, held: HeldCoinbase, share: Share): Uint8Array | undefined {
    const { job } = slot;
    // A coinb1 that ends before the target byte or the two bytes that quickdiff replaces is refused by shape (26) or place (19).
    if (job.targetByteIndex >= held.coinb1.length || held.coinb1.length < 2) return undefined;
    return this.#prover.prove({
      coinb1: held.coinb1,
      extranonce: share.extranonce,
      coinb2: held.coinb2,
      targetByteIndex: job.targetByteIndex,
      targetByte: share.targetByte,
      quickdiff: share.quickdiff,
      branches: job.branches,
      subsidyOnly: share.subsidyOnly,
      version: share.version,
      prevhash: job.prevhash,
      ntime: share.ntime,
      nbits: job.nbits,
      nonce: share.nonce,
    });
  }

  /**
   * Whether the hash meets the target that the node wants of a block here, and the block is the pool's. Off the tip that target must be near
   * the tip's; on a parent that the node doesn't know only the wire's bits are there.
   */
  #isBlock(session: WorkSession, slot: JobSlot, parent: Parent, held: HeldCoinbase, hash: Uint8Array, now: number): boolean {
    const bits = parent.childBits ?? slot.job.nbits;
    if (slot.blockBits !== bits) {
      const target = blockTarget(bits);
      slot.blockBits = bits;
      slot.blockTarget = target === undefined ? undefined : targetBytes(target);
    }
    if (slot.blockTarget === undefined || !meetsTarget(hash, slot.blockTarget)) return false;
    if (parent.state !== "tip" && !this.#plausible(bits)) return false;
    return isOfPool(held, this.#findings(session, slot, held, now), this.#payoutScripts(now));
  }

  #plausible(bits: number): boolean {
    const claimed = blockTarget(bits);
    const limit = blockTarget(this.#options.network.powLimitBits);
    if (claimed === undefined || limit === undefined || claimed > limit) return false;
    const tipBits = this.#chain.tip()?.childBits;
    const known = tipBits === undefined ? undefined : blockTarget(tipBits);
    return known === undefined || claimed <= known * LARGEST_EASE;
  }

  /** Must follow the `prove` that made the hash: header and coinbase are the prover's last. */
  #candidate(
    session: WorkSession,
    slot: JobSlot,
    parent: Parent,
    held: HeldCoinbase,
    hash: Uint8Array,
    share: Share,
    miner: Miner | Refusal,
  ): BlockCandidate {
    // `#isBlock` has judged it.
    const split = held.findings?.split;
    return {
      hash: new Uint8Array(hash),
      header: this.#prover.header(),
      coinbase: this.#prover.coinbase(),
      parent,
      height: slot.job.height,
      coinbaseValue: coinbaseValue(held.coinbaseId, slot.job),
      transactionCount: share.subsidyOnly ? 0 : slot.job.transactionCount,
      jobId: share.jobId,
      jobSerial: slot.serial,
      sessionId: session.sessionId,
      splitId: splitId(split),
      pin: split?.position ?? slot.pin,
      username: new Uint8Array(share.username),
      finder: "reason" in miner ? undefined : { script: miner.account, address: miner.address },
    };
  }

  /** The pool's scripts that a coinbase may pay now, the present one first. */
  #payoutScripts(now: number): Uint8Array[] {
    const retired = this.#options.retiredScripts ?? [];
    return [this.#options.payoutScript, ...retired.filter(({ until }) => now < until).map(({ script }) => script)];
  }

  #findings(session: WorkSession, slot: JobSlot, held: HeldCoinbase, now: number): CoinbaseFindings {
    held.findings ??= judgeCoinbase(held, {
      job: slot.job,
      primeId: session.primeId,
      payoutScripts: this.#payoutScripts(now),
      tag: this.#options.tag,
      namedSplit: slot.namedSplit,
      recentSplits: () => session.splitsFor(slot.job.coinbaseValue, slot.job.prevhash),
    });
    return held.findings;
  }

  #targetByteError(session: WorkSession, targetByte: number, now: number): Refusal | undefined {
    if (targetByte > MAX_TARGET_BYTE) return refusal("badTarget", `target byte ${targetByte}, at most ${MAX_TARGET_BYTE}`);
    const lowest = session.lowestTargetByte(now);
    return targetByte < lowest ? refusal("badTarget", `target byte ${targetByte}, the minimum is ${lowest}`) : undefined;
  }

  #hashError(share: Share, hash: Uint8Array): Refusal | undefined {
    if (this.#options.network.checksTopWord && (hash[31] !== 0 || hash[30] !== 0 || hash[29] !== 0 || hash[28] !== 0)) {
      return refusal("topWordNotZero", "the hash has no 32 zero bits on top");
    }
    const target = this.#targets[share.targetByte];
    if (target !== undefined && meetsTarget(hash, target)) return undefined;
    return refusal("highHash", `the hash is over the target of 2^${share.targetByte}`);
  }

  #staleError({ job }: JobSlot, parent: Parent, hash: Uint8Array, now: number): Refusal | undefined {
    const { state } = parent;
    if (state === "invalid") return refusal("stale", "the node refuses the parent, or never heard of it");
    if (state === "tip" || !this.#chain.reachable) return undefined;
    const tip = this.#chain.tip();
    if (state === "unknown") {
      // A rival of the tip, or of the block before it, may be good for a moment. Below them no parent can become the tip by being told of.
      if (tip === undefined || job.height >= tip.height) return undefined;
      return refusal("stale", `height ${job.height} on a parent that the node does not know, its tip is at ${tip.height}`);
    }
    // While the chain is no higher than the parent it may still win.
    if (parent.staleSince === undefined) return undefined;
    const passedFor = now - parent.staleSince;
    if (passedFor <= this.#options.staleGraceMs) return undefined;
    // The share that made the tip comes after the news of it.
    if (tip !== undefined && sameBytes(tip.hash, hash)) return undefined;
    return refusal("stale", `the chain passed the parent ${passedFor} ms ago`);
  }
}

function refused({ reason, detail }: Refusal): Verdict {
  return { kind: "refused", reason, detail };
}

function unknownJob(jobId: number): Refusal {
  return refusal("badJob", jobId < JOB_COUNT ? `job ${jobId} was never sent` : `job ${jobId}, a gateway has 0-${JOB_COUNT - 1}`);
}

/** 27: a commitment that is not that of the job's other coinbases. */
function commitmentError({ commitment }: JobSlot, held: HeldCoinbase): Refusal | undefined {
  if (commitment === undefined || held.coinbaseId === SUBSIDY_ONLY || sameBytes(commitment, commitmentOf(held))) return undefined;
  return refusal("badOutputs", "the witness commitment is another one than that of the job's coinbase before");
}

/** 11 or 22: an id that no kind has, or one that the share's flags or section contradict. */
function coinbaseIdError(share: Share): Refusal | undefined {
  const { coinbaseId, coinbase, subsidyOnly } = share;
  if (coinbasePlace(coinbaseId) === undefined) return refusal("badCoinbaseId", `coinbase id ${coinbaseId}, not 0-5 or 255`);
  if ((coinbaseId === SUBSIDY_ONLY) !== subsidyOnly) {
    return refusal("coinbaseIdMismatch", `coinbase id ${coinbaseId} ${subsidyOnly ? "with" : "without"} the subsidy-only flag`);
  }
  if (coinbase !== undefined && coinbase.coinbaseId !== coinbaseId) {
    return refusal("coinbaseIdMismatch", `coinbase id ${coinbaseId} with a section for ${coinbase.coinbaseId}`);
  }
  return undefined;
}

/** What is judged in the place of a parent that the chain does not hold. */
function standIn({ job }: JobSlot): Parent {
  const height = Math.max(0, job.height - 1);
  return { hash: job.prevhash, state: "unknown", height, childBits: undefined, medianTime: undefined, staleSince: undefined };
}

/** What the wire claims of the parent against what the node says: 26 for the height that the coinbase carries too, 30 for the rest. */
function parentError(slot: JobSlot, parent: Parent): Refusal | undefined {
  const { job } = slot;
  const { childBits } = parent;
  // Height and bits of a parent are the node's word once it has told of the bits.
  if (childBits === undefined) {
    return job.height > MAX_HEIGHT ? refusal("badCoinbase", `height ${job.height}, at most ${MAX_HEIGHT}`) : undefined;
  }
  if (parent.height + 1 !== job.height) return refusal("badCoinbase", `height ${job.height}, the parent has ${parent.height}`);
  if (childBits !== job.nbits) {
    return refusal("other", `nbits ${job.nbits.toString(16)}, a block on this parent has ${childBits.toString(16)}`);
  }
  return undefined;
}

function headerError(share: Share, parent: Parent, now: number): Refusal | undefined {
  if ((share.version | 0) < MIN_VERSION)
    return refusal("badVersion", `version ${(share.version >>> 0).toString(16)} is under ${MIN_VERSION}`);
  const median = parent.medianTime;
  if (median !== undefined && share.ntime <= median) {
    return refusal("badTime", `ntime ${share.ntime} is not over the parent's median time ${median}`);
  }
  const latest = Math.floor(now / 1000) + MAX_FUTURE_SECONDS;
  if (share.ntime > latest) return refusal("badTime", `ntime ${share.ntime} is over ${latest}, two hours from now`);
  return undefined;
}

/** The empty split has no row of its own. */
function splitId(split: { readonly id: bigint } | undefined): bigint | undefined {
  return split === undefined || split.id === 0n ? undefined : split.id;
}

/** @returns undefined for bits that no target has */
function blockTarget(bits: number): bigint | undefined {
  try {
    return targetFromBits(bits);
  } catch {
    return undefined;
  }
}
