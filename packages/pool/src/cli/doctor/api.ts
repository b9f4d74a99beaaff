/** The doctor's check of the HTTP API's address and port. */
import { apiUrl } from "../api/url.js";
import type { Config } from "../config/index.js";
import { codeOf, messageOf, WHAT_TO_DO } from "../errors.js";
import { tryListen } from "./listener.js";
import { type Check, fail, ok } from "./report.js";

const TIMEOUT_MS = 5000;

/** Whether the port can be taken; where it is taken already, whether a pool's API answers there. */
export async function checkApi({ host, port }: Config["api"]): Promise<Check> {
  const name = "api";
  if (port === undefined) return ok(name, "api.port is off: there is no HTTP API, and nothing for a monitoring to look at");
  const where = `${host} port ${port}`;
  const refused = await tryListen({ host, port });
  if (refused === undefined) return ok(name, `${where} is free`);
  if (codeOf(refused) !== "EADDRINUSE") return fail(name, `can't listen on ${where}: ${messageOf(refused)}`, WHAT_TO_DO.apiListen);
  if (await answers(apiUrl(host, port))) return ok(name, `a pool is running: its API answers at ${where}`);
  return fail(name, `another process has ${where}`, WHAT_TO_DO.apiListen);
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    const body = (await response.json()) as { readonly status?: unknown } | null;
    return response.ok && body?.status === "ok" && response.headers.has("x-request-id");
  } catch {
    // Whatever it speaks, it is no API of ours: that is the answer.
    return false;
  }
}
