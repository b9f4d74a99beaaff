/** The error class of the ledger and its stable codes. */

export type LedgerErrorCode =
  /** The server is older than the oldest release we support. */
  | "ledger.serverTooOld"
  /** The database was migrated by a newer program, or a migration that it ran has changed since. */
  | "ledger.schemaTooNew"
  | "ledger.migrationChanged"
  | "ledger.migrationFailed"
  /** Nobody has made the books yet, or an older program was the last to use them. */
  | "ledger.noBooks"
  | "ledger.schemaTooOld"
  /** Another pool holds the database. */
  | "ledger.locked"
  /** Another pool has taken the database over while this one was cut off. */
  | "ledger.fenced"
  | "ledger.unreachable"
  | "ledger.primeIdsExhausted"
  | "ledger.closed"
  | "ledger.stopped"
  /** A log file that is to be written again would not be the one that was published. */
  | "ledger.logChanged"
  /** The published folder can't be written. */
  | "ledger.publishFailed"
  /** Money: a block that does not follow the books' last, or is not their last. */
  | "ledger.chainOrder"
  /** The node's chain has left the books' below the block that they began with. */
  | "ledger.chainBelowStart"
  /** Raw shares that a pin needs are no longer kept. */
  | "ledger.pinTooOld"
  /** A row is missing that the books can't be without. */
  | "ledger.damaged"
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
