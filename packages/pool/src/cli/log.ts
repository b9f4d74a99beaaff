/** The pool's log: pino, as JSON for machines or as plain lines for people. */
import { type DestinationStream, type LogFn, type Logger, pino } from "pino";
import { Counter, type Registry } from "prom-client";
import type { Config } from "./config/index.js";
import type { Output } from "./io.js";

const LEVELS: Readonly<Record<number, string>> = { 10: "TRACE", 20: "DEBUG", 30: "INFO", 40: "WARN", 50: "ERROR", 60: "FATAL" };
/** Fields that have a place of their own in a text line, or say nothing to a person at a terminal. */
const KNOWN_FIELDS: ReadonlySet<string> = new Set(["level", "time", "msg", "pid", "hostname"]);

/**
 * A logger that writes to `output`.
 *
 * Values named password, cookie or a seed are masked wherever a room would log them: no secret is meant to reach the log, and
 * this makes sure of it.
 */
export function createLogger(options: Config["log"], output: Output, lines?: LineCounts): Logger {
  const destination: DestinationStream =
    options.format === "json" ? { write: (line) => output.write(line) } : { write: (line) => output.write(textLine(line)) };
  const secrets = ["password", "cookie", "signSeed", "boxSeed"];
  const redact = { paths: secrets.flatMap((name) => [name, `*.${name}`]), censor: "***" };
  const hooks = lines && {
    logMethod(this: Logger, args: Parameters<LogFn>, method: LogFn, level: number) {
      lines.count(level);
      return method.apply(this, args);
    },
  };
  return pino({ level: options.level, base: null, redact, ...(hooks && { hooks }) }, destination);
}

/** How many lines of each level were logged. */
export class LineCounts {
  readonly #counts = new Map<string, number>(Object.values(LEVELS).map((level) => [level.toLowerCase(), 0]));

  count(level: number): void {
    const name = LEVELS[level]?.toLowerCase();
    if (name !== undefined) this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  /** Shows them as a counter, read at each scrape. */
  watch(registry: Registry): void {
    const counts = this.#counts;
    new Counter({
      name: "openprime_log_lines_total",
      help: "Lines that were logged, by level; each error is worth a look.",
      labelNames: ["level"],
      registers: [registry],
      collect() {
        this.reset();
        for (const [level, count] of counts) this.inc({ level }, count);
      },
    });
  }
}

/** `2026-11-22T21:04:05.678Z INFO  message field=value …` of one line of pino's JSON. */
function textLine(json: string): string {
  const entry = JSON.parse(json) as Record<string, unknown>;
  const time = new Date(Number(entry.time)).toISOString();
  const level = (LEVELS[Number(entry.level)] ?? String(entry.level)).padEnd(5);
  const fields = Object.entries(entry).filter(([name]) => !KNOWN_FIELDS.has(name));
  const rest = fields.map(([name, value]) => ` ${name}=${typeof value === "string" ? quoted(value) : JSON.stringify(value)}`);
  return `${time} ${level} ${controlFree(String(entry.msg ?? ""))}${rest.join("")}\n`;
}

/** Quotes where a reader could take the value for something else; strangers' bytes can't forge a line. */
function quoted(value: string): string {
  return /^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value);
}

function controlFree(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what has to go
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
