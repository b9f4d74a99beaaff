/** The consensus pieces that a mining pool needs, and a client for the node that judges them. */
export { addressToScript, scriptToAddress } from "./address.js";
export { assembleBlock, type Block, blockWeight, isWitnessCommitment, MAX_BLOCK_WEIGHT, parseBlock } from "./block.js";
export {
  AddressError,
  type AddressErrorCode,
  BitcoinError,
  HexError,
  NodeError,
  type NodeErrorCode,
  ProverError,
  type ProverErrorCode,
  TargetError,
  type TargetErrorCode,
  TransactionError,
  type TransactionErrorCode,
  ZmqError,
  type ZmqErrorCode,
} from "./errors.js";
export { fromReverseHex, reverseHex, sha256, sha256d } from "./hash.js";
export { foldBranches, merkleBranches, merkleRoot } from "./merkle.js";
export { NETWORKS, type Network, type NetworkName } from "./network.js";
export { NodeClient, type NodeClientOptions } from "./node-client.js";
export type { BlockchainInfo, BlockHeaderInfo, BlockInfo, BlockTemplate, NetworkInfo, TemplateTransaction } from "./node-types.js";
export { type ShareProofInput, ShareProver } from "./prover.js";
export { type BlockInterest, type ScannedBlock, type ScannedTransaction, scanBlock } from "./scan-block.js";
export { dustLimit, legacySigops, type ScriptType, scriptType } from "./script.js";
export { subsidy } from "./subsidy.js";
export { bitsFromTarget, meetsTarget, networkDifficulty, shareTarget, targetBytes, targetFromBits } from "./target.js";
export {
  type Coinbase,
  parseCoinbase,
  parseTransaction,
  type Transaction,
  type TransactionInput,
  type TransactionOutput,
} from "./transaction.js";
export { type NodeNotices, type SequenceChange, subscribeHashBlock, subscribeNotices } from "./zmq.js";
