/** Waiting for what will be, without fixed pauses. */
import { setTimeout as sleep } from "node:timers/promises";

const LOOK_MS = 10;

/** Looks every few milliseconds until `look` gives something other than undefined or false; fails, saying what, after `limitMs`. */
export async function until<T>(what: string, look: () => T | Promise<T>, limitMs = 30_000): Promise<Exclude<T, undefined | false>> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen as Exclude<T, undefined | false>;
    if (Date.now() > deadline) throw new Error(`waited ${limitMs} ms in vain: ${what}`);
    await sleep(LOOK_MS);
  }
}
