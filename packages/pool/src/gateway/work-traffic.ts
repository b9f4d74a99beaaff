/**
 * The work that a gateway brings on one connection: its shares judged, handed to the log and answered after their commit, and its requests for
 * splits answered. The connection reads and writes; what it reads of this kind comes here.
 */
import type { CoinbaserRequest, PoolMessage, Share, ShareStatus } from "@openprime/datum";
import type { Logger } from "pino";
import { type BlockCandidate, type JudgedShare, REASON } from "../work/index.js";
import { type BudgetName, HOPELESS } from "./budgets.js";
import { ACCOUNT_NOT_LISTED, type GatewayList } from "./gateway-list.js";
import type { KeyedBuckets } from "./keyed-buckets.js";
import type { GatewayMetrics } from "./metrics.js";
import type { BlockSink, CommitOutcome, Judge, ShareSink, SplitSource } from "./ports.js";
import type { GatewaySession } from "./session-registry.js";
import { statusOf } from "./session-stats.js";
import { answerSplit } from "./split-answer.js";
import { SPLIT_IGNORED } from "./split-use.js";

const OVER_BUDGET = "Your gateway asks for more splits than a gateway needs: some of its coinbases pay no split until it asks less.";

/** What an answer repeats of its share. Kept instead of the share, whose bytes would keep its whole frame in memory until the commit. */
type ShareName = Pick<Share, "nonce" | "targetByte" | "jobId">;

export interface WorkTrafficContext {
  readonly judge: Judge;
  readonly sink: ShareSink;
  readonly splits: SplitSource;
  readonly blocks: BlockSink;
  readonly gateways: GatewayList;
  /** Coinbaser requests of gateways without accepted work, by network. */
  readonly strangersRequests: KeyedBuckets;
  readonly metrics: GatewayMetrics;
  readonly now: () => number;
  readonly monotonic: () => number;
}

/** What traffic needs of its connection. */
export interface TrafficConnection {
  readonly log: Logger;
  /** Sends it, unless the connection has closed meanwhile. */
  answer(message: PoolMessage): void;
  /** Takes one of what its network has together. */
  takes(budget: KeyedBuckets): boolean;
  /** A budget is used up: reading waits. */
  slow(waitMs: number, budget: BudgetName): void;
  /** Tells why, and closes in a moment. */
  dismiss(reason: "accountNotListed" | "invalidShares", words: string): void;
  /** A line that a flood of bad peers can't turn into a flood of lines. */
  limited(level: "info" | "warn", key: string, fields: Record<string, unknown>, message: string): void;
  /** A share of it was accepted. */
  worked(session: GatewaySession): void;
  /** One share fewer waits for its commit. */
  settled(): void;
}

export class WorkTraffic {
  /** Shares that wait for their commit. */
  pending = 0;
  /** Its work is good for listed accounts only. */
  byAccount = false;

  constructor(
    private readonly connection: TrafficConnection,
    private readonly context: WorkTrafficContext,
  ) {}

  /** Answers whom a coinbase shall pay: always, once, at once. */
  coinbaserRequest(request: CoinbaserRequest, session: GatewaySession): void {
    const started = this.context.monotonic();
    const within = session.coinbaserBudget.take(started) && (session.isProven || this.connection.takes(this.context.strangersRequests));
    const { response, result } = answerSplit(
      request,
      session,
      this.context.splits,
      this.connection.log,
      started,
      this.context.now(),
      within,
    );
    if (result === "overBudget") {
      this.connection.limited("warn", result, { value: request.value.toString() }, "coinbaser request over the budget: empty list");
      session.source.tell(OVER_BUDGET);
    }
    this.connection.answer(response);
    this.context.metrics.coinbaser(result, (this.context.monotonic() - started) / 1000);
  }

  /** Judges a share; answers it, or does so when it is committed. */
  share(share: Share, session: GatewaySession): void {
    const started = this.context.monotonic();
    const verdict = this.context.judge.judge(session.work, share);
    // A found block comes before every reason to refuse its share.
    if (verdict.block !== undefined) this.#blockFound(verdict.block, session);
    if (verdict.overLimit === true) {
      this.context.metrics.candidate("overLimit");
      this.connection.limited(
        "warn",
        "candidatesOverLimit",
        { jobId: share.jobId },
        "too many block candidates on parents that the node does not know",
      );
    }
    const slot = session.work.slot(share.jobId);
    if (verdict.kind === "refused") {
      this.connection.log.debug(
        { reason: verdict.reason, detail: verdict.detail, jobId: share.jobId, nonce: share.nonce },
        "share refused",
      );
      this.connection.limited("warn", `refused${verdict.reason}`, { reason: verdict.reason, detail: verdict.detail }, "share refused");
      if (verdict.reason === REASON.other && slot?.template?.state === "unsound") this.context.metrics.unsoundTemplate();
      this.#refuse(share, session, verdict.reason);
      this.#spendInvalid(verdict.reason, session);
      return;
    }
    const judged = verdict.share;
    if (this.byAccount && !this.context.gateways.approves(judged.account)) {
      this.context.judge.forget(judged);
      this.#refuse(share, session, REASON.badUsername);
      this.connection.dismiss("accountNotListed", ACCOUNT_NOT_LISTED);
      return;
    }
    // Whether it can be committed or not: a database that is down is no silence of the gateway's.
    session.minimum.note(started, Number(judged.weight));
    const name: ShareName = { nonce: share.nonce, targetByte: share.targetByte, jobId: share.jobId };
    const splitUnused = judged.splitId === undefined && slot !== undefined && session.splitWasGiven(slot.job, started);
    this.pending += 1;
    let open = true;
    const done = (outcome: CommitOutcome): void => {
      if (!open) return;
      open = false;
      this.pending -= 1;
      if (outcome === "committed") this.#noteSplitUse(judged, splitUnused, session, started);
      this.#committed(name, judged, session, outcome, started);
    };
    let taken = false;
    try {
      taken = this.context.sink.append(judged, done);
    } catch (error) {
      this.connection.log.error({ err: error }, "the share log refused a share with a fault");
    }
    if (!taken) {
      this.connection.limited("warn", "logFull", {}, "the share log takes no more: shares are refused");
      done("failed");
    }
  }

  /** The share's transaction has ended; only now may its miner hear of it. */
  #committed(share: ShareName, judged: JudgedShare, session: GatewaySession, outcome: CommitOutcome, started: number): void {
    if (outcome === "committed") {
      const status = statusOf(judged);
      session.stats.addAccepted(judged, this.context.now());
      session.budgets.accepted();
      this.connection.worked(session);
      this.context.metrics.share(status, 0);
      if (judged.late === true) this.context.metrics.late();
      this.context.metrics.acknowledged((this.context.monotonic() - started) / 1000);
      this.#answer(share, status, 0);
    } else if (outcome === "duplicate") {
      this.#refuse(share, session, REASON.duplicate);
      this.#spendInvalid(REASON.duplicate, session);
    } else {
      this.context.judge.forget(judged);
      this.#refuse(share, session, REASON.other);
    }
    this.connection.settled();
  }

  /** Only what was accepted tells anything: refused shares are free. */
  #noteSplitUse(judged: JudgedShare, splitUnused: boolean, session: GatewaySession, now: number): void {
    if (judged.splitId !== undefined) session.splitUse.took();
    if (!splitUnused) return;
    this.context.metrics.splitUnused();
    if (!session.splitUse.passedOver(now)) return;
    this.context.metrics.splitIgnored();
    this.connection.log.warn({ shares: session.splitUse.unused }, "a gateway takes no split: all of its work pays the pool");
    session.source.tell(SPLIT_IGNORED);
  }

  #spendInvalid(reason: number, session: GatewaySession): void {
    const wait = session.budgets.refused(reason, session.isProven, this.context.monotonic());
    if (wait === "hopeless") this.connection.dismiss("invalidShares", HOPELESS);
    else this.connection.slow(wait, "invalidShares");
  }

  #refuse(share: ShareName, session: GatewaySession, reason: number): void {
    session.stats.addRefused(reason);
    this.context.metrics.share("refused", reason);
    this.#answer(share, "rejected", reason);
  }

  #answer(share: ShareName, status: ShareStatus, reason: number): void {
    const { nonce, targetByte, jobId } = share;
    this.connection.answer({ type: "shareResponse", status, reason, nonce, targetByte, jobId });
  }

  #blockFound(candidate: BlockCandidate, session: GatewaySession): void {
    // One share that is a block can be sent any number of times.
    const fields = { height: candidate.height, hash: Buffer.from(candidate.hash).reverse().toString("hex") };
    this.connection.limited("info", "blockFound", fields, "block found");
    this.context.metrics.candidate("handedOver");
    const { jobId, jobSerial } = candidate;
    try {
      this.context.blocks.found(candidate, () => session.source.fullSet(jobId, jobSerial));
    } catch (error) {
      // It is promised not to; a share must be answered all the same.
      this.connection.log.error({ err: error }, "a found block could not be handed on");
    }
  }
}
