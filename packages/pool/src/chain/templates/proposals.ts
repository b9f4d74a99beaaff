/**
 * The node's own judgement of templates (getblocktemplate, `mode: proposal`, BIP23). It holds the node's main lock, so it is asked at a
 * bounded rate, once for each distinct sound template, the most urgent first.
 */
import { setTimeout as delay } from "node:timers/promises";
import { NodeError } from "@openprime/bitcoin";
import type { Parent } from "../../work/index.js";
import type { Judgement } from "./codes.js";
import { compareUrgency, type Urgency, UrgentQueue } from "./urgent-queue.js";

/** What judges: a NodeClient. */
export interface ProposalNode {
  /** @returns null, or why not in a word of BIP22. */
  proposeBlock(hex: string): Promise<string | null>;
}

export interface ProposalsOptions {
  /** Most questions a second. */
  readonly perSecond: number;
  /** Most templates that wait; each may hold the two megabytes of its transactions. 60 by default. */
  readonly waiting?: number;
  /** A template that waits for longer is not judged: its work is old. 120 s by default. */
  readonly patienceMs?: number;
  /** Sound templates that are remembered; 1,000 by default. */
  readonly remembered?: number;
}

export interface Proposal {
  /** Parent, transactions and value: of two with one key that the node calls sound one was asked about. */
  readonly key: string;
  readonly urgency: Urgency;
  readonly parent: Parent;
  /** Makes the block: not before its turn has come. */
  readonly block: () => Uint8Array;
}

interface Waiting extends Proposal {
  /** Of the most urgent of those who ask. */
  urgency: Urgency;
  readonly since: number;
  readonly verdict: Promise<Judgement>;
  readonly settle: (verdict: Judgement) => void;
}

/**
 * Words that call a block invalid for what is in it, as Core, Knots and bcoin say them. Any other word says nothing of it: another parent
 * (`inconclusive-not-best-prevblk`, `bad-prevblk`), header fields that a new share has anew (`time-too-old`, `bad-version`, `bad-diffbits`,
 * `high-hash`), a block that the node has (`duplicate`), or one that is not known here.
 */
const BAD_BLOCK = [
  /^bad-(txns|blk|cb|witness)-/,
  /^bad-txnmrklroot$/,
  /^unexpected-witness$/,
  /^(mandatory|block)-script-verify-flag-failed/,
  /^block-validation-failed$/,
  /^blk-bad-inputs$/,
];

export class Proposals {
  readonly #waiting: UrgentQueue<Waiting>;
  readonly #byKey = new Map<string, Waiting>();
  /** Keys that the node called sound, the one used last at the end. */
  readonly #sound = new Set<string>();
  readonly #monotonic: () => number;
  readonly #intervalMs: number;
  readonly #patienceMs: number;
  readonly #remembered: number;
  readonly #stop = new AbortController();
  #running = false;

  constructor(
    options: ProposalsOptions,
    private readonly modules: {
      readonly node: ProposalNode;
      /** A clock that is never set, milliseconds. */
      readonly monotonic?: () => number;
    },
  ) {
    this.#monotonic = modules.monotonic ?? (() => performance.now());
    this.#waiting = new UrgentQueue(options.waiting ?? 60);
    this.#intervalMs = 1000 / options.perSecond;
    this.#patienceMs = options.patienceMs ?? 120_000;
    this.#remembered = options.remembered ?? 1000;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Resolves with the verdict; never rejects. `unjudged` when the node can't tell, or there are more urgent ones. */
  propose(proposal: Proposal): Promise<Judgement> {
    if (this.#sound.delete(proposal.key)) {
      this.#sound.add(proposal.key);
      return Promise.resolve({ state: "sound" });
    }
    const same = this.#byKey.get(proposal.key);
    if (same !== undefined) {
      if (compareUrgency(proposal.urgency, same.urgency) < 0) same.urgency = proposal.urgency;
      // A refusal may be for the other's coinbase: nobody is refused for what somebody else made.
      return same.verdict.then((verdict) => (verdict.state === "unsound" ? this.propose(proposal) : verdict));
    }
    let settle: Waiting["settle"] = () => undefined;
    const verdict = new Promise<Judgement>((resolve) => {
      settle = resolve;
    });
    const waiting: Waiting = { ...proposal, since: this.#monotonic(), verdict, settle };
    this.#byKey.set(proposal.key, waiting);
    if (this.#stop.signal.aborted) {
      this.#settle(waiting, unjudged("nodeUnable", "the pool stops"));
      return verdict;
    }
    const left = this.#waiting.add(waiting);
    if (left !== undefined) this.#settle(left, unjudged("overLimit", "too many templates wait for the node's judgement"));
    if (!this.#running) void this.#run();
    return verdict;
  }

  /** Nothing is asked any more; what waits is unjudged. */
  stop(): void {
    this.#stop.abort();
    for (const one of [...this.#waiting]) {
      this.#waiting.remove(one);
      this.#settle(one, unjudged("nodeUnable", "the pool stops"));
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    this.#running = true;
    while (this.#waiting.size > 0 && !signal.aborted) {
      this.#dropOld();
      const next = this.#waiting.take(({ parent }) => parent.state === "tip");
      if (next !== undefined) this.#settle(next, await this.#ask(next));
      await delay(this.#intervalMs, undefined, { signal }).catch(() => undefined);
    }
    this.#running = false;
  }

  /** Those that the node can't judge any more, or that have waited for too long. */
  #dropOld(): void {
    const now = this.#monotonic();
    for (const one of [...this.#waiting]) {
      const { state } = one.parent;
      const late = now - one.since > this.#patienceMs;
      if (state === "tip" && !late) continue;
      if (state === "unknown" && !late) continue;
      this.#waiting.remove(one);
      if (state === "tip") this.#settle(one, unjudged("overLimit", "its turn with the node did not come in time"));
      else if (state === "unknown") this.#settle(one, unjudged("parentUnknown", "the node did not get to know its parent in time"));
      else this.#settle(one, unjudged("parentNotTip", "the node builds on another block"));
    }
  }

  async #ask({ parent, block }: Waiting): Promise<Judgement> {
    try {
      const word = await this.modules.node.proposeBlock(Buffer.from(block()).toString("hex"));
      // An answer that crossed with a new block is no word about this one.
      if (word !== null && parent.state !== "tip") return unjudged("parentNotTip", `the node builds on another block (${word})`);
      return readAnswer(word);
    } catch (error) {
      if (!(error instanceof NodeError)) return unjudged("failed", error instanceof Error ? error.message : String(error));
      return unjudged("nodeUnable", error.message);
    }
  }

  #settle(one: Waiting, verdict: Judgement): void {
    this.#byKey.delete(one.key);
    if (verdict.state === "sound") {
      this.#sound.add(one.key);
      const [oldest] = this.#sound;
      if (this.#sound.size > this.#remembered && oldest !== undefined) this.#sound.delete(oldest);
    }
    one.settle(verdict);
  }
}

/** What a node's answer to a proposal means. bcoin puts no `rejected: ` before it, as it does for submitblock. */
export function readAnswer(word: string | null): Judgement {
  if (word === null) return { state: "sound" };
  if (BAD_BLOCK.some((bad) => bad.test(word)))
    return { state: "unsound", code: "nodeRefused", detail: `the pool's node refuses it: ${word}` };
  return unjudged("nodeUnable", `the node does not judge it: ${word}`);
}

function unjudged(code: Extract<Judgement, { state: "unjudged" }>["code"], detail: string): Judgement {
  return { state: "unjudged", code, detail };
}
