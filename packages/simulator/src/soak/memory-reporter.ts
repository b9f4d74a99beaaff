/** Loaded into the pool's process before its own program: tells the soak, once a second, how much memory it takes. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { MemorySample } from "./messages.js";

const EVERY_MS = 1000;

function tell(collected: boolean): void {
  if (!process.connected) return;
  const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
  process.send?.({ rss, heapUsed, heapTotal, external, collected } satisfies MemorySample, () => undefined);
}

setInterval(() => tell(false), EVERY_MS).unref();

// Any word asks for what is alive: a full collection first.
process.on("message", () => {
  setFlagsFromString("--expose_gc");
  const collect = runInNewContext("gc") as () => void;
  // The second one takes what finalisers of the first let go of.
  collect();
  setImmediate(() => {
    collect();
    tell(true);
  });
});
// The pool ends when it wants to, whoever listens.
process.channel?.unref();
