/**
 * The DATUM wire protocol, both roles: bytes in, values out. No sockets, no clocks, no Bitcoin rules.
 * What the bytes mean is told in docs/protocol.md.
 */
export { type DatumCrypto, loadCrypto, type SealPair } from "./crypto.js";
export { DatumError, type DatumErrorCode } from "./errors.js";
export { feedback } from "./feedback.js";
export { type FrameHeader, HELLO_HEADER_KEY, LARGEST_PAYLOAD, readHeader, writeHeader } from "./frame.js";
export { GatewayChannel, type GatewayChannelOptions, type PoolEvent } from "./gateway-channel.js";
export { decodeGatewayMessage, encodeGatewayMessage, MAX_USERNAME_BYTES } from "./gateway-messages.js";
export { MAX_HELLO_BYTES, MAX_MOTD_BYTES, MIN_HELLO_BYTES } from "./handshake.js";
export {
  decodePublicKey,
  encodePublicKey,
  generateLongTermKeys,
  generateSessionKeys,
  type LongTermKeys,
  longTermKeysFromSeeds,
  type PoolPublicKey,
  type SessionKeys,
  sessionKeysFromSeeds,
  signLongTerm,
  signSession,
  signStatement,
  verifyStatement,
} from "./keys.js";
export type * from "./messages.js";
export { firstNonces, Nonce } from "./nonce.js";
export { type Padding, type PaddingSource, randomPadding } from "./padding.js";
export { DEFAULT_MAX_PAYLOAD, type GatewayEvent, PoolChannel, type PoolChannelOptions } from "./pool-channel.js";
export {
  decodePoolMessage,
  encodePoolMessage,
  JOB_COUNT,
  MAX_COINBASER_BLOB_BYTES,
  MAX_COINBASER_OUTPUTS,
  MAX_SCRIPT_BYTES,
  MAX_TAG_BYTES,
  type PoolMiningMessage,
} from "./pool-messages.js";
export { REJECT_REASONS, type RejectReason, type RejectReasonName, rejectReasonName, rejectText } from "./reasons.js";
export { ShortIdMatcher } from "./short-id-matcher.js";
export { crosscheck, shortId, shortIdKey } from "./short-ids.js";
