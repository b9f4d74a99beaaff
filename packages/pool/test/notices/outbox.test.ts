/** The outbox in real books under a held clock: once each, at a pace that nobody drowns in, again after failures, and to an end. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NoticeBook, openDatabase } from "../../src/ledger/index.js";
import { Dispatcher } from "../../src/notices/dispatcher.js";
import { NoticeError } from "../../src/notices/errors.js";
import { MemoryLogger } from "../ledger/support.js";
import { Books, FakeChannel, metrics, SILENT } from "./books.js";
import { SECRETS } from "./support.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const EVENTS = ["payout", "block.found"];
const DOWN = new NoticeError("notices.unreachable", "nobody is there");

let books: Books;
let hook: FakeChannel;
let figures: ReturnType<typeof metrics>;
let serial: number;
beforeEach(async () => {
  books = await Books.open();
  hook = new FakeChannel();
  figures = metrics();
  serial = 0;
});
afterEach(() => {
  hook.broken = undefined;
});

function dispatcher(book = books.book): Dispatcher {
  return new Dispatcher(
    { pool: { tag: "Pool", network: "regtest" }, gatherMs: 20_000, firstBackoffMs: 30_000, privateAllowed: false },
    {
      book,
      secrets: SECRETS,
      channels: new Map([["webhook", hook] as const]),
      operator: new Map([["webhook", "https://example.com/operator"] as const]),
      log: SILENT,
      metrics: figures.metrics,
      now: () => books.now,
    },
  );
}

/** Tells an account (or the operator) something. */
async function tell(account: number | undefined, count = 1, event = "payout"): Promise<void> {
  const notices = Array.from({ length: count }, () => ({
    key: `key ${++serial}`,
    event,
    account,
    at: books.now,
    data: { amount: serial, height: serial },
  }));
  await books.book.write({ notices });
}

/** Goes on in steps of half a minute, sending at each. */
async function pass(ms: number, sender = dispatcher()): Promise<void> {
  const end = books.now + ms;
  while (books.now < end) {
    books.now = Math.min(end, books.now + 30_000);
    await sender.run();
    await sender.settled();
  }
}

const waiting = async () => (await books.rows("SELECT FROM notice_deliveries")).length;

describe("the outbox", () => {
  it("tells each receiver that chose the event, once, whatever is written again", async () => {
    const alice = await books.account("alice");
    const bob = await books.account("bob");
    await books.receiver(alice, "webhook", ["payout"]);
    await books.receiver(alice, "webhook", ["block.found"]);
    await books.receiver(bob, "webhook", EVENTS);
    await tell(alice);
    await books.book.write({ notices: [{ key: "key 1", event: "payout", account: alice, at: books.now, data: { amount: 99 } }] });
    await pass(MINUTE);
    expect(hook.titles).toEqual(["You were paid 1 sats"]);
    expect(hook.messages[0]?.destination).toEqual({ target: `https://example.com/${alice}`, name: "1", privateAllowed: false });
    expect(await waiting()).toBe(0);
    expect(await figures.scrape()).toContain('openprime_notices_total{channel="webhook",outcome="sent"} 1');
  });

  it("makes one message of what happens together", async () => {
    const alice = await books.account("alice");
    await books.receiver(alice, "webhook", EVENTS);
    await tell(alice);
    const sender = dispatcher();
    books.now += 10_000;
    await sender.run();
    await sender.settled();
    expect(hook.messages).toEqual([]);
    await tell(alice, 2);
    await pass(MINUTE, sender);
    expect(hook.messages).toHaveLength(1);
    expect(hook.titles).toHaveLength(3);
  });

  it("does not flood the owner of a farm that flaps for hours: five messages, then six an hour, and every notice is in one of them", async () => {
    const alice = await books.account("alice");
    await books.receiver(alice, "webhook", EVENTS);
    const sender = dispatcher();
    const perHour: number[] = [];
    for (let hour = 0; hour < 4; hour++) {
      const before = hook.messages.length;
      for (let minute = 0; minute < 60; minute++) {
        await tell(alice);
        await pass(MINUTE, sender);
      }
      perHour.push(hook.messages.length - before);
    }
    expect(perHour[0]).toBeLessThanOrEqual(11);
    expect(Math.max(...perHour.slice(1))).toBeLessThanOrEqual(7);
    await pass(HOUR, sender);
    expect(hook.titles).toEqual(Array.from({ length: 240 }, (_, index) => `You were paid ${index + 1} sats`));
    // A quiet day later it may have five at once again.
    books.now += DAY;
    const before = hook.messages.length;
    for (let i = 0; i < 5; i++) {
      await tell(alice);
      await pass(MINUTE, sender);
    }
    expect(hook.messages.length - before).toBe(5);
  });

  it("tries again with longer and longer pauses, with the same id, and forgets what is a day old", async () => {
    const alice = await books.account("alice");
    await books.receiver(alice, "webhook", EVENTS);
    hook.broken = DOWN;
    const tries: number[] = [];
    const start = books.now;
    const counting = {
      send: async (...args: Parameters<FakeChannel["send"]>) => {
        tries.push(books.now - start);
        return hook.send(...args);
      },
      close: () => undefined,
    };
    const sender = new Dispatcher(
      { pool: { tag: "Pool", network: "regtest" }, gatherMs: 0, firstBackoffMs: 30_000, privateAllowed: false },
      {
        ...{ book: books.book, secrets: SECRETS, operator: new Map(), log: SILENT, metrics: figures.metrics, now: () => books.now },
        channels: new Map([["webhook", counting] as const]),
      },
    );
    await tell(alice);
    await pass(2 * HOUR, sender);
    const pauses = tries.slice(1).map((at, index) => at - (tries[index] as number));
    expect(pauses).toEqual([30_000, MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE, 16 * MINUTE, 32 * MINUTE]);
    hook.broken = undefined;
    await pass(HOUR, sender);
    expect(hook.messages.map(({ message }) => message.id)).toEqual(["1-1-1"]);
    const [receiver] = await books.book.receivers();
    expect(receiver).toMatchObject({ failures: 0, failingSince: undefined });

    hook.broken = DOWN;
    await tell(alice);
    books.now += DAY + 1;
    await tell(alice);
    await sender.sweep();
    expect(await waiting()).toBe(1);
    expect(await figures.scrape()).toContain('outcome="dropped"} 1');
  });

  it("keeps no more than a thousand for one receiver, the newest", async () => {
    const alice = await books.account("alice");
    await books.receiver(alice, "webhook", EVENTS);
    await tell(alice, 1200);
    await dispatcher().sweep();
    const left = await books.book.waiting(1n, 2000);
    expect(left).toHaveLength(1000);
    expect(left.at(-1)?.data).toMatchObject({ amount: 1200 });
  });

  it("gives up a receiver that is gone, and one that took nothing for three days, and tells the operator", async () => {
    await books.book.keepOperator(["webhook"], ["receiver.disabled"], 5);
    const alice = await books.account("alice");
    const bob = await books.account("bob");
    const gone = await books.receiver(alice, "webhook", EVENTS);
    const sender = dispatcher();
    hook.errors.push(new NoticeError("notices.gone", "the webhook answered 410, expected 200 to 299"));
    await tell(alice);
    await pass(2 * MINUTE, sender);
    expect(hook.messages.map(({ destination }) => destination.name)).toEqual(["operator"]);
    expect(hook.messages[0]?.message.text).toContain(`Receiver: ${gone}\nChannel: webhook\nAccount: bc1qalice\n`);
    await tell(alice);
    expect(await waiting()).toBe(0);

    const dead = await books.receiver(bob, "webhook", EVENTS);
    await tell(bob);
    hook.broken = DOWN;
    await pass(2 * MINUTE, sender);
    books.now += 3 * DAY;
    await pass(MINUTE, sender);
    hook.broken = undefined;
    await pass(HOUR, sender);
    expect(hook.messages.at(-1)?.message.text).toContain(`Receiver: ${dead}`);
    const states = (await books.book.receivers()).map(({ id, disabledAt }) => [id, disabledAt !== undefined]);
    expect(states).toEqual([
      [1n, false],
      [gone, true],
      [dead, true],
    ]);
    // A test that reaches it makes it good again.
    await books.book.sent(dead, [], 5);
    await tell(bob);
    await pass(HOUR, sender);
    expect(hook.messages.at(-1)?.destination.name).toBe(String(dead));
  });

  it("sends nothing of one that was removed, and nothing that was told before it was there", async () => {
    const alice = await books.account("alice");
    await tell(alice);
    const id = await books.receiver(alice, "webhook", EVENTS);
    await tell(alice);
    expect(await waiting()).toBe(1);
    expect(await books.book.removeReceiver(id)).toBe(true);
    expect(await books.book.removeReceiver(id)).toBe(false);
    expect(await waiting()).toBe(0);
  });

  it("goes on after the pool was killed: what was not sent is sent once, what was is not", async () => {
    const alice = await books.account("alice");
    await books.receiver(alice, "webhook", EVENTS);
    await tell(alice);
    await pass(MINUTE);
    await tell(alice);
    // The first pool's process is gone in the middle of a message: it never hears of it again.
    hook.gate = new Promise(() => undefined);
    const killed = dispatcher();
    books.now += 30_000;
    await killed.run();
    hook.gate = undefined;
    await books.database.close();
    const database = await openDatabase(books.options, { log: new MemoryLogger() });
    try {
      const next = dispatcher(new NoticeBook(database, () => books.now));
      await pass(5 * MINUTE, next);
      expect(hook.titles).toEqual(["You were paid 1 sats", "You were paid 2 sats"]);
    } finally {
      await database.close();
    }
  });

  it("takes up the operator's receivers as the configuration has them", async () => {
    await books.book.keepOperator(["webhook", "email"], ["node.aside"], 5);
    await tell(undefined, 1, "node.aside");
    expect(await waiting()).toBe(2);
    await books.book.keepOperator(["webhook"], ["key.ending"], 5);
    const receivers = await books.book.receivers();
    expect(receivers).toMatchObject([{ account: undefined, channel: "webhook", events: ["key.ending"], target: undefined }]);
    expect(await waiting()).toBe(1);
  });

  it("ends without waiting for a receiver that does not answer, and holds nothing against it", async () => {
    const alice = await books.account("alice");
    await books.receiver(alice, "webhook", EVENTS);
    await tell(alice);
    let begun: () => void = () => undefined;
    const sending = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const slow = {
      send: () => {
        begun();
        return new Promise<never>(() => undefined);
      },
      close: () => undefined,
    };
    const sender = new Dispatcher(
      { pool: { tag: "Pool", network: "regtest" }, gatherMs: 0, firstBackoffMs: 30_000, privateAllowed: false },
      {
        ...{ book: books.book, secrets: SECRETS, operator: new Map(), log: SILENT, metrics: figures.metrics, now: () => books.now },
        channels: new Map([["webhook", slow] as const]),
      },
    );
    await sender.run();
    await sending;
    await sender.stop(1);
    expect(await books.book.receivers()).toMatchObject([{ failures: 0, waiting: 1 }]);
    expect(await figures.scrape()).not.toContain('outcome="failed"} 1');
  });
});
