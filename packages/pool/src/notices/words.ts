/**
 * Words: one text file for each event, the same for every channel. Its first line is the title; `{name}` stands for a value of the notice's data, and a
 * line that names a value which is not there is left out.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The same place from src/notices and from dist/notices. */
const FOLDER = fileURLToPath(new URL("../../notices/", import.meta.url));
const LIST_LINES = 20;

export interface Words {
  readonly title: string;
  /** The lines after the title. */
  readonly body: string;
}

type Data = Readonly<Record<string, unknown>>;

const texts = new Map<string, string>();

/** A notice in words. @param event one that has a text file */
export function wordsOf(event: string, data: Data): Words {
  let text = texts.get(event);
  if (text === undefined) {
    text = readFileSync(`${FOLDER}${event}.txt`, "utf8");
    texts.set(event, text);
  }
  const lines = text
    .trimEnd()
    .split("\n")
    .flatMap((line) => filled(line, data));
  return { title: lines[0] ?? event, body: lines.slice(1).join("\n").trim() };
}

/** The values that an event's text names. */
export function namesIn(text: string): string[] {
  return [...text.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
}

function filled(line: string, data: Data): string[] {
  const missing = namesIn(line).some((name) => data[name] === undefined || data[name] === null);
  return missing ? [] : [line.replace(/\{(\w+)\}/g, (_, name: string) => shown(data[name]))];
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return listed(value);
  if (typeof value !== "string") return String(value);
  const time = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\d\.\d{3}Z$/.exec(value);
  return time === null ? plain(value) : `${time[1]} ${time[2]} UTC`;
}

function listed(items: readonly unknown[]): string {
  const lines = items.slice(0, LIST_LINES).map((item) => {
    const { name, since, count } = item as { name?: unknown; since?: unknown; count?: unknown };
    return `- ${[shown(name), since === undefined ? "" : `last share ${shown(since)}`, count === undefined ? "" : `${shown(count)}`].filter((part) => part !== "").join(", ")}`;
  });
  return (items.length > LIST_LINES ? [...lines, `- and ${items.length - LIST_LINES} more`] : lines).join("\n");
}

/** Names are anybody's text: what could pass for a line of ours, or steer a terminal, is taken out. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "").slice(0, 200);
}
