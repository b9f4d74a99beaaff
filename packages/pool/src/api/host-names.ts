/**
 * By which names the API may be called.
 *
 * A web page can have its own name point at 127.0.0.1 and then read, through its visitor's browser, what listens there ("DNS rebinding"). The
 * browser tells that name in the Host header; a page can't be loaded from a bare IP address of ours without being ours.
 */
import { isIP } from "node:net";

/**
 * Whether a request with this Host header is answered.
 *
 * @param host as it came, with or without a port; undefined when there was none (HTTP/1.0)
 * @param names names besides localhost, lower case
 */
export function hostAllowed(host: string | undefined, names: ReadonlySet<string>): boolean {
  if (host === undefined) return true;
  const name = /^(\[[^\]]*\]|[^:]*)(:\d{1,5})?$/.exec(host)?.[1]?.toLowerCase();
  if (name === undefined) return false;
  return name === "localhost" || names.has(name) || isIP(name.replace(/^\[|\]$/g, "")) !== 0;
}
