/**
 * Socket activation: systemd listens, and hands the socket to the pool when it starts it (sd_listen_fds(3)). While the pool is restarted the
 * socket stands, so gateways that come back meanwhile wait a moment instead of being refused.
 */

/** systemd hands sockets over from this number on. */
const FIRST_FD = 3;

/** The socket that was handed to this process; undefined when there is none. The first one counts. */
export function inheritedSocket(env: Readonly<Record<string, string | undefined>>, pid: number): number | undefined {
  // Else they are for the process that started us.
  if (env.LISTEN_PID !== String(pid) || !(Number(env.LISTEN_FDS) >= 1)) return undefined;
  return FIRST_FD;
}
