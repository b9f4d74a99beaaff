/** Follows how many shares of each gateway, and of the whole pool, are refused, and tells jumps. */
import { REJECT_REASONS } from "@openprime/datum";
import type { Alarm, NewNotice, NoticeBook } from "../ledger/index.js";
import { type Judged, type Jump, RefusalWatch } from "./refusals.js";
import type { GatewayFacts } from "./sight.js";

/** A jump that goes on is not told again for so long. */
const EPISODE_MS = 3_600_000;
const POOL = "refusals:pool";

interface Watched {
  readonly watch: RefusalWatch;
  last: Pick<GatewayFacts, "accepted" | "refused">;
}

const NAMES = new Map<number, string>(Object.entries(REJECT_REASONS).map(([name, { code }]) => [code, name]));

export class RefusalsWatch {
  readonly #gateways = new Map<bigint, Watched>();
  readonly #pool = new RefusalWatch();

  constructor(private readonly book: NoticeBook) {}

  /** @param accountsOf accounts whose workers came through a session lately, of those that want to know */
  async look(
    gateways: readonly GatewayFacts[],
    alarms: ReadonlyMap<string, Alarm>,
    accountsOf: (session: bigint) => readonly number[],
    now: number,
  ): Promise<void> {
    const notices: NewNotice[] = [];
    const raise: Alarm[] = [];
    const clear: string[] = [];
    const judge = (name: string, watch: RefusalWatch, tell: (jump: Jump, key: string) => NewNotice[]): void => {
      const told = alarms.get(name);
      if (told !== undefined) {
        if (now - told.since >= EPISODE_MS && watch.over()) clear.push(name);
        return;
      }
      const jump = watch.jump();
      if (jump === undefined) return;
      raise.push({ name, since: now, data: {} });
      notices.push(...tell(jump, `${name}:${now}`));
    };
    const here = new Set<bigint>();
    for (const facts of gateways) {
      const { sessionId, keyPrefix } = facts;
      here.add(sessionId);
      const name = `refusals:${sessionId}`;
      const watched = this.#watched(facts);
      const judged = since(watched.last, facts);
      watched.last = facts;
      watched.watch.add(judged, now, !alarms.has(name));
      this.#pool.add(judged, now, !alarms.has(POOL));
      judge(name, watched.watch, (jump, key) =>
        [undefined, ...accountsOf(sessionId)].map((account) => notice(key, "refusals.gateway", account, now, jump, { gateway: keyPrefix })),
      );
    }
    judge(POOL, this.#pool, (jump, key) => [notice(key, "refusals.pool", undefined, now, jump, {})]);
    for (const session of this.#gateways.keys()) if (!here.has(session)) this.#gateways.delete(session);
    clear.push(...[...alarms.values()].filter(({ name, since: at }) => gone(name, here) && now - at >= EPISODE_MS).map(({ name }) => name));
    await this.book.write({ notices, raise, clear });
  }

  #watched(facts: GatewayFacts): Watched {
    let watched = this.#gateways.get(facts.sessionId);
    if (watched === undefined) {
      // What it did before we looked is no event of these ten minutes.
      watched = { watch: new RefusalWatch(), last: facts };
      this.#gateways.set(facts.sessionId, watched);
    }
    return watched;
  }
}

const gone = (name: string, here: ReadonlySet<bigint>): boolean => /^refusals:\d+$/.test(name) && !here.has(BigInt(name.slice(9)));

/** What happened between two looks; a session that was forgotten meanwhile counts anew. */
function since(before: Watched["last"], after: Watched["last"]): Judged {
  const grown = (now: number, then: number): number => (now >= then ? now - then : now);
  const refused = Object.entries(after.refused).map(
    ([reason, count]) => [Number(reason), grown(count, before.refused[Number(reason)] ?? 0)] as const,
  );
  return { accepted: grown(after.accepted, before.accepted), refused: new Map(refused.filter(([, count]) => count > 0)) };
}

function notice(key: string, event: string, account: number | undefined, at: number, jump: Jump, more: object): NewNotice {
  const { shares, refused } = jump;
  const reasons = jump.reasons.map(({ reason, count }) => ({ reason, name: `${reason} ${NAMES.get(reason) ?? "unknown"}`, count }));
  const percent = Number(((100 * refused) / shares).toFixed(1));
  return { key: `${key}:${account ?? "operator"}`, event, account, at, data: { ...more, refused, shares, percent, minutes: 10, reasons } };
}
