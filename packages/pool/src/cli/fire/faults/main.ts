/** `npm run faults`: a real pool under load, with everything going wrong around it. */
import { parseArgs } from "node:util";
import { type FaultReport, runFaults } from "./run.js";

const USAGE = `npm run faults -- [options]
  --rounds N       times that every fault is thrown (default 3)
  --seed N         another order (default 1)
  --gateways N     gateways under load (default 3)
  --only NAME      only this fault; may be given again
  --unprivileged   without what needs root: network namespaces and a small disk
  --json           prints one JSON object on standard output
Ends with 1 when something was lost, doubled or wrong.`;

/** @returns the exit code */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: "string", default: "3" },
      seed: { type: "string", default: "1" },
      gateways: { type: "string", default: "3" },
      only: { type: "string", multiple: true },
      unprivileged: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const say = (line: string): void => void process.stderr.write(`faults: ${line}\n`);
  if (values.help) {
    say(USAGE);
    return 0;
  }
  const { only } = values;
  const report = await runFaults(
    {
      rounds: Number(values.rounds),
      seed: Number(values.seed),
      gateways: Number(values.gateways),
      privileged: !values.unprivileged,
      ...(only !== undefined && { only }),
    },
    say,
  );
  for (const line of describe(report)) say(line);
  if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  return report.findings.length === 0 ? 0 : 1;
}

function describe(report: FaultReport): string[] {
  const { shares, blocks } = report;
  return [
    `seed ${report.seed}: ${report.thrown.length} faults in ${report.seconds.toFixed(0)} s, ${Object.keys(report.skipped).length} kinds skipped`,
    `shares: ${shares.sent} sent, ${shares.acknowledged} acknowledged, ${shares.inBooks} in the books; ${shares.lostAnswers} answers lost with their connection, ${shares.refusedForNow} times refused for now, ${shares.stale} stale`,
    `blocks: ${blocks.found} found, ${blocks.onChain} on the chain, ${blocks.orphaned} orphaned; ${report.connections} connections`,
    ...Object.entries(report.errors).map(([words, count]) => `logged as an error ${count} times: ${words}`),
    ...report.findings.map((finding) => `FINDING: ${finding}`),
    report.findings.length === 0 ? "the books are right" : `${report.findings.length} findings`,
  ];
}
