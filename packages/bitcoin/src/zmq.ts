/** The node's own word of each new tip, over ZeroMQ; an optional package, polling is the fallback. */
import type { Subscriber } from "zeromq";
import { ZmqError } from "./errors.js";

const TOPIC = "hashblock";

/** A notification holds a topic, a hash and a counter; anything much longer is no node's. */
const MAX_MESSAGE_BYTES = 1024;

/**
 * Subscribes to the `hashblock` notifications of a node started with `-zmqpubhashblock=<endpoint>`. A node that isn't there yet, or goes
 * away, is no error: ZeroMQ connects again by itself, silently, so keep polling at a slower pace beside it.
 *
 * @param endpoint e.g. `tcp://127.0.0.1:28332`
 * @param onHash takes each new tip's hash, 32 bytes in internal order (the notification itself has display order)
 * @param onError takes a ZmqError `badMessage` for a notification that isn't one (the subscription goes on), or `closed`
 * @returns ends the subscription; nothing is called after it
 * @throws ZmqError `zmqUnavailable` without the optional package, `badEndpoint`
 */
export async function subscribeHashBlock(
  endpoint: string,
  onHash: (hash: Uint8Array) => void,
  onError: (error: ZmqError) => void,
): Promise<() => void> {
  const zeromq = await loadZeromq();
  const socket = new zeromq.Subscriber({ linger: 0, maxMessageSize: MAX_MESSAGE_BYTES });
  try {
    socket.connect(endpoint);
    socket.subscribe(TOPIC);
  } catch (error) {
    socket.close();
    throw new ZmqError(
      "badEndpoint",
      `expected an endpoint like tcp://127.0.0.1:28332, got ${JSON.stringify(endpoint)} (${reason(error)})`,
    );
  }
  let stopped = false;
  void receive(socket, onHash, onError, () => stopped);
  return () => {
    stopped = true;
    socket.close();
  };
}

async function loadZeromq(): Promise<typeof import("zeromq")> {
  try {
    return await import("zeromq");
  } catch (error) {
    throw new ZmqError(
      "zmqUnavailable",
      `the optional package zeromq can't be loaded here (${reason(error)}): leave ZMQ out, polling is used`,
    );
  }
}

async function receive(
  socket: Subscriber,
  onHash: (hash: Uint8Array) => void,
  onError: (error: ZmqError) => void,
  stopped: () => boolean,
): Promise<void> {
  try {
    for await (const [topic, hash] of socket) {
      if (stopped()) return;
      if (topic?.toString("latin1") === TOPIC && hash?.length === 32) onHash(new Uint8Array(hash).reverse());
      else onError(new ZmqError("badMessage", `expected ${TOPIC} with 32 bytes, got ${topic?.length ?? 0} and ${hash?.length ?? 0} bytes`));
    }
  } catch (error) {
    if (!stopped()) onError(new ZmqError("closed", `the subscription ended: ${reason(error)}`));
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
