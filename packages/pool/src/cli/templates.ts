/** What judges the templates behind gateways' jobs, put together: the mempool's view, the node's judgement, the books, the desk. */
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import {
  BackgroundTemplateDesk,
  type ChainTracker,
  NodeMempool,
  type ProposalNode,
  Proposals,
  type TemplateDeskOptions,
} from "../chain/index.js";
import type { BlockSink } from "../gateway/index.js";
import { type Database, type ShareLog, TemplateBook } from "../ledger/index.js";
import type { Config } from "./config/index.js";

/** What tests want otherwise than in life: waits of the desk, and between polls of the node's mempool, milliseconds. */
export type TemplateTuning = Pick<TemplateDeskOptions, "retryMs" | "reconnectMs" | "confirmMs"> & {
  readonly mempoolPollMs?: number;
};

export interface TemplateModules {
  readonly database: Database;
  readonly shareLog: ShareLog;
  /** Not started yet: the node's first template counts too. */
  readonly chain: ChainTracker;
  /** Judges templates. */
  readonly node: ProposalNode;
  readonly log: Logger;
  readonly metrics: Registry;
  /** Pool clock, milliseconds. */
  readonly now: () => number;
  /** What must be ended, in the order in which it was begun. */
  readonly stops: (() => Promise<void> | void)[];
  readonly tuning?: TemplateTuning | undefined;
}

/** @returns undefined where templates are taken on trust; what the last pool left undone is brought to an end in any case. @throws LedgerError */
export async function openTemplates(config: Config, modules: TemplateModules): Promise<BackgroundTemplateDesk | undefined> {
  const { chain, log, metrics, now, stops } = modules;
  const { check, proposalsPerSecond, ...policy } = config.templates;
  const store = await TemplateBook.open(modules);
  stops.push(() => store.close());
  if (check === "off") return undefined;
  const { mempoolPollMs, ...tuning } = modules.tuning ?? {};
  const { zmqRawtx, zmqSequence } = config.node;
  const zmq = { ...(zmqRawtx !== undefined && { rawtx: zmqRawtx }), ...(zmqSequence !== undefined && { sequence: zmqSequence }) };
  const mempool = new NodeMempool(
    { node: config.node, zmq, ...(mempoolPollMs !== undefined && { pollMs: mempoolPollMs }) },
    { log, metrics },
  );
  stops.push(() => mempool.stop());
  const proposals = new Proposals({ perSecond: proposalsPerSecond }, { node: modules.node });
  const desk = new BackgroundTemplateDesk(
    { check, ...policy, ...tuning },
    { mempool, store, proposals, subsidy: (height) => chain.subsidy(height), log, metrics, now },
  );
  stops.push(() => desk.stop());
  stops.push(
    chain.onOwnTemplate((template) => {
      desk.ownTemplate(template);
      mempool.learnFees(template.transactions);
    }),
  );
  return desk;
}

/** Found blocks take the transactions of a judged job from the desk; the gateway is asked for others, and when those turn out to be wrong. */
export function withJudgedTransactions(submitter: BlockSink, desk: Pick<BackgroundTemplateDesk, "transactionsOf"> | undefined): BlockSink {
  if (desk === undefined) return submitter;
  return {
    found(candidate, fetch) {
      let judged = desk.transactionsOf(candidate.sessionId, candidate.jobId, candidate.jobSerial);
      submitter.found(candidate, () => {
        const first = judged;
        judged = undefined;
        return first === undefined ? fetch() : Promise.resolve(first);
      });
    },
  };
}
