/** The API room: the HTTP server by which operators and their monitoring see the pool, and the figures of the process itself. */
export { ApiError, type ApiErrorCode, ApiListenError } from "./errors.js";
export { watchFolders, watchProcess } from "./process-metrics.js";
export { type ApiModules, type ApiOptions, ApiServer } from "./server.js";
export type { ApiSources, ReadinessPart } from "./sources.js";
export { type PoolStatusDocument, poolStatusDocument } from "./status.js";
