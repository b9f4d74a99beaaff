/** What is wrong with a configuration: every problem at once, each with its place, the value given and what is allowed. */
import { CliError, type CliErrorCode } from "../errors.js";

/** One thing that is wrong. */
export interface ConfigProblem {
  /** `openprime.yaml:12`, the name of an environment variable, or where else the setting came from. */
  readonly where: string;
  /** Dotted path; "" when the file as a whole can't be read. */
  readonly setting: string;
  /** Where, what and what is allowed, on one line. Never holds a secret. */
  readonly message: string;
}

/** Code `configMissing`, `configUnreadable`, or `configInvalid` with all `problems`. */
export class ConfigError extends CliError {
  override readonly name = "ConfigError";

  constructor(
    code: Extract<CliErrorCode, `config${string}`>,
    message: string,
    todo: string,
    readonly problems: readonly ConfigProblem[] = [],
    options?: ErrorOptions,
  ) {
    super(code, message, todo, options);
  }
}

/** @returns the error that tells of all `problems`; there must be one at least */
export function invalidConfig(problems: readonly ConfigProblem[]): ConfigError {
  const head = `the configuration has ${problems.length === 1 ? "a problem" : `${problems.length} problems`}:`;
  const lines = problems.map((problem) => `  ${problem.message}`);
  return new ConfigError("configInvalid", `${head}\n${lines.join("\n")}`, "correct the lines named above, then try again", problems);
}

/** Hides what stands before the `@` of a URL, and any `password=` of its query. */
export function redactUrl(text: string): string {
  return text.replace(/\/\/.*@/s, "//***@").replace(/([?&][^=&]*pass[^=&]*=)[^&]*/gi, "$1***");
}

/** A value as it may be shown in a message: short, on one line, without control characters and passwords in URLs. */
export function showValue(value: unknown): string {
  const text = typeof value === "string" ? JSON.stringify(redactUrl(value)) : String(value);
  return text.length > 100 ? `${text.slice(0, 97)}...` : text;
}

/** The candidate that `word` most likely means; undefined when none is near. */
export function didYouMean(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase(), bestDistance);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Insertions, deletions and replacements that make `b` of `a` (Levenshtein); at least `limit` when there are more. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, replaced));
    }
    row = next;
  }
  return row[b.length] ?? limit;
}
