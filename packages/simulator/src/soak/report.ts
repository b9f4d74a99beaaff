/** What a soak found, in figures and in words. */

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export interface SoakReport {
  readonly gateways: number;
  readonly accounts: number;
  /** Of the split, in a coinbase that was sent. */
  readonly outputs: number;
  readonly jobs: number;
  readonly withoutSplit: number;
  readonly fillSeconds: number;
  readonly steadySeconds: number;
  /** Bytes of the pool's process. */
  readonly memory: {
    readonly rss: Spread;
    readonly heapUsed: Spread;
    readonly external: Spread;
    /** From start to end. */
    readonly peakRss: number;
    /** Medians of the four quarters of the steady state. */
    readonly quarters: readonly { readonly rss: number; readonly heapUsed: number; readonly external: number }[];
    /** Alive for each gateway after a full collection: once all jobs are held, and at the end. */
    readonly perGateway: { readonly filled: number | undefined; readonly end: number | undefined };
  };
  readonly shares: {
    readonly sent: number;
    readonly accepted: number;
    readonly tentative: number;
    /** By reason code. */
    readonly refused: Readonly<Record<number, number>>;
    readonly lost: number;
    readonly disconnects: number;
    /** Before the gateways came. */
    readonly seeded: number;
  };
  /** Milliseconds from a share to its answer, in steady state. */
  readonly latency: { readonly answers: number; readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number };
  /** Warnings in the pool's log, by their words. */
  readonly warnings: Readonly<Record<string, number>>;
  /** Last words of `openprime ledger check`. */
  readonly books: string;
  readonly booksAgree: boolean;
}

const MIB = 1024 * 1024;
const mib = (bytes: number): string => `${(bytes / MIB).toFixed(0)} MiB`;

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  return { min: at(0), median: at(sorted.length >> 1), max: at(sorted.length - 1) };
}

/** What is wrong with it; empty when all is well. `ceiling`: bytes of RSS, `perGateway`: bytes alive for each. */
export function problems(report: SoakReport, limits: { readonly ceiling?: number; readonly perGateway?: number }): string[] {
  const { memory, shares } = report;
  const found: string[] = [];
  const refused = Object.entries(shares.refused);
  if (refused.length > 0) found.push(`shares were refused: ${refused.map(([reason, count]) => `${count} × ${reason}`).join(", ")}`);
  if (shares.lost > 0 || shares.disconnects > 0)
    found.push(`${shares.disconnects} connections ended, ${shares.lost} shares were not answered`);
  if (report.withoutSplit > 0) found.push(`${report.withoutSplit} of ${report.jobs} jobs got no split`);
  if (!report.booksAgree) found.push(`the books: ${report.books}`);
  const rss = Math.max(memory.rss.max, memory.peakRss);
  if (limits.ceiling !== undefined && rss > limits.ceiling) found.push(`${mib(rss)} resident, the ceiling is ${mib(limits.ceiling)}`);
  for (const [when, bytes] of Object.entries(memory.perGateway)) {
    if (limits.perGateway === undefined) continue;
    if (bytes === undefined || bytes > limits.perGateway)
      found.push(`${bytes} bytes alive for a gateway (${when}), the ceiling is ${limits.perGateway}`);
  }
  return found;
}

export function describeSoak(report: SoakReport): string {
  const { memory, shares, latency } = report;
  const line = (name: string, { min, median, max }: Spread): string =>
    `${name.padEnd(10)} min ${mib(min).padStart(9)}   median ${mib(median).padStart(9)}   max ${mib(max).padStart(9)}`;
  const { filled, end } = memory.perGateway;
  return [
    `${report.gateways} gateways, splits of ${report.accounts} accounts (${report.outputs} in a coinbase), ${report.jobs} jobs`,
    `filled in ${report.fillSeconds.toFixed(0)} s, then ${report.steadySeconds} s of steady state:`,
    line("RSS", memory.rss),
    line("heap used", memory.heapUsed),
    line("external", memory.external),
    `RSS peak   ${mib(memory.peakRss)} from start to end`,
    ...memory.quarters.map(
      (one, i) => `quarter ${i + 1}: RSS ${mib(one.rss)}, heap ${mib(one.heapUsed)}, external ${mib(one.external)} (medians)`,
    ),
    ...(filled === undefined ? [] : [`alive for each gateway: ${filled} bytes when filled, ${end} at the end`]),
    `shares: ${shares.sent} sent, ${shares.accepted} accepted, ${shares.tentative} tentative, refused ${JSON.stringify(shares.refused)}, ${shares.lost} lost`,
    `${shares.disconnects} disconnects`,
    `answers: ${latency.p50} ms (median), ${latency.p95} ms (95 %), ${latency.p99} ms (99 %), ${latency.max} ms at most, of ${latency.answers}`,
    ...Object.entries(report.warnings).map(([words, count]) => `warning in the pool's log, ${count} times: ${words}`),
    report.books,
  ].join("\n");
}
