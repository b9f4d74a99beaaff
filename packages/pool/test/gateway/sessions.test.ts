/** Sessions: who holds one, and what a gateway finds when it comes back. */
import { generateLongTermKeys } from "@openprime/datum";
import { afterEach, describe, expect, it } from "vitest";
import type { OpenedSession } from "../../src/gateway/index.js";
import { crypto, TestPool, until, untilMetric } from "./pool.js";
import { RawClient, TestGateway } from "./test-gateway.js";
import type { GatewayWork } from "./work.js";

const pools: TestPool[] = [];
const start = async (...given: Parameters<typeof TestPool.start>): Promise<TestPool> => {
  const pool = await TestPool.start(...given);
  pools.push(pool);
  return pool;
};

afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.server.close();
});

const accepted = async (gateway: TestGateway): Promise<void> => {
  expect(await gateway.next("shareResponse")).toMatchObject({ status: "accepted" });
};

const toldMinimum = (gateway: TestGateway): bigint | undefined =>
  gateway.received.flatMap((message) => (message.type === "configuration" ? [message.minimumDifficulty] : []))[0];

describe("take-over", () => {
  it("happens at the first frame of the newer connection, and not before", async () => {
    const pool = await start();
    const longTermKeys = generateLongTermKeys(crypto);
    const first = await TestGateway.connect(pool, { longTermKeys });
    const work = await first.work(pool);
    first.send(work.share(true));
    await accepted(first);
    const second = await TestGateway.connect(pool, { longTermKeys });
    expect(second.primeId).toBe(first.primeId);
    expect(pool.opened).toHaveLength(1);
    // The newer one has its configuration and is silent: the older one still has the session.
    first.send(work.share(false));
    await accepted(first);
    // The slots are the session's: a share of the old job needs no sections.
    second.send(work.share(false));
    await accepted(second);
    await first.closed;
    expect(pool.closings("takenOver")).toHaveLength(1);
    expect(await pool.metric("openprime_session_takeovers_total")).toBe(1);
    const [taken] = pool.logs.saying("session taken over");
    expect(taken).toMatchObject({ from: "127.0.0.1" });
    // Either connection can be followed by its number through the log, from its first line to its last.
    for (const id of [taken?.connection, taken?.fromConnection]) {
      const said = pool.logs.lines.filter(({ connection }) => connection === id).map(({ msg }) => msg);
      expect(said).toEqual(expect.arrayContaining(["connection", "handshake"]));
    }
    expect(pool.logs.lines.filter(({ peer, connection }) => peer !== undefined && connection === undefined)).toEqual([]);
    expect(pool.server.snapshot()).toHaveLength(1);
    expect(pool.server.snapshot()[0]).toMatchObject({ accepted: 3, proven: true });
    second.send(work.share(false));
    await accepted(second);
  });

  it("by a copied key again and again leaves the session to whoever is at work", async () => {
    const pool = await start();
    const longTermKeys = generateLongTermKeys(crypto);
    let work: GatewayWork | undefined;
    const join = async (): Promise<TestGateway> => {
      const gateway = await TestGateway.connect(pool, { longTermKeys });
      work ??= await gateway.work(pool);
      gateway.send(work.share(true));
      return gateway;
    };
    const told = (gateway: TestGateway): string[] => gateway.received.flatMap((message) => (message.type === "info" ? [message.text] : []));
    let holder = await join();
    await accepted(holder);
    // A line that breaks unnoticed costs nothing, a few times.
    for (let i = 0; i < 3; i++) {
      const next = await join();
      await accepted(next);
      await holder.closed;
      expect(told(holder)).toEqual([expect.stringContaining("a copy of its key")]);
      holder = next;
    }
    // From then on the holder keeps it by any sign of life, and both hear why.
    const second = await join();
    await untilMetric(pool, "openprime_session_takeovers_total", { outcome: "contested" }, 1);
    expect(second.received.some(({ type }) => type === "shareResponse")).toBe(false);
    holder.send(work!.share(false));
    await accepted(holder);
    await second.closed;
    expect(told(second)).toEqual([expect.stringContaining("is connected to the pool and at work")]);
    await until(() => expect(told(holder)).toEqual([expect.stringContaining("is turned away")]));
    // One that has gone leaves it to whoever waits, with the message that it waited with.
    const third = await join();
    await untilMetric(pool, "openprime_session_takeovers_total", { outcome: "contested" }, 2);
    holder.close();
    await accepted(third);
    expect(await pool.metric("openprime_session_takeovers_total", { outcome: "done" })).toBe(3);
    expect(await pool.metric("openprime_session_takeovers_total", { outcome: "refused" })).toBe(1);
  });

  it("comes to a silent holder's contender after a time, and of two contenders the newer one stays", async () => {
    let now = 0;
    const pool = await start({}, { modules: { monotonic: () => performance.now() + now } });
    const longTermKeys = generateLongTermKeys(crypto);
    let work: GatewayWork | undefined;
    const join = async (): Promise<TestGateway> => {
      const gateway = await TestGateway.connect(pool, { longTermKeys });
      work ??= await gateway.work(pool);
      gateway.send(work.share(true));
      return gateway;
    };
    let holder = await join();
    await accepted(holder);
    for (let i = 0; i < 3; i++) {
      holder = await join();
      await accepted(holder);
    }
    const one = await join();
    await untilMetric(pool, "openprime_session_takeovers_total", { outcome: "contested" }, 1);
    const two = await join();
    await one.closed;
    now += 20_000;
    await accepted(two);
    await holder.closed;
    expect(pool.closings("turnedAway")).toHaveLength(1);
  });

  it("does not happen by bytes that pass no MAC", async () => {
    const pool = await start();
    const longTermKeys = generateLongTermKeys(crypto);
    const first = await TestGateway.connect(pool, { longTermKeys });
    const work = await first.work(pool);
    first.send(work.share(true));
    await accepted(first);
    const second = await TestGateway.connect(pool, { longTermKeys });
    const frame = second.channel.send(work.share(false));
    frame[frame.length - 1]! ^= 1;
    second.write(frame);
    await second.closed;
    first.send(work.share(false));
    await accepted(first);
    expect(await pool.metric("openprime_session_takeovers_total")).toBe(0);
  });
});

describe("a replayed HELLO", () => {
  it("gets nothing, and the recorded gateway keeps working", async () => {
    const pool = await start();
    const gateway = await TestGateway.connect(pool);
    const work = await gateway.work(pool);
    gateway.send(work.share(true));
    await accepted(gateway);
    const replay = await RawClient.connect(pool, Buffer.concat(gateway.sent));
    await replay.closed;
    expect(replay.got).toEqual([]);
    expect(await pool.metric("openprime_handshakes_total", { outcome: "replayed" })).toBe(1);
    expect(pool.closings("replayedHello")).toHaveLength(1);
    gateway.send(work.share(false));
    await accepted(gateway);
    expect(pool.appended).toHaveLength(2);
  });

  it("after a restart of the pool gets bytes it can't open, and its recorded shares fail their MAC", async () => {
    const before = await start();
    const longTermKeys = generateLongTermKeys(crypto);
    const recorded = await TestGateway.connect(before, { longTermKeys });
    const work = await recorded.work(before);
    recorded.send(work.share(true));
    await accepted(recorded);

    const pool = await start({}, { keys: before.keys });
    const gateway = await TestGateway.connect(pool, { longTermKeys });
    const now = await gateway.work(pool);
    gateway.send(now.share(true));
    await accepted(gateway);
    // Only the HELLO first: it is answered, since this process has never seen it, and takes nothing over.
    const replay = await RawClient.connect(pool, recorded.sent[0]!);
    await untilMetric(pool, "openprime_handshakes_total", { outcome: "accepted" }, 2);
    gateway.send(now.share(false));
    await accepted(gateway);
    replay.socket.write(Buffer.concat(recorded.sent.slice(1)));
    await replay.closed;
    await until(() => expect(pool.closings("protocolError")).toHaveLength(1));
    expect(await pool.metric("openprime_session_takeovers_total")).toBe(0);
    gateway.send(now.share(false));
    await accepted(gateway);
    expect(pool.appended).toHaveLength(3);
  });
});

describe("a gateway that returns", () => {
  it("finds its prime id and its jobs", async () => {
    const pool = await start();
    const longTermKeys = generateLongTermKeys(crypto);
    const first = await TestGateway.connect(pool, { longTermKeys });
    const work = await first.work(pool);
    first.send(work.share(true));
    await accepted(first);
    first.close();
    await until(() => expect(pool.server.connectionCount).toBe(0));
    const second = await TestGateway.connect(pool, { longTermKeys });
    expect(second.primeId).toBe(first.primeId);
    second.send(work.share(false));
    await accepted(second);
    expect(pool.opened).toHaveLength(1);
  });

  it("later than a session's life gets its prime id from the books, and no old jobs", async () => {
    const pool = await start({ sessionLifeMs: 0 });
    const longTermKeys = generateLongTermKeys(crypto);
    const first = await TestGateway.connect(pool, { longTermKeys });
    const work = await first.work(pool);
    first.send(work.share(true));
    await accepted(first);
    first.close();
    // Its work is in the books before memory lets go of it.
    await untilMetric(pool, "openprime_gateway_sessions", {}, 0);
    expect(pool.saves.at(-1)?.[0]?.work.jobs).toMatchObject([{ pin: 17n }]);
    const second = await TestGateway.connect(pool, { longTermKeys });
    expect(second.primeId).toBe(first.primeId);
    expect(pool.opened).toHaveLength(2);
    second.send(work.share(false));
    expect(await second.next("shareResponse")).toMatchObject({ status: "rejected", reason: 10 });
    second.send(work.share(true));
    await accepted(second);
  });

  it("to a restarted pool finds the splits that the books kept", async () => {
    const pool = await start();
    const split = {
      id: 9n,
      coinbaserId: 77,
      value: 5_000_000_000n,
      prevhash: pool.chain.current.hash,
      outputs: [],
      position: 3n,
    };
    pool.nextSession = () => Promise.resolve({ id: 4n, primeId: 44, splits: [split] });
    const gateway = await TestGateway.connect(pool);
    gateway.send({ type: "coinbaserRequest", value: 1n, prevhash: split.prevhash });
    // Ids go on after the ones still in use.
    expect((await gateway.next("coinbaser")).coinbaserId).toBe(78);
  });

  it("is not remembered when it was closed before the books had answered", async () => {
    const pool = await start({ handshakeMs: 20 });
    let answer: (session: OpenedSession) => void = () => undefined;
    pool.nextSession = () =>
      new Promise((done) => {
        answer = done;
      });
    const gateway = await TestGateway.dial(pool);
    gateway.write(gateway.channel.hello());
    await gateway.closed;
    answer({ id: 4n, primeId: 44, splits: [] });
    await new Promise((next) => setImmediate(next));
    expect(await pool.metric("openprime_gateway_sessions")).toBe(0);
  });

  it("is remembered only if its work was good, and only so many are", async () => {
    const pool = await start({ detachedSessions: 2 });
    const leave = async (withWork: boolean): Promise<void> => {
      const gateway = await TestGateway.connect(pool);
      if (withWork) {
        gateway.send((await gateway.work(pool)).share(true));
        await accepted(gateway);
      }
      gateway.close();
      await until(() => expect(pool.server.connectionCount).toBe(0));
    };
    await leave(false);
    expect(await pool.metric("openprime_gateway_sessions")).toBe(0);
    for (let i = 0; i < 3; i++) await leave(true);
    await untilMetric(pool, "openprime_gateway_sessions", {}, 2);
  });

  it("is not forgotten while the books don't take its work", async () => {
    let taken = false;
    const save = async (): Promise<void> => {
      if (!taken) throw new Error("the database is away");
    };
    const opened = { id: 4n, primeId: 44, splits: [] };
    const pool = await start({ sessionLifeMs: 0 }, { modules: { sessions: { open: async () => opened, save } } });
    const gateway = await TestGateway.connect(pool);
    gateway.send((await gateway.work(pool)).share(true));
    await accepted(gateway);
    gateway.close();
    await until(() => expect(pool.logs.saying("could not be saved")).toHaveLength(1));
    expect(await pool.metric("openprime_gateway_sessions")).toBe(1);
    taken = true;
    await untilMetric(pool, "openprime_gateway_sessions", {}, 0);
    expect(pool.logs.saying("saved again")).toHaveLength(1);
  });

  it("to a restarted pool finds its minimum, and the pins and verdicts of its jobs", async () => {
    const options = { minimumDifficulty: 1n, minimumDifficultyCeiling: 16n };
    const before = await start({}, { options });
    const longTermKeys = generateLongTermKeys(crypto);
    const gateway = await TestGateway.connect(before, { longTermKeys });
    const work = await gateway.work(before);
    gateway.send(work.share(true));
    await accepted(gateway);
    await before.server.close();
    const saved = before.saves.at(-1)?.[0]?.work;
    expect(saved?.jobs).toHaveLength(1);
    const [job] = saved!.jobs;

    // The log has moved on, and the minimum was another one.
    const after = await start({}, { options, modules: { head: () => 99n } });
    const minimum = { targetByte: 3, earlier: [{ targetByte: 0, until: Date.now() + 300_000 }] };
    const template = { id: 8n, state: "unsound" as const, why: "it spends what is not there" };
    const restored = { ...saved!, minimum, jobs: [{ ...job!, pin: 12n, split: undefined, template: undefined }] };
    const opened = { id: 1n, primeId: gateway.primeId, splits: [] };
    after.nextSession = async () => ({ ...opened, work: { savedAt: Date.now(), restored } });
    const again = await TestGateway.connect(after, { longTermKeys });
    expect(toldMinimum(again)).toBe(8n);
    again.send(work.share(true));
    await accepted(again);
    expect(after.appended[0]).toMatchObject({ pin: 12n });
    // Another job in the same slot is pinned to the head.
    again.send((await again.work(after, { value: 4_999_999_999n })).share(true));
    await accepted(again);
    expect(after.appended[1]).toMatchObject({ pin: 99n });

    // One whose template was refused stays refused; a minimum of long ago is forgotten, one over the bounds is brought within them.
    const judged = { ...restored, minimum: { targetByte: 9, earlier: [] }, jobs: [{ ...restored.jobs[0]!, template }] };
    after.nextSession = async () => ({ ...opened, work: { savedAt: Date.now(), restored: judged } });
    const other = await TestGateway.connect(after);
    expect(toldMinimum(other)).toBe(16n);
    other.send(work.share(true));
    expect(await other.next("shareResponse")).toMatchObject({ status: "rejected", reason: 13 });
    after.nextSession = async () => ({ ...opened, work: { savedAt: Date.now() - 3_600_000, restored: judged } });
    const late = await TestGateway.connect(after);
    expect(toldMinimum(late)).toBe(1n);
    late.send(work.share(true));
    expect(await late.next("shareResponse")).toMatchObject({ status: "rejected", reason: 30 });
  });
});
