/**
 * Sessions by the gateway's long-term key: what survives a connection. A gateway that returns gets the same prime id, job slots and splits.
 *
 * A connection is attached from its handshake on, but the session is its own only from its first frame with a valid MAC: whoever replays a
 * recorded HELLO never gets that far, and the connection that was there is not disturbed.
 */
import { type JobSlot, type RestoredWork, WorkSession } from "../work/index.js";
import { SessionBudgets } from "./budgets.js";
import { type MinimumBounds, MinimumController } from "./minimum-controller.js";
import type { GatewayLimits } from "./options.js";
import type { OpenedSession, SessionStore } from "./ports.js";
import { type AskableConnection, SessionSource, type SessionSourceModules } from "./session-source.js";
import { SessionStats } from "./session-stats.js";
import { SplitUse } from "./split-use.js";
import { CONTESTED, type Contender, Takeovers } from "./takeover.js";
import { TokenBucket } from "./token-bucket.js";

/** What a session needs of a connection. */
export interface SessionConnection extends AskableConnection, Contender {
  /** As the log has it. */
  readonly id: number;
  readonly address: string;
  readonly version: string;
  /** First 16 hex digits of the pool's key that its HELLO was sealed to. */
  readonly poolKeyPrefix: string | undefined;
  /** Milliseconds, pool clock. */
  readonly connectedAt: number;
  /** A newer connection of the same gateway proved itself. */
  takenOver(): void;
}

export class GatewaySession {
  /** The connection that proved itself last, while it lasts. */
  active: SessionConnection | undefined;
  /** Every connection that gave this gateway's key in its HELLO and still stands, the latest last. */
  readonly attached = new Set<SessionConnection>();
  detachedAt = 0;
  /** The `mark` of its work when that was saved last. */
  savedMark: number | undefined;
  /** The block that a split was last asked for. */
  askedPrevhash: Uint8Array | undefined;
  /** The books had work of it. */
  hadWork = false;
  readonly splitUse = new SplitUse();
  readonly takeovers: Takeovers;
  /** Asks whichever connection is the session's now, so that a second try after a reconnect reaches the gateway. */
  readonly source: SessionSource;

  constructor(
    /** Hex of the gateway's long-term Ed25519 key. */
    readonly key: string,
    readonly id: bigint,
    readonly primeId: number,
    readonly work: WorkSession,
    readonly stats: SessionStats,
    readonly coinbaserBudget: TokenBucket,
    readonly budgets: SessionBudgets,
    /** What its shares must be worth at least, after the work it brings. */
    readonly minimum: MinimumController,
    modules: Pick<SessionSourceModules, "monotonic" | "told">,
  ) {
    this.takeovers = new Takeovers(modules.monotonic());
    this.source = new SessionSource({ ...modules, gatewayKey: Buffer.from(key, "hex"), connection: () => this.active });
    work.source = this.source;
  }

  /** Whether its work has changed since it was saved. One that never had a share accepted has nothing to keep. */
  get unsaved(): boolean {
    return this.stats.acceptedWeight > 0n && this.work.mark !== this.savedMark;
  }

  /** Enough of the key to tell gateways apart in a log. */
  get keyPrefix(): string {
    return this.key.slice(0, 16);
  }

  /** Whether it has had a share accepted since it is in memory. */
  get hasWork(): boolean {
    return this.stats.acceptedWeight > 0n;
  }

  /** No stranger: it has had a share accepted, since it is in memory or before a restart. */
  get isProven(): boolean {
    return this.hasWork || this.hadWork;
  }

  /** Whether a share of that job could have paid a split: one with payees was given for it, and splits have been there for long. */
  splitWasGiven({ coinbaseValue, prevhash }: JobSlot["job"], monotonic: number): boolean {
    return this.splitUse.overdue(monotonic) && this.work.splitsFor(coinbaseValue, prevhash).length > 0;
  }

  /** Whether the gateway's node has that block for its tip, as far as its last job and its last question tell. */
  worksOn(prevhash: Uint8Array): boolean {
    return [this.work.latestPrevhash, this.askedPrevhash].some((latest) => latest !== undefined && Buffer.compare(latest, prevhash) === 0);
  }
}

export interface SessionRegistryModules {
  readonly store: SessionStore;
  /** Committed position of the share log, now. */
  readonly head: () => bigint;
  /** Keys (hex) of gateways that relay others' work. */
  readonly relays: ReadonlySet<string>;
  readonly now: () => number;
  readonly monotonic: () => number;
  readonly told: SessionSourceModules["told"];
}

export class SessionRegistry {
  /** Sessions in memory, connected or left. */
  readonly #sessions = new Map<string, GatewaySession>();
  readonly #opening = new Map<string, Promise<GatewaySession>>();

  constructor(
    private readonly limits: GatewayLimits,
    private readonly bounds: MinimumBounds,
    private readonly modules: SessionRegistryModules,
  ) {}

  get size(): number {
    return this.#sessions.size;
  }

  sessions(): Iterable<GatewaySession> {
    return this.#sessions.values();
  }

  /**
   * The session of that key, from memory or from the books. Two connections of one gateway at once get the same.
   *
   * @param onNew called once a gateway turns out to be new; whatever it throws keeps it from getting a session
   */
  open(longTermSignKey: Uint8Array, version: string, onNew: () => void): Promise<GatewaySession> {
    const key = Buffer.from(longTermSignKey).toString("hex");
    const known = this.#sessions.get(key);
    if (known !== undefined) return Promise.resolve(known);
    const pending = this.#opening.get(key);
    if (pending !== undefined) return pending;
    const opening = this.modules.store
      .open(longTermSignKey, version, onNew)
      .then((opened) => this.#enter(key, opened))
      .finally(() => this.#opening.delete(key));
    this.#opening.set(key, opening);
    return opening;
  }

  attach(session: GatewaySession, connection: SessionConnection): void {
    // It may have been dropped from memory between the answer of the books and now.
    this.#sessions.delete(session.key);
    this.#sessions.set(session.key, session);
    session.attached.add(connection);
  }

  /**
   * A connection that has just proved itself claims the session.
   *
   * @returns false when another one holds it and too many have taken it over lately: the connection hears of it later, by `wins` or `turnedAway`
   */
  claim(session: GatewaySession, connection: SessionConnection): boolean {
    if (session.active !== undefined && !session.takeovers.claim(connection, this.modules.monotonic())) return false;
    this.takeOver(session, connection);
    return true;
  }

  /** Makes the session this connection's own; the one that held it before hears of it. */
  takeOver(session: GatewaySession, connection: SessionConnection): void {
    const previous = session.active;
    session.active = connection;
    previous?.takenOver();
  }

  /** The holder of a contested session has sent something. */
  holderSpoke(session: GatewaySession): void {
    if (session.takeovers.holderSpoke()) session.source.tell(CONTESTED);
  }

  detach(session: GatewaySession, connection: SessionConnection): void {
    session.attached.delete(connection);
    session.takeovers.left(connection);
    if (session.active === connection) {
      session.active = undefined;
      session.takeovers.holderGone();
    }
    if (session.attached.size > 0) return;
    session.detachedAt = this.modules.monotonic();
    this.#sessions.delete(session.key);
    // One that never had a share accepted has no work to come back to: the books keep its prime id. So memory is held only for proven work.
    if (session.hasWork) this.#sessions.set(session.key, session);
    this.sweep();
  }

  /**
   * Forgets sessions left too long ago, and the longest left ones past the bound; none before the books have what it must come back to. That
   * bounds them too: without the books no new session is opened.
   */
  sweep(): void {
    const now = this.modules.monotonic();
    const detached = [...this.#sessions.values()].filter((session) => session.attached.size === 0 && !session.unsaved);
    detached.sort((a, b) => a.detachedAt - b.detachedAt);
    detached.forEach((session, index) => {
      const tooMany = detached.length - index > this.limits.detachedSessions;
      if (tooMany || now - session.detachedAt >= this.limits.sessionLifeMs) this.#sessions.delete(session.key);
    });
  }

  /** A minimum is kept for as long as a session that was left stays in memory; the rest says of itself what it is for. */
  #restored({ work }: OpenedSession, now: number): RestoredWork | undefined {
    if (work === undefined) return undefined;
    if (now - work.savedAt < this.limits.sessionLifeMs) return work.restored;
    return { ...work.restored, minimum: { targetByte: this.bounds.floor, earlier: [] } };
  }

  #enter(key: string, opened: OpenedSession): GatewaySession {
    const now = this.modules.now();
    const work = new WorkSession({
      sessionId: opened.id,
      primeId: opened.primeId,
      minimumTargetByte: this.bounds.floor,
      restored: this.#restored(opened, now),
      head: this.modules.head,
      relayed: this.modules.relays.has(key),
    });
    for (const split of opened.splits) work.addSplit(split, now);
    // The bounds may have been set anew since it was saved: what was announced before is good for its time.
    const within = Math.min(this.bounds.ceiling, Math.max(this.bounds.floor, work.minimumTargetByte));
    if (within !== work.minimumTargetByte) work.setMinimum(within, now);
    const steady = this.modules.monotonic();
    const budget = new TokenBucket(this.limits.coinbaserBurst, this.limits.coinbaserPerSecond, steady);
    const budgets = new SessionBudgets(this.limits, steady);
    const stats = new SessionStats(now);
    const minimum = new MinimumController(this.bounds, steady, within);
    const session = new GatewaySession(key, opened.id, opened.primeId, work, stats, budget, budgets, minimum, this.modules);
    session.detachedAt = steady;
    session.hadWork = opened.work !== undefined;
    this.#sessions.set(key, session);
    return session;
  }
}
