#!/usr/bin/env node
// `npm run attack`: see docs/testing-under-fire.md.
import { main } from "../dist/cli/fire/attack/main.js";

process.exitCode = await main(process.argv.slice(2));
