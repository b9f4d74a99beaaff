/** A logger whose lines a test can read. */
import { type Logger, pino } from "pino";

export interface LogLines {
  readonly log: Logger;
  readonly lines: Record<string, unknown>[];
  /** Lines whose message contains the text. */
  saying(text: string): Record<string, unknown>[];
}

export function logLines(): LogLines {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: "debug" }, { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
  return { log, lines, saying: (text) => lines.filter((line) => String(line.msg).includes(text)) };
}
