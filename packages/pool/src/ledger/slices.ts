/** Long work in slices. Shares are judged in this thread: between two slices the event loop turns. */
import { setImmediate as breathe } from "node:timers/promises";

export { breathe };

/** Length of a slice. A step of the work may take it a little beyond. */
const SLICE_MS = 4;

/** Runs work that pauses often to its end. @throws what the work throws */
export async function inSlices<T>(steps: Generator<undefined, T>): Promise<T> {
  for (let until = performance.now() + SLICE_MS; ; ) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() < until) continue;
    await breathe();
    until = performance.now() + SLICE_MS;
  }
}
