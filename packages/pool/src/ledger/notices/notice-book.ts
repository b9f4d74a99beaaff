/** Receivers of notices and the outbox. Small writes beside the log: none of them is waited for by a share or by money. */
import type { ClientBase } from "pg";
import type { Database } from "../database.js";
import {
  ADD_RECEIVER,
  ALARMS,
  CLEAR_ALARMS,
  DROP_OPERATOR,
  DUE_RECEIVERS,
  EXPIRE,
  FORGET_NOTICES,
  FORGET_PACES,
  FORGET_WAITING,
  GATEWAY_KEYS,
  KEEP_OPERATOR,
  LOG_HEAD,
  MORE_WORK,
  NEWS_BLOCKS,
  NEWS_ENTRIES,
  NEWS_POSTINGS,
  NOTICE_STATE,
  OPEN_WORK,
  PACES,
  RAISE_ALARMS,
  RECEIVER_FAILED,
  RECEIVER_SENT,
  RECEIVERS,
  REMOVE_RECEIVER,
  SAVE_PACES,
  SET_ENTRY,
  SET_POSITION,
  SET_TARGET,
  SETTLE,
  WAITING,
  WORKER_NAMES,
  WRITE_NOTICES,
} from "./queries.js";
import {
  type BlockRow,
  blockOf,
  type EntryRow,
  entryOf,
  optionalTime,
  type PaceSqlRow,
  type PostingRow,
  paceOf,
  paceRow,
  type ReceiverRow,
  receiverOf,
  type WorkSqlRow,
  workOf,
} from "./rows.js";
import type {
  Alarm,
  NewsBlock,
  NewsEntry,
  NoticeChanges,
  NoticeChannel,
  NoticeReceiver,
  PaceRow,
  WaitingNotice,
  WorkDone,
} from "./types.js";

/** Entries of one look. */
const MOST_ENTRIES = 500;
const MOST_BLOCKS = 64;
const PACES_AT_ONCE = 1000;

/** Every call rejects with the database's errors, and is safe to repeat. */
export class NoticeBook {
  constructor(
    private readonly database: Database,
    /** Pool clock, milliseconds. */
    private readonly now: () => number,
  ) {}

  /** All receivers, oldest first. */
  async receivers(): Promise<NoticeReceiver[]> {
    const { rows } = await this.database.pool.query<ReceiverRow>(RECEIVERS);
    return rows.map(receiverOf);
  }

  /** Adds a receiver of an account. @param seal makes the sealed target for the receiver's id */
  addReceiver(
    account: number,
    channel: NoticeChannel,
    events: readonly string[],
    tokens: number,
    seal: (id: bigint) => Uint8Array,
  ): Promise<bigint> {
    return this.#transaction(async (client) => {
      const values = [account, channel, Buffer.alloc(0), events, tokens, this.#time()];
      const { rows } = await client.query<{ id: string }>(ADD_RECEIVER, values);
      const id = BigInt(rows[0]?.id ?? 0);
      await client.query(SET_TARGET, [id, Buffer.from(seal(id))]);
      return id;
    });
  }

  /** @returns false when there is no such receiver of an account */
  async removeReceiver(id: bigint): Promise<boolean> {
    return ((await this.database.pool.query(REMOVE_RECEIVER, [id])).rowCount ?? 0) > 0;
  }

  /** Makes the operator's receivers those of the configuration. @returns their ids */
  keepOperator(channels: readonly NoticeChannel[], events: readonly string[], tokens: number): Promise<Map<NoticeChannel, bigint>> {
    return this.#transaction(async (client) => {
      await client.query(DROP_OPERATOR, [channels]);
      const ids = new Map<NoticeChannel, bigint>();
      for (const channel of channels) {
        const { rows } = await client.query<{ id: string }>(KEEP_OPERATOR, [channel, events, tokens, this.#time()]);
        ids.set(channel, BigInt(rows[0]?.id ?? 0));
      }
      return ids;
    });
  }

  /** Takes changes in as one. Notices whose key is known already change nothing. */
  async write({ notices = [], raise = [], clear = [], entry }: NoticeChanges): Promise<void> {
    if (notices.length + raise.length + clear.length === 0 && entry === undefined) return;
    await this.#transaction(async (client) => {
      if (notices.length > 0) {
        await client.query(WRITE_NOTICES, [
          notices.map(({ key }) => key),
          notices.map(({ event }) => event),
          notices.map(({ account }) => account ?? null),
          notices.map(({ at }) => new Date(at)),
          notices.map(({ data }) => JSON.stringify(data)),
          this.#time(),
        ]);
      }
      if (raise.length > 0) {
        const data = raise.map((alarm) => JSON.stringify(alarm.data));
        await client.query(RAISE_ALARMS, [raise.map(({ name }) => name), raise.map(({ since }) => new Date(since)), data]);
      }
      if (clear.length > 0) await client.query(CLEAR_ALARMS, [clear]);
      if (entry !== undefined) await client.query(SET_ENTRY, [entry]);
    });
  }

  /** What was told and is not over, by name. */
  async alarms(): Promise<Map<string, Alarm>> {
    const { rows } = await this.database.pool.query<{ name: string; since: Date; data: string }>(ALARMS);
    return new Map(
      rows.map(({ name, since, data }) => [name, { name, since: since.getTime(), data: JSON.parse(data) as Record<string, unknown> }]),
    );
  }

  /** Entries of the ledger since the last ones told. @returns them, and the last entry looked at, undefined when there was none */
  async newsEntries(): Promise<{ readonly entries: NewsEntry[]; readonly last: bigint | undefined }> {
    const { pool } = this.database;
    const state = await pool.query<{ entry: string }>(NOTICE_STATE);
    const { rows } = await pool.query<EntryRow>(NEWS_ENTRIES, [state.rows[0]?.entry ?? 0, MOST_ENTRIES]);
    const last = rows.at(-1);
    const news = rows.filter((row) => row.news);
    const postings = news.length === 0 ? [] : (await pool.query<PostingRow>(NEWS_POSTINGS, [news.map(({ id }) => id)])).rows;
    return { entries: news.map((row) => entryOf(row, postings)), last: last === undefined ? undefined : BigInt(last.id) };
  }

  /** The latest blocks that were handed in after `since`, oldest first. */
  async newsBlocks(since: number): Promise<NewsBlock[]> {
    const { rows } = await this.database.pool.query<BlockRow>(NEWS_BLOCKS, [MOST_BLOCKS, new Date(since)]);
    return rows.map(blockOf).reverse();
  }

  /** Position of the share log up to which work was looked at when paces were last saved. */
  async position(): Promise<bigint> {
    const { rows } = await this.database.pool.query<{ position: string }>(NOTICE_STATE);
    return BigInt(rows[0]?.position ?? 0);
  }

  /** Last committed position of the share log. */
  async head(): Promise<bigint> {
    const { rows } = await this.database.pool.query<{ position: string }>(LOG_HEAD);
    return BigInt(rows[0]?.position ?? 0);
  }

  /** Hands over the work after `after` up to `head`, of these accounts (undefined for all), in pieces: shares are judged in this thread. */
  async workDone(after: bigint, head: bigint, accounts: readonly number[] | undefined, take: (work: WorkDone) => void): Promise<void> {
    if (after >= head) return;
    await this.#transaction(async (client) => {
      await client.query(OPEN_WORK, [after, head, accounts ?? null]);
      for (;;) {
        const { rows } = await client.query<WorkSqlRow>(MORE_WORK);
        if (rows.length === 0) return;
        for (const row of rows) take(workOf(row));
      }
    });
  }

  async paces(): Promise<PaceRow[]> {
    return (await this.database.pool.query<PaceSqlRow>(PACES)).rows.map(paceOf);
  }

  /** Saves paces as of a position of the log, and forgets those without a share since `oldest`. */
  async savePaces(paces: readonly PaceRow[], position: bigint, oldest: number): Promise<void> {
    await this.#transaction(async (client) => {
      // In pieces: a text of a hundred thousand rows would hold up the thread that judges shares.
      for (let from = 0; from < paces.length; from += PACES_AT_ONCE) {
        await client.query(SAVE_PACES, [JSON.stringify(paces.slice(from, from + PACES_AT_ONCE).map(paceRow))]);
      }
      await client.query(FORGET_PACES, [new Date(oldest)]);
      await client.query(SET_POSITION, [position]);
    });
  }

  /** Names of workers by id: the account's address, and the worker's own name. */
  async workerNames(ids: readonly number[]): Promise<Map<number, { readonly address: string; readonly name: string }>> {
    if (ids.length === 0) return new Map();
    const { rows } = await this.database.pool.query<{ id: number; name: string; address: string }>(WORKER_NAMES, [ids]);
    return new Map(rows.map(({ id, name, address }) => [id, { name, address }]));
  }

  /** First 16 hex digits of the long-term keys of sessions. */
  async gatewayKeys(sessions: readonly bigint[]): Promise<Map<bigint, string>> {
    if (sessions.length === 0) return new Map();
    const { rows } = await this.database.pool.query<{ id: string; gateway_key: Buffer }>(GATEWAY_KEYS, [sessions]);
    return new Map(rows.map(({ id, gateway_key }) => [BigInt(id), gateway_key.toString("hex").slice(0, 16)]));
  }

  /** Receivers for which a notice written up to `gathered` waits, without those at work. */
  async due(gathered: number, busy: readonly bigint[]): Promise<NoticeReceiver[]> {
    this.database.check();
    const { rows } = await this.database.pool.query<ReceiverRow>(DUE_RECEIVERS, [this.#time(), new Date(gathered), busy]);
    return rows.map(receiverOf);
  }

  /** The oldest notices that wait for a receiver. */
  async waiting(receiver: bigint, most: number): Promise<WaitingNotice[]> {
    const { rows } = await this.database.pool.query<{ id: string; event: string; at: Date; written_at: Date; data: string }>(WAITING, [
      receiver,
      most,
    ]);
    return rows.map((row) => ({
      id: BigInt(row.id),
      event: row.event,
      at: row.at.getTime(),
      writtenAt: optionalTime(row.written_at) ?? 0,
      data: JSON.parse(row.data) as Record<string, unknown>,
    }));
  }

  /** These have reached their receiver. @param tokens what it has left */
  async sent(receiver: bigint, notices: readonly bigint[], tokens: number): Promise<void> {
    await this.#transaction(async (client) => {
      await client.query(SETTLE, [receiver, notices]);
      await client.query(RECEIVER_SENT, [receiver, tokens, this.#time()]);
    });
  }

  /** A try failed: the next one is due at `retryAt`; undefined gives the receiver up, and what waits for it goes. */
  async failed(receiver: bigint, retryAt: number | undefined): Promise<void> {
    const next = retryAt === undefined ? null : new Date(retryAt);
    await this.#transaction(async (client) => {
      await client.query(RECEIVER_FAILED, [receiver, this.#time(), next, retryAt === undefined]);
      if (retryAt === undefined) await client.query(FORGET_WAITING, [receiver]);
    });
  }

  /** Drops waiting notices written before `before`, and all but the newest `most` of a receiver; forgets old ones. @returns channels of those dropped */
  async sweep(before: number, most: number, oldest: number): Promise<NoticeChannel[]> {
    const { rows } = await this.database.pool.query<{ channel: NoticeChannel }>(EXPIRE, [new Date(before), most]);
    await this.database.pool.query(FORGET_NOTICES, [new Date(oldest)]);
    return rows.map(({ channel }) => channel);
  }

  #time(): Date {
    return new Date(this.now());
  }

  async #transaction<T>(use: (client: ClientBase) => Promise<T>): Promise<T> {
    const client = await this.database.pool.connect();
    let failed = true;
    try {
      await client.query("BEGIN");
      const result = await use(client);
      await client.query("COMMIT");
      failed = false;
      return result;
    } finally {
      // A connection that failed within a transaction is not given back.
      client.release(failed);
    }
  }
}
