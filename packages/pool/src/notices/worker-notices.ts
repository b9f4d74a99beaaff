/** Many workers of one account in one notice. */
import type { NewNotice } from "../ledger/index.js";

export interface SilentWorker {
  readonly worker: number;
  readonly account: number;
  /** Of its last share before the silence, milliseconds. */
  readonly since: number;
}

/** Named one by one in a notice; the rest is counted. */
const MOST_NAMED = 50;
/** What a worker without a name of its own is called. */
const NAMELESS = "(no name)";

/** One notice for each account. @param names of workers by id */
export function workersNotices(
  event: "workers.offline" | "workers.online",
  workers: readonly SilentWorker[],
  names: ReadonlyMap<number, { readonly address: string; readonly name: string }>,
  now: number,
): NewNotice[] {
  const accounts = new Map<number, SilentWorker[]>();
  for (const one of workers) accounts.set(one.account, [...(accounts.get(one.account) ?? []), one]);
  return [...accounts].map(([account, own]) => {
    const address = names.get(own[0]?.worker ?? 0)?.address;
    const list = own.slice(0, MOST_NAMED).map(({ worker, since }) => ({
      name: names.get(worker)?.name || NAMELESS,
      since: new Date(since).toISOString(),
    }));
    const data = {
      account: address,
      count: own.length,
      workers: list,
      ...(own.length > MOST_NAMED && { more: own.length - MOST_NAMED }),
    };
    return { key: `${event}:${account}:${now}`, event, account, at: now, data };
  });
}
