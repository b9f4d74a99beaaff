#!/usr/bin/env node
// `npm run fuzz`: see docs/testing-under-fire.md. V8 counts blocks only in code that it compiles after this, so it comes before every import.
import { Session } from "node:inspector";

const session = new Session();
session.connect();
session.post("Profiler.enable");
session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
const { main } = await import("../dist/cli/fire/fuzz.js");
process.exitCode = await main(process.argv.slice(2));
