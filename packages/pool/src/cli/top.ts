/** `openprime top`: the live table of a running pool, read from its API. */
import { setTimeout as sleep } from "node:timers/promises";
import { type PoolStatusDocument, poolStatusDocument } from "../api/index.js";
import { apiUrl } from "./api/url.js";
import type { Config } from "./config/index.js";
import { CliError, codeOf, messageOf } from "./errors.js";
import type { CommandIo } from "./io.js";
import { liveTable } from "./live-table.js";
import { Screen } from "./screen.js";

export interface TopOptions {
  /** Of the API: `http://127.0.0.1:28916`. */
  readonly url: string;
  /** Shows it once and ends. */
  readonly once?: boolean;
  /** Prints the status as JSON instead, one object a line. */
  readonly json?: boolean;
  /** From one look to the next. */
  readonly seconds: number;
}

/** A pool that answers nothing for so long is told as away. */
const TIMEOUT_MS = 3000;

/** Where the API of the configured pool is. @throws CliError when it has none, or none that is known */
export function configuredUrl({ api }: Pick<Config, "api">): string {
  if (api.port === undefined)
    throw new CliError("apiOff", "this pool has no API (api.port is off)", "set api.port and start the pool again");
  if (api.port === 0) throw new CliError("optionInvalid", "api.port is 0, so the API's port is not known", "give it with --url");
  return apiUrl(api.host, api.port);
}

/**
 * Shows the table until it is asked to end. A pool that goes away is waited for.
 *
 * @returns 0. @throws CliError `apiUnreachable` with `once`
 */
export async function top(options: TopOptions, io: CommandIo): Promise<number> {
  const { url, once = false, json = false, seconds } = options;
  if (once) {
    const status = await readStatus(url, io.signal);
    if (json) io.stdout.write(`${JSON.stringify(status)}\n`);
    else
      io.stdout.write(
        `${liveTable(status, heading(status), { ...new Screen(io.stdout).size, rows: Number.POSITIVE_INFINITY }).join("\n")}\n`,
      );
    return 0;
  }
  const screen = new Screen(io.stdout);
  let last: PoolStatusDocument | undefined;
  let trouble: string | undefined;
  const show = (): void => screen.show(lines(last, trouble, screen));
  const watching = json ? () => undefined : screen.onResize(show);
  if (!json) screen.clear();
  try {
    while (!io.signal.aborted) {
      try {
        last = await readStatus(url, io.signal);
        trouble = undefined;
        if (json) io.stdout.write(`${JSON.stringify(last)}\n`);
      } catch (error) {
        if (io.signal.aborted) break;
        if (json) io.stderr.write(`openprime: ${messageOf(error)}\n`);
        trouble = messageOf(error);
      }
      if (!json) show();
      await sleep(seconds * 1000, undefined, { signal: io.signal }).catch(() => undefined);
    }
  } finally {
    watching();
  }
  return 0;
}

function lines(last: PoolStatusDocument | undefined, trouble: string | undefined, { size }: Screen): string[] {
  const warning = trouble === undefined ? [] : [`! ${trouble}`.slice(0, size.columns)];
  if (last === undefined) return warning;
  const stale = trouble === undefined ? "" : ", as it was";
  return [...warning, ...liveTable(last, `${heading(last)}${stale}`, { ...size, rows: size.rows - warning.length })];
}

function heading({ version, network, startedAt }: PoolStatusDocument): string {
  return `OpenPrime ${version} on ${network}, up ${upText(Date.now() - Date.parse(startedAt))}`;
}

/** `3 d 4 h`, `4 h 12 min`, `12 min 5 s` */
function upText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days > 0) return `${days} d ${hours} h`;
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`;
}

/** @throws CliError when there is no pool there, or none that this program understands */
async function readStatus(url: string, signal: AbortSignal): Promise<PoolStatusDocument> {
  let why: string;
  try {
    const response = await fetch(new URL("/v1/status", url), { signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) });
    const parsed = poolStatusDocument.safeParse(await response.json());
    if (parsed.success) return parsed.data;
    why = response.ok ? "it is no pool's API, or of another version" : `it says ${response.status}`;
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    why = codeOf(cause) ?? messageOf(cause);
  }
  throw new CliError("apiUnreachable", `no status from ${url}: ${why}`, "start the pool, or give its API's address with --url");
}
