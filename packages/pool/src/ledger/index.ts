/** The books: PostgreSQL, the share log, splits, sessions, blocks. */
export * from "./blocks.js";
export * from "./books.js";
export { type Database, type DatabaseEvents, type DatabaseModules, type DatabaseOptions, openDatabase } from "./database.js";
export type { Account, Directory } from "./directory.js";
export * from "./errors.js";
export * from "./sessions.js";
export { ShareLog, type ShareLogOptions, type ShareLogState, type StoredSplit } from "./share-log.js";
export * from "./split-book.js";
export { findSplit } from "./stored-splits.js";
export * from "./types.js";
