/** What the pool publishes so that anyone can recompute it: settlements, log files, and the audit of both. */
export * from "./audit/index.js";
export * from "./errors.js";
export { decodeLineProof, encodeLineProof, type LineProof, proveLine, verifyLineProof } from "./line-proof.js";
export {
  decodeLogLine,
  encodeLogEnd,
  encodeLogEntry,
  encodeLogHeader,
  LOG_FORMAT,
  type LogEnd,
  type LogEntry,
  type LogHeader,
  type LogLine,
  type LogShare,
  type LogVoid,
  MAX_LOG_LINE,
} from "./log-format.js";
export {
  type MerkleSumProof,
  type MerkleSums,
  type MerkleTop,
  type MerkleTotals,
  merkleSumProof,
  merkleSumRoot,
  verifyMerkleSumProof,
} from "./merkle-sum.js";
export {
  decodeIndex,
  encodeIndex,
  INDEX_FILE,
  type IndexedSettlement,
  logFile,
  type PublishedIndex,
  settlementFile,
} from "./published.js";
export {
  decodeSettlement,
  type EncodedSettlement,
  encodeSettlement,
  SETTLEMENT_FORMAT,
  settlementDecoding,
  settlementEncoding,
  settlementHash,
} from "./settlement-format.js";
export type { Steps } from "./steps.js";
export type * from "./types.js";
