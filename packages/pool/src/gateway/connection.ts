/**
 * One gateway's socket: awaiting HELLO → loading the session → open → closed.
 *
 * Everything between two reads is synchronous: frames are opened, judged and answered in one go, in the order they came, and what they yield
 * leaves in one write. Only the session's load is awaited, with the socket paused and nothing opened meanwhile.
 *
 * Memory of one connection: one frame (36 kB, 4 MB only while a full set is asked of it) and one read (64 kB), `queuedBytes` unsent,
 * `pendingShares` waiting for their commit.
 */
import type { Socket } from "node:net";
import {
  type CoinbaserRequest,
  DatumError,
  type GatewayMessage,
  type Hello,
  LARGEST_PAYLOAD,
  type PoolChannel,
  type PoolMessage,
  type Share,
  type ShareStatus,
} from "@openprime/datum";
import type { Logger } from "pino";
import { type BlockCandidate, type JudgedShare, REASON } from "../work/index.js";
import { classify, firstLine, httpAnswer, stratumAnswer } from "./first-bytes.js";
import { FullSetRequests } from "./full-set.js";
import type { LogLimiter } from "./log-limiter.js";
import type { ConnectionState, GatewayMetrics, HandshakeOutcome } from "./metrics.js";
import type { GatewayLimits } from "./options.js";
import type { BlockSink, CommitOutcome, Judge, ShareSink, SplitSource } from "./ports.js";
import type { SeenHellos } from "./seen-hellos.js";
import type { GatewaySession, SessionConnection, SessionRegistry } from "./session-registry.js";

/** A gateway takes nothing from an empty list but its value, so any id but 0 will do. */
const EMPTY_LIST_ID = 255;

/** A Stratum client's first line; longer is garbage. */
const FIRST_LINE_LIMIT = 2048;

/** How long a closed socket may take to read our last bytes. */
const LINGER_MS = 2000;

export type CloseReason =
  | "left"
  | "socketError"
  | "protocolError"
  | "replayedHello"
  | "handshakeTimeout"
  | "http"
  | "stratum"
  | "sessionUnavailable"
  | "takenOver"
  | "idle"
  | "slowReader"
  | "internal"
  | "shutdown";

/** What an answer repeats of its share. Kept instead of the share, whose bytes would keep its whole frame in memory until the commit. */
type ShareName = Pick<Share, "nonce" | "targetByte" | "jobId">;

/** What a connection shares with its siblings. */
export interface ConnectionContext {
  readonly limits: GatewayLimits;
  readonly configuration: { readonly payoutScript: Uint8Array; readonly tag: Uint8Array; readonly minimumDifficulty: bigint };
  readonly newChannel: () => PoolChannel;
  readonly judge: Judge;
  readonly sink: ShareSink;
  readonly splits: SplitSource;
  readonly blocks: BlockSink;
  readonly registry: SessionRegistry;
  readonly hellos: SeenHellos;
  readonly metrics: GatewayMetrics;
  readonly log: Logger;
  readonly logLimiter: LogLimiter;
  readonly now: () => number;
  readonly monotonic: () => number;
  /** The socket has closed: it counts no longer. */
  readonly onClosed: (connection: Connection) => void;
}

export class Connection implements SessionConnection {
  readonly connectedAt: number;
  #state: ConnectionState | "closed" = "handshake";
  readonly #openedAt: number;
  readonly #channel: PoolChannel;
  readonly #smallPayload: number;
  #channelFed = false;
  /** Bytes held until it is known who speaks. */
  #first: Uint8Array | undefined;
  #session: GatewaySession | undefined;
  #version = "";
  #proven = false;
  #lastReceived: number;
  #lastSent: number;
  #stalledSince: number | undefined;
  #out: Uint8Array[] = [];
  #flushPlanned = false;
  #draining = false;
  #pending = 0;
  #paused = false;
  #finishing = false;
  readonly #fullSets: FullSetRequests;
  #log: Logger;

  constructor(
    private readonly socket: Socket,
    readonly address: string,
    private readonly context: ConnectionContext,
  ) {
    this.connectedAt = context.now();
    this.#openedAt = context.monotonic();
    this.#lastReceived = this.#openedAt;
    this.#lastSent = this.#openedAt;
    this.#channel = context.newChannel();
    this.#smallPayload = this.#channel.maxPayload;
    this.#fullSets = new FullSetRequests(context.limits.fullSetMs, (jobId) => this.#session?.work.jobSerial(jobId));
    this.#log = context.log.child({ peer: `${address}:${socket.remotePort ?? 0}` });
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

  /** Runs the timers; called about once a second. */
  tick(): void {
    const { limits } = this.context;
    const now = this.context.monotonic();
    if (this.#state === "closed") return;
    if (this.#state !== "open") {
      if (now - this.#openedAt >= limits.handshakeMs) {
        this.#endHandshake("timeout");
        this.#close("handshakeTimeout", { afterMs: Math.round(now - this.#openedAt), state: this.#state });
      }
      return;
    }
    if (this.socket.writableLength === 0) this.#stalledSince = undefined;
    else this.#stalledSince ??= now;
    if (this.#stalledSince !== undefined && now - this.#stalledSince >= limits.stalledMs) {
      this.#close("slowReader", { unsent: this.socket.writableLength, stalledMs: Math.round(now - this.#stalledSince) });
    } else if (now - this.#lastReceived >= limits.idleMs && !this.#paused) {
      this.#close("idle", { silentMs: Math.round(now - this.#lastReceived) });
    } else if (now - this.#lastSent >= limits.pingMs) {
      this.#guard(() => {
        this.#send({ type: "ping" });
        this.#flush();
      });
    }
  }

  /** Reads no more; closes once every share that waits for its commit is answered. */
  finish(): void {
    if (this.#state === "closed") return;
    this.#finishing = true;
    this.socket.pause();
    if (this.#pending === 0) this.#close("shutdown");
  }

  /** Closes at once, answers or not. */
  destroy(): void {
    this.#close("shutdown");
    this.socket.destroy();
  }

  takenOver(): void {
    this.context.metrics.takenOver();
    this.#close("takenOver");
  }

  fetchFullSet(jobId: number): Promise<readonly Uint8Array[]> {
    return this.#fullSets
      .request(jobId, () => {
        // A block's transactions may take all that a header can name.
        this.#channel.maxPayload = LARGEST_PAYLOAD;
        this.#send({ type: "fullSetRequest", jobId });
        this.#planFlush();
      })
      .then(
        (transactions) => {
          this.context.metrics.fullSet("answered");
          return transactions;
        },
        (error: { code: string }) => {
          this.context.metrics.fullSet(error.code);
          throw error;
        },
      );
  }

  // Reading.

  #onData(chunk: Uint8Array): void {
    if (this.#state === "closed") return;
    this.#lastReceived = this.context.monotonic();
    const bytes = this.#channelFed ? chunk : this.#knowPeer(chunk);
    if (bytes === undefined) return;
    this.#guard(() => {
      this.#channel.receive(bytes);
      this.#drain();
    });
  }

  /** Holds the first bytes until it is clear who speaks. @returns what the channel should get. */
  #knowPeer(chunk: Uint8Array): Uint8Array | undefined {
    const bytes = this.#first === undefined ? chunk : Buffer.concat([this.#first, chunk]);
    this.#first = bytes;
    const kind = classify(bytes);
    if (kind === "more") return undefined;
    if (kind === "http") {
      this.#out.push(httpAnswer());
      this.#endHandshake("http");
      this.#close("http");
      return undefined;
    }
    if (kind === "json") {
      const line = firstLine(bytes, FIRST_LINE_LIMIT);
      if (line === undefined) return undefined;
      const answer = stratumAnswer(line);
      if (answer !== undefined) {
        this.#out.push(answer);
        this.#endHandshake("stratum");
        this.#close("stratum");
        return undefined;
      }
    }
    this.#channelFed = true;
    this.#first = undefined;
    return bytes;
  }

  /** Opens and handles frames until bytes run out, or the connection must wait. Never awaits. */
  #drain(): void {
    this.#draining = true;
    try {
      while (this.#mayRead()) {
        const event = this.#channel.next();
        if (event === undefined) break;
        if (event.type === "hello") this.#onHello(event.hello);
        else this.#onMessage(event.message);
      }
    } finally {
      this.#draining = false;
    }
    if (this.#state === "open" && this.#pending >= this.context.limits.pendingShares) {
      this.#paused = true;
      this.socket.pause();
    }
    this.#flush();
  }

  #mayRead(): boolean {
    if (this.#finishing) return false;
    return this.#state === "handshake" || (this.#state === "open" && this.#pending < this.context.limits.pendingShares);
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

  #onHello(hello: Hello): void {
    this.#version = printable(hello.version);
    const keyPrefix = Buffer.from(hello.longTermSignKey).toString("hex").slice(0, 16);
    this.#log = this.#log.child({ gateway: keyPrefix });
    if (this.context.hellos.check(hello.sessionSignKey, this.context.monotonic())) {
      this.#endHandshake("replayed");
      this.#close("replayedHello", { version: this.#version });
      return;
    }
    this.#write(this.#channel.accept());
    this.#toState("opening");
    // A gateway sends nothing before its configuration, so nothing is lost by not reading; what came early stays closed in the channel.
    this.socket.pause();
    this.context.registry.open(hello.longTermSignKey, hello.version).then(
      (session) => this.#onSession(session),
      (error: unknown) => {
        if (this.#state === "closed") return;
        this.#endHandshake("sessionUnavailable");
        this.#close("sessionUnavailable", { err: error });
      },
    );
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
      this.#send({ type: "configuration", primeId: session.primeId, ...this.context.configuration });
      this.#toState("open");
      this.#endHandshake("accepted");
      this.#log.info({ session: session.id.toString(), primeId: session.primeId, version: this.#version }, "handshake");
      if (!this.#finishing) this.socket.resume();
      this.#drain();
    });
    if (this.#finishing && this.#pending === 0) this.#close("shutdown");
  }

  // Messages.

  #onMessage(message: GatewayMessage): void {
    const session = this.#session!;
    if (!this.#proven) {
      this.#proven = true;
      const previous = this.context.registry.takeOver(session, this);
      if (previous !== undefined) this.#log.info({ from: previous.address, heldSince: previous.connectedAt }, "session taken over");
    }
    switch (message.type) {
      case "share":
        this.#onShare(message, session);
        return;
      case "coinbaserRequest":
        this.#onCoinbaserRequest(message, session);
        return;
      case "fullSet": {
        const asked = this.#fullSets.reply(message);
        if (!this.#fullSets.outstanding) this.#channel.maxPayload = this.#smallPayload;
        if (!asked) this.#unasked(message.type);
        return;
      }
      case "shortIds":
      case "transactionsByIndex":
        // This pool never asks for these.
        this.#unasked(message.type);
        return;
      case "jobAnnouncement":
        session.work.announce(message);
        return;
    }
  }

  #unasked(type: string): void {
    this.context.metrics.protocolError("unaskedReply");
    this.#close("protocolError", { code: "unaskedReply", got: type });
  }

  #onCoinbaserRequest(request: CoinbaserRequest, session: GatewaySession): void {
    const started = this.context.monotonic();
    const { value } = request;
    // The request's is a view of its frame, and the split is kept.
    const prevhash = Uint8Array.from(request.prevhash);
    let outputs: readonly { readonly value: bigint; readonly script: Uint8Array }[] = [];
    let coinbaserId = EMPTY_LIST_ID;
    let result: "split" | "empty" | "overBudget" | "failed" = "empty";
    // A request must be answered, once, with its own value: whatever goes wrong, the empty list is the answer, and that job pays the pool.
    if (!session.coinbaserBudget.take(started)) {
      result = "overBudget";
      this.#warn("overBudget", { value: value.toString() }, "coinbaser request over the session's budget: empty list");
    } else {
      try {
        const id = session.work.nextCoinbaserId();
        const split = this.context.splits.offer({ sessionId: session.id, coinbaserId: id, value, prevhash, finder: session.work.payee });
        if (split.outputs.length > 0) {
          session.work.addSplit(split);
          outputs = split.outputs;
          coinbaserId = id;
          result = "split";
        }
      } catch (error) {
        result = "failed";
        this.#log.error({ err: error, value: value.toString() }, "no split could be made: empty list");
      }
    }
    this.#send({ type: "coinbaser", value, coinbaserId, outputs });
    this.context.metrics.coinbaser(result, (this.context.monotonic() - started) / 1000);
  }

  #onShare(share: Share, session: GatewaySession): void {
    const started = this.context.monotonic();
    const verdict = this.context.judge.judge(session.work, share);
    // A found block comes before every reason to refuse its share.
    if (verdict.block !== undefined) this.#blockFound(verdict.block, session);
    if (verdict.kind === "refused") {
      this.#log.debug({ reason: verdict.reason, detail: verdict.detail, jobId: share.jobId, nonce: share.nonce }, "share refused");
      this.#warn(`refused${verdict.reason}`, { reason: verdict.reason, detail: verdict.detail }, "share refused");
      this.#refuse(share, session, verdict.reason);
      return;
    }
    const judged = verdict.share;
    const name: ShareName = { nonce: share.nonce, targetByte: share.targetByte, jobId: share.jobId };
    this.#pending += 1;
    let open = true;
    const done = (outcome: CommitOutcome): void => {
      if (!open) return;
      open = false;
      this.#pending -= 1;
      this.#committed(name, judged, session, outcome, started);
    };
    let taken = false;
    try {
      taken = this.context.sink.append(judged, done);
    } catch (error) {
      this.#log.error({ err: error }, "the share log refused a share with a fault");
    }
    if (!taken) {
      this.#warn("logFull", {}, "the share log takes no more: shares are refused");
      done("failed");
    }
  }

  /** The share's transaction has ended; only now may its miner hear of it. */
  #committed(share: ShareName, judged: JudgedShare, session: GatewaySession, outcome: CommitOutcome, started: number): void {
    if (outcome === "committed") {
      const status = judged.tentative ? "tentative" : "accepted";
      session.stats.addAccepted(judged, this.context.now());
      this.context.metrics.share(status, 0);
      this.context.metrics.acknowledged((this.context.monotonic() - started) / 1000);
      this.#answer(share, status, 0);
    } else if (outcome === "duplicate") {
      this.#refuse(share, session, REASON.duplicate);
    } else {
      this.context.judge.forget(judged);
      this.#refuse(share, session, REASON.other);
    }
    if (this.#finishing && this.#pending === 0) this.#close("shutdown");
    else if (this.#paused && this.#pending <= this.context.limits.pendingShares / 2) this.#unpause();
  }

  #unpause(): void {
    this.#paused = false;
    // Not from inside the log's callback: the frames that wait here are another turn's work.
    setImmediate(() => {
      if (this.#state !== "open" || this.#finishing) return;
      this.socket.resume();
      this.#guard(() => this.#drain());
    });
  }

  #refuse(share: ShareName, session: GatewaySession, reason: number): void {
    session.stats.addRefused(reason);
    this.context.metrics.share("refused", reason);
    this.#answer(share, "rejected", reason);
  }

  #answer(share: ShareName, status: ShareStatus, reason: number): void {
    if (this.#state === "closed") {
      this.context.metrics.answerDropped();
      return;
    }
    this.#guard(() => {
      this.#send({ type: "shareResponse", status, reason, nonce: share.nonce, targetByte: share.targetByte, jobId: share.jobId });
      if (!this.#draining) this.#planFlush();
    });
  }

  #blockFound(candidate: BlockCandidate, session: GatewaySession): void {
    // One share that is a block can be sent any number of times.
    const fields = { height: candidate.height, hash: Buffer.from(candidate.hash).reverse().toString("hex") };
    this.#limited("info", "blockFound", fields, "block found");
    try {
      this.context.blocks.found(candidate, () => session.fetchFullSet(candidate.jobId));
    } catch (error) {
      // It is promised not to; a share must be answered all the same.
      this.#log.error({ err: error }, "a found block could not be handed on");
    }
  }

  // Writing.

  /** Seals a message and queues it: the order of calls is the order on the wire. */
  #send(message: PoolMessage): void {
    this.#write(this.#channel.send(message));
  }

  #write(frame: Uint8Array): void {
    this.#out.push(frame);
    this.#lastSent = this.context.monotonic();
  }

  /** Gathers the answers of one group commit, which come one by one in the same turn, into one write. */
  #planFlush(): void {
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    queueMicrotask(() => {
      this.#flushPlanned = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#out.length === 0 || this.#state === "closed") return;
    this.#writeOut();
    if (this.socket.writableLength > this.context.limits.queuedBytes) {
      this.#close("slowReader", { unsent: this.socket.writableLength });
    }
  }

  #writeOut(): void {
    const out = this.#out;
    this.#out = [];
    if (out.length > 0 && this.socket.writable) this.socket.write(out.length === 1 ? out[0]! : Buffer.concat(out));
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
    context.metrics.state(this.#state, undefined);
    context.metrics.closed(reason);
    this.#state = "closed";
    this.#first = undefined;
    if (this.#session !== undefined) context.registry.detach(this.#session, this);
    this.#fullSets.disconnect();
    this.#logClose(reason, detail);
    if (reason === "slowReader" || this.socket.destroyed) {
      this.socket.destroy();
      return;
    }
    this.#writeOut();
    this.socket.end();
    // What the peer still sends is thrown away, so that its unread bytes don't reset the connection before it has read our last ones.
    this.socket.resume();
    setTimeout(() => this.socket.destroy(), LINGER_MS).unref();
  }

  #logClose(reason: CloseReason, detail: Record<string, unknown>): void {
    const usual = reason === "left" || reason === "socketError" || reason === "takenOver" || reason === "shutdown";
    const fields = { reason, unanswered: this.#pending, ...detail };
    if (usual && this.#session !== undefined) this.#log.info(fields, "connection closed");
    else if (usual) this.#log.debug(fields, "connection closed");
    else this.#warn(`close.${reason}`, fields, "connection closed");
  }

  /** A warning that a flood of bad peers can't turn into a flood of lines. */
  #warn(key: string, fields: Record<string, unknown>, message: string): void {
    this.#limited("warn", key, fields, message);
  }

  #limited(level: "info" | "warn", key: string, fields: Record<string, unknown>, message: string): void {
    const suppressed = this.context.logLimiter.allow(key, this.context.monotonic());
    if (suppressed === undefined) return;
    this.#log[level](suppressed === 0 ? fields : { ...fields, suppressed }, message);
  }
}

/** What a gateway says of itself, fit for a log and a table. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?").slice(0, 128);
}
