/** `npm run fuzz`: mutated inputs for every decoder of the wire, in both roles, and for the connection's state machine behind a real socket. */
import { parseArgs } from "node:util";
import { loadCrypto } from "@openprime/datum";
import { Coverage, decoderTargets, type FuzzReport, fuzz, type Target } from "@openprime/simulator";
import { connectionTarget } from "./connection-target.js";

const USAGE = `npm run fuzz -- [options]
  --inputs N     mutated inputs of all targets together (default 100000)
  --seconds N    ends sooner than that
  --seed N       another order of choices (default 1)
  --target NAME  only this one; may be given again
  --input HEX    runs this one input of the one target, and nothing else
  --save         writes inputs that reached something new to packages/simulator/corpus
  --json         prints one JSON object on standard output
Ends with 1 when a property did not hold.`;

const WATCHED = /\/packages\/(datum|bitcoin|pool)\/dist\/(?!cli\/)/;

/** @returns the exit code */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      inputs: { type: "string", default: "100000" },
      seconds: { type: "string" },
      seed: { type: "string", default: "1" },
      target: { type: "string", multiple: true },
      input: { type: "string" },
      save: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const say = (line: string): void => void process.stderr.write(`fuzz: ${line}\n`);
  if (values.help) {
    say(USAGE);
    return 0;
  }
  const all: readonly Target[] = [...decoderTargets(), await connectionTarget(await loadCrypto())];
  const targets = values.target === undefined ? all : all.filter(({ name }) => values.target?.includes(name));
  if (targets.length === 0) {
    say(`no such target; there are ${all.map(({ name }) => name).join(", ")}`);
    return 2;
  }
  if (values.input !== undefined) {
    const [only] = targets;
    await only?.run(new Uint8Array(Buffer.from(values.input, "hex")));
    for (const target of all) await target.close?.();
    say("every property holds");
    return 0;
  }
  const coverage = new Coverage((url) => WATCHED.test(url));
  const report = await fuzz(
    targets,
    {
      inputs: Number(values.inputs),
      seed: Number(values.seed),
      save: values.save,
      ...(values.seconds !== undefined && { seconds: Number(values.seconds) }),
    },
    coverage,
    say,
  );
  coverage.stop();
  for (const line of describe(report)) say(line);
  if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  return report.findings.length === 0 ? 0 : 1;
}

function describe(report: FuzzReport): string[] {
  const rows = report.targets.map(
    ({ target, inputs, perSecond, corpus, figures }) =>
      `${target.padEnd(18)} ${String(inputs).padStart(9)} inputs ${String(perSecond).padStart(7)}/s ${String(corpus).padStart(5)} kept  ${Object.entries(
        figures,
      )
        .map(([name, count]) => `${name} ${count}`)
        .join(", ")}`,
  );
  return [
    ...rows,
    `seed ${report.seed}: ${report.inputs} inputs in ${report.seconds.toFixed(0)} s, ${report.findings.length} findings`,
    `coverage: ${report.coverage.functions} functions ran, ${report.coverage.percent.toFixed(1)} % of their text`,
    `memory after collection: heap ${report.heap.start} -> ${report.heap.highest} MB at most, rss ${report.rss.start} -> ${report.rss.highest} MB`,
  ];
}
