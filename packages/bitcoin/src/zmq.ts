/** The node's own word of new tips and transactions, over ZeroMQ; an optional package, polling is the fallback. */
import type { Subscriber } from "zeromq";
import { ZmqError } from "./errors.js";

/** What a node started with `-zmqpubhashblock=<endpoint>`, `-zmqpubrawtx`, `-zmqpubsequence` tells. */
export interface NodeNotices {
  /** Hash of each new tip: 32 bytes, internal order (the notification itself has display order). */
  readonly hashblock?: (hash: Uint8Array) => void;
  /** A transaction with its witness that entered the mempool, or came or went with a block; the same one may come several times. */
  readonly rawtx?: (raw: Uint8Array) => void;
  /** What became of a block or of a transaction of the mempool. */
  readonly sequence?: (change: SequenceChange) => void;
}

export interface SequenceChange {
  /** Blocks are connected to and disconnected from the best chain; transactions are added, and removed for any reason but a block. */
  readonly kind: "connected" | "disconnected" | "added" | "removed";
  /** Block hash or txid, 32 bytes, internal order. */
  readonly hash: Uint8Array;
}

/** A transaction is no longer than a block, the others hold a hash and little more; what is longer is no node's. */
const MAX_BYTES: Record<keyof NodeNotices, number> = { hashblock: 1024, rawtx: 4_000_000, sequence: 1024 };

const KINDS: Readonly<Record<string, SequenceChange["kind"]>> = { C: "connected", D: "disconnected", A: "added", R: "removed" };

/**
 * Subscribes to the notifications that there is a listener for. A node that isn't there yet, or goes away, is no error: ZeroMQ connects
 * again by itself, silently, and a node drops what its subscribers don't take in time; so keep polling at a slower pace beside it.
 *
 * @param endpoint e.g. `tcp://127.0.0.1:28332`
 * @param onError takes a ZmqError `badMessage` for a notification that isn't one (the subscription goes on), or `closed`
 * @returns ends the subscription; nothing is called after it
 * @throws ZmqError `zmqUnavailable` without the optional package, `badEndpoint`
 */
export async function subscribeNotices(endpoint: string, notices: NodeNotices, onError: (error: ZmqError) => void): Promise<() => void> {
  const zeromq = await loadZeromq();
  const topics = Object.keys(notices) as (keyof NodeNotices)[];
  const socket = new zeromq.Subscriber({ linger: 0, maxMessageSize: Math.max(...topics.map((topic) => MAX_BYTES[topic])) });
  try {
    socket.connect(endpoint);
    socket.subscribe(...topics);
  } catch (error) {
    socket.close();
    throw new ZmqError(
      "badEndpoint",
      `expected an endpoint like tcp://127.0.0.1:28332, got ${JSON.stringify(endpoint)} (${reason(error)})`,
    );
  }
  let stopped = false;
  void receive(socket, notices, onError, () => stopped);
  return () => {
    stopped = true;
    socket.close();
  };
}

/** {@link subscribeNotices} of new tips alone. */
export function subscribeHashBlock(
  endpoint: string,
  onHash: (hash: Uint8Array) => void,
  onError: (error: ZmqError) => void,
): Promise<() => void> {
  return subscribeNotices(endpoint, { hashblock: onHash }, onError);
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
  notices: NodeNotices,
  onError: (error: ZmqError) => void,
  stopped: () => boolean,
): Promise<void> {
  try {
    for await (const [topic, body] of socket) {
      if (stopped()) return;
      const name = topic?.toString("latin1") ?? "";
      if (body === undefined || !tell(notices, name, body)) {
        const expected = Object.keys(notices).join(", ");
        onError(new ZmqError("badMessage", `expected ${expected}, got ${topic?.length ?? 0} and ${body?.length ?? 0} bytes`));
      }
    }
  } catch (error) {
    if (!stopped()) onError(new ZmqError("closed", `the subscription ended: ${reason(error)}`));
  }
}

/** Calls the listener. @returns false for what is no notification */
function tell(notices: NodeNotices, topic: string, body: Buffer): boolean {
  if (topic === "hashblock" && body.length === 32) notices.hashblock?.(new Uint8Array(body).reverse());
  else if (topic === "rawtx" && body.length > 0) notices.rawtx?.(new Uint8Array(body));
  else if (topic === "sequence") {
    const kind = KINDS[body.toString("latin1", 32, 33)];
    if (kind === undefined) return false;
    notices.sequence?.({ kind, hash: new Uint8Array(body.subarray(0, 32)).reverse() });
  } else return false;
  return true;
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
