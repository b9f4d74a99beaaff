/** Workers and gateways that fall silent, from shares in a real log, under a held clock. */
import { beforeEach, describe, expect, it } from "vitest";
import { MINER_EVENTS, OPERATOR_EVENTS } from "../../src/notices/events.js";
import type { GatewayFacts } from "../../src/notices/sight.js";
import { WorkWatch } from "../../src/notices/watch-work.js";
import { hash } from "../ledger/support.js";
import { Books } from "./books.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const POLL = 30_000;

let books: Books;
let alice: number;
let watch: WorkWatch;
let connected: Map<bigint, number>;
let position: number;
/** Of each worker's last share. */
let lastAt: Map<number, number>;
beforeEach(async () => {
  books = await Books.open();
  alice = await books.account("alice", 4);
  await books.account("bob", 2);
  for (const session of [1, 2]) {
    await books.database.pool.query("INSERT INTO sessions (gateway_key, prime_id, version) VALUES ($1, $2, 'v')", [
      Buffer.from(hash(`gateway ${session}`)),
      session,
    ]);
  }
  await books.database.pool.query("INSERT INTO segments (id, after_position) VALUES (1, 0)");
  await books.database.pool.query("SELECT open_round($1, 100)", [Buffer.from(hash("parent"))]);
  watch = make();
  connected = new Map([[1n, 0]]);
  position = 0;
  lastAt = new Map();
});

const make = (): WorkWatch => new WorkWatch({ pollMs: POLL, gatewayAwayMs: 5 * MINUTE }, books.book);

/** A committed share of worker 1 to 4 (alice's) or 5 and 6 (bob's). */
async function share(worker: number, { session = 1, weight = 1, at = books.now } = {}): Promise<void> {
  position += 1;
  lastAt.set(worker, at);
  await books.database.pool.query(
    `INSERT INTO shares (position, received_at, session, pin, ntime, round, segment, account, worker, fee_ppm, height, target_byte, coinbase_id, tentative,
       hash, weight) VALUES ($1, $2, $3, 0, 1, 1, 1, $4, $5, 0, 100, 0, 3, false, $6, $7)`,
    [position, new Date(at), session, worker <= 4 ? alice : alice + 1, worker, Buffer.from(hash(`share ${position}`)), weight],
  );
  await books.database.pool.query("UPDATE log_state SET position = $1", [position]);
}

async function look(): Promise<void> {
  const gateways = [...connected].map(
    ([sessionId, minimum]): GatewayFacts => ({ sessionId, keyPrefix: `key${sessionId}`, minimum, accepted: 0, refused: {} }),
  );
  await watch.look(gateways, await books.book.receivers(), await books.book.alarms(), books.now);
}

/** Goes on, looking twice a minute; each worker has a share every so many minutes. */
async function pass(ms: number, workers: Readonly<Record<number, number>> = {}, session = 1): Promise<void> {
  const end = books.now + ms;
  while (books.now < end) {
    books.now += POLL;
    const step = Math.round(books.now / POLL);
    for (const [worker, minutes] of Object.entries(workers)) if (step % (minutes * 2) === 0) await share(Number(worker), { session });
    await look();
  }
}

const events = async () =>
  (await books.told()).map(({ event, account }) => `${event} ${account === null ? "operator" : account === alice ? "alice" : "bob"}`);

describe("WorkWatch", () => {
  it("tells of a worker that stops, and of its return, once each, and of nobody whose pace that silence fits", async () => {
    await books.receiver(alice, "webhook", ["workers.offline", "workers.online"]);
    // Worker 2 has a share in eight minutes: twenty of silence are nothing.
    await pass(2 * HOUR, { 1: 1, 2: 8 });
    expect(await events()).toEqual([]);
    await pass(9 * MINUTE, { 2: 8 });
    expect(await events()).toEqual([]);
    await pass(15 * MINUTE, { 2: 8 });
    const [told] = await books.told();
    const since = new Date(lastAt.get(1)!).toISOString();
    expect(told).toMatchObject({ event: "workers.offline", account: alice, data: { count: 1, workers: [{ name: "rig1", since }] } });
    await pass(2 * HOUR, { 2: 8 });
    expect(await events()).toHaveLength(1);
    await pass(20 * MINUTE, { 1: 1, 2: 8 });
    expect(await events()).toEqual(["workers.offline alice", "workers.online alice"]);
    expect((await books.told())[1]?.data).toMatchObject({ workers: [{ name: "rig1", since }] });
    // Its pace is what it was: the time away is not part of it.
    await pass(11 * MINUTE, { 2: 8 });
    await pass(12 * MINUTE, { 2: 8 });
    expect(await events()).toHaveLength(3);
  });

  it("makes one notice of many workers, and tells nobody of another's", async () => {
    await books.receiver(alice, "webhook", ["workers.offline"]);
    await pass(HOUR, { 1: 1, 2: 1, 3: 1, 5: 1 });
    await pass(30 * MINUTE);
    const told = await books.told();
    expect(told).toHaveLength(1);
    expect(told[0]?.data).toMatchObject({ count: 3, workers: [{ name: "rig1" }, { name: "rig2" }, { name: "rig3" }] });
    // Bob's were not even looked at.
    expect(watch.counts.worker).toBe(3);
  });

  it("looks at nothing when nobody wants to know", async () => {
    await pass(HOUR, { 1: 1 });
    await pass(HOUR);
    expect(watch.counts).toEqual({ worker: 0, gateway: 0 });
    expect(await events()).toEqual([]);
  });

  it("waits longer when the gateway's minimum was raised", async () => {
    await books.receiver(alice, "webhook", ["workers.offline"]);
    await pass(2 * HOUR, { 1: 1 });
    // Shares of that weight come in 16 minutes now.
    connected.set(1n, 16);
    await pass(3 * HOUR);
    expect(await events()).toEqual([]);
    await pass(3 * HOUR);
    expect(await events()).toEqual(["workers.offline alice"]);
  });

  it("tells the operator and its miners of a gateway that goes, instead of each worker, and of its return", async () => {
    await books.book.keepOperator(["webhook"], OPERATOR_EVENTS, 5);
    await books.receiver(alice, "webhook", MINER_EVENTS);
    await pass(HOUR, { 1: 1, 2: 1, 5: 1 });
    connected.clear();
    await pass(HOUR);
    expect(await events()).toEqual(["gateway.offline operator", "gateway.offline alice"]);
    const key = Buffer.from(hash("gateway 1")).toString("hex", 0, 8);
    expect((await books.told()).map(({ data }) => data)).toMatchObject([
      { gateway: key, workers: 3, why: "it is not connected" },
      { gateway: key, workers: 2 },
    ]);
    connected.set(1n, 0);
    await pass(HOUR, { 1: 1, 2: 1, 5: 1 });
    expect((await events()).slice(2)).toEqual(["gateway.online operator", "gateway.online alice"]);
  });

  it("tells of a worker that does not come back with its gateway", async () => {
    await books.book.keepOperator(["webhook"], OPERATOR_EVENTS, 5);
    await books.receiver(alice, "webhook", MINER_EVENTS);
    await pass(HOUR, { 1: 1, 2: 1 });
    connected.clear();
    await pass(HOUR);
    connected.set(1n, 0);
    await pass(30 * MINUTE, { 1: 1 });
    const late = (await books.told()).filter(({ event }) => event === "workers.offline");
    expect(late.map(({ data }) => data)).toMatchObject([{ count: 1, workers: [{ name: "rig2" }] }]);
  });

  it("says nothing of a gateway that was started anew, under another key, with the same workers", async () => {
    await books.book.keepOperator(["webhook"], OPERATOR_EVENTS, 5);
    await pass(HOUR, { 1: 1, 2: 1 });
    connected = new Map([[2n, 0]]);
    await pass(2 * HOUR, { 1: 1, 2: 1 }, 2);
    expect(await events()).toEqual([]);
    expect(watch.counts.gateway).toBe(1);
  });

  it("tells of a gateway that is connected and silent", async () => {
    await books.book.keepOperator(["webhook"], OPERATOR_EVENTS, 5);
    await pass(HOUR, { 1: 1 });
    await pass(HOUR);
    expect((await books.told()).map(({ data }) => data)).toMatchObject([{ why: "it is connected, but sends no shares" }]);
  });

  it("goes on after a restart: tells nobody again, remembers paces, and holds its own absence against nobody", async () => {
    await books.receiver(alice, "webhook", ["workers.offline", "workers.online"]);
    await pass(2 * HOUR, { 1: 1, 2: 1 });
    await pass(30 * MINUTE, { 2: 1 });
    expect(await events()).toEqual(["workers.offline alice"]);
    // Killed: nothing is saved but what was in the last five minutes. The pool is away for two hours.
    books.now += 2 * HOUR;
    watch = make();
    await pass(9 * MINUTE);
    expect(await events()).toHaveLength(1);
    expect(watch.counts.worker).toBe(2);
    // Worker 2 has nothing to send any more, and is found out by the pace that was remembered.
    await pass(20 * MINUTE);
    expect(await events()).toEqual(["workers.offline alice", "workers.offline alice"]);
    expect((await books.told())[1]?.data).toMatchObject({ workers: [{ name: "rig2" }] });
    watch = make();
    await pass(HOUR, { 1: 1, 2: 1 });
    expect((await events()).slice(2)).toEqual(["workers.online alice"]);
  });

  it("holds a time in which the books could not be read against nobody", async () => {
    await books.receiver(alice, "webhook", ["workers.offline"]);
    await pass(2 * HOUR, { 1: 1 });
    books.now += HOUR;
    await look();
    expect(await events()).toEqual([]);
    await pass(9 * MINUTE);
    expect(await events()).toEqual([]);
  });
});
