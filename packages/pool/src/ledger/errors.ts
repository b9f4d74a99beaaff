/** The error class of the ledger and its stable codes. */

export type LedgerErrorCode =
  /** The server is older than the oldest release we support. */
  | "ledger.serverTooOld"
  /** The database was migrated by a newer program, or a migration that it ran has changed since. */
  | "ledger.schemaTooNew"
  | "ledger.migrationChanged"
  | "ledger.migrationFailed"
  /** Another pool holds the database. */
  | "ledger.locked"
  /** Another pool has taken the database over while this one was cut off. */
  | "ledger.fenced"
  | "ledger.unreachable"
  | "ledger.primeIdsExhausted"
  | "ledger.closed"
  /** Embedded server. */
  | "ledger.embeddedUnavailable"
  | "ledger.embeddedUser"
  | "ledger.embeddedUnreachable"
  | "ledger.embeddedStart"
  | "ledger.embeddedVersion";

/** Something the books can't go on with; the message says what was expected, what came, and what to do. */
export class LedgerError extends Error {
  override readonly name = "LedgerError";

  constructor(
    readonly code: LedgerErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
