/** What a command may touch of the process: its streams, and the signal that asks it to end. */

export interface Output {
  write(text: string): unknown;
}

export interface CommandIo {
  /** Results. With --json nothing but one JSON object. */
  readonly stdout: Output;
  /** Progress and errors. */
  readonly stderr: Output;
  /** Fires on SIGINT and SIGTERM; the command then ends cleanly. */
  readonly signal: AbortSignal;
}
