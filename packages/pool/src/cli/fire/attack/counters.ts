/** The pool's own counters of what it refused and slowed, read where its operator reads them. */

/** By name and labels, e.g. `handshakes refused`. */
export type Counters = Readonly<Record<string, number>>;

/** Metric, the label that tells, and its values that are no refusal. */
const WATCHED: readonly (readonly [metric: string, label: string, harmless: readonly string[]])[] = [
  ["openprime_handshakes_total", "outcome", ["accepted", "left"]],
  ["openprime_protocol_errors_total", "code", []],
  ["openprime_gateway_closed_total", "reason", ["left", "socketError"]],
  ["openprime_shares_total", "reason", ["0"]],
  ["openprime_coinbaser_requests_total", "result", ["split", "empty"]],
  ["openprime_block_candidates_total", "outcome", []],
  ["openprime_gateway_slowed_total", "budget", []],
  ["openprime_bans_total", "scope", []],
];

/** Reads `/metrics`. @throws when the pool does not answer */
export async function readCounters(port: number): Promise<Counters> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  if (!response.ok) throw new Error(`/metrics answers ${response.status}`);
  const counters: Record<string, number> = {};
  for (const line of (await response.text()).split("\n")) {
    const [, metric, labels = "", value = "0"] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    const watched = WATCHED.find(([name]) => name === metric);
    if (watched === undefined) continue;
    const text = new RegExp(`${watched[1]}="([^"]*)"`).exec(labels)?.[1] ?? "";
    if (watched[2].includes(text)) continue;
    const name = `${watched[0].replace(/^openprime_(gateway_)?|_total$/g, "")} ${text}`;
    counters[name] = (counters[name] ?? 0) + Number(value);
  }
  return counters;
}

/** What has grown. */
export function difference(before: Counters, after: Counters): Counters {
  return Object.fromEntries(
    Object.entries(after)
      .map(([name, value]) => [name, value - (before[name] ?? 0)] as const)
      .filter(([, grown]) => grown > 0)
      .sort(([, a], [, b]) => b - a),
  );
}
