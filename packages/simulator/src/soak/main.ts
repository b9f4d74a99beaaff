/** The soak's command: `npm run soak -- --gateways 2000 --minutes 10`. Exit code 0 all well, 1 problems, 2 wrong use. */
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { SimulatorError } from "../errors.js";
import { describeSoak, problems } from "./report.js";
import { type SoakOptions, soak } from "./soak.js";

const USAGE = `Runs a pool under many gateways on this machine and tells how much memory it takes.

  --gateways NUMBER      gateways, each with eight jobs of two coinbases (default 2000)
  --accounts NUMBER      payees of each split (default 200)
  --minutes NUMBER       of steady state (default 10)
  --job-seconds NUMBER   between two jobs of a gateway (default 40)
  --share-seconds NUMBER between two shares of a gateway (default 7.5)
  --fill-seconds NUMBER  between the first eight jobs of a gateway (default 8)
  --processes NUMBER     that the gateways are divided over (default 2)
  --connects NUMBER      new connections a second (default 200)
  --ceiling MIB          a problem when the pool's resident memory is ever over it
  --bytes NUMBER         a problem when more is alive for each gateway after a full collection
  --json                 print the report as one JSON object
`;

const MIB = 1024 * 1024;

function positive(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new SimulatorError("loadFailed", `--${name}: a positive number expected, got ${text}`);
}

function readOptions(args: readonly string[]) {
  const string = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      gateways: string,
      accounts: string,
      minutes: string,
      "job-seconds": string,
      "share-seconds": string,
      "fill-seconds": string,
      processes: string,
      connects: string,
      ceiling: string,
      bytes: string,
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const options: SoakOptions = {
    gateways: Math.ceil(positive("gateways", values.gateways, 2000)),
    accounts: Math.ceil(positive("accounts", values.accounts, 200)),
    minutes: positive("minutes", values.minutes, 10),
    pace: {
      jobMs: positive("job-seconds", values["job-seconds"], 40) * 1000,
      fillMs: positive("fill-seconds", values["fill-seconds"], 8) * 1000,
      shareMs: positive("share-seconds", values["share-seconds"], 7.5) * 1000,
    },
    processes: Math.ceil(positive("processes", values.processes, 2)),
    connectsPerSecond: positive("connects", values.connects, 200),
    countBytes: values.bytes !== undefined,
    say: (line) => process.stderr.write(`soak: ${line}\n`),
  };
  const limits = {
    ...(values.ceiling !== undefined && { ceiling: positive("ceiling", values.ceiling, 0) * MIB }),
    ...(values.bytes !== undefined && { perGateway: positive("bytes", values.bytes, 0) }),
  };
  return { options, limits, json: values.json };
}

/** Runs the command; answers the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => stop.abort(new SimulatorError("loadFailed", "asked to end")));
  let read: ReturnType<typeof readOptions>;
  try {
    read = readOptions(args);
  } catch (error) {
    process.stderr.write(`soak: ${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return 2;
  }
  if (read === undefined) {
    process.stdout.write(USAGE);
    return 0;
  }
  const machine = `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? "unknown processor"}, ${Math.round(totalmem() / MIB)} MiB`;
  read.options.say(machine);
  try {
    const report = await soak(read.options, stop.signal);
    const wrong = problems(report, read.limits);
    if (read.json) process.stdout.write(`${JSON.stringify({ machine, ...report, problems: wrong })}\n`);
    else process.stdout.write(`${describeSoak(report)}\n${wrong.map((one) => `PROBLEM: ${one}\n`).join("")}`);
    return wrong.length === 0 ? 0 : 1;
  } catch (error) {
    process.stderr.write(`soak: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}
