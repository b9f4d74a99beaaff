/**
 * Workers and gateways that fall silent, and come back. Their shares are read from the committed log now and then, so that the share path knows nothing of
 * it, and a restart goes on where the last run stopped. A silence counts only while the pool listens and looks: time in which it could hear nobody says
 * nothing about anybody.
 */
import { setImmediate as breathe } from "node:timers/promises";
import type { Alarm, NewNotice, NoticeBook, NoticeReceiver, PaceRow, WorkDone } from "../ledger/index.js";
import { Pace, type Shares } from "./pace.js";
import type { GatewayFacts } from "./sight.js";
import { type SilentWorker, workersNotices } from "./worker-notices.js";

export interface WorkWatchOptions {
  /** How long a gateway may be without a connection before that is told, milliseconds. */
  readonly gatewayAwayMs: number;
  /** Between looks; a pause of three times that is one in which nobody was heard. */
  readonly pollMs: number;
}

/** Past it new ones are not watched. */
const MOST_WATCHED = 100_000;
/** Who was silent for so long is forgotten. */
const FORGET_MS = 14 * 86_400_000;
const SAVE_MS = 300_000;
/** A log of so many unread positions is not read: it would be the past of a pool that had nobody to tell. */
const MOST_UNREAD = 2_000_000n;
/** Workers that are looked at before the event loop turns. */
const PIECE = 500;

interface Watched {
  readonly kind: PaceRow["kind"];
  readonly id: bigint;
  readonly account: number | undefined;
  session: bigint;
  readonly pace: Pace;
  changed: boolean;
}

export class WorkWatch {
  readonly #workers = new Map<number, Watched>();
  readonly #gateways = new Map<bigint, Watched>();
  /** Gateways without a connection: since when, and how many of their workers came elsewhere meanwhile. */
  readonly #absent = new Map<bigint, { readonly since: number; left: number }>();
  readonly #returned = new Map<bigint, number>();
  #position: bigint | undefined;
  #lookedAt = 0;
  #heardSince = 0;
  #savedAt = 0;

  constructor(
    private readonly options: WorkWatchOptions,
    private readonly book: NoticeBook,
  ) {}

  get counts(): { readonly worker: number; readonly gateway: number } {
    return { worker: this.#workers.size, gateway: this.#gateways.size };
  }

  /** Accounts of workers that came through a session last. */
  accountsOf(session: bigint): number[] {
    const accounts = [...this.#workers.values()].flatMap((worker) => (worker.session === session ? (worker.account ?? []) : []));
    return [...new Set(accounts)];
  }

  /** Looks, and writes what is new. Rejects with the database's errors; the next look then does it all. */
  async look(
    gateways: readonly GatewayFacts[],
    receivers: readonly NoticeReceiver[],
    alarms: ReadonlyMap<string, Alarm>,
    now: number,
  ): Promise<void> {
    const wanted = wantedAccounts(receivers);
    if (wanted !== undefined && wanted.length === 0) {
      this.#forgetAll();
      return;
    }
    if (this.#position === undefined) await this.#begin(now);
    if (now - this.#lookedAt > 3 * this.options.pollMs) this.#heardSince = now;
    const head = await this.book.head();
    const changes = { notices: [] as NewNotice[], raise: [] as Alarm[], clear: [] as string[] };
    const facts = new Map(gateways.map((gateway) => [gateway.sessionId, gateway]));
    const back = await this.#take(head, wanted, alarms, now);
    const telling = new Map([...alarms].filter(([name]) => !back.includes(name)));
    await this.#gatewaysBack(back, alarms, changes, receivers, now);
    await this.#gatewaysSilent(facts, telling, changes, receivers, now);
    const covered = new Set([...telling.keys(), ...changes.raise.map(({ name }) => name)]);
    const silent = await this.#silentWorkers(facts, telling, covered, receivers, now);
    const returned = back.flatMap((name) => workerOf(name, alarms));
    const names = await this.book.workerNames([...silent, ...returned].map(({ worker }) => worker));
    changes.notices.push(
      ...workersNotices("workers.offline", silent, names, now),
      ...workersNotices("workers.online", returned, names, now),
    );
    changes.raise.push(...silent.map(({ worker, account, since }) => ({ name: `worker:${worker}`, since, data: { account } })));
    changes.clear.push(...back);
    await this.book.write(changes);
    this.#position = head;
    this.#lookedAt = now;
    this.#forgetOld(now, facts);
    if (now - this.#savedAt >= SAVE_MS) await this.save(now);
  }

  /** Keeps what was learned. */
  async save(now: number): Promise<void> {
    if (this.#position === undefined) return;
    const changed = [...this.#workers.values(), ...this.#gateways.values()].filter((one) => one.changed);
    await this.book.savePaces(changed.map(rowOf), this.#position, now - FORGET_MS);
    for (const one of changed) one.changed = false;
    this.#savedAt = now;
  }

  async #begin(now: number): Promise<void> {
    const stored = await this.book.position();
    const head = await this.book.head();
    for (const row of await this.book.paces()) {
      const { kind, id, account, session, shares, seconds, weight, shareWeight, lastAt } = row;
      const pace = Object.assign(new Pace(), { shares, seconds, weight, shareWeight, lastAt });
      const watched = { kind, id, account, session, pace, changed: false };
      if (kind === "worker") this.#workers.set(Number(id), watched);
      else this.#gateways.set(id, watched);
    }
    this.#position = head - stored > MOST_UNREAD ? head : stored;
    this.#savedAt = now;
  }

  /** Takes new shares in. @returns alarms that they end */
  async #take(head: bigint, wanted: readonly number[] | undefined, alarms: ReadonlyMap<string, Alarm>, now: number): Promise<string[]> {
    const workers = new Map<number, WorkDone>();
    const sessions = new Map<bigint, WorkDone>();
    await this.book.workDone(this.#position ?? head, head, wanted, (work) => {
      workers.set(work.worker, together(workers.get(work.worker), work));
      sessions.set(work.session, together(sessions.get(work.session), work));
    });
    const back = new Set<string>();
    const add = <K>(map: Map<K, Watched>, key: K, fresh: Omit<Watched, "pace" | "changed">, shares: Shares): void => {
      let watched = map.get(key);
      if (watched === undefined) {
        if (map.size >= MOST_WATCHED) return;
        watched = { ...fresh, pace: new Pace(), changed: true };
        map.set(key, watched);
      }
      const name = `${fresh.kind}:${fresh.id}`;
      const told = alarms.has(name);
      if (told) back.add(name);
      watched.pace.add(shares, told || watched.pace.lastAt < this.#heardSince);
      watched.changed = true;
      if (watched.session !== fresh.session) {
        const absent = this.#absent.get(watched.session);
        if (absent !== undefined) absent.left += 1;
        watched.session = fresh.session;
      }
    };
    await inPieces(workers, ([worker, work]) => {
      const { account, session } = work;
      add(this.#workers, worker, { kind: "worker", id: BigInt(worker), account, session }, sharesOf(work));
    });
    await inPieces(sessions, ([session, work]) => {
      if (alarms.has(`gateway:${session}`)) this.#returned.set(session, now);
      add(this.#gateways, session, { kind: "gateway", id: session, account: undefined, session }, sharesOf(work));
    });
    return [...back];
  }

  async #gatewaysBack(
    back: readonly string[],
    alarms: ReadonlyMap<string, Alarm>,
    changes: { notices: NewNotice[] },
    receivers: readonly NoticeReceiver[],
    now: number,
  ): Promise<void> {
    for (const name of back.filter((one) => one.startsWith("gateway:"))) {
      const told = alarms.get(name);
      if (told !== undefined) changes.notices.push(...this.#ofGateway("gateway.online", BigInt(name.slice(8)), told, receivers, now));
    }
  }

  async #gatewaysSilent(
    facts: ReadonlyMap<bigint, GatewayFacts>,
    alarms: ReadonlyMap<string, Alarm>,
    changes: { notices: NewNotice[]; raise: Alarm[]; clear: string[] },
    receivers: readonly NoticeReceiver[],
    now: number,
  ): Promise<void> {
    const silent: { session: bigint; since: number; why: string }[] = [];
    const behind = new Map<bigint, number>();
    await inPieces(this.#workers.values(), ({ session }) => behind.set(session, (behind.get(session) ?? 0) + 1));
    for (const [session, { pace }] of this.#gateways) {
      const connected = facts.get(session);
      const name = `gateway:${session}`;
      if (connected !== undefined) this.#absent.delete(session);
      else if (!this.#absent.has(session)) this.#absent.set(session, { since: now, left: 0 });
      const absent = this.#absent.get(session);
      // A gateway makes new keys whenever it is started: one whose workers came elsewhere is there, under another key.
      const workers = behind.get(session) ?? 0;
      if (workers === 0 || (absent !== undefined && absent.left >= workers)) {
        this.#gateways.delete(session);
        this.#absent.delete(session);
        const told = alarms.get(name);
        if (told === undefined) continue;
        changes.clear.push(name);
        changes.notices.push(...this.#ofGateway("gateway.online", session, told, receivers, now));
        continue;
      }
      if (alarms.has(name)) continue;
      const heard = Math.max(pace.lastAt, this.#heardSince);
      if (absent !== undefined && now - Math.max(absent.since, this.#heardSince) >= this.options.gatewayAwayMs) {
        silent.push({ session, since: pace.lastAt, why: "it is not connected" });
      } else if (connected !== undefined && now - heard >= pace.silence(connected.minimum)) {
        silent.push({ session, since: pace.lastAt, why: "it is connected, but sends no shares" });
      }
    }
    const keys = await this.book.gatewayKeys(silent.map(({ session }) => session));
    for (const { session, since, why } of silent) {
      const data = { gateway: keys.get(session) ?? `session ${session}`, since: new Date(since).toISOString(), why };
      const alarm = { name: `gateway:${session}`, since, data };
      changes.raise.push(alarm);
      changes.notices.push(...this.#ofGateway("gateway.offline", session, alarm, receivers, now));
    }
  }

  /** To the operator, and to the accounts whose workers came through it. */
  #ofGateway(event: string, session: bigint, told: Alarm, receivers: readonly NoticeReceiver[], now: number): NewNotice[] {
    const accounts = this.accountsOf(session).filter((account) => wants(receivers, account, event));
    return [undefined, ...accounts].map((account) => ({
      key: `${event}:${session}:${told.since}:${account ?? "operator"}`,
      ...{ event, account, at: now, data: { ...told.data, workers: this.#workersOf(session, account) } },
    }));
  }

  #workersOf(session: bigint, account?: number): number {
    let count = 0;
    for (const worker of this.#workers.values()) {
      if (worker.session === session && (account === undefined || worker.account === account)) count += 1;
    }
    return count;
  }

  async #silentWorkers(
    facts: ReadonlyMap<bigint, GatewayFacts>,
    alarms: ReadonlyMap<string, Alarm>,
    covered: ReadonlySet<string>,
    receivers: readonly NoticeReceiver[],
    now: number,
  ): Promise<SilentWorker[]> {
    const silent: SilentWorker[] = [];
    const wanting = new Set(receivers.flatMap(({ account, events }) => (events.includes("workers.offline") ? (account ?? []) : [])));
    await inPieces(this.#workers, ([worker, { account, session, pace }]) => {
      if (account === undefined || !wanting.has(account) || alarms.has(`worker:${worker}`)) return;
      // Its account was told of the whole gateway.
      if (covered.has(`gateway:${session}`) && wants(receivers, account, "gateway.offline")) return;
      const heard = Math.max(pace.lastAt, this.#heardSince, this.#returned.get(session) ?? 0);
      if (now - heard >= pace.silence(facts.get(session)?.minimum ?? 0)) silent.push({ worker, account, since: pace.lastAt });
    });
    return silent;
  }

  #forgetOld(now: number, facts: ReadonlyMap<bigint, GatewayFacts>): void {
    for (const map of [this.#workers, this.#gateways] as Map<unknown, Watched>[]) {
      for (const [key, { pace }] of map) if (now - pace.lastAt > FORGET_MS) map.delete(key);
    }
    for (const session of this.#absent.keys()) if (!this.#gateways.has(session)) this.#absent.delete(session);
    for (const session of this.#returned.keys()) if (!facts.has(session)) this.#returned.delete(session);
  }

  #forgetAll(): void {
    this.#workers.clear();
    this.#gateways.clear();
    this.#absent.clear();
    this.#returned.clear();
    this.#position = undefined;
  }
}

/** Accounts whose work is looked at: undefined for all, as the operator wants to know of gateways. */
function wantedAccounts(receivers: readonly NoticeReceiver[]): number[] | undefined {
  const watching = receivers.filter(
    ({ events, disabledAt }) => disabledAt === undefined && events.some((event) => /^(workers|gateway|refusals\.gateway)/.test(event)),
  );
  if (watching.some(({ account }) => account === undefined)) return undefined;
  return [...new Set(watching.flatMap(({ account }) => account ?? []))];
}

function wants(receivers: readonly NoticeReceiver[], account: number, event: string): boolean {
  return receivers.some((receiver) => receiver.account === account && receiver.events.includes(event));
}

/** The worker of an alarm that is over. */
function workerOf(name: string, alarms: ReadonlyMap<string, Alarm>): SilentWorker[] {
  const alarm = alarms.get(name);
  if (alarm === undefined || !name.startsWith("worker:")) return [];
  const { account } = alarm.data as { account: number };
  return [{ worker: Number(name.slice(7)), account, since: alarm.since }];
}

/** What one worker did through several sessions, or one session for several workers: of the latest. */
function together(one: WorkDone | undefined, other: WorkDone): WorkDone {
  if (one === undefined) return other;
  return {
    ...(other.lastAt > one.lastAt ? other : one),
    shares: one.shares + other.shares,
    weight: one.weight + other.weight,
    shareWeight: Math.max(one.shareWeight, other.shareWeight),
    firstAt: Math.min(one.firstAt, other.firstAt),
  };
}

const sharesOf = ({ shares, ...work }: WorkDone): Shares => ({ ...work, count: shares });

/** Does something for each of many, and lets the thread judge shares in between. */
async function inPieces<T>(items: Iterable<T>, use: (item: T) => void): Promise<void> {
  let done = 0;
  for (const item of items) {
    use(item);
    if (++done % PIECE === 0) await breathe();
  }
}

function rowOf({ kind, id, account, session, pace }: Watched): PaceRow {
  const { shares, seconds, weight, shareWeight, lastAt } = pace;
  return { kind, id, account, session, shares, seconds, weight, shareWeight, lastAt };
}
