/** What a check of the doctor says, and how it is shown. */

export type CheckStatus = "OK" | "WARN" | "FAIL";

/** The result of one check. */
export interface Check {
  /** Stable name for scripts: `node.version`, `database`, … */
  readonly name: string;
  readonly status: CheckStatus;
  /** What was found. Never holds a secret. */
  readonly message: string;
  /** What to do; there with WARN and FAIL. */
  readonly todo?: string;
}

export const ok = (name: string, message: string): Check => ({ name, status: "OK", message });
export const warn = (name: string, message: string, todo: string): Check => ({ name, status: "WARN", message, todo });
export const fail = (name: string, message: string, todo: string): Check => ({ name, status: "FAIL", message, todo });

/** One check as lines for people. */
export function checkLines(check: Check): string {
  const message = check.message.replaceAll("\n", "\n      ");
  const head = `${check.status.padEnd(4)}  ${check.name}: ${message}\n`;
  return check.todo === undefined ? head : `${head}      what to do: ${check.todo}\n`;
}
