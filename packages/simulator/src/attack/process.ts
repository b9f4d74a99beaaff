/** Main program of the process that attacks: one attack, at its rate, for its time. */
import { NodeClient } from "@openprime/bitcoin";
import { loadCrypto } from "@openprime/datum";
import { readTemplate } from "../gateway/template.js";
import { ATTACKS } from "./attacks.js";
import { Hostile } from "./hostile.js";
import type { AttackMessage, AttackOrder } from "./messages.js";

const TICK_MS = 20;

const tell = (message: AttackMessage): void => void process.send?.(message);

async function attack(order: AttackOrder): Promise<void> {
  const found = ATTACKS.find(({ name }) => name === order.attack);
  if (found === undefined) throw new Error(`no such attack: ${order.attack}`);
  const node = new NodeClient(order.node);
  const template = readTemplate(await node.blockTemplate());
  await node.close();
  const hostile = new Hostile(await loadCrypto(), order.place, order.network);
  const act = await found.begin(hostile, template);
  tell({ type: "begun" });
  const started = performance.now();
  let due = 0;
  let last = started;
  for (let now = started; now - started < order.seconds * 1000; now = performance.now()) {
    // What could not be done in time is not made up for: the rate is a bound.
    due = Math.min(found.rate / 10, due + ((now - last) / 1000) * found.rate);
    last = now;
    for (; due >= 1; due--) if (await act()) hostile.counts.actions += 1;
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  const { actions, connections, closed, accepted } = hostile.counts;
  tell({ type: "done", tally: { perSecond: actions / order.seconds, actions, connections, closed, accepted, refused: hostile.refused } });
  hostile.end();
  process.disconnect?.();
}

process.on("disconnect", () => process.exit());
attack(JSON.parse(process.argv[2] ?? "{}") as AttackOrder).catch((error: unknown) => {
  tell({ type: "failed", message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  process.exitCode = 1;
  process.disconnect?.();
});
