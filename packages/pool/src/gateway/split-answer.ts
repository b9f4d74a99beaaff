/** The answer to a coinbaser request: whom a coinbase of that value shall pay. */
import type { CoinbaserRequest, CoinbaserResponse } from "@openprime/datum";
import type { Logger } from "pino";
import type { CoinbaserResult } from "./metrics.js";
import type { SplitSource } from "./ports.js";
import type { GatewaySession } from "./session-registry.js";

/** A gateway takes nothing from an empty list but its value, so any id but 0 will do. */
const EMPTY_LIST_ID = 255;

export interface SplitAnswer {
  readonly response: CoinbaserResponse;
  readonly result: CoinbaserResult;
}

/**
 * A request must be answered, once, with its own value: whatever goes wrong, the empty list is the answer, and that job pays the pool.
 *
 * @param monotonic steady milliseconds
 * @param now milliseconds, pool clock
 * @param withinBudget false: the gateway has asked too often
 */
export function answerSplit(
  request: CoinbaserRequest,
  session: GatewaySession,
  splits: SplitSource,
  log: Logger,
  monotonic: number,
  now: number,
  withinBudget: boolean,
): SplitAnswer {
  const { value } = request;
  // The request's is a view of its frame, and the split is kept.
  const prevhash = Uint8Array.from(request.prevhash);
  session.askedPrevhash = prevhash;
  const empty = (result: CoinbaserResult): SplitAnswer => ({
    response: { type: "coinbaser", value, coinbaserId: EMPTY_LIST_ID, outputs: [] },
    result,
  });
  if (!withinBudget) return empty("overBudget");
  try {
    const coinbaserId = session.work.nextCoinbaserId();
    const split = splits.offer({ sessionId: session.id, coinbaserId, value, prevhash, finder: session.work.payee });
    if (split.outputs.length === 0) return empty("empty");
    session.work.addSplit(split, now);
    session.splitUse.offered(monotonic);
    return { response: { type: "coinbaser", value, coinbaserId, outputs: split.outputs }, result: "split" };
  } catch (error) {
    log.error({ err: error, value: value.toString() }, "no split could be made: empty list");
    return empty("failed");
  }
}
