/** The pool's log: pino, as JSON for machines or as plain lines for people. */
import { type DestinationStream, type Logger, pino } from "pino";
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
export function createLogger(options: Config["log"], output: Output): Logger {
  const destination: DestinationStream =
    options.format === "json" ? { write: (line) => output.write(line) } : { write: (line) => output.write(textLine(line)) };
  const secrets = ["password", "cookie", "signSeed", "boxSeed"];
  const redact = { paths: secrets.flatMap((name) => [name, `*.${name}`]), censor: "***" };
  return pino({ level: options.level, base: null, redact }, destination);
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
