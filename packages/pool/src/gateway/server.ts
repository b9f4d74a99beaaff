/** The TCP listener: accepts gateways, bounds how many, runs their timers and closes in good order. */
import { createServer, type Server, type Socket } from "node:net";
import { type DatumCrypto, generateSessionKeys, PoolChannel, type SessionKeys } from "@openprime/datum";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { Parent } from "../work/index.js";
import { addressKey, plainAddress, prefixKey } from "./address-key.js";
import { AddressList } from "./address-list.js";
import { Admission, type AdmissionRefusal, type Origin } from "./admission.js";
import { Bans } from "./bans.js";
import { type CloseReason, Connection, type ConnectionContext } from "./connection.js";
import { GatewayList } from "./gateway-list.js";
import { HandshakeQueue } from "./handshake-queue.js";
import { KeyedBuckets } from "./keyed-buckets.js";
import { KnownAddresses } from "./known-addresses.js";
import { LogLimiter } from "./log-limiter.js";
import { GatewayMetrics, type HandshakeOutcome } from "./metrics.js";
import { checkOptions, DEFAULT_LIMITS, type GatewayLimits, type GatewayServerOptions, minimumBounds } from "./options.js";
import { type PoolLongTermKeys, poolKeyPrefix, watchPoolKeys } from "./pool-keys.js";
import type { BlockSink, Judge, SessionStore, ShareSink, SplitSource } from "./ports.js";
import { ProxiedSocket, type ProxyOutcome } from "./proxied-socket.js";
import { SeenHellos } from "./seen-hellos.js";
import { SessionKeeper } from "./session-keeper.js";
import { type GatewaySession, SessionRegistry } from "./session-registry.js";
import type { WorkerSnapshot } from "./session-stats.js";
import { StrangersTurns } from "./strangers-turns.js";

export interface GatewayServerModules {
  readonly crypto: DatumCrypto;
  /** The pool's long-term keys, the present one first; older ones, and the next one, still open a HELLO. */
  readonly longTermKeys: readonly PoolLongTermKeys[];
  readonly judge: Judge;
  readonly sink: ShareSink;
  readonly splits: SplitSource;
  readonly blocks: BlockSink;
  readonly sessions: SessionStore;
  /** Committed position of the share log, now: what work without a split is pinned to. */
  readonly head: () => bigint;
  readonly log: Logger;
  readonly metrics: Registry;
  /** Pool clock, milliseconds. */
  readonly now: () => number;
  /** A clock that is never set, milliseconds: deadlines and latencies. */
  readonly monotonic?: () => number;
  /** From 0 to 1. */
  readonly random?: () => number;
}

/** One connected gateway, for the live table and the API. */
export interface GatewaySnapshot {
  readonly sessionId: bigint;
  readonly primeId: number;
  /** First 16 hex digits of the gateway's long-term key. */
  readonly keyPrefix: string;
  /** Likewise of the pool's key that the gateway is configured with: who still uses an old one. */
  readonly poolKeyPrefix: string;
  readonly version: string;
  /** Number of its connection, as the log has it. */
  readonly connection: number;
  readonly address: string;
  /** Milliseconds, pool clock. */
  readonly connectedAt: number;
  /** A frame of this connection has passed its MAC. */
  readonly proven: boolean;
  readonly accepted: number;
  readonly tentative: number;
  /** Accepted or tentative, on a block that the chain had passed a moment ago. */
  readonly late: number;
  /** Likewise, paying all to the pool although the gateway had a split. */
  readonly splitUnused: number;
  /** The gateway has had splits for long and never takes one. */
  readonly ignoresSplit: boolean;
  /** What its shares must be worth at least, in units of the network's difficulty one. */
  readonly minimumDifficulty: bigint;
  readonly refusedByReason: Readonly<Record<number, number>>;
  /** Since the session is in memory, in units of the network's difficulty one. */
  readonly acceptedWeight: bigint;
  /** Weight of the last `recentSeconds`: hash rate = recentWeight × hashes per difficulty one / recentSeconds. */
  readonly recentWeight: number;
  readonly recentSeconds: number;
  readonly workerCount: number;
  /** Those with the most recent weight, as many as were asked for. */
  readonly workers: readonly WorkerSnapshot[];
}

/** How much of a snapshot is made: thousands of gateways with their workers take a tenth of a second of the share path's thread. */
export interface SnapshotOptions {
  /** Gateways; all by default. */
  readonly most?: number;
  /** Workers of each; ten by default. */
  readonly workers?: number;
}

export interface GatewayTotals {
  readonly gateways: number;
  readonly workers: number;
  /** Over the last minutes, in units of the network's difficulty one. */
  readonly weightPerSecond: number;
}

const TOP_WORKERS = 10;
/** Handshakes of a network that may come at once, in seconds of their rate. */
const HELD_HANDSHAKES_SECONDS = 50;
/** Lines a minute and kind that strangers can cause. */
const WARNINGS_PER_MINUTE = 20;
const TCP_KEEPALIVE_MS = 30_000;
/** A pool that ends just now, or a gateway's old connection, may still have the port. */
const PORT_PATIENCE_MS = 5_000;
const PORT_RETRY_MS = 100;

export class GatewayServer {
  readonly #limits: GatewayLimits;
  readonly #server: Server;
  readonly #registry: SessionRegistry;
  readonly #keeper: SessionKeeper;
  readonly #metrics: GatewayMetrics;
  readonly #context: ConnectionContext;
  readonly #connections = new Set<Connection>();
  /** Connections of trusted proxies that have not said where they come from. */
  readonly #proxied = new Set<ProxiedSocket>();
  readonly #admission: Admission;
  readonly #proxies: AddressList;
  readonly #logLimiter = new LogLimiter(WARNINGS_PER_MINUTE);
  readonly #monotonic: () => number;
  #lastId = 0;
  #sweeper: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;
  #onEmpty: (() => void) | undefined;

  /** @throws GatewayOptionsError for settings that no gateway could work with. */
  constructor(
    private readonly options: GatewayServerOptions,
    private readonly modules: GatewayServerModules,
  ) {
    checkOptions(options);
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#limits = limits;
    const monotonic = modules.monotonic ?? (() => performance.now());
    this.#monotonic = monotonic;
    this.#registry = new SessionRegistry(limits, minimumBounds(options), {
      store: modules.sessions,
      head: modules.head,
      relays: options.relays ?? new Set(),
      now: modules.now,
      monotonic,
      told: (outcome) => this.#metrics.told(outcome),
    });
    this.#keeper = new SessionKeeper(this.#registry, modules.sessions, modules.log);
    const { crypto, longTermKeys } = modules;
    const { rememberedAddresses: remembered } = limits;
    const bans = new Bans({ score: limits.banScore, halfLifeMs: limits.banHalfLifeMs, remembered });
    const known = new KnownAddresses(remembered, limits.knownAddressMs);
    const { allow = [], deny = [], proxies = [] } = options.addresses ?? {};
    this.#admission = new Admission(limits, { allow, deny }, { bans, known, monotonic });
    this.#proxies = new AddressList(proxies);
    this.#metrics = new GatewayMetrics(modules.metrics, {
      sessions: () => this.#registry.size,
      minima: () => this.#minima(),
      held: () => this.heldBytes,
      banned: (scope) => bans.count(scope, monotonic()),
    });
    watchPoolKeys(modules.metrics, longTermKeys, () => this.#connections);
    const { payoutScript, tag, motd } = options;
    this.#context = {
      limits,
      configuration: { payoutScript, tag },
      // Session keys are the pool's share of the freshness: fixed ones would repeat key and nonce for a replayed HELLO.
      newChannel: () => {
        const now = modules.now();
        const standing = longTermKeys.filter(({ until }) => until === undefined || now < until);
        let sessionKeys: SessionKeys | undefined;
        return new PoolChannel({
          ...{ crypto, longTermKeys: standing, motd },
          // Made when a HELLO is answered: they are a fifth of a handshake's cost, and who only connects must have none.
          get sessionKeys() {
            sessionKeys ??= generateSessionKeys(crypto);
            return sessionKeys;
          },
        });
      },
      oldPoolKeys: new Set(longTermKeys.filter((keys) => keys.old === true).map(poolKeyPrefix)),
      judge: modules.judge,
      sink: modules.sink,
      splits: modules.splits,
      blocks: modules.blocks,
      registry: this.#registry,
      hellos: new SeenHellos(limits.rememberedHellos, limits.rememberedHelloMs),
      admission: this.#admission,
      handshakes: new HandshakeQueue(
        { perSecond: limits.handshakesPerSecond, capacity: limits.waitingHandshakes, loading: limits.loadingSessions },
        monotonic,
      ),
      known,
      strangersTurns: new StrangersTurns(monotonic),
      prefixHandshakes: new KeyedBuckets(limits.handshakesPerPrefix * HELD_HANDSHAKES_SECONDS, limits.handshakesPerPrefix, remembered),
      newSessions: new KeyedBuckets(limits.newSessionsPerHour, limits.newSessionsPerHour / 3600, remembered),
      strangersRequests: new KeyedBuckets(limits.strangersCoinbaserPerMinute, limits.strangersCoinbaserPerMinute / 60, remembered),
      gateways: new GatewayList(options.gateways ?? { admit: "all", keys: [], accounts: [] }),
      metrics: this.#metrics,
      log: modules.log,
      logLimiter: this.#logLimiter,
      nextId: () => ++this.#lastId,
      now: modules.now,
      monotonic,
      onClosed: (connection) => this.#forget(connection),
      onMisbehaviour: (origin, points, reason) => this.#noteMisbehaviour(origin, points, reason),
    };
    this.#server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: TCP_KEEPALIVE_MS }, (socket) =>
      this.#accept(socket),
    );
  }

  /**
   * Starts to listen; a port that is taken is tried for some seconds.
   *
   * @returns the address it really has. @throws the system's error when it can't (port taken, no such address).
   */
  async listen(): Promise<{ host: string; port: number }> {
    const patience = this.#monotonic() + PORT_PATIENCE_MS;
    for (let tries = 0; ; tries++) {
      try {
        await this.#bind();
        break;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || this.#monotonic() > patience) throw error;
        const { host, port } = this.options;
        if (tries === 0) this.modules.log.warn({ host, port, forMs: PORT_PATIENCE_MS }, "the port is taken: trying again");
        await new Promise((resolve) => setTimeout(resolve, PORT_RETRY_MS));
      }
    }
    this.#server.on("error", (error) => this.modules.log.error({ err: error }, "listener"));
    const period = Math.min(1000, Math.max(5, Math.min(this.#limits.handshakeMs, this.#limits.pingMs, this.#limits.stalledMs) / 4));
    this.#sweeper = setInterval(() => this.#sweep(), period);
    const bound = this.#server.address();
    if (bound === null || typeof bound === "string") throw new Error("the listener has no address");
    this.modules.log.info({ host: bound.address, port: bound.port }, "listening for gateways");
    return { host: bound.address, port: bound.port };
  }

  #bind(): Promise<void> {
    const { host, port, fd } = this.options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(fd === undefined ? { host, port } : { fd }, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
  }

  /** Stops accepting and reading, waits until every share that waits for its commit is answered, closes. Bounded by `limits.closeMs`. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const listenerClosed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    for (const proxied of [...this.#proxied]) proxied.leave();
    for (const connection of [...this.#connections]) connection.finish();
    if (this.#connections.size === 0) this.#onEmpty?.();
    const timer = setTimeout(() => {
      this.modules.log.warn({ connections: this.#connections.size }, "gateways cut off: answers did not leave in time");
      for (const connection of [...this.#connections]) connection.destroy();
    }, this.#limits.closeMs);
    await empty;
    await listenerClosed;
    clearTimeout(timer);
    clearInterval(this.#sweeper);
    await this.#keeper.flush();
  }

  /** The gateways that are connected now. Where they are more than asked for, those with the most recent work, the first first. */
  snapshot({ most = Number.POSITIVE_INFINITY, workers = TOP_WORKERS }: SnapshotOptions = {}): GatewaySnapshot[] {
    const now = this.modules.now();
    const rows: GatewaySnapshot[] = [];
    let sessions = [...this.#registry.sessions()].filter(({ attached }) => attached.size > 0);
    if (sessions.length > most) {
      const weights = new Map(sessions.map((session) => [session, session.stats.recent(now).weight]));
      sessions = sessions.sort((a, b) => (weights.get(b) ?? 0) - (weights.get(a) ?? 0)).slice(0, most);
    }
    for (const session of sessions) {
      const row = snapshotOf(session, now, this.#monotonic(), workers);
      if (row !== undefined) rows.push(row);
    }
    return rows;
  }

  /** What all gateways that are connected and have proved themselves come to. */
  totals(): GatewayTotals {
    const now = this.modules.now();
    const totals = { gateways: 0, workers: 0, weightPerSecond: 0 };
    for (const { active, stats } of this.#registry.sessions()) {
      if (active === undefined) continue;
      const { weight, seconds } = stats.recent(now);
      totals.gateways += 1;
      totals.workers += stats.workerCount;
      totals.weightPerSecond += weight / seconds;
    }
    return totals;
  }

  /**
   * The chain has a new tip: gateways that are not on it ask their nodes for a template at once (0xF9). One that is would make no job, and wait
   * 40 s for its next; so it is looked at again when its turn comes, after a moment of its own within `limits.tipSpreadMs`.
   */
  newTip(tip: Parent): void {
    const random = this.modules.random ?? Math.random;
    for (const connection of this.#connections) connection.newTip(tip, random() * this.#limits.tipSpreadMs);
  }

  /** Sockets that stand, in whatever state. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Bytes that connections hold, unread and unsent. */
  get heldBytes(): number {
    let sum = 0;
    for (const connection of this.#connections) sum += connection.heldBytes;
    return sum;
  }

  *#minima(): Iterable<number> {
    for (const session of this.#registry.sessions()) {
      if (session.attached.size > 0) yield session.work.minimumTargetByte;
    }
  }

  #accept(socket: Socket): void {
    const address = socket.remoteAddress;
    // Gone before it was looked at.
    if (address === undefined) {
      socket.destroy();
      return;
    }
    const exempt = this.#proxies.has(address);
    if (exempt) this.#awaitProxyHeader(socket, this.#origin(address, exempt));
    else this.#admit(socket, this.#origin(address, exempt));
  }

  #origin(address: string, proxy: boolean): Origin {
    const plain = plainAddress(address);
    return { address: plain, key: addressKey(plain), prefix: prefixKey(plain), exempt: proxy || this.#admission.allowed(plain) };
  }

  #admit(socket: Socket, origin: Origin): void {
    const refusal = this.#refusal(origin);
    if (refusal !== undefined) {
      this.#turnAway(socket, refusal, origin);
      return;
    }
    const connection = new Connection(socket, origin, this.#context);
    this.#connections.add(connection);
    this.#admission.enter(connection, origin);
    // It is paused after a PROXY header.
    socket.resume();
  }

  #refusal(origin: Origin): AdmissionRefusal | undefined {
    return this.#closing === undefined ? this.#admission.refusal(origin) : "tooManyConnections";
  }

  #awaitProxyHeader(socket: Socket, proxy: Origin): void {
    const refusal = this.#refusal(proxy);
    if (refusal !== undefined) {
      this.#turnAway(socket, refusal, proxy);
      return;
    }
    const proxied = new ProxiedSocket(socket, this.#monotonic(), this.#limits.handshakeMs, (outcome) => {
      this.#proxied.delete(proxied);
      this.#admission.leave(proxied);
      if (outcome.kind === "ready") this.#admit(socket, outcome.source === undefined ? proxy : this.#origin(outcome.source, false));
      else this.#noProxyHeader(outcome, proxy);
    });
    this.#proxied.add(proxied);
    this.#admission.enter(proxied, proxy);
  }

  /** The proxy's own fault, so it costs nobody's score. */
  #noProxyHeader(outcome: Exclude<ProxyOutcome, { kind: "ready" }>, { address }: Origin): void {
    if (outcome.kind === "bad") this.#metrics.protocolError("proxyHeaderInvalid");
    this.#metrics.handshake(outcome.kind === "bad" ? "proxyHeader" : outcome.kind);
    if (outcome.kind === "left") return;
    this.#limitedWarning("proxyHeader", { proxy: address, ...outcome }, "no PROXY header from a trusted proxy");
  }

  #turnAway(socket: Socket, outcome: HandshakeOutcome, { key, prefix }: Origin): void {
    this.#metrics.handshake(outcome);
    this.#limitedWarning(outcome, { address: key, prefix, connections: this.#connections.size }, outcome);
    // Without a listener an error of this socket would end the process.
    socket.on("error", () => socket.destroy());
    socket.destroy();
  }

  #noteMisbehaviour(origin: Origin, points: number, reason: CloseReason): void {
    for (const scope of this.#admission.note(origin, points)) {
      this.#metrics.banned(scope);
      const address = scope === "address" ? origin.key : origin.prefix;
      this.#limitedWarning(`ban.${scope}`, { address, scope, reason }, "an address is banned");
    }
  }

  #limitedWarning(key: string, fields: Record<string, unknown>, message: string): void {
    const suppressed = this.#logLimiter.allow(key, this.#monotonic());
    if (suppressed !== undefined) this.modules.log.warn(suppressed === 0 ? fields : { ...fields, suppressed }, message);
  }

  #forget(connection: Connection): void {
    this.#connections.delete(connection);
    this.#admission.leave(connection);
    if (this.#connections.size === 0) this.#onEmpty?.();
  }

  #sweep(): void {
    for (const connection of this.#connections) connection.tick();
    this.#registry.sweep();
    if (this.#closing === undefined) this.#keeper.tick();
  }
}

function snapshotOf(session: GatewaySession, now: number, monotonic: number, workers: number): GatewaySnapshot | undefined {
  const connection = session.active ?? [...session.attached].at(-1);
  if (connection === undefined) return undefined;
  const { stats } = session;
  const recent = stats.recent(now);
  return {
    sessionId: session.id,
    primeId: session.primeId,
    keyPrefix: session.keyPrefix,
    poolKeyPrefix: connection.poolKeyPrefix ?? "",
    version: connection.version,
    connection: connection.id,
    address: connection.address,
    connectedAt: connection.connectedAt,
    proven: session.active !== undefined,
    accepted: stats.accepted,
    tentative: stats.tentative,
    late: stats.late,
    splitUnused: session.splitUse.unused,
    ignoresSplit: session.splitUse.ignores(monotonic),
    minimumDifficulty: 1n << BigInt(session.work.minimumTargetByte),
    refusedByReason: Object.fromEntries(stats.refusedByReason),
    acceptedWeight: stats.acceptedWeight,
    recentWeight: recent.weight,
    recentSeconds: recent.seconds,
    workerCount: stats.workerCount,
    workers: workers > 0 ? stats.topWorkers(now, workers) : [],
  };
}
