#!/usr/bin/env node
// `npm run faults`: see docs/testing-under-fire.md.
import { main } from "../dist/cli/fire/faults/main.js";

process.exitCode = await main(process.argv.slice(2));
