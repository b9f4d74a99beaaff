#!/usr/bin/env node
// The `openprime` command. Plain old JavaScript, so that an old Node.js can still read what it lacks.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const entry = new URL("../dist/cli/main.js", import.meta.url);

if (Number(process.versions.node.split(".")[0]) < 20) {
  process.stderr.write(`openprime: Node.js 20 or newer is needed, this is ${process.version}\n`);
  process.exitCode = 1;
} else if (!existsSync(fileURLToPath(entry))) {
  process.stderr.write("openprime: it is not built yet\n  what to do: npm run setup\n");
  process.exitCode = 1;
} else {
  const { main } = await import(entry.href);
  await main();
}
