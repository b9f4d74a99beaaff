/** The audit of published settlements. */
export { type AuditModules, Auditor, type AuditResult, type AuditSummary } from "./audit.js";
export type { Difference } from "./difference.js";
export { type Document, Documents } from "./documents.js";
export type { ChainScan, UntoldBlock } from "./scan.js";
export type { AuditNode, ProofSource, SeenHashes } from "./source.js";
