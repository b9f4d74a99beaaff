/** A regtest node, gateways and miners on the wire, a load generator: for the demo, the tests and the bench. */

export { runAttack } from "./attack/attacker.js";
export { ATTACKS } from "./attack/attacks.js";
export type { AttackTally } from "./attack/messages.js";
export { SimulatorError, type SimulatorErrorCode } from "./errors.js";
export { Coverage } from "./fuzz/coverage.js";
export { decoderTargets } from "./fuzz/decoder-targets.js";
export { type FuzzOptions, type FuzzReport, fuzz, holds, type Target } from "./fuzz/fuzzer.js";
export { Random } from "./fuzz/random.js";
export { seedBodies } from "./fuzz/seeds.js";
export { minerAddress, minerScript } from "./gateway/addresses.js";
export {
  type BuiltCoinbase,
  buildCoinbase,
  COINBASE_SIZE_LIMITS,
  type CoinbaseKind,
  type CoinbaseRecipe,
  finishCoinbase,
  SUBSIDY_ONLY,
  TARGET_BYTE_PLACEHOLDER,
  type TemplateRoom,
  targetByteIndex,
} from "./gateway/coinbase.js";
export { type AnswerFault, type GatewayFault, spoil, type TemplateFault, withTransactions } from "./gateway/faults.js";
export type { GatewayFigures, MinerFigures } from "./gateway/figures.js";
export { Job, type JobSettings } from "./gateway/job.js";
export type { MinerOptions } from "./gateway/miner.js";
export type { Misbehaviour, SimulatedGatewayModules, SimulatedGatewayOptions } from "./gateway/options.js";
export { SimulatedGateway } from "./gateway/simulated-gateway.js";
export { networkTarget, shareTargetBytes } from "./gateway/targets.js";
export { mainnetSubsidy, readTemplate, type ShownTransactions, type Template, type TemplateTransaction } from "./gateway/template.js";
export { answerValidation, REPLY_TYPES, refusal } from "./gateway/validation.js";
export { encodeHeader, headerWithNonce, makeWork, VERSION_ROLLING_MASK, type Work } from "./gateway/work.js";
export { type NodePair, startBitcoindPair, startSimulatedPair } from "./interop/node-pair.js";
export { type LoadOptions, type LoadReport, type LoadWork, runLoad } from "./load/load.js";
export { Hasher, type MinerListener } from "./mining/hasher.js";
export { type Found, Scanner } from "./mining/scanner.js";
export { bitsForHashes, expectedHashes } from "./node/difficulty.js";
export type { NodeTip, RegtestNodeOptions, RpcAccess } from "./node/options.js";
export { RegtestNode } from "./node/regtest-node.js";
export { FaultyProxy, type ProxyMode } from "./wire/faulty-proxy.js";
export { RawChannel, type RawFlags, rawGatewayChannel } from "./wire/raw-channel.js";
export {
  type Answer,
  blockOf,
  type MinedShare,
  type MineOptions,
  mine,
  mineOne,
  newKeys,
  type PoolPlace,
  type Question,
  WireGateway,
  type WireGatewayOptions,
} from "./wire/wire-gateway.js";
