/** Answers to the pool's questions about a job's transactions (0x50), from the job's template or what its fault shows instead. */
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
  type ValidationError,
} from "@openprime/datum";
import type { Template } from "./template.js";

const MAX_TRANSACTIONS = 16_383;

type ValidationRequest = ShortIdsRequest | TransactionsByIndexRequest | FullSetRequest;
type ReplyType = "shortIds" | "transactionsByIndex" | "fullSet";

/** How each question is answered. */
export const REPLY_TYPES = {
  shortIdsRequest: "shortIds",
  transactionsByIndexRequest: "transactionsByIndex",
  fullSetRequest: "fullSet",
} as const satisfies Record<ValidationRequest["type"], ReplyType>;

/** What the gateway answers. `template` gives the template of the job in a slot, if there is one. */
export function answerValidation(
  request: ValidationRequest,
  template: (slot: number) => Template | undefined,
  gatewaySignKey: Uint8Array,
  poolPublicKey: PoolPublicKey,
): GatewayMessage {
  const { jobId } = request;
  const held = jobId < JOB_COUNT ? template(jobId) : undefined;
  const where = jobId < JOB_COUNT ? jobId : 0xff;
  const error = jobId < JOB_COUNT ? ("noJob" as const) : ("badJobIndex" as const);

  const type = REPLY_TYPES[request.type];
  if (held === undefined) return refusal(type, where, error);
  const { shown } = held;
  if (type === "shortIds") {
    const wtxids = shown?.wtxids ?? held.transactions.map(({ wtxid }) => wtxid);
    if (wtxids.length === 0) return { type, jobId, ids: new Uint8Array() };
    if (wtxids.length > MAX_TRANSACTIONS) return refusal(type, jobId, "tooManyTransactions");
    const key = shortIdKey(gatewaySignKey, poolPublicKey.sign);
    const ids = new Uint8Array(Buffer.concat(wtxids.map((wtxid) => shortId(key, wtxid))));
    return { type, jobId, ids, crosscheck: shown?.crosscheck ?? crosscheck(wtxids) };
  }

  const transactions = shown?.raw ?? held.transactions.map(({ raw }) => raw);
  if (request.type !== "transactionsByIndexRequest") return { type, jobId, transactions };
  const { indices } = request;
  if (indices.length === 0 || indices.some((index) => index >= transactions.length)) return refusal(type, jobId, "badRequest");
  return { type, jobId, transactions: indices.map((index) => transactions[index]!) };
}

/** An answer that says what can't be served. */
export function refusal(type: ReplyType, jobId: number, error: ValidationError): GatewayMessage {
  return type === "shortIds" ? { type, jobId, error, ids: new Uint8Array() } : { type, jobId, error, transactions: [] };
}
