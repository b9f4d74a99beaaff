/** Books of their own for tests of notices: real ones, with accounts and workers, under a clock that stands still until it is set. */
import { pino } from "pino";
import { Registry } from "prom-client";
import { onTestFinished } from "vitest";
import { type Database, NoticeBook, type NoticeChannel, openDatabase } from "../../src/ledger/index.js";
import type { Channel, Destination, Message } from "../../src/notices/channels/types.js";
import { NoticeMetrics } from "../../src/notices/metrics.js";
import { externalServer, MemoryLogger, script, temporaryDatabase, temporaryDirectory } from "../ledger/support.js";
import { NOW, SECRETS } from "./support.js";

export class Books {
  now = NOW;
  readonly book: NoticeBook;

  private constructor(
    readonly database: Database,
    /** To open it once more. */
    readonly options: Parameters<typeof openDatabase>[0],
  ) {
    this.book = new NoticeBook(database, () => this.now);
  }

  /** Removed with the test. */
  static async open(): Promise<Books> {
    const server = await externalServer();
    if (server !== undefined) {
      const { url, remove } = await temporaryDatabase(server);
      return Books.#with({ url }, remove);
    }
    const { path, remove } = temporaryDirectory();
    return Books.#with({ embedded: { dataDir: path } }, async () => remove());
  }

  static async #with(options: Parameters<typeof openDatabase>[0], remove: () => Promise<void>): Promise<Books> {
    const database = await openDatabase(options, { log: new MemoryLogger() });
    onTestFinished(async () => {
      await database.close();
      await remove();
    });
    return new Books(database, options);
  }

  /** An account with that number of workers, called rig1, rig2… @returns its id */
  async account(name: string, workers = 0): Promise<number> {
    const { pool } = this.database;
    const { rows } = await pool.query<{ id: number }>(
      "INSERT INTO accounts (script, kind, address) VALUES ($1, 'miner', $2) RETURNING id",
      [Buffer.from(script(name)), `bc1q${name}`],
    );
    const id = rows[0]!.id;
    for (let worker = 1; worker <= workers; worker++) {
      await pool.query("INSERT INTO workers (account, name) VALUES ($1, $2)", [id, `rig${worker}`]);
    }
    return id;
  }

  receiver(account: number, channel: NoticeChannel, events: readonly string[], target = `https://example.com/${account}`): Promise<bigint> {
    return this.book.addReceiver(account, channel, events, 5, (id) => SECRETS.seal(id, target));
  }

  async rows<T extends object>(sql: string): Promise<T[]> {
    return (await this.database.pool.query<T>(sql)).rows;
  }

  /** Notices that wait for somebody, whom they are for, and what they say. */
  async told(): Promise<{ event: string; account: number | null; data: Record<string, unknown> }[]> {
    const rows = await this.rows<{ event: string; account: number | null; data: string }>(
      "SELECT event, account, data FROM notices n WHERE EXISTS (SELECT FROM notice_deliveries d WHERE d.notice = n.id) ORDER BY id",
    );
    return rows.map(({ event, account, data }) => ({ event, account, data: JSON.parse(data) as Record<string, unknown> }));
  }
}

/** Takes messages, or throws what it is given. */
export class FakeChannel implements Channel {
  readonly messages: { readonly destination: Destination; readonly message: Message }[] = [];
  /** Thrown by the next sends, in order. */
  readonly errors: unknown[] = [];
  /** Thrown by every send. */
  broken: unknown;
  /** Held until it resolves. */
  gate: Promise<void> | undefined;

  async send(destination: Destination, message: Message): Promise<void> {
    await this.gate;
    const error = this.broken ?? this.errors.shift();
    if (error !== undefined) throw error;
    this.messages.push({ destination, message });
  }

  close(): void {
    // Nothing is open.
  }

  /** Titles of all notices that came. */
  get titles(): string[] {
    return this.messages.flatMap(({ message }) =>
      (JSON.parse(message.json) as { notices: { title: string }[] }).notices.map(({ title }) => title),
    );
  }
}

export const SILENT = pino({ level: "silent" });

/** Metrics with the text that a scrape would get. */
export function metrics(): { readonly metrics: NoticeMetrics; readonly scrape: () => Promise<string> } {
  const registry = new Registry();
  return { metrics: new NoticeMetrics(registry), scrape: () => registry.metrics() };
}
