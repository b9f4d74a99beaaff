/** Ctrl-C and SIGTERM: the first asks a command to end, the second ends the process. */

/** One Ctrl-C can come twice: from the terminal, and forwarded by npm or npx a few milliseconds later. */
const SAME_CTRL_C_MS = 500;
const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/**
 * Listens for both signals of `target`, which is the process.
 *
 * @param now a steady clock, milliseconds
 * @returns fires at the first signal; the next one that is not its echo ends the process at once, as if nobody listened
 */
export function endSignal(target: Pick<NodeJS.Process, "on" | "off" | "kill" | "pid">, now: () => number): AbortSignal {
  const stop = new AbortController();
  let firstAt = 0;
  const asked = (signal: NodeJS.Signals): void => {
    if (!stop.signal.aborted) {
      firstAt = now();
      stop.abort(signal);
    } else if (now() - firstAt >= SAME_CTRL_C_MS) {
      for (const name of SIGNALS) target.off(name, asked);
      target.kill(target.pid, signal);
    }
  };
  for (const name of SIGNALS) target.on(name, asked);
  return stop.signal;
}
