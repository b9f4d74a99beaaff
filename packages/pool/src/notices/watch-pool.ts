/** What the operator is told of the pool itself: conditions that hold for a while, told once when they begin and, where that is of use, when they end. */
import type { Alarm, NewNotice, NoticeBook } from "../ledger/index.js";
import type { NoticeEvent } from "./events.js";
import type { PoolSight } from "./sight.js";

interface Condition {
  /** Of the alarm. */
  readonly name: string;
  readonly event: NoticeEvent;
  /** What is told while it holds; undefined while it does not. */
  readonly data: object | undefined;
  /** How long it must hold before it is told. */
  readonly holdMs: number;
  /** What is told when it is over. */
  readonly end?: NoticeEvent;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Days before the end of the pool's key at which it is told. */
const KEY_DAYS = [14, 3, 1];
/** Part of the reserve that is left when it is told. */
const RESERVE_PART = 0.2;

export class PoolWatch {
  /** Since when conditions hold that were not told yet. */
  readonly #since = new Map<string, number>();

  constructor(
    private readonly book: NoticeBook,
    private readonly sight: PoolSight,
  ) {}

  /** Looks, and writes what is new. @param alarms what was told already */
  async look(alarms: ReadonlyMap<string, Alarm>, now: number): Promise<void> {
    const notices: NewNotice[] = [];
    const raise: Alarm[] = [];
    const clear: string[] = [];
    const conditions = await this.#conditions(now);
    const ended = goneNodes(alarms, conditions);
    for (const { name, event, data, holdMs, end } of conditions) {
      const told = alarms.get(name);
      if (data === undefined) {
        this.#since.delete(name);
        if (told === undefined) continue;
        clear.push(name);
        const since = new Date(told.since).toISOString();
        if (end !== undefined) notices.push(toOperator(`${name}:${told.since}:end`, end, now, { ...told.data, since }));
      } else if (told === undefined) {
        const since = this.#since.get(name) ?? now;
        this.#since.set(name, since);
        if (now - since < holdMs) continue;
        raise.push({ name, since, data });
        notices.push(toOperator(`${name}:${since}`, event, now, { ...data, since: new Date(since).toISOString() }));
      }
    }
    await this.book.write({ notices, raise, clear: [...clear, ...ended] });
  }

  async #conditions(now: number): Promise<Condition[]> {
    const { sight } = this;
    const [differences, stuck, reserve] = await Promise.all([sight.ledgerDifferences(), sight.booksStuck(), sight.reserve()]);
    const { prefix, until } = sight.key();
    return [
      ...sight.nodes().map(
        ({ name, state, why }): Condition => ({
          name: `node:${name}`,
          event: "node.aside",
          data: state === "good" || state === "unchecked" ? undefined : { node: name, state, ...(why !== undefined && { why }) },
          holdMs: MINUTE_MS,
          end: "node.good",
        }),
      ),
      {
        ...{ name: "ledger", event: "ledger.difference", holdMs: 0 },
        data: differences === undefined || differences === 0 ? undefined : { differences },
      },
      {
        ...{ name: "books", event: "books.stuck", holdMs: 5 * MINUTE_MS, end: "books.moving" },
        data: stuck === undefined ? undefined : { reason: stuck },
      },
      {
        ...{ name: "reserve", event: "reserve.low", holdMs: 0 },
        data:
          reserve !== undefined && (reserve.stopped || reserve.left <= RESERVE_PART * reserve.reserve) ? lowReserve(reserve) : undefined,
      },
      ...KEY_DAYS.map(
        (days): Condition => ({
          name: `key:${prefix}:${days}`,
          event: "key.ending",
          data:
            until === undefined || until - now > days * DAY_MS
              ? undefined
              : { key: prefix, until: new Date(until).toISOString(), days: Math.max(0, Math.ceil((until - now) / DAY_MS)) },
          holdMs: 0,
        }),
      ),
    ] satisfies Condition[];
  }
}

function lowReserve({ left, reserve, stopped }: { left: number; reserve: number; stopped: boolean }): object {
  return { left, reserve, ...(stopped && { stopped: "yes" }) };
}

/** Alarms of nodes and keys that are no longer there. */
function goneNodes(alarms: ReadonlyMap<string, Alarm>, conditions: readonly Condition[]): string[] {
  const names = new Set(conditions.map(({ name }) => name));
  return [...alarms.keys()].filter((name) => /^(node|key):/.test(name) && !names.has(name));
}

function toOperator(key: string, event: NoticeEvent, at: number, data: object): NewNotice {
  return { key, event, account: undefined, at, data };
}
