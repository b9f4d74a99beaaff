/** Errors of the commands themselves: a stable code, what happened, and what to do about it. */

export type CliErrorCode =
  | "configMissing"
  | "configUnreadable"
  | "configInvalid"
  | "keyFileMissing"
  | "keyFileUnreadable"
  | "keyFileExposed"
  | "keyFileInvalid"
  | "keysAmbiguous"
  | "keysReadOnly"
  | "keyExpired"
  | "keyUnknown"
  | "keyState"
  | "passphraseMissing"
  | "passphraseWrong"
  | "statementInvalid"
  | "fileExists"
  | "optionInvalid"
  | "blockInvalid"
  | "apiOff"
  | "apiUnreachable"
  | "simulatorMissing";

/** An error that the operator can mend. `message` says what was expected and what came, `todo` what to do. */
export class CliError extends Error {
  override readonly name: string = "CliError";

  constructor(
    readonly code: CliErrorCode,
    message: string,
    readonly todo: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of an error (ours, or the operating system's), undefined when it has none. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** What to do about errors of other rooms and of the operating system, by code; the rooms themselves know nothing of commands. */
export const WHAT_TO_DO = {
  EADDRINUSE: "another process has that port: stop it, or set listen.port to another one",
  apiListen: "set api.port to another one, api.host to an address that this machine has, or api.port to off",
  EADDRNOTAVAIL: "this machine has no such address: set listen.host to one it has, or to 0.0.0.0",
  EACCES: "the user that runs the pool may not do that: look at the owner and the mode of the file, or take a port over 1023",
  ENOSPC: "the disk is full: make room, then start the pool again",
  EMFILE: "too many open files: raise the limit (ulimit -n, or LimitNOFILE= in the unit)",
  ENOTFOUND: "no machine has that name: correct it, or give an IP address",
  unreachable: "start the node, or correct node.url",
  unauthorized: "give node.cookieFile, or node.user and node.password, as the node has them",
  wrongNetwork: "set network to the node's, or node.url to a node of the right network",
  wrongGenesis: "set node.url to a node of the right network",
  "ledger.unreachable": "start the database or correct database.url; for the pool's own, look at the owner and the mode of database.dir",
  "ledger.locked": "stop that pool (its machine and process id stand behind its name), or give this one a database of its own",
  "ledger.serverTooOld": "upgrade it, or leave database.url out to use the embedded server",
  "ledger.noBooks": "`openprime serve` makes the books; if it has, correct database.url or database.dir",
  "ledger.schemaTooOld": "start `openprime serve` of this version once, or look into the books with the version that it runs",
  "proof.unreadable": "correct --from: the published folder or its URL, where index.json lies",
  "proof.noSuchSettlement": "`openprime audit all` names the settlements that are there",
  "proof.blockMissing": "use a node that keeps all blocks in --node",
  "ledger.schemaTooNew": "run the newer version of the program that made it",
  "ledger.embeddedUnavailable": "npm run setup, or give a server of your own in database.url",
  "ledger.embeddedUser": "run the pool as an ordinary user, or give a server of your own in database.url",
} as const satisfies Record<string, string>;

/** What to do about `error`; undefined for an error nobody expected (it has no code, or is a programming error of Node's). */
export function todoOf(error: unknown): string | undefined {
  if (error instanceof CliError) return error.todo;
  const code = codeOf(error);
  if (code === undefined || code.startsWith("ERR_")) return undefined;
  return Object.hasOwn(WHAT_TO_DO, code)
    ? WHAT_TO_DO[code as keyof typeof WHAT_TO_DO]
    : `run \`openprime doctor\`; docs/errors.md explains the code ${code}`;
}

/**
 * Prints what ended a command: an error with a code as one message and what to do, anything else with its stack, as it is a bug.
 */
export function printError(error: unknown, stderr: { write(text: string): unknown }): void {
  const todo = todoOf(error);
  if (todo !== undefined) {
    stderr.write(`openprime: ${messageOf(error)}\n  what to do: ${todo}\n`);
    return;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  stderr.write(`openprime: unexpected error, please report it:\n${stack}\n`);
}

/** A path as it can be pasted into a shell. */
export function shellWord(path: string): string {
  return /^[\w./~+:@-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
