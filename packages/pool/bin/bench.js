// `npm run bench`: measures, prints, asserts nothing.
import { bench } from "../dist/cli/bench/bench.js";

await bench((line) => process.stdout.write(`${line}\n`));
