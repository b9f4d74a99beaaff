/** Notices in the books: receivers, the outbox, and what there is to tell. */
export * from "./notice-book.js";
export type * from "./types.js";
