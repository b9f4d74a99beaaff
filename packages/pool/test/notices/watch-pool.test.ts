/** What the operator is told of the pool itself, in real books under a held clock. */
import { beforeEach, describe, expect, it } from "vitest";
import { MINER_EVENTS, OPERATOR_EVENTS } from "../../src/notices/events.js";
import type { GatewayFacts, NodeFacts, PoolSight } from "../../src/notices/sight.js";
import { PoolWatch } from "../../src/notices/watch-pool.js";
import { RefusalsWatch } from "../../src/notices/watch-refusals.js";
import { wordsOf } from "../../src/notices/words.js";
import { Books } from "./books.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

let books: Books;
beforeEach(async () => {
  books = await Books.open();
  await books.book.keepOperator(["webhook"], OPERATOR_EVENTS, 5);
});

const events = async () => (await books.told()).map(({ event }) => event);

describe("PoolWatch", () => {
  let facts: { nodes: NodeFacts[]; differences: number; stuck: string | undefined; left: number; until: number | undefined };
  let watch: PoolWatch;
  beforeEach(() => {
    facts = { nodes: [{ name: "n1", state: "good", why: undefined }], differences: 0, stuck: undefined, left: 100, until: undefined };
    watch = new PoolWatch(books.book, {
      gateways: () => [],
      nodes: () => facts.nodes,
      ledgerDifferences: async () => facts.differences,
      booksStuck: async () => facts.stuck,
      reserve: async () => ({ left: facts.left, reserve: 100, stopped: facts.left <= 0 }),
      key: () => ({ prefix: "00112233", until: facts.until }),
    } satisfies PoolSight);
  });

  const pass = async (ms: number): Promise<void> => {
    const end = books.now + ms;
    while (books.now < end) {
      books.now += 15_000;
      await watch.look(await books.book.alarms(), books.now);
    }
  };

  it("has nothing to say of a pool that is well", async () => {
    await pass(10 * MINUTE);
    expect(await events()).toEqual([]);
  });

  it("tells of a node that is set aside for a minute, and when it is good again, and forgets one that is configured no more", async () => {
    facts.nodes = [{ name: "n1", state: "lagging", why: "3 blocks behind" }];
    await pass(45_000);
    facts.nodes = [{ name: "n1", state: "good", why: undefined }];
    await pass(MINUTE);
    expect(await events()).toEqual([]);
    facts.nodes = [{ name: "n1", state: "unreachable", why: undefined }];
    await pass(HOUR);
    expect((await books.told()).map(({ data }) => data)).toMatchObject([{ node: "n1", state: "unreachable" }]);
    facts.nodes = [{ name: "n1", state: "good", why: undefined }];
    await pass(MINUTE);
    expect(await events()).toEqual(["node.aside", "node.good"]);
    facts.nodes = [{ name: "n1", state: "unreachable", why: undefined }];
    await pass(5 * MINUTE);
    expect(await events()).toEqual(["node.aside", "node.good", "node.aside"]);
    facts.nodes = [];
    await pass(MINUTE);
    expect((await books.book.alarms()).size).toBe(0);
  });

  it("tells differences, stuck books and a low reserve once, across restarts, and again when they come again", async () => {
    facts = { ...facts, differences: 2, stuck: "node", left: 20 };
    await pass(10 * MINUTE);
    expect(await events()).toEqual(["ledger.difference", "reserve.low", "books.stuck"]);
    const sight = watch;
    watch = new PoolWatch(books.book, (sight as unknown as { sight: PoolSight }).sight);
    await pass(10 * MINUTE);
    expect(await events()).toHaveLength(3);
    facts = { ...facts, differences: 0, stuck: undefined, left: 60 };
    await pass(MINUTE);
    facts = { ...facts, differences: 1, left: 0 };
    await pass(MINUTE);
    expect((await events()).slice(3)).toEqual(["books.moving", "ledger.difference", "reserve.low"]);
    const { data } = (await books.told()).at(-1)!;
    expect(wordsOf("reserve.low", data).body).toContain("Left: 0 of 100 sats\nShares are refused now: yes\n");
  });

  it("tells of the key's end two weeks, three days and a day before it", async () => {
    facts.until = books.now + 20 * DAY;
    for (let day = 0; day < 21; day++) {
      books.now += DAY;
      await watch.look(await books.book.alarms(), books.now);
    }
    expect((await books.told()).map(({ event, data }) => [event, data.days])).toEqual([
      ["key.ending", 14],
      ["key.ending", 3],
      ["key.ending", 1],
    ]);
  });
});

describe("RefusalsWatch", () => {
  it("tells the operator and the miners behind it of a gateway, once an episode, and not of what was before it looked", async () => {
    const alice = await books.account("alice");
    await books.receiver(alice, "webhook", MINER_EVENTS);
    const watch = new RefusalsWatch(books.book);
    const counts = { accepted: 1000, refused: 900 };
    const look = async (accepted: number, refused: number): Promise<void> => {
      books.now += MINUTE;
      counts.accepted += accepted;
      counts.refused += refused;
      const gateway: GatewayFacts = {
        sessionId: 3n,
        keyPrefix: "key3",
        minimum: 1,
        accepted: counts.accepted,
        refused: { 26: counts.refused },
      };
      await watch.look([gateway], await books.book.alarms(), () => [alice], books.now);
    };
    for (let minute = 0; minute < 30; minute++) await look(60, 1);
    expect(await events()).toEqual([]);
    for (let minute = 0; minute < 30; minute++) await look(30, 30);
    expect((await books.told()).map(({ event, account }) => [event, account])).toEqual([
      ["refusals.gateway", null],
      ["refusals.gateway", alice],
      ["refusals.pool", null],
    ]);
    const { data } = (await books.told())[1]!;
    expect(data).toMatchObject({ gateway: "key3", minutes: 10, reasons: [{ reason: 26, name: "26 badCoinbase" }] });
    expect(wordsOf("refusals.gateway", data).body).toMatch(
      /^\d+ of \d+ shares in 10 minutes \([\d.]+ percent\)\nReasons:\n- 26 badCoinbase, \d+\n/,
    );
    for (let minute = 0; minute < 90; minute++) await look(60, 0);
    expect((await books.book.alarms()).size).toBe(0);
    for (let minute = 0; minute < 10; minute++) await look(30, 30);
    expect(await events()).toHaveLength(6);
  });
});
