/** Where the API of a pool on this machine is asked, after its configuration. */
import { isIPv6 } from "node:net";

const WILDCARDS: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

/** Where a listener of this machine is reached. */
export const reachableHost = (host: string): string => WILDCARDS[host] ?? host;

/** `http://127.0.0.1:28916` */
export function apiUrl(host: string, port: number): string {
  const reachable = reachableHost(host);
  return `http://${isIPv6(reachable) ? `[${reachable}]` : reachable}:${port}`;
}
