/** Main program of a process with many light gateways. */
import { decodePublicKey, loadCrypto } from "@openprime/datum";
import { loadTemplate } from "../load/prepare.js";
import { Scanner } from "../mining/scanner.js";
import { soakUsernames } from "./accounts.js";
import { LightGateway } from "./light-gateway.js";
import type { SoakLoadOptions } from "./messages.js";
import { SoakTally } from "./tally.js";

const REPORT_MS = 1000;
const ACCOUNTS_PER_GATEWAY = 4;
/** What the last shares may take to be answered. */
const SETTLE_MS = 5000;

const options = JSON.parse(process.argv[2] ?? "{}") as SoakLoadOptions;
const crypto = await loadCrypto();
const scanner = new Scanner();
const tally = new SoakTally();
const template = loadTemplate(options.work);
const place = { host: options.host, port: options.port, poolPublicKey: decodePublicKey(options.poolPublicKey) };
const usernames = soakUsernames(options.accounts).map((name) => new TextEncoder().encode(name));

const gateways = Array.from({ length: options.gateways }, (_, i) => {
  const number = options.first + i;
  const own = Array.from({ length: ACCOUNTS_PER_GATEWAY }, (_, k) => usernames[(number * ACCOUNTS_PER_GATEWAY + k) % usernames.length]!);
  return new LightGateway({ number, place, usernames: own, pace: options.pace }, { crypto, scanner, template: () => template, tally });
});

const report = (): void => {
  process.send?.(tally.report());
};
const reporting = setInterval(report, REPORT_MS);
for (const [i, gateway] of gateways.entries()) setTimeout(() => gateway.connect(), (i * 1000) / options.connectsPerSecond);

process.on("message", () => {
  tally.over = true;
  for (const gateway of gateways) gateway.rest();
  setTimeout(() => {
    clearInterval(reporting);
    report();
    for (const gateway of gateways) gateway.close();
    if (process.connected) process.disconnect();
  }, SETTLE_MS);
});
process.on("disconnect", () => process.exit());
