/** The interop command: `npm run interop -- --gateway PATH …`. Exit code 0 all well, 1 problems, 2 something is missing. */
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { SimulatorError } from "../errors.js";
import { describeReport, type InteropOptions, interop } from "./interop.js";

const USAGE = `Runs a real datum_gateway against the pool and reports what came of it.

  --gateway PATH         the datum_gateway program (needed)
  --bitcoind PATH        a bitcoind to run in regtest; otherwise the simulator's own nodes
  --minutes NUMBER       how long to mine (default 10)
  --threads NUMBER       hashing threads, each a miner of its own (default: all cores but one)
  --bits HEX             difficulty of blocks of the simulator's node (default 1b00ffff: shares only; 1d00ffff: every share is a block)
  --zero-bits NUMBER     zero bits that the gateway asks of a share (default 32; 1 for a gateway whose check was relaxed for tests)
  --pool-command TEXT    command of the pool (default: this repository's openprime)
  --json                 print the report as one JSON object

Gateway and pool have a node each, and the pool's is not told of all transactions. On bitcoind every share is a block: there no block reaches a
node in the first part of the run, so that templates live until they are judged; then the pool's node takes blocks, and at last both do. A template judged unsound is a problem, and none judged.
An unmodified gateway passes on only shares of 2^32 hashes: expect minutes for each.
`;

const openprime = fileURLToPath(new URL("../../../pool/bin/openprime.js", import.meta.url));

function positive(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new SimulatorError("interopMissing", `--${name}: a positive number expected, got ${text}`);
}

function readOptions(args: readonly string[]): { options: InteropOptions; json: boolean } | undefined {
  const string = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      gateway: string,
      bitcoind: string,
      minutes: string,
      threads: string,
      bits: string,
      "zero-bits": string,
      "pool-command": string,
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  if (values.gateway === undefined) {
    throw new SimulatorError("interopMissing", `--gateway PATH is missing: the datum_gateway program to try.\n\n${USAGE}`);
  }
  const [file, ...poolArgs] = values["pool-command"]?.trim().split(/\s+/) ?? [process.execPath, openprime];
  return {
    json: values.json,
    options: {
      gateway: values.gateway,
      bitcoind: values.bitcoind,
      minutes: positive("minutes", values.minutes, 10),
      threads: Math.ceil(positive("threads", values.threads, Math.max(1, availableParallelism() - 1))),
      bits: positive("bits", `0x${values.bits ?? "1b00ffff"}`, 0),
      zeroBits: positive("zero-bits", values["zero-bits"], 32),
      pool: { file: file!, args: poolArgs },
      say: (line) => process.stderr.write(`interop: ${line}\n`),
    },
  };
}

/** Runs the command; answers the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => stop.abort());
  try {
    const read = readOptions(args);
    if (read === undefined) {
      process.stdout.write(USAGE);
      return 0;
    }
    const report = await interop(read.options, stop.signal);
    process.stdout.write(`${read.json ? JSON.stringify(report) : describeReport(report)}\n`);
    return report.problems.length === 0 ? 0 : 1;
  } catch (error) {
    process.stderr.write(`interop: ${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof SimulatorError && error.code === "interopMissing" ? 2 : 1;
  }
}
