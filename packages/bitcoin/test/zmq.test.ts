import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type SequenceChange, subscribeHashBlock, subscribeNotices, ZmqError } from "../src/index.js";
import { hex } from "./support.js";

const zeromq = await import("zeromq").catch((error: unknown) => {
  console.warn(`SKIPPED: the subscription to hashblock, zeromq can't be loaded here: ${String(error)}`);
  return undefined;
});

type Told = Uint8Array | SequenceChange | ZmqError;

/** What a subscription was told, one thing at a time. */
function listener() {
  const told: Told[] = [];
  const waiting: ((value: Told) => void)[] = [];
  const tell = (value: Told) => {
    const next = waiting.shift();
    if (next === undefined) told.push(value);
    else next(value);
  };
  const next = () => new Promise<Told>((resolve) => (told.length > 0 ? resolve(told.shift()!) : waiting.push(resolve)));
  return { tell, next, told };
}

describe.skipIf(zeromq === undefined)("subscribeHashBlock", () => {
  /** A node's publisher; unlike a plain one it hears of its subscribers, so that nothing has to be sent on the off chance. */
  async function startPublisher(endpoint = "tcp://127.0.0.1:*") {
    const publisher = new zeromq!.XPublisher({ linger: 0 });
    onTestFinished(() => publisher.close());
    // A publisher that was closed gives its port back in its own time.
    await vi.waitFor(() => publisher.bind(endpoint), { timeout: 10_000, interval: 20 });
    return publisher;
  }

  const sequence = Buffer.alloc(4);
  const displayed = Uint8Array.from({ length: 32 }, (_, i) => i);
  const internal = hex(displayed.toReversed());

  test("turns notifications into hashes in internal order, over bad ones and over a restart of the node", async () => {
    const publisher = await startPublisher();
    const endpoint = publisher.lastEndpoint!;
    const { tell, next, told } = listener();
    const stop = await subscribeHashBlock(endpoint, tell, tell);
    onTestFinished(stop);
    expect((await publisher.receive())[0]!.toString("latin1")).toBe("\x01hashblock");

    await publisher.send(["hashtx", displayed, sequence]);
    await publisher.send(["hashblock", displayed, sequence]);
    expect(hex((await next()) as Uint8Array)).toBe(internal);

    await publisher.send(["hashblock", displayed.subarray(1), sequence]);
    expect(await next()).toMatchObject({ name: "ZmqError", code: "badMessage" });
    await publisher.send(["hashblock"]);
    expect(await next()).toMatchObject({ name: "ZmqError", code: "badMessage" });

    publisher.close();
    const restarted = await startPublisher(endpoint);
    await restarted.receive();
    await restarted.send(["hashblock", displayed, sequence]);
    expect(hex((await next()) as Uint8Array)).toBe(internal);
    expect(told).toEqual([]);
  });

  test("turns transactions and changes into values, and passes over what is none", async () => {
    const publisher = await startPublisher();
    const { tell, next, told } = listener();
    const stop = await subscribeNotices(publisher.lastEndpoint!, { rawtx: tell, sequence: tell }, tell);
    onTestFinished(stop);
    const topics = [await publisher.receive(), await publisher.receive()].map(([topic]) => topic!.toString("latin1"));
    expect(topics.sort()).toEqual(["\x01rawtx", "\x01sequence"]);

    await publisher.send(["rawtx", Buffer.from("020000", "hex"), sequence]);
    expect(hex((await next()) as Uint8Array)).toBe("020000");
    const counter = Buffer.alloc(8, 1);
    for (const [letter, kind, rest] of [
      ["C", "connected", []],
      ["D", "disconnected", []],
      ["A", "added", counter],
      ["R", "removed", counter],
    ] as const) {
      await publisher.send(["sequence", Buffer.concat([displayed, Buffer.from(letter), Buffer.from(rest)]), sequence]);
      const change = (await next()) as SequenceChange;
      expect([change.kind, hex(change.hash)]).toEqual([kind, internal]);
    }
    for (const bad of [
      ["rawtx", Buffer.alloc(0)],
      ["sequence", displayed],
      ["sequence", Buffer.concat([displayed, Buffer.from("X")])],
      ["rawtx"],
    ]) {
      await publisher.send(bad);
      expect(await next()).toMatchObject({ name: "ZmqError", code: "badMessage" });
    }
    expect(told).toEqual([]);
  });

  test("tells nothing once it is stopped", async () => {
    const publisher = await startPublisher();
    const { tell, told } = listener();
    const stop = await subscribeHashBlock(publisher.lastEndpoint!, tell, tell);
    await publisher.receive();
    stop();
    stop();
    // The publisher hears of the end; whatever was still to be told would have been told by then.
    expect((await publisher.receive())[0]!.toString("latin1")).toBe("\x00hashblock");
    await publisher.send(["hashblock", displayed, sequence]);
    expect(told).toEqual([]);
  });

  test.each(["", "127.0.0.1:28332", "carrier-pigeon://loft"])("refuses the endpoint %j", async (endpoint) => {
    await expect(subscribeHashBlock(endpoint, vi.fn(), vi.fn())).rejects.toMatchObject({ name: "ZmqError", code: "badEndpoint" });
  });
});

test("without the optional package it is a typed error", async () => {
  vi.doMock("zeromq", () => {
    throw new Error("Cannot find package 'zeromq'");
  });
  onTestFinished(() => vi.doUnmock("zeromq"));
  const error = await subscribeHashBlock("tcp://127.0.0.1:1", vi.fn(), vi.fn()).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ZmqError);
  expect((error as ZmqError).code).toBe("zmqUnavailable");
});
