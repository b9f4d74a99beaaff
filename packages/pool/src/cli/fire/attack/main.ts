/** `npm run attack`: each limit of the pool pushed by a hostile process, while a good gateway measures its answers. */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { ATTACKS } from "@openprime/simulator";
import { type AttackReport, type AttackRow, runAttacks } from "./run.js";

const USAGE = `npm run attack -- [options]
  --seconds N   of each attack, and of the quiet time before them (default 15)
  --only NAME   only this attack; may be given again
  --json        prints one JSON object on standard output
Attacks: ${ATTACKS.map(({ name }) => name).join(", ")}
Ends with 1 when the good gateway lost a share or its connection, or the books are wrong. Latencies are figures, not conditions.`;

/** @returns the exit code */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: "string", default: "15" },
      only: { type: "string", multiple: true },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const say = (line: string): void => void process.stderr.write(`attack: ${line}\n`);
  if (values.help) {
    say(USAGE);
    return 0;
  }
  const { only } = values;
  const report = await runAttacks({ seconds: Number(values.seconds), ...(only !== undefined && { only }) }, say);
  for (const line of describe(report)) say(line);
  if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  return report.findings.length === 0 ? 0 : 1;
}

const MOST_GUARDS = 4;

function describe(report: AttackReport): string[] {
  const quiet = report.rows[0]?.good;
  return [
    `on ${cpus().length} x ${cpus()[0]?.model ?? "unknown processor"}, Node.js ${process.version}; ${report.seconds} s each. The attacker is a process of its own, at a bounded`,
    "rate: on few processors it is the pool's guards that are measured, not who gets the processor. Latencies are those of the good gateway,",
    `20 shares a second, in milliseconds${quiet === undefined ? "" : `; quiet: p50 ${ms(quiet.p50)}, p95 ${ms(quiet.p95)}, p99 ${ms(quiet.p99)}`}.`,
    "attack                  per s   p50   p95   p99   max  lost  RSS MB     the pool's counters",
    ...report.rows.map(row),
    ...report.findings.map((finding) => `FINDING: ${finding}`),
    `good gateway: ${report.goodShares} shares acknowledged; ${report.inBooks} shares in the books; ${report.findings.length} findings`,
  ];
}

const ms = (value: number): string => value.toFixed(0);

function row({ attack, attacker, good, guards, rss }: AttackRow): string {
  const cells = [
    attack.padEnd(22),
    ms(attacker?.perSecond ?? 0).padStart(6),
    ...[good.p50, good.p95, good.p99, good.max, good.lost].map((value) => ms(value).padStart(5)),
    ` ${rss[0]} -> ${rss[1]}`.padEnd(13),
    Object.entries(guards)
      .slice(0, MOST_GUARDS)
      .map(([name, count]) => `${name}: ${count}`)
      .join(", "),
  ];
  return cells.join(" ");
}
