/** Names of requests, by which the lines that one caused are found in the log. */
import { randomBytes } from "node:crypto";

/** What may stand in a log line as it came. */
const SANE = /^[\w.:-]{1,64}$/;

/** The caller's own name for its request (`x-request-id`) where it is a sane one, else a new one of 16 hex digits. */
export function requestId(given: string | readonly string[] | undefined): string {
  return typeof given === "string" && SANE.test(given) ? given : randomBytes(8).toString("hex");
}
