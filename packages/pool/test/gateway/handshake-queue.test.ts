import { describe, expect, it } from "vitest";
import { HandshakeQueue, type WaitingHandshake } from "../../src/gateway/handshake-queue.js";
import { until } from "./pool.js";

/** Handshakes that write down when they were started or turned away. */
class Crowd {
  readonly started: string[] = [];
  readonly turnedAway: string[] = [];
  readonly #ends: (() => void)[] = [];

  /** @param hold its session goes on loading until `end` */
  one(name: string, known = false, hold = false): WaitingHandshake {
    return {
      prefix: name.split(".")[0]!,
      known,
      start: () => {
        this.started.push(name);
        return hold ? new Promise((resolve) => this.#ends.push(resolve)) : Promise.resolve();
      },
      turnAway: () => this.turnedAway.push(name),
    };
  }

  end(): void {
    this.#ends.shift()?.();
  }
}

const options = { perSecond: 10_000, capacity: 100, loading: 100 };
const queue = (change: Partial<typeof options> = {}): HandshakeQueue =>
  new HandshakeQueue({ ...options, ...change }, () => performance.now());

describe("the queue of handshakes", () => {
  it("lets networks take turns, whoever came first", async () => {
    const crowd = new Crowd();
    const waiting = queue();
    for (const name of ["a.1", "a.2", "a.3", "a.4", "b.1", "b.2", "c.1"]) waiting.enter(crowd.one(name));
    expect(waiting.size).toBe(7);
    await until(() => expect(crowd.started).toEqual(["a.1", "b.1", "c.1", "a.2", "b.2", "a.3", "a.4"]));
    expect(waiting.size).toBe(0);
  });

  it("lets the known go first, but not for ever", async () => {
    const crowd = new Crowd();
    const waiting = queue();
    for (const name of ["x.1", "x.2"]) waiting.enter(crowd.one(name));
    for (let i = 1; i <= 6; i++) waiting.enter(crowd.one(`k.${i}`, true));
    await until(() => expect(crowd.started).toEqual(["k.1", "k.2", "k.3", "k.4", "x.1", "k.5", "k.6", "x.2"]));
  });

  it("starts no more than may be loading", async () => {
    const crowd = new Crowd();
    const waiting = queue({ loading: 2 });
    const all = ["a", "b", "c", "d"].map((name) => crowd.one(name, false, true));
    for (const one of all) waiting.enter(one);
    await until(() => expect(crowd.started).toEqual(["a", "b"]));
    crowd.end();
    await until(() => expect(crowd.started).toEqual(["a", "b", "c"]));
    expect(waiting.size).toBe(1);
    // One whose connection has gone makes room, though its session never comes.
    waiting.leave(all[1]!);
    await until(() => expect(crowd.started).toHaveLength(4));
  });

  it("keeps to its rate, and to half of the time", async () => {
    const clock = { now: 0 };
    const starts: number[] = [];
    const waiting = new HandshakeQueue({ ...options, perSecond: 500 }, () => clock.now);
    const slow = (costMs: number): WaitingHandshake => ({
      ...new Crowd().one("a"),
      start: () => {
        starts.push(clock.now);
        clock.now += costMs;
        return Promise.resolve();
      },
    });
    // A clock that stands still shows the plan: each start sets the next one's time, and the timer waits until then.
    for (let i = 0; i < 3; i++) waiting.enter(slow(10));
    await until(() => expect(starts).toHaveLength(3));
    expect(starts).toEqual([0, 10, 20]);
  });

  it("of the network with the most waiting turns away the last, where it is full", () => {
    const crowd = new Crowd();
    const waiting = queue({ capacity: 4 });
    for (const name of ["a.1", "a.2", "a.3", "b.1"]) waiting.enter(crowd.one(name));
    waiting.enter(crowd.one("c.1"));
    expect(crowd.turnedAway).toEqual(["a.3"]);
    waiting.enter(crowd.one("a.4"));
    expect(crowd.turnedAway).toEqual(["a.3", "a.4"]);
    waiting.enter(crowd.one("d.1", true));
    expect(crowd.turnedAway).toEqual(["a.3", "a.4", "a.2"]);
    expect(waiting.size).toBe(4);
  });

  it("forgets who has left", async () => {
    const crowd = new Crowd();
    const waiting = queue();
    const [gone, stays] = [crowd.one("a.1"), crowd.one("a.2")];
    for (const one of [gone, stays]) waiting.enter(one);
    waiting.leave(gone);
    waiting.leave(gone);
    expect(waiting.size).toBe(1);
    await until(() => expect(crowd.started).toEqual(["a.2"]));
  });
});
