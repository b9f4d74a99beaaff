/** The gateway room: listener, connections, sessions that survive reconnects, limits. */
export { isNetwork } from "./address-list.js";
export type { CloseReason } from "./connection.js";
export type { GatewayListOptions } from "./gateway-list.js";
export type { HandshakeOutcome } from "./metrics.js";
export { DEFAULT_LIMITS, type GatewayLimits, GatewayOptionsError, type GatewayServerOptions } from "./options.js";
export type { PoolLongTermKeys } from "./pool-keys.js";
export type {
  BlockSink,
  CommitOutcome,
  Judge,
  OpenedSession,
  SavedSession,
  SessionStore,
  ShareSink,
  SplitSource,
} from "./ports.js";
export { SourceError, type SourceErrorCode } from "./questions.js";
export { GatewayServer, type GatewayServerModules, type GatewaySnapshot, type GatewayTotals } from "./server.js";
export type { WorkerSnapshot } from "./session-stats.js";
