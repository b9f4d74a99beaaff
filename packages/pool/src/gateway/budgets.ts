/**
 * What one gateway may send: shares, other messages and bytes a second, and shares that are refused. Each budget refills, and holds the half
 * minute (refused shares: the five minutes) that a burst may take at once. They belong to the session, so that a new connection brings no new
 * ones.
 *
 * Past a budget nothing is thrown away: what was read is judged as ever, and reading waits until the budget is balanced again. So a found
 * block is late at most. Refused shares that go on although reading waits end the connection.
 */
import { REASON } from "../work/index.js";
import type { GatewayLimits } from "./options.js";
import { TokenBucket } from "./token-bucket.js";

/** Seconds of its rate that a budget holds. */
const HELD_SECONDS = 30;
const HELD_SECONDS_INVALID = 300;
/** A gateway that is over its budget of refused shares has so long to have one accepted. */
const HOPELESS_MS = 120_000;
/** Reasons that honest gateways earn at block changes, in bursts as large as their farm; and work whose template is judged unsound. */
const GENTLE: ReadonlySet<number> = new Set([REASON.topWordNotZero, REASON.highHash, REASON.stale, REASON.other]);
const GENTLE_COST = 0.1;
/** Who has never had a share accepted has less to send at once: its first shares are good, if it is a gateway in order. */
const STRANGERS_COST = 5;

export const BUDGETS = ["shares", "messages", "bytes", "invalidShares"] as const;
export type BudgetName = (typeof BUDGETS)[number];

/** What a gateway's log is told, once in a while, when it is slowed. */
export const SLOWED: Readonly<Record<BudgetName, string>> = {
  shares: "You send more shares than this pool takes from one gateway: it reads them more slowly. Raise the difficulty of your miners.",
  messages: "You send more messages than a gateway needs: the pool reads them more slowly.",
  bytes: "You send more bytes than a gateway needs: the pool reads them more slowly.",
  invalidShares: "Most of what you send is refused: the pool reads it more slowly. Look for the reasons of refused shares in this log.",
};

export const HOPELESS = "Too many of your shares are refused, and none is accepted: the pool closes this connection.";

export class SessionBudgets {
  readonly #buckets: Record<BudgetName, TokenBucket>;
  #overSince: number | undefined;

  constructor(
    limits: Pick<GatewayLimits, "sharesPerSecond" | "messagesPerSecond" | "bytesPerSecond" | "invalidSharesPerMinute">,
    now: number,
  ) {
    const bucket = (perSecond: number, seconds: number): TokenBucket => new TokenBucket(perSecond * seconds, perSecond, now);
    this.#buckets = {
      shares: bucket(limits.sharesPerSecond, HELD_SECONDS),
      messages: bucket(limits.messagesPerSecond, HELD_SECONDS),
      bytes: bucket(limits.bytesPerSecond, HELD_SECONDS),
      invalidShares: bucket(limits.invalidSharesPerMinute / 60, HELD_SECONDS_INVALID),
    };
  }

  /** A message came that nobody had asked for. @returns how long reading must wait, milliseconds, and for which budget */
  message(kind: "shares" | "messages", bytes: number, now: number): { readonly waitMs: number; readonly budget: BudgetName } {
    const waits = { [kind]: this.#buckets[kind].spend(now, 1), bytes: this.#buckets.bytes.spend(now, bytes) };
    const budget = waits.bytes > waits[kind]! ? "bytes" : kind;
    return { waitMs: waits[budget]!, budget };
  }

  /** A share was accepted: there is hope. */
  accepted(): void {
    this.#overSince = undefined;
  }

  /**
   * A share was refused by the judge, or is in the books already.
   *
   * @param good whether the gateway has ever had a share accepted: only then are the reasons of block changes taken gently; else each counts five
   *   times
   * @returns how long reading must wait, or `hopeless` when waiting does not help
   */
  refused(reason: number, good: boolean, now: number): number | "hopeless" {
    const cost = !good ? STRANGERS_COST : GENTLE.has(reason) ? GENTLE_COST : 1;
    const waitMs = this.#buckets.invalidShares.spend(now, cost);
    if (waitMs === 0) return 0;
    this.#overSince ??= now;
    return !good || now - this.#overSince >= HOPELESS_MS ? "hopeless" : waitMs;
  }
}
