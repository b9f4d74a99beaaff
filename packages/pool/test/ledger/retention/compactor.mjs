// A process of its own for kill.test.ts: publishes closed segments and compacts old rounds, over and over, beside the pool that writes the log.
// Usage: node compactor.mjs '<database options as JSON>' <published folder> <keep>. Lines on stdout: "begin" before each run of the retention.
// It runs the built program (dist/), because a killed process must be a real one.
import { LogFiles, openBooks, Retention } from "../../../dist/ledger/index.js";

const [options, dir, keep] = process.argv.slice(2);
const say = (level) => (fields, message) => process.stderr.write(`${level} ${message} ${JSON.stringify(fields)}\n`);
const logger = { info: say("info"), warn: say("warn"), error: say("error") };
const database = await openBooks(JSON.parse(options), { log: logger });
const files = new LogFiles({ dir, network: "regtest" }, { database, logger });
const retention = new Retention(
  { keep: keep === "rounds" ? keep : Number(keep), minAgeMs: -3_600_000, newestTips: 2 },
  { database, logger, now: Date.now },
);
for (;;) {
  await files.catchUp();
  process.stdout.write("begin\n");
  await retention.run();
}
