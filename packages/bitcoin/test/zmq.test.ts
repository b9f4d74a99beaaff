import { describe, expect, onTestFinished, test, vi } from "vitest";
import { subscribeHashBlock, ZmqError } from "../src/index.js";
import { hex } from "./support.js";

const zeromq = await import("zeromq").catch((error: unknown) => {
  console.warn(`SKIPPED: the subscription to hashblock, zeromq can't be loaded here: ${String(error)}`);
  return undefined;
});

/** What a subscription was told, one thing at a time. */
function listener() {
  const told: (Uint8Array | ZmqError)[] = [];
  const waiting: ((value: Uint8Array | ZmqError) => void)[] = [];
  const tell = (value: Uint8Array | ZmqError) => {
    const next = waiting.shift();
    if (next === undefined) told.push(value);
    else next(value);
  };
  const next = () => new Promise<Uint8Array | ZmqError>((resolve) => (told.length > 0 ? resolve(told.shift()!) : waiting.push(resolve)));
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
