// `npm run bench [-- shares|splits|mempool]`: measures, prints, asserts nothing.
import { bench } from "../dist/cli/bench/bench.js";

await bench(process.argv.slice(2), (line) => process.stdout.write(`${line}\n`));
