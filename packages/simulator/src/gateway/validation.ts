/** Answers to the pool's questions about a job's transactions (0x50), from the job's template. */
import {
  crosscheck,
  type FullSetRequest,
  type GatewayMessage,
  JOB_COUNT,
  type PoolPublicKey,
  type ShortIdsRequest,
  shortId,
  shortIdKey,
  type TransactionsByIndexRequest,
} from "@openprime/datum";
import type { Template } from "./template.js";

const MAX_TRANSACTIONS = 16_383;
/** What the gateway answers. `template` gives the template of the job in a slot, if there is one. */
export function answerValidation(
  request: ShortIdsRequest | TransactionsByIndexRequest | FullSetRequest,
  template: (slot: number) => Template | undefined,
  gatewaySignKey: Uint8Array,
  poolPublicKey: PoolPublicKey,
): GatewayMessage {
  const { jobId } = request;
  const held = jobId < JOB_COUNT ? template(jobId) : undefined;
  const where = jobId < JOB_COUNT ? jobId : 0xff;
  const error = jobId < JOB_COUNT ? ("noJob" as const) : ("badJobIndex" as const);

  if (request.type === "shortIdsRequest") {
    if (held === undefined) return { type: "shortIds", jobId: where, error, ids: new Uint8Array() };
    const { transactions } = held;
    if (transactions.length === 0) return { type: "shortIds", jobId, ids: new Uint8Array() };
    if (transactions.length > MAX_TRANSACTIONS) return { type: "shortIds", jobId, error: "tooManyTransactions", ids: new Uint8Array() };
    const key = shortIdKey(gatewaySignKey, poolPublicKey.sign);
    const wtxids = transactions.map((one) => one.wtxid);
    return {
      type: "shortIds",
      jobId,
      ids: new Uint8Array(Buffer.concat(wtxids.map((wtxid) => shortId(key, wtxid)))),
      crosscheck: crosscheck(wtxids),
    };
  }

  const type = request.type === "fullSetRequest" ? "fullSet" : "transactionsByIndex";
  if (held === undefined) return { type, jobId: where, error, transactions: [] };
  if (request.type === "fullSetRequest") return { type, jobId, transactions: held.transactions.map((one) => one.raw) };
  const { indices } = request;
  const bad = indices.length === 0 || indices.some((index) => index >= held.transactions.length);
  if (bad) return { type, jobId, error: "badRequest", transactions: [] };
  return { type, jobId, transactions: indices.map((index) => held.transactions[index]!.raw) };
}
