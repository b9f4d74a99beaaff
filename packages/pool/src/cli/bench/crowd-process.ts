/** Main program of the crowd: gateways that wait for the word and then all ask. */
import { loadCrypto } from "@openprime/datum";
import { Asker, type PoolPlace } from "./asker.js";
import type { CrowdOrder, CrowdReport } from "./coinbaser.js";

const AT_ONCE = 50;

const tell = (report: CrowdReport): void => {
  process.send?.(report);
};

const [, , place = "", gateways = ""] = process.argv;
const crypto = await loadCrypto();
const askers: Asker[] = [];
while (askers.length < Number(gateways)) {
  const count = Math.min(AT_ONCE, Number(gateways) - askers.length);
  askers.push(...(await Promise.all(Array.from({ length: count }, () => Asker.connect(crypto, JSON.parse(place) as PoolPlace)))));
}

process.on("message", ({ value, prevhash }: CrowdOrder) => {
  const hash = Buffer.from(prevhash, "hex");
  const started = performance.now();
  const ask = async (asker: Asker, i: number) => {
    const outputs = await asker.ask(BigInt(value) - BigInt(i), hash);
    return { outputs, ms: performance.now() - started };
  };
  void Promise.all(askers.map(ask)).then((answers) => {
    const ms = answers.map((answer) => answer.ms).sort((a, b) => a - b);
    tell({ type: "answered", outputs: answers.at(-1)?.outputs ?? 0, ms });
  });
});
process.on("disconnect", () => process.exit());
tell({ type: "connected" });
