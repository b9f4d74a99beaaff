/**
 * One gateway's socket: awaiting HELLO → waiting for its turn → loading the session → open → closed.
 *
 * Everything between two reads is synchronous: frames are opened, judged and answered in one go, in the order they came, and what they yield
 * leaves in one write. Only the handshake's turn and the session's load are awaited, with the socket paused and nothing opened meanwhile. One
 * read may hold hundreds of shares: after a millisecond of them the other connections have their turn.
 *
 * Memory of one connection: twice one frame (36 kB; 128 kB and 4 MB only while short ids and transactions are asked of it) and one read (64
 * kB), `queuedBytes` unsent (and at most one frame more), `pendingShares` waiting for their commit.
 */
import type { Socket } from "node:net";
import { DatumError, type GatewayMessage, type Hello, type PoolChannel, type PoolMessage } from "@openprime/datum";
import type { Logger } from "pino";
import type { Parent } from "../work/index.js";
import type { Admission, Guest, Origin, Standing } from "./admission.js";
import { type BudgetName, SLOWED } from "./budgets.js";
import { FirstBytes } from "./first-bytes.js";
import { notListed } from "./gateway-list.js";
import type { HandshakeQueue, WaitingHandshake } from "./handshake-queue.js";
import type { KeyedBuckets } from "./keyed-buckets.js";
import type { KnownAddresses } from "./known-addresses.js";
import type { LogLimiter } from "./log-limiter.js";
import type { ConnectionState, HandshakeOutcome } from "./metrics.js";
import type { GatewayLimits } from "./options.js";
import { Outbox } from "./outbox.js";
import { penalty } from "./penalties.js";
import { poolKeyPrefix } from "./pool-keys.js";
import { type Question, Questions, type Reply } from "./questions.js";
import type { SeenHellos } from "./seen-hellos.js";
import type { GatewaySession, SessionConnection, SessionRegistry } from "./session-registry.js";
import type { StrangersTurns } from "./strangers-turns.js";
import { TAKEN_OVER, TURNED_AWAY } from "./takeover.js";
import { type TrafficConnection, WorkTraffic, type WorkTrafficContext } from "./work-traffic.js";

/** How long a closed socket may take to read our last bytes; and how long, and for how many bytes, one that shall be closed is still read. */
const LINGER_MS = 2000;
const LAST_BYTES = 1024 * 1024;
/** Work for one connection before the others have their turn. */
const SLICE_MS = 1;
/** Shorter rests would cost more than they save; longer ones would keep a block waiting. */
const LEAST_REST_MS = 20;
const MOST_REST_MS = 1000;
/** A gateway that was not slowed for so long is told again when it is. */
const SLOWED_AGAIN_MS = 60_000;

const TOO_MANY_NEW = "Too many new gateways have come from your network: this one is taken later. It keeps trying by itself.";
const STOPPING =
  "The pool stops now, most likely to start again at once. Every share that it has answered is counted. Your gateway connects again by itself and " +
  "goes on with the work that it has.";

export type CloseReason =
  | "left"
  | "socketError"
  | "protocolError"
  | "replayedHello"
  | "handshakeTimeout"
  | "http"
  | "stratum"
  | "proxyHeader"
  | "gaveWay"
  | "tooManyHandshakes"
  | "tooManyNewSessions"
  | "notListed"
  | "accountNotListed"
  | "invalidShares"
  | "sessionUnavailable"
  | "takenOver"
  | "turnedAway"
  | "idle"
  | "slowReader"
  | "internal"
  | "shutdown";

/** A network has brought its number of new gateways. Never leaves the room. */
class TooManyNewSessions extends Error {}

/** What a connection shares with its siblings. */
export interface ConnectionContext extends WorkTrafficContext {
  readonly limits: GatewayLimits;
  readonly configuration: { readonly payoutScript: Uint8Array; readonly tag: Uint8Array };
  readonly newChannel: () => PoolChannel;
  /** Prefixes of the pool's keys that gateways should not use any more. */
  readonly oldPoolKeys: ReadonlySet<string>;
  readonly registry: SessionRegistry;
  readonly hellos: SeenHellos;
  readonly admission: Admission;
  readonly handshakes: HandshakeQueue;
  readonly known: KnownAddresses;
  /** Handshakes by network. */
  readonly prefixHandshakes: KeyedBuckets;
  /** New sessions by network. */
  readonly newSessions: KeyedBuckets;
  readonly strangersTurns: StrangersTurns;
  readonly log: Logger;
  readonly logLimiter: LogLimiter;
  /** Numbers connections, from 1. */
  readonly nextId: () => number;
  /** The socket has closed: it counts no longer. */
  readonly onClosed: (connection: Connection) => void;
  /** It did something that adds to the score of its address. */
  readonly onMisbehaviour: (origin: Origin, points: number, reason: CloseReason) => void;
}

export class Connection implements SessionConnection, Guest, WaitingHandshake, TrafficConnection {
  /** Of this run of the pool; every line about the connection has it. */
  readonly id: number;
  readonly connectedAt: number;
  readonly since: number;
  #state: ConnectionState | "closed" = "handshake";
  /** When the present part of the handshake began. */
  #stepAt: number;
  readonly #channel: PoolChannel;
  readonly #smallPayload: number;
  /** Undefined once it is known that a gateway speaks. */
  #first: FirstBytes | undefined = new FirstBytes();
  #session: GatewaySession | undefined;
  #version = "";
  #proven = false;
  /** The first message, while the connection waits to be told whether the session is its own. */
  #contending: GatewayMessage | undefined;
  /** log2 of the minimum that this connection was last told. */
  #toldMinimum: number | undefined;
  #lastReceived: number;
  #stalledSince: number | undefined;
  readonly #out: Outbox;
  #draining = false;
  #paused = false;
  /** Reading waits for a moment. */
  #resting = false;
  #restTimer: NodeJS.Timeout | undefined;
  #slowedAt = Number.NEGATIVE_INFINITY;
  #finishing = false;
  /** It has been told why it is closed, and is still read for a moment. */
  #dismissal: { readonly reason: CloseReason; bytesLeft: number; readonly timer: NodeJS.Timeout } | undefined;
  /** Its address is noted as one that good work comes from. */
  #noted = false;
  readonly #questions: Questions;
  readonly #traffic: WorkTraffic;
  #tipTimer: NodeJS.Timeout | undefined;
  #log: Logger;

  constructor(
    private readonly socket: Socket,
    private readonly origin: Origin,
    private readonly context: ConnectionContext,
  ) {
    this.id = context.nextId();
    this.connectedAt = context.now();
    this.since = context.monotonic();
    this.#stepAt = this.since;
    this.#lastReceived = this.since;
    this.#channel = context.newChannel();
    this.#smallPayload = this.#channel.maxPayload;
    this.#out = new Outbox(socket, context.monotonic, context.limits.queuedBytes, (unsent) => this.#close("slowReader", { unsent }));
    this.#questions = new Questions(context.limits, {
      serial: (jobId) => this.#session?.work.jobSerial(jobId),
      send: (question) => this.#sendLater(question),
      allow: (payload = this.#smallPayload) => {
        this.#channel.maxPayload = payload;
      },
      count: (kind, outcome) => context.metrics.question(kind, outcome),
    });
    this.#traffic = new WorkTraffic(this, context);
    this.#log = context.log.child({ connection: this.id, peer: `${origin.address}:${socket.remotePort ?? 0}` });
    context.metrics.state(undefined, "handshake");
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("error", (error: NodeJS.ErrnoException) => this.#close("socketError", { error: error.code ?? error.message }));
    socket.on("end", () => this.#close("left"));
    socket.on("close", () => {
      this.#close("left");
      context.onClosed(this);
    });
    this.#log.debug("connection");
  }

  get version(): string {
    return this.#version;
  }

  get address(): string {
    return this.origin.address;
  }

  get prefix(): string {
    return this.origin.prefix;
  }

  get known(): boolean {
    return this.context.admission.known(this.origin);
  }

  get standing(): Standing {
    // One that is closed only lingers.
    if (this.#state === "handshake" || this.#state === "closed") return "greeting";
    return this.#session?.isProven === true ? "good" : "stranger";
  }

  /** Bytes in memory, unread and unsent. */
  get heldBytes(): number {
    return this.#channel.buffered + (this.#first?.held ?? 0) + this.#out.unsent;
  }

  /** Runs the timers; called about once a second. */
  tick(): void {
    const { limits } = this.context;
    const now = this.context.monotonic();
    if (this.#state === "closed") return;
    if (this.#state !== "open") {
      const most = this.#state === "queued" ? limits.handshakeQueueMs : limits.handshakeMs;
      if (now - this.#stepAt >= most) {
        this.#endHandshake("timeout");
        this.#close("handshakeTimeout", { afterMs: Math.round(now - this.#stepAt), state: this.#state });
      }
      return;
    }
    if (this.socket.writableLength === 0) this.#stalledSince = undefined;
    else this.#stalledSince ??= now;
    if (this.#stalledSince !== undefined && now - this.#stalledSince >= limits.stalledMs) {
      this.#close("slowReader", { unsent: this.socket.writableLength, stalledMs: Math.round(now - this.#stalledSince) });
    } else if (now - this.#lastReceived >= limits.idleMs && !this.#paused && !this.#resting) {
      this.#close("idle", { silentMs: Math.round(now - this.#lastReceived) });
    } else {
      this.#guard(() => {
        this.#session?.takeovers.check(now);
        this.#followWork(now);
        if (now - this.#out.lastQueued >= limits.pingMs) this.#send({ type: "ping" });
        this.#out.flush();
      });
    }
  }

  /** The session's minimum follows its work; the gateway is told when it has another one. */
  #followWork(now: number): void {
    const session = this.#session;
    if (session?.active !== this) return;
    const before = session.work.minimumTargetByte;
    const next = session.minimum.check(now);
    if (next !== undefined) {
      session.work.setMinimum(next, this.context.now());
      this.context.metrics.minimumChanged(next > before ? "raised" : "lowered");
      this.#log.info({ log2: next, before }, "minimum difficulty changed");
    }
    // One that was configured before it took the session over may have an older one.
    if (session.work.minimumTargetByte !== this.#toldMinimum) this.#configure(session);
  }

  #configure(session: GatewaySession): void {
    this.#toldMinimum = session.work.minimumTargetByte;
    const minimumDifficulty = 1n << BigInt(this.#toldMinimum);
    this.#send({ type: "configuration", primeId: session.primeId, ...this.context.configuration, minimumDifficulty });
  }

  /** Reads no more; closes once every share that waits for its commit is answered. */
  finish(): void {
    if (this.#state === "closed") return;
    this.inform(STOPPING);
    this.#finishing = true;
    this.socket.pause();
    if (this.#traffic.pending === 0) this.#close("shutdown");
  }

  /** Closes at once, answers or not. */
  destroy(): void {
    this.#close("shutdown");
    this.socket.destroy();
  }

  /** Its place is wanted by somebody else. */
  giveWay(): void {
    if (this.#state !== "open" && this.#state !== "closed") this.#endHandshake("gaveWay");
    this.#close("gaveWay", { standing: this.standing });
    this.socket.destroy();
  }

  takenOver(): void {
    this.context.metrics.takeover("done");
    this.inform(TAKEN_OVER);
    this.#close("takenOver");
  }

  wins(): void {
    const [session, first] = [this.#session, this.#contending];
    this.#contending = undefined;
    if (this.#state !== "open" || session === undefined || first === undefined) return;
    this.#log.info("the session's other connection is gone or silent: it is taken over");
    this.context.registry.takeOver(session, this);
    this.#guard(() => this.#handle(first, session));
    this.#rest(0);
  }

  turnedAway(): void {
    const [session, first] = [this.#session, this.#contending];
    this.#contending = undefined;
    if (this.#state !== "open" || session === undefined || first === undefined) return;
    this.context.metrics.takeover("refused");
    // What it sent meanwhile is judged: one of its shares may be a block.
    this.#guard(() => {
      this.#handle(first, session);
      this.dismiss("turnedAway", TURNED_AWAY);
    });
    this.#rest(0);
  }

  get poolSignKey(): Uint8Array | undefined {
    return this.#channel.longTermKeys?.sign.publicKey;
  }

  get poolKeyPrefix(): string | undefined {
    const keys = this.#channel.longTermKeys;
    return keys && poolKeyPrefix(keys);
  }

  ask(question: Question, serial: number): Promise<Reply> {
    return this.#questions.ask(question, serial);
  }

  inform(text: string): boolean {
    if (this.#state !== "open") return false;
    this.#guard(() => this.#sendLater({ type: "info", text }));
    return true;
  }

  /** The chain has a new tip: the gateway is told after `delayMs`, unless it is on it by then, or the chain is not. */
  newTip(tip: Parent, delayMs: number): void {
    clearTimeout(this.#tipTimer);
    if (this.#state !== "open") return;
    this.#tipTimer = setTimeout(() => {
      if (this.#state !== "open" || tip.state !== "tip") return;
      const needless = this.#session?.worksOn(tip.hash) ?? true;
      if (!needless) this.#guard(() => this.#sendLater({ type: "blockNotify" }));
      this.context.metrics.blockNotify(needless ? "needless" : "sent");
    }, delayMs);
  }

  // Reading.

  #onData(chunk: Uint8Array): void {
    if (this.#state === "closed") return;
    this.#lastReceived = this.context.monotonic();
    if (this.#dismissal !== undefined) this.#dismissal.bytesLeft -= chunk.length;
    const peer = this.#first?.read(chunk) ?? { kind: "datum", bytes: chunk };
    if (peer.kind === "more") return;
    if (peer.kind === "proxy") {
      this.context.metrics.protocolError("proxyNotTrusted");
      this.#endHandshake("proxyHeader");
      this.#close("proxyHeader", { code: "proxyNotTrusted" });
      return;
    }
    if (peer.kind !== "datum") {
      this.#out.queue(peer.answer);
      this.#endHandshake(peer.kind);
      this.#close(peer.kind);
      return;
    }
    this.#first = undefined;
    this.#guard(() => {
      this.#channel.receive(peer.bytes);
      if (this.#state === "handshake") this.#greet();
      else if (this.standing === "stranger" && this.context.strangersTurns.busy) this.#rest(0);
      else this.#drain();
    });
  }

  /** A HELLO that has arrived is opened when its turn comes. */
  #greet(): void {
    if (!this.#channel.helloArrived()) return;
    // A gateway sends nothing before its configuration, so nothing is lost by not reading; what came early stays closed in the channel.
    this.socket.pause();
    this.#stepAt = this.context.monotonic();
    this.#toState("queued");
    if (this.takes(this.context.prefixHandshakes)) this.context.handshakes.enter(this);
    else this.turnAway();
  }

  /** Opens and handles frames until bytes run out, or the connection must wait. Never awaits. */
  #drain(): void {
    this.#draining = true;
    const until = this.context.monotonic() + SLICE_MS;
    try {
      while (this.#mayRead()) {
        const event = this.#channel.next();
        if (event === undefined) break;
        if (event.type === "message") this.#onMessage(event.message);
        if (this.context.monotonic() >= until) this.#rest(0);
      }
    } finally {
      this.#draining = false;
    }
    if (this.#state === "open" && this.#traffic.pending >= this.context.limits.pendingShares) {
      this.#paused = true;
      this.socket.pause();
    }
    if (this.#state !== "closed") this.#out.flush();
    if (this.#dismissal !== undefined && this.#dismissal.bytesLeft <= 0) this.#close(this.#dismissal.reason);
  }

  #mayRead(): boolean {
    if (this.#finishing || this.#resting || this.#contending !== undefined) return false;
    return this.#state === "open" && this.#traffic.pending < this.context.limits.pendingShares;
  }

  /** Reads nothing for so long; 0: until the other connections have had their turn. */
  #rest(ms: number): void {
    if (this.#resting || this.#state !== "open") return;
    this.#resting = true;
    this.socket.pause();
    const again = (): void => {
      this.#resting = false;
      if (this.#state !== "open" || this.#finishing || this.#paused) return;
      this.socket.resume();
      this.#guard(() => this.#drain());
    };
    if (ms > 0) this.#restTimer = setTimeout(again, Math.min(Math.max(LEAST_REST_MS, ms), MOST_REST_MS));
    else if (this.standing === "stranger") this.context.strangersTurns.add(again);
    // Also for a log's callback: the frames that wait here are another turn's work.
    else setImmediate(again);
  }

  /** A budget is used up: reading waits until it is balanced. */
  slow(waitMs: number, budget: BudgetName): void {
    if (waitMs === 0 || this.#dismissal !== undefined) return;
    this.#rest(waitMs);
    const now = this.context.monotonic();
    if (now - this.#slowedAt >= SLOWED_AGAIN_MS) {
      this.context.metrics.slowed(budget);
      this.#warn(`slowed.${budget}`, { budget }, "a gateway is over its budget: it is read more slowly");
      this.#session?.source.tell(SLOWED[budget]);
    }
    this.#slowedAt = now;
  }

  /** Tells why, and closes; but first what is under way is read and judged as ever, so that no block is lost in it. */
  dismiss(reason: CloseReason, words: string): void {
    if (this.#dismissal !== undefined || this.#state !== "open") return;
    this.#sendLater({ type: "info", text: words });
    this.#dismissal = { reason, bytesLeft: LAST_BYTES, timer: setTimeout(() => this.#close(reason), LINGER_MS) };
  }

  /** Whatever is wrong with a peer's bytes, or with us, ends this connection and nothing else. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (this.#state === "closed") return;
      if (this.#state !== "open") this.#endHandshake("refused");
      if (error instanceof DatumError) {
        this.context.metrics.protocolError(error.code);
        this.#close("protocolError", { code: error.code, expected: error.expected, got: error.got });
      } else {
        this.#log.error({ err: error }, "a fault of ours while a gateway's message was handled");
        this.#close("internal");
      }
    }
  }

  // The handshake.

  /** Its turn in the queue of handshakes. */
  async start(): Promise<void> {
    if (this.#state !== "queued") return;
    this.#toState("opening");
    this.#stepAt = this.context.monotonic();
    let opening: Promise<GatewaySession> | undefined;
    this.#guard(() => {
      const event = this.#channel.next();
      if (event?.type === "hello") opening = this.#onHello(event.hello);
    });
    if (opening === undefined) return;
    try {
      this.#onSession(await opening);
    } catch (error) {
      if (error instanceof TooManyNewSessions) this.#turnDown("tooManyNewSessions", TOO_MANY_NEW);
      if (this.#isClosed) return;
      this.#endHandshake("sessionUnavailable");
      this.#close("sessionUnavailable", { err: error });
    }
  }

  turnAway(): void {
    this.#endHandshake("tooManyHandshakes");
    this.#close("tooManyHandshakes");
  }

  /** The session that a HELLO asks for; undefined when it gets none, and has been told so. */
  #onHello(hello: Hello): Promise<GatewaySession> | undefined {
    const { context } = this;
    this.#version = printable(hello.version);
    const key = Buffer.from(hello.longTermSignKey).toString("hex");
    this.#log = this.#log.child({ gateway: key.slice(0, 16) });
    if (context.hellos.check(hello.sessionSignKey, context.monotonic())) {
      this.#endHandshake("replayed");
      this.#close("replayedHello", { version: this.#version });
      return undefined;
    }
    this.#out.queue(this.#channel.accept());
    const standing = context.gateways.standing(key);
    if (standing === "refused") {
      this.#turnDown("notListed", notListed(key), { key, version: this.#version });
      return undefined;
    }
    this.#traffic.byAccount = standing === "byAccount";
    return context.registry.open(hello.longTermSignKey, hello.version, () => {
      if (!this.takes(context.newSessions)) throw new TooManyNewSessions();
    });
  }

  takes(budget: KeyedBuckets): boolean {
    return this.origin.exempt || budget.take(this.prefix, this.context.monotonic());
  }

  /** A gateway that could be talked to is told why it gets no session. */
  #turnDown(reason: "tooManyNewSessions" | "notListed", words: string, detail: Record<string, unknown> = {}): void {
    if (this.#isClosed) return;
    this.#send({ type: "info", text: words });
    this.#endHandshake(reason);
    this.#close(reason, detail);
  }

  /** As a getter, so that the compiler knows that it changes while something is awaited. */
  get #isClosed(): boolean {
    return this.#state === "closed";
  }

  /**
   * The configuration goes to a connection that has not proved itself yet, because a gateway says nothing without it. Whoever replays a HELLO
   * gains nothing by it: the frame can only be opened with the recorded gateway's session secret, and the prime id in it is that gateway's
   * own. The session stays with the connection that holds it until a frame from this one passes its MAC.
   */
  #onSession(session: GatewaySession): void {
    if (this.#state === "closed") {
      // Else a session that nobody ever held would push out one that a gateway comes back to.
      this.context.registry.detach(session, this);
      return;
    }
    this.#session = session;
    this.context.registry.attach(session, this);
    this.#guard(() => {
      this.#configure(session);
      this.#toState("open");
      this.#endHandshake("accepted");
      this.#log.info({ session: session.id.toString(), primeId: session.primeId, version: this.#version }, "handshake");
      const poolKey = this.poolKeyPrefix ?? "";
      if (this.context.oldPoolKeys.has(poolKey)) this.#warn("oldPoolKey", { poolKey }, "a gateway uses an old key of the pool");
      if (!this.#finishing) this.socket.resume();
      this.#drain();
    });
    if (this.#finishing && this.#traffic.pending === 0) this.#close("shutdown");
  }

  // Messages.

  #onMessage(message: GatewayMessage): void {
    const session = this.#session!;
    this.#spend(message, session);
    if (!this.#proven) {
      this.#proven = true;
      const previous = session.active;
      if (!this.context.registry.claim(session, this)) {
        this.context.metrics.takeover("contested");
        this.limited(
          "info",
          "contested",
          { holder: previous?.address },
          "a session is claimed again and again: its holder may give a sign of life",
        );
        this.#contending = message;
        this.socket.pause();
        return;
      }
      if (previous !== undefined)
        this.#log.info({ from: previous.address, fromConnection: previous.id, heldSince: previous.connectedAt }, "session taken over");
    } else if (session.takeovers.contested && session.active === this) {
      this.context.registry.holderSpoke(session);
    }
    this.#handle(message, session);
  }

  #handle(message: GatewayMessage, session: GatewaySession): void {
    switch (message.type) {
      case "share":
        this.#traffic.share(message, session);
        return;
      case "coinbaserRequest":
        this.#traffic.coinbaserRequest(message, session);
        return;
      case "shortIds":
      case "transactionsByIndex":
      case "fullSet":
        if (!this.#questions.reply(message)) this.#unasked(message.type);
        return;
      case "jobAnnouncement":
        this.context.metrics.announcement(session.work.announce(message) ? "kept" : "malformed");
        return;
    }
  }

  /** What was asked for is free. */
  #spend(message: GatewayMessage, session: GatewaySession): void {
    if (message.type !== "share" && message.type !== "coinbaserRequest" && message.type !== "jobAnnouncement") return;
    const kind = message.type === "share" ? "shares" : "messages";
    const { waitMs, budget } = session.budgets.message(kind, this.#channel.frameBytes, this.context.monotonic());
    this.slow(waitMs, budget);
  }

  #unasked(type: string): void {
    this.context.metrics.protocolError("unaskedReply");
    this.#close("protocolError", { code: "unaskedReply", got: type });
  }

  // For the traffic of work.

  get log(): Logger {
    return this.#log;
  }

  answer(message: PoolMessage): void {
    if (this.#state === "closed") {
      this.context.metrics.answerDropped();
      return;
    }
    this.#guard(() => {
      this.#send(message);
      if (!this.#draining) this.#out.plan();
    });
  }

  settled(): void {
    if (this.#finishing && this.#traffic.pending === 0) this.#close("shutdown");
    else if (this.#paused && this.#traffic.pending <= this.context.limits.pendingShares / 2) {
      this.#paused = false;
      this.#rest(0);
    }
  }

  /** Good work comes from its address. */
  worked(session: GatewaySession): void {
    if (this.#noted) return;
    this.#noted = true;
    this.#noteWork(session);
  }

  #noteWork({ keyPrefix }: GatewaySession): void {
    this.context.known.note(this.origin.key, keyPrefix, this.context.monotonic());
  }

  // Writing.

  /** Seals a message and queues it: the order of calls is the order on the wire. */
  #send(message: PoolMessage): void {
    this.#out.queue(this.#channel.send(message));
  }

  /** As `send`, from outside the reading of frames. */
  #sendLater(message: PoolMessage): void {
    this.#send(message);
    this.#out.plan();
  }

  // State.

  #toState(next: ConnectionState): void {
    this.context.metrics.state(this.#state === "closed" ? undefined : this.#state, next);
    this.#state = next;
  }

  #endHandshake(outcome: HandshakeOutcome): void {
    this.context.metrics.handshake(outcome);
  }

  /** Ends the connection once: what is queued may still leave, nothing more is read. */
  #close(reason: CloseReason, detail: Record<string, unknown> = {}): void {
    if (this.#state === "closed") return;
    const { context } = this;
    if ((reason === "left" || reason === "socketError" || reason === "shutdown") && this.#state !== "open") this.#endHandshake("left");
    const open = this.#state === "open";
    // Only what a peer left undone itself: not our queue or our books.
    const own = reason !== "handshakeTimeout" || this.#state === "handshake";
    context.metrics.state(this.#state, undefined);
    context.metrics.closed(reason);
    this.#state = "closed";
    this.#first = undefined;
    this.#contending = undefined;
    context.handshakes.leave(this);
    if (this.#session !== undefined) {
      if (this.#noted) this.#noteWork(this.#session);
      context.registry.detach(this.#session, this);
    }
    this.#questions.disconnect();
    for (const timer of [this.#tipTimer, this.#restTimer, this.#dismissal?.timer]) clearTimeout(timer);
    this.#logClose(reason, detail);
    const points = own ? penalty(reason, open, detail.code) : 0;
    if (points > 0) context.onMisbehaviour(this.origin, points, reason);
    if (reason === "slowReader" || this.socket.destroyed) {
      this.socket.destroy();
      return;
    }
    this.#out.drain();
    this.socket.end();
    // What the peer still sends is thrown away, so that its unread bytes don't reset the connection before it has read our last ones.
    this.socket.resume();
    setTimeout(() => this.socket.destroy(), LINGER_MS).unref();
  }

  #logClose(reason: CloseReason, detail: Record<string, unknown>): void {
    const usual = reason === "left" || reason === "socketError" || reason === "takenOver" || reason === "shutdown";
    const fields = { reason, unanswered: this.#traffic.pending, ...detail };
    if (usual && this.#session !== undefined) this.#log.info(fields, "connection closed");
    else if (usual) this.#log.debug(fields, "connection closed");
    else this.#warn(`close.${reason}`, fields, "connection closed");
  }

  /** A warning that a flood of bad peers can't turn into a flood of lines. */
  #warn(key: string, fields: Record<string, unknown>, message: string): void {
    this.limited("warn", key, fields, message);
  }

  limited(level: "info" | "warn", key: string, fields: Record<string, unknown>, message: string): void {
    const suppressed = this.context.logLimiter.allow(key, this.context.monotonic());
    if (suppressed === undefined) return;
    this.#log[level](suppressed === 0 ? fields : { ...fields, suppressed }, message);
  }
}

/** What a gateway says of itself, fit for a log and a table. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?").slice(0, 128);
}
