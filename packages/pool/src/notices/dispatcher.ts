/**
 * Empties the outbox: each receiver gets what waits for it in one message, at its own pace, again after a failure, and never twice by our doing. (One
 * whose answer is lost with the process gets the message again, with the same ids.)
 */
import type { Logger } from "pino";
import type { NoticeBook, NoticeChannel, NoticeReceiver } from "../ledger/index.js";
import type { Channel } from "./channels/types.js";
import { messageOf, type PoolName } from "./digest.js";
import { NoticeError } from "./errors.js";
import type { NoticeMetrics } from "./metrics.js";
import type { NoticeSecrets } from "./secrets.js";

export interface DispatcherOptions {
  readonly pool: PoolName;
  /** How long a notice waits for others that belong to the same message, milliseconds. */
  readonly gatherMs: number;
  /** After the first failure; doubled by each further one up to `lastBackoffMs`. */
  readonly firstBackoffMs: number;
  /** Whether miners' webhooks may be in private networks. */
  readonly privateAllowed: boolean;
}

export interface DispatcherModules {
  readonly book: NoticeBook;
  readonly secrets: NoticeSecrets;
  /** Those that the configuration has the means for. */
  readonly channels: ReadonlyMap<NoticeChannel, Channel>;
  /** The operator's own targets. */
  readonly operator: ReadonlyMap<NoticeChannel, string>;
  readonly log: Logger;
  readonly metrics: NoticeMetrics;
  /** Pool clock, milliseconds. */
  readonly now: () => number;
}

/** Messages that a receiver may get at once, and how long it takes until it may get one more: five, then six an hour. */
export const TOKENS = 5;
const TOKEN_MS = 600_000;
const LAST_BACKOFF_MS = 3_600_000;
/** A receiver that took nothing for so long is dead. */
const PATIENCE_MS = 3 * 86_400_000;
/** Notices older than this are nobody's news. */
const EXPIRY_MS = 86_400_000;
const MOST_WAITING = 1000;
/** Keys of notices are known for so long. */
const REMEMBERED_MS = 30 * 86_400_000;
const NOTICES_PER_MESSAGE = 50;
const AT_ONCE = 8;

export class Dispatcher {
  readonly #stop = new AbortController();
  readonly #busy = new Map<bigint, Promise<void>>();

  constructor(
    private readonly options: DispatcherOptions,
    private readonly modules: DispatcherModules,
  ) {}

  /** Begins to send what is due; resolves when that has begun. Rejects with the database's errors. */
  async run(): Promise<void> {
    const { book, now } = this.modules;
    const due = await book.due(now() - this.options.gatherMs, [...this.#busy.keys()]);
    for (const receiver of due) {
      if (this.#busy.size >= AT_ONCE || this.#stop.signal.aborted) return;
      const tokens = tokensNow(receiver, now());
      if (tokens < 1) continue;
      const work = this.#serve(receiver, tokens).finally(() => this.#busy.delete(receiver.id));
      this.#busy.set(receiver.id, work);
    }
  }

  /** Waits for the messages that are on their way. */
  async settled(): Promise<void> {
    await Promise.all(this.#busy.values());
  }

  /** Drops what waits in vain. */
  async sweep(): Promise<void> {
    const { book, metrics, now } = this.modules;
    const dropped = await book.sweep(now() - EXPIRY_MS, MOST_WAITING, now() - REMEMBERED_MS);
    for (const channel of dropped) metrics.count(channel, "dropped");
  }

  /** No further message; those on their way have `graceMs` to arrive. */
  async stop(graceMs: number): Promise<void> {
    const timer = setTimeout(() => this.#stop.abort(), graceMs);
    await this.settled();
    clearTimeout(timer);
    this.#stop.abort();
  }

  async #serve(receiver: NoticeReceiver, tokens: number): Promise<void> {
    const { book, log, metrics } = this.modules;
    try {
      const notices = await book.waiting(receiver.id, NOTICES_PER_MESSAGE);
      if (notices.length === 0 || this.#stop.signal.aborted) return;
      try {
        await this.#send(receiver, messageOf(receiver, notices, this.options.pool));
      } catch (error) {
        await this.#failed(receiver, error);
        return;
      }
      await book.sent(
        receiver.id,
        notices.map(({ id }) => id),
        tokens - 1,
      );
      metrics.count(receiver.channel, "sent", notices.length);
    } catch (error) {
      log.warn({ receiver: nameOf(receiver), error: (error as Error).message }, "the outbox of notices can't be read or written");
    }
  }

  async #send(receiver: NoticeReceiver, message: ReturnType<typeof messageOf>): Promise<void> {
    const { channels, operator, secrets } = this.modules;
    const channel = channels.get(receiver.channel);
    const target = receiver.target === undefined ? operator.get(receiver.channel) : secrets.open(receiver.id, receiver.target);
    if (channel === undefined || target === undefined) {
      throw new NoticeError("notices.channelOff", `the configuration has nothing to send by ${receiver.channel} with`);
    }
    const privateAllowed = receiver.account === undefined || this.options.privateAllowed;
    const { signal } = this.#stop;
    await unlessAborted(channel.send({ target, name: nameOf(receiver), privateAllowed }, message, signal), signal);
  }

  async #failed(receiver: NoticeReceiver, error: unknown): Promise<void> {
    const { book, log, metrics, now } = this.modules;
    // Cut off by our own end: that says nothing of the receiver.
    if (this.#stop.signal.aborted) return;
    const code = error instanceof NoticeError ? error.code : undefined;
    const failingFor = now() - (receiver.failingSince ?? now());
    const fields = { receiver: nameOf(receiver), channel: receiver.channel, code, failures: receiver.failures + 1 };
    metrics.count(receiver.channel, "failed");
    if (code === undefined) log.error({ ...fields, err: error }, "a notice could not be sent");
    else log.warn({ ...fields, why: (error as Error).message }, "a notice could not be sent");
    if (code !== "notices.gone" && failingFor < PATIENCE_MS) {
      const backoff = Math.min(this.options.firstBackoffMs * 2 ** Math.min(receiver.failures, 20), LAST_BACKOFF_MS);
      await book.failed(receiver.id, now() + backoff);
      return;
    }
    await book.failed(receiver.id, undefined);
    metrics.count(receiver.channel, "disabled");
    log.error(fields, "a receiver of notices is given up");
    const data = {
      receiver: nameOf(receiver),
      channel: receiver.channel,
      account: receiver.address,
      why: (error as Error).message,
      since: new Date(receiver.failingSince ?? now()).toISOString(),
    };
    const key = `receiver:${receiver.id}:${now()}`;
    await book.write({ notices: [{ key, event: "receiver.disabled", account: undefined, at: now(), data }] });
  }
}

/** What a receiver is called in commands, logs and notices. */
export function nameOf({ id, account }: Pick<NoticeReceiver, "id" | "account">): string {
  return account === undefined ? "operator" : id.toString();
}

/** The promise's end, or a rejection when the signal fires: not every channel can be stopped in the middle. */
async function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  let aborted: (() => void) | undefined;
  const end = new Promise<never>((_, reject) => {
    aborted = () => reject(new NoticeError("notices.timeout", "the message was not waited for"));
    signal.addEventListener("abort", aborted, { once: true });
  });
  try {
    await Promise.race([promise, end]);
  } finally {
    if (aborted !== undefined) signal.removeEventListener("abort", aborted);
  }
}

/** Messages that a receiver may get now. */
function tokensNow({ tokens, refilledAt }: NoticeReceiver, now: number): number {
  return Math.min(TOKENS, tokens + Math.max(0, now - refilledAt) / TOKEN_MS);
}
