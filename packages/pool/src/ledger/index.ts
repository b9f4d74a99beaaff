/** The books: PostgreSQL, the share log, splits, sessions, blocks. */
export * from "./blocks.js";
export * from "./books.js";
export * from "./check/index.js";
export { type Database, type DatabaseEvents, type DatabaseModules, type DatabaseOptions, openBooks, openDatabase } from "./database.js";
export { type Account, type Directory, type PoolScript, poolScripts } from "./directory.js";
export * from "./errors.js";
export type { MoneyBookOptions } from "./money/book-context.js";
export type { EntryKind, NewEntry, Posting } from "./money/entries.js";
export { MoneyBook, type MoneyBookModules } from "./money/money-book.js";
export type * from "./money/types.js";
export * from "./pay-per-share.js";
export * from "./publish/index.js";
export * from "./retention/index.js";
export * from "./sessions.js";
export { ShareLog, type ShareLogOptions, type ShareLogState, type StoredSplit } from "./share-log.js";
export * from "./split-book.js";
export { findSplit } from "./stored-splits.js";
export * from "./types.js";
