/**
 * The audit of a settlement: everything in it worked out again from the log files, the settlement before it and a node, and compared field by field. Nothing is
 * taken from the pool but what it published; what an audit can't show is in docs/proofs.md.
 */
import { NETWORKS, type NetworkName, TargetError, targetFromBits } from "@openprime/bitcoin";
import {
  createScheme,
  type Earnings,
  EMPTY_WINDOW,
  type RewardedBlock,
  RewardsError,
  type Scheme,
  type WindowWeights,
  windowSize,
} from "@openprime/rewards";
import { hex } from "../hex.js";
import type { Settlement } from "../types.js";
import { checkIds, checkLines, checkScripts, ExpectedLines } from "./accounts.js";
import { checkBlock, type Whereabouts } from "./block.js";
import { checkBlockShares } from "./block-shares.js";
import { type Difference, DifferenceFound, Line } from "./difference.js";
import { type Document, Documents } from "./documents.js";
import { checkEntries } from "./entries.js";
import { TakenShares } from "./known-parents.js";
import { type LogWindow, LogWindows } from "./log-window.js";
import { changedTerms, overpaid } from "./notes.js";
import { readPayments } from "./payments.js";
import { type ChainScan, scanChain } from "./scan.js";
import type { AuditNode, ProofSource, SeenHashes } from "./source.js";

/** What was recomputed of a settlement that is right. */
export interface AuditSummary {
  readonly number: number;
  readonly kind: Settlement["kind"];
  readonly height: number;
  /** Internal order. */
  readonly block: Uint8Array;
  readonly root: Uint8Array;
  /** What was divided, satoshis. */
  readonly value: bigint;
  readonly fee: bigint;
  readonly accounts: number;
  /** Log files that were read. */
  readonly segments: number;
  /** What could not be looked at, in words; empty for a settlement that was recomputed whole. */
  readonly unchecked: readonly string[];
  /** What is not wrong by the files alone, but what a miner may want to ask the pool about, in words. */
  readonly notes: readonly string[];
}

/** Of one settlement: right, or the first difference. */
export type AuditResult =
  | ({ readonly verdict: "PASS" } & AuditSummary)
  | { readonly verdict: "DIFFERS"; readonly number: number; readonly difference: Difference };

export interface AuditModules {
  readonly source: ProofSource;
  readonly node: AuditNode;
  /** An empty set. */
  readonly seen: SeenHashes;
}

/** Audits settlements of one pool; what it has read of the log it does not read again. */
export class Auditor {
  readonly #modules: AuditModules;
  readonly #documents: Documents;
  readonly #taken = new TakenShares();
  #windows: LogWindows | undefined;

  private constructor(modules: AuditModules, documents: Documents) {
    this.#modules = modules;
    this.#documents = documents;
  }

  /** @throws ProofError when there is no index, or none that can be read */
  static async open(modules: AuditModules): Promise<Auditor> {
    return new Auditor(modules, await Documents.open(modules.source));
  }

  get documents(): Documents {
    return this.#documents;
  }

  /**
   * Looks on the chain for blocks that pay the pool, and that no document tells of.
   *
   * @param signal ends it
   * @throws ProofError, whatever the node's and the source's calls throw, and the signal's reason
   */
  scan(signal?: AbortSignal): Promise<ChainScan> {
    return scanChain(this.#documents, this.#modules.node, signal);
  }

  /**
   * Recomputes one settlement.
   *
   * @throws ProofError `proof.noSuchSettlement`, `proof.unreadable`, `proof.blockMissing`, and whatever the node's and the source's calls throw
   */
  async audit(number: number): Promise<AuditResult> {
    try {
      return { verdict: "PASS", ...(await this.#recompute(number)) };
    } catch (error) {
      if (error instanceof DifferenceFound) return { verdict: "DIFFERS", number, difference: error.difference };
      throw error;
    }
  }

  async #recompute(number: number): Promise<AuditSummary> {
    const document = await this.#documents.get(number);
    const { file, settlement } = document;
    const { block, lines } = settlement;
    const header = new Line(file, 1);
    const before = (await this.#documents.previous(document))?.settlement;
    if (before !== undefined) header.check("network", before.network, settlement.network);
    if (settlement.kind === "settlement") this.#checkFirst(settlement, header);
    const known = await checkBlock(settlement, this.#whereabouts(settlement), this.#modules.node, header);
    const { unchecked, notes } = await checkEntries(document, this.#documents, this.#modules.node);
    if (!known) unchecked.push("the block, which left the chain and which the node does not have");

    const expected = new ExpectedLines();
    carry(expected, before, settlement);
    checkIds(file, settlement, before);
    let segments = 0;
    if (settlement.kind === "reversal") await this.#expectReversal(document, expected);
    else {
      expectPayments(settlement, expected, header);
      segments = await this.#expectEarnings(document, expected, unchecked);
    }
    checkScripts(file, settlement, expected);
    checkLines(file, settlement, expected);
    notes.push(...(await this.#taken.notes(this.#modules.node)));
    notes.push(...changedTerms(before, settlement), ...overpaid(settlement));
    const fee = lines.reduce((sum, line) => sum + line.fee, 0n);
    const { kind, root, value } = settlement;
    return { number, kind, height: block.height, block: block.hash, root, value, fee, accounts: lines.length, segments, unchecked, notes };
  }

  /** The last document of a block says whether it is on the chain. */
  #whereabouts({ number, kind, block }: Settlement): Whereabouts {
    const wanted = hex(block.hash);
    const later = this.#documents.index.slice(number).some((one) => hex(one.block) === wanted);
    if (later) return undefined;
    return kind === "settlement" ? "onChain" : "offChain";
  }

  /** A block is divided once for each time that it joins the chain: what the last document of it divided must have been taken back. */
  #checkFirst({ number, block }: Settlement, header: Line): void {
    const wanted = hex(block.hash);
    const earlier = this.#documents.index.slice(0, number - 1).findLast((one) => hex(one.block) === wanted);
    if (earlier?.kind === "settlement")
      header.differs("block.hash", "a block that is not divided yet", `that of settlement ${earlier.number}`);
  }

  async #expectEarnings(document: Document, expected: ExpectedLines, unchecked: string[]): Promise<number> {
    const { file, settlement } = document;
    const header = new Line(file, 1);
    const scheme = createScheme(settlement.scheme);
    const window = await this.#weigh(document, scheme, unchecked);
    if (settlement.window.lastSegment > 0 && !(await checkBlockShares(document, this.#modules.source)))
      unchecked.push("split and pin, as the log of the block's parent is not published yet");
    const ids = new Map(settlement.lines.map(({ script, account }) => [hex(script), account]));
    const { weights, scripts } = window;
    for (const [i, place] of weights.accounts.entries()) {
      const line = expected.of(scripts[place] as string);
      line.weight = weights.weights[i] as bigint;
      line.netWeight = weights.netWeights[i] as bigint;
    }
    // An account without a line has no id to divide by.
    checkScripts(file, settlement, expected);
    const { value, feePpm } = settlement;
    const finder = settlement.finder === undefined ? undefined : hex(settlement.finder);
    if (finder !== undefined && !ids.has(finder)) ids.set(finder, NO_ID);
    const finderId = finder === undefined ? undefined : ids.get(finder);
    const byId = inOrder(weights, (place) => ids.get(scripts[place] as string) as number);
    const earnings = divide(scheme, { value, feePpm, ...(finderId !== undefined && { finder: finderId }) }, byId, new Line(file, 1));
    const owners = new Map([...ids].map(([script, id]) => [id, script]));
    for (const [i, id] of earnings.accounts.entries()) expected.of(owners.get(id) as string).earned = earnings.amounts[i] as bigint;
    expectFee(settlement, earnings.fee, expected, header);
    return window.segments;
  }

  async #weigh(document: Document, scheme: Scheme, unchecked: string[]): Promise<LogWindow> {
    const { file, settlement } = document;
    const { window: found, pin, block } = settlement;
    const header = new Line(file, 1);
    const rule = scheme.window;
    if (rule.kind === "none") {
      for (const field of ["size", "weight", "netWeight"] as const) header.check(`window.${field}`, 0n, found[field]);
      return { weights: EMPTY_WINDOW, scripts: [], segments: 0, logWeight: undefined };
    }
    const network = NETWORKS[settlement.network as NetworkName];
    const blockWeights = rule.kind === "blocks" ? await this.#documents.blockWeights(document, rule.count) : [];
    header.check("window.blockWeights", blockWeights.join(","), found.blockWeights.join(","));
    const targets = { difficultyOne: network.difficultyOne, target: targetOf(block.bits, header) };
    const size = (logWeight: bigint | undefined): bigint =>
      windowSize(rule, { targets, logWeight: logWeight ?? found.logWeight, blockWeights });
    this.#windows ??= new LogWindows({
      ...{ source: this.#modules.source, network, seen: this.#modules.seen },
      taken: (share, place) => this.#taken.add(share, place),
    });
    const logHash = found.logHash === undefined ? undefined : hex(found.logHash);
    if (logHash === undefined && found.lastSegment > 0) unchecked.push("the log file's hash, which the settlement does not name");
    const wholeLog = rule.kind === "blocks";
    const window = await this.#windows.weigh({ pin, lastSegment: found.lastSegment, logHash, header, wholeLog, size });
    if (window.logWeight !== undefined) header.check("window.logWeight", window.logWeight, found.logWeight);
    header.check("window.size", size(window.logWeight), found.size);
    const { totalWeight, totalNetWeight, denominator, firstSegment } = window.weights;
    header.check("window.weight", totalWeight, found.weight);
    header.check("window.netWeight", totalNetWeight, found.netWeight);
    header.check("window.denominator", denominator, found.denominator);
    header.check("window.firstSegment", firstSegment ?? 0, found.firstSegment);
    return window;
  }

  /** A reversal repeats the settlement that it takes back, with the amounts of its lines negated. */
  async #expectReversal(document: Document, expected: ExpectedLines): Promise<void> {
    const { file, settlement } = document;
    const header = new Line(file, 1);
    const { settlement: original } = await this.#documents.settlementOf(document);
    const [wanted, found] = [repeated(original), repeated(settlement)];
    for (const [field, value] of Object.entries(wanted)) header.check(field, value, found[field] ?? "nothing");
    for (const { script, weight, netWeight, earned, fee, paid } of original.lines) {
      Object.assign(expected.of(hex(script)), { weight, netWeight, earned: -earned, fee: -fee, paid: -paid });
    }
  }
}

/** Stands for the finder where no line has its id: more than any account's. */
const NO_ID = 2 ** 31;

/** A target that the node does not vouch for could be any number. */
function targetOf(bits: number, header: Line): bigint {
  try {
    return targetFromBits(bits);
  } catch (error) {
    if (error instanceof TargetError) header.differs("block.bits", "a compact target", error.message);
    throw error;
  }
}

function divide(scheme: Scheme, block: RewardedBlock, window: WindowWeights, header: Line): Earnings {
  try {
    return scheme.earned(block, window);
  } catch (error) {
    if (error instanceof RewardsError) header.differs("scheme", "a scheme that can divide this block", error.message);
    throw error;
  }
}

/** Balances of the settlement before, and what the entries since then changed. */
function carry(expected: ExpectedLines, before: Settlement | undefined, { entries }: Settlement): void {
  for (const { script, balance } of before?.lines ?? []) expected.of(hex(script)).before = balance;
  for (const { script, amount } of entries.flatMap(({ amounts }) => amounts)) expected.of(hex(script)).before += amount;
}

/** The weights with accounts by their ids, ascending: satoshis left over go by them. */
function inOrder(weights: WindowWeights, idOf: (place: number) => number): WindowWeights {
  const order = weights.accounts.map((place, i) => ({ i, id: idOf(place) })).sort((a, b) => a.id - b.id);
  return {
    ...weights,
    accounts: order.map(({ id }) => id),
    weights: order.map(({ i }) => weights.weights[i] as bigint),
    netWeights: order.map(({ i }) => weights.netWeights[i] as bigint),
  };
}

function expectPayments(settlement: Settlement, expected: ExpectedLines, header: Line): void {
  const { received, paid } = readPayments(settlement, header);
  header.check("received", received, settlement.received);
  let value = received;
  for (const [script, amount] of paid) {
    expected.of(script).paid = amount;
    value += amount;
  }
  header.check("value", value, settlement.value);
}

function expectFee(settlement: Settlement, fee: bigint, expected: ExpectedLines, header: Line): void {
  if (fee === 0n) return;
  const pool = new Set(settlement.poolScripts.map(hex));
  // Which of the pool's scripts is in use is the pool's own affair.
  const taker = settlement.lines.find((line) => line.fee !== 0n);
  if (taker === undefined) header.differs("fee", `a line of the pool with ${fee}`, "none");
  else if (pool.has(hex(taker.script))) expected.of(hex(taker.script)).fee = fee;
}

/** What a reversal has in common with the settlement that it takes back, as text. */
function repeated(settlement: Settlement): Record<string, string> {
  const { block, scheme, feePpm, value, received, pin, split, finder, window } = settlement;
  return Object.fromEntries(
    Object.entries({ block, scheme, feePpm, value, received, pin, split, finder, window }).map(([field, part]) => [field, asText(part)]),
  );
}

function asText(part: unknown): string {
  const plain = (_: string, value: unknown): unknown => {
    if (value instanceof Uint8Array) return hex(value);
    return typeof value === "bigint" ? String(value) : value;
  };
  return JSON.stringify(part, plain) ?? "none";
}
