/** One found block on its way to every node at once: again to those that did not answer, for as long as that can matter. */
import { setTimeout as delay } from "node:timers/promises";
import { type NodeClient, NodeError } from "@openprime/bitcoin";
import type { Logger } from "pino";
import { nodeAnswered, readHeader } from "./node.js";
import { type BlockOutcome, type BlockStatus, readSubmitAnswer } from "./submit-answer.js";

/** A node that blocks are handed to, under the name that logs have for it. */
export interface SubmitNode {
  readonly name: string;
  readonly client: Pick<NodeClient, "submitBlock" | "blockHeader" | "bestBlockHash" | "preciousBlock">;
}

export interface SubmissionTools {
  readonly log: Logger;
  /** Ends every wait. */
  readonly signal: AbortSignal;
  /** First pause before a node is tried again, milliseconds; doubles up to thirty times itself. */
  readonly retryMs: number;
  /** Once a node has the block: how long the others are waited for before it is settled, milliseconds. */
  readonly patienceMs: number;
  /** Once a node has answered: how long the others are still tried, milliseconds. */
  readonly lateMs: number;
  /** The first node has it. */
  readonly taken: () => void;
  /** Whether a block is one that the pool found: two of its own are no race. */
  readonly isOurs: (hash: string) => boolean;
}

/** Tries with a node that lacks the parent, about ten minutes at the longest pause. */
const EARLY_TRIES = 24;
/** Patience with a node's answer under way when the stop comes: the block stands on disk, but one that is asked now may have it now. */
const STOP_MS = 3000;
/** The better outcome first. */
const RANK: readonly BlockStatus[] = ["accepted", "duplicate", "inconclusive", "rejected"];

/** The pause after so many tries. @throws AbortError when the signal comes */
export async function backOff(attempt: number, retryMs: number, signal: AbortSignal): Promise<void> {
  await delay(retryMs * Math.min(30, 2 ** (attempt - 1)), undefined, { signal });
}

/**
 * Submits a block to all nodes.
 *
 * @returns what came of it: when all have answered, when one has it and the others have had a moment, or when none has it and the others
 *   stay silent for too long after the first that refused. While no node answers it goes on. A node that was silent then is tried further,
 *   for `lateMs` in all
 * @throws AbortError at the signal
 */
export async function submitToAll(
  { hash, hex }: { readonly hash: string; readonly hex: string },
  nodes: readonly SubmitNode[],
  tools: SubmissionTools,
): Promise<BlockOutcome> {
  const { log, patienceMs, lateMs } = tools;
  const late = new AbortController();
  const signal = AbortSignal.any([tools.signal, late.signal]);
  const answers = new Map<SubmitNode, BlockOutcome>();
  let itIsTaken = (): void => undefined;
  const taken = new Promise<void>((resolve) => {
    itIsTaken = resolve;
  }).then(() => tools.taken());
  const tryNode = async (node: SubmitNode): Promise<void> => {
    const answer = await submitTo(node, hash, hex, { ...tools, signal });
    // What the node says next may take its time.
    answers.set(node, answer);
    if (isTaken(answer)) itIsTaken();
    const outcome = answer.status === "rejected" ? answer : await preferred(node, hash, answer, tools);
    answers.set(node, outcome);
    if (isTaken(outcome)) itIsTaken();
    if (nodes.length === 1) return;
    const fields = { hash, node: node.name, ...outcome };
    if (outcome.status === "rejected") log.error(fields, "a node has answered for a found block");
    else log.info(fields, "a node has answered for a found block");
  };
  const tries = nodes.map((node) =>
    tryNode(node).catch((error: unknown) => {
      // Given up, which is no failure of the others.
      if (tools.signal.aborted || !late.signal.aborted) throw error;
    }),
  );
  const over = new AbortController();
  const all = Promise.all(tries).finally(() => over.abort());
  const pause = (ms: number, end: AbortSignal) => delay(ms, undefined, { signal: AbortSignal.any([tools.signal, end]) });
  const settled = new AbortController();
  const patience = taken.then(() => pause(patienceMs, settled.signal));
  const bound = Promise.any(tries)
    .then(() => pause(lateMs, over.signal))
    .then(() => late.abort());
  const stopped = new Promise<never>((_, reject) => {
    const stop = async (): Promise<void> => {
      await delay(STOP_MS, undefined, { signal: settled.signal });
      reject(tools.signal.reason);
    };
    tools.signal.addEventListener("abort", () => void stop().catch(() => undefined), { once: true, signal: settled.signal });
  });
  const ends = [all, patience, bound, stopped];
  // Those that lose the race end by being aborted.
  for (const promise of [...tries, ...ends]) promise.catch(() => undefined);
  try {
    await Promise.race(ends);
    return combine(nodes, answers);
  } finally {
    settled.abort();
    const silent = nodes.filter((node) => !answers.has(node));
    if (silent.length > 0 && !signal.aborted) {
      log.warn({ hash, nodes: silent.map(({ name }) => name) }, "nodes that did not answer for a found block are tried further");
    }
  }
}

const isTaken = ({ status }: BlockOutcome): boolean => status === "accepted" || status === "duplicate";

/** The best of the outcomes, with every node's words where there are several. */
function combine(nodes: readonly SubmitNode[], answers: ReadonlyMap<SubmitNode, BlockOutcome>): BlockOutcome {
  const [best] = [...answers.values()].sort((a, b) => RANK.indexOf(a.status) - RANK.indexOf(b.status));
  if (best === undefined || nodes.length === 1) return best ?? { status: "rejected", detail: "no node has answered" };
  const words = nodes.map((node) => `${node.name}: ${answers.get(node)?.detail ?? "no answer yet"}`);
  return { status: best.status, detail: words.join("; ") };
}

/** Submits a block to one node until it has answered. @throws AbortError at the signal */
async function submitTo(node: SubmitNode, hash: string, hex: string, tools: SubmissionTools): Promise<BlockOutcome> {
  const { log, retryMs, signal } = tools;
  for (let attempt = 1, early = 0; ; attempt++) {
    signal.throwIfAborted();
    try {
      const answer = await node.client.submitBlock(hex);
      const outcome = readSubmitAnswer(answer);
      if (outcome !== "early") return outcome;
      early += 1;
      if (early >= EARLY_TRIES) return { status: "rejected", detail: `${answer ?? ""}: the node never had its parent` };
      log.warn({ hash, node: node.name, answer, attempt }, "the node lacks a found block's parent: submitted again soon");
    } catch (error) {
      if (nodeAnswered(error)) return { status: "rejected", detail: error.message };
      const code = error instanceof NodeError ? error.code : "unknown";
      const words = error instanceof Error ? error.message : String(error);
      log.error({ hash, node: node.name, attempt, code, error: words }, "a found block is not submitted yet: the node did not answer");
    }
    await backOff(attempt, retryMs, signal);
  }
}

/** A node that has the pool's block and builds on another of its height is asked to prefer the pool's. */
async function preferred({ name, client }: SubmitNode, hash: string, outcome: BlockOutcome, tools: SubmissionTools): Promise<BlockOutcome> {
  const { log, isOurs } = tools;
  try {
    const rival = await client.bestBlockHash();
    if (rival === hash || isOurs(rival)) return outcome;
    const [ours, theirs] = await Promise.all([readHeader(client, hash), readHeader(client, rival)]);
    if (ours === undefined || theirs === undefined || ours.height !== theirs.height) return outcome;
    log.warn({ hash, rival, height: ours.height, node: name }, "a found block is in a race: the node is asked to prefer it");
    await client.preciousBlock(hash);
    if ((await client.bestBlockHash()) !== hash) return outcome;
    return { status: "accepted", detail: `${outcome.detail}, preferred to ${rival}` };
  } catch (error) {
    // The block is with the node all the same; bcoin has no such call.
    log.info(
      { hash, node: name, error: error instanceof Error ? error.message : String(error) },
      "the node was not asked to prefer a found block",
    );
    return outcome;
  }
}
