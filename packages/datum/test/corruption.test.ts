/**
 * A valid conversation with any byte changed, added or missing: it ends in a DatumError or waits for more bytes. What was read before the
 * damage is as it was sent, and nothing is read from the damaged frame on.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type DatumCrypto, DatumError, type GatewayEvent, type PoolEvent } from "../src/index.js";
import { anyGatewayMessage, anyPoolMessage } from "./arbitraries.js";
import { frames, GATEWAY_SAYS, POOL_SAYS } from "./conversation.js";
import { gatewayChannel, MOTD, native, parties, pieces, poolChannel, toJson, wasm } from "./support.js";

interface Outcome {
  readonly events: readonly string[];
  readonly error: DatumError | undefined;
}

type Listener = (chunks: readonly Uint8Array[]) => Outcome;

/** Feeds a channel; anything it throws besides a DatumError fails the test. A dead channel must stay dead, with the same error. */
function listen<T extends GatewayEvent | PoolEvent>(
  channel: { receive(chunk: Uint8Array): void; next(): T | undefined },
  chunks: readonly Uint8Array[],
  seen: (event: T) => void,
): Outcome {
  const events: string[] = [];
  try {
    for (const chunk of chunks) {
      channel.receive(chunk);
      for (let event = channel.next(); event !== undefined; event = channel.next()) {
        seen(event);
        events.push(toJson(event.type === "message" ? event.message : { type: event.type }));
      }
    }
  } catch (error) {
    if (!(error instanceof DatumError)) throw error;
    for (const again of [() => channel.next(), () => channel.receive(Uint8Array.of(0))]) expect(again).toThrow(error);
    return { events, error };
  }
  return { events, error: undefined };
}

const poolListener =
  (crypto: DatumCrypto): Listener =>
  (chunks) => {
    const channel = poolChannel(crypto, KEYS.get(crypto));
    return listen(channel, chunks, (event) => {
      if (event.type === "hello") channel.accept();
    });
  };
const gatewayListener =
  (crypto: DatumCrypto): Listener =>
  (chunks) =>
    listen(gatewayChannel(crypto, KEYS.get(crypto)), chunks, (event) => {
      if (event.type === "accepted") expect(event.motd).toBe(MOTD);
    });

const KEYS = new Map([native, wasm].map((crypto) => [crypto, parties(crypto)]));

interface Direction {
  readonly name: string;
  readonly frames: readonly Uint8Array[];
  readonly events: readonly string[];
  readonly listener: (crypto: DatumCrypto) => Listener;
}

const { toPool, toGateway } = frames(native);
const DIRECTIONS: readonly Direction[] = [
  {
    name: "gateway to pool",
    frames: toPool,
    events: [toJson({ type: "hello" }), ...GATEWAY_SAYS.map(toJson)],
    listener: poolListener,
  },
  {
    name: "pool to gateway",
    frames: toGateway,
    events: [toJson({ type: "accepted" }), ...POOL_SAYS.map(toJson)],
    listener: gatewayListener,
  },
];

/** Which frame each byte of the stream belongs to, and its place there: the first four are the header, the fourth of them has command and flags. */
function places(all: readonly Uint8Array[]): { at: number; frame: number; place: number }[] {
  let at = 0;
  return all.flatMap((bytes, frame) => Array.from(bytes, (_, place) => ({ at: at++, frame, place })));
}

const EVERY_MASK = Array.from({ length: 255 }, (_, i) => i + 1);
const EVERY_BIT = [1, 2, 4, 8, 16, 32, 64, 128, 255];

function changed(stream: Uint8Array, at: number, mask: number): Uint8Array {
  const copy = Uint8Array.from(stream);
  copy[at] = (copy[at] ?? 0) ^ mask;
  return copy;
}

describe.each(DIRECTIONS)("$name", ({ frames: sent, events, listener }) => {
  const stream = Buffer.concat(sent);

  it.each([native, wasm])("is read whole when nothing is wrong ($name)", (crypto) => {
    expect(listener(crypto)([stream])).toEqual({ events, error: undefined });
    expect(listener(crypto)(Array.from(stream, (byte) => Uint8Array.of(byte)))).toEqual({ events, error: undefined });
  });

  it("every byte flipped, command and flags to every other value: only what came before is read", () => {
    const listenTo = listener(native);
    let waits = 0;
    for (const { at, frame, place } of places(sent)) {
      const header = place < 4;
      const masks = place === 3 ? EVERY_MASK : header ? EVERY_BIT : [0x01, 0x80, 0xff];
      for (const mask of masks) {
        const outcome = listenTo([changed(stream, at, mask)]);
        if (outcome.events.length !== frame || outcome.events.some((event, i) => event !== events[i])) {
          expect.fail(`byte ${at} ^ ${mask} of frame ${frame}: ${outcome.events.join(" ")}`);
        }
        // Only a frame that seems longer than it is can leave the channel waiting.
        if (outcome.error === undefined) waits += 1;
        if (outcome.error === undefined && !header) expect.fail(`byte ${at} ^ ${mask} of a payload was overlooked`);
      }
    }
    expect(waits).toBeGreaterThan(0);
  });

  it("every byte flipped, by the other implementation", () => {
    const listenTo = listener(wasm);
    for (const { at, frame } of places(sent)) expect(listenTo([changed(stream, at, 0x10)]).events).toEqual(events.slice(0, frame));
  });

  it("cut anywhere: waits, with all whole frames read", () => {
    const listenTo = listener(native);
    for (const { at, frame } of places(sent)) {
      expect(listenTo([stream.subarray(0, at)])).toEqual({ events: events.slice(0, frame), error: undefined });
    }
  });

  it("a byte missing or one too many anywhere: nothing is read from there on", () => {
    const listenTo = listener(native);
    for (const { at, frame } of places(sent)) {
      const missing = listenTo([stream.subarray(0, at), stream.subarray(at + 1)]);
      const extra = listenTo([stream.subarray(0, at), Uint8Array.of(0x5a), stream.subarray(at)]);
      // A missing last byte of a payload whose next header begins with the same byte leaves that frame whole: then it ends one later.
      const whole = stream[at] === stream[at + 1] ? frame + 1 : frame;
      expect(missing.events).toEqual(events.slice(0, Math.min(missing.events.length, whole)));
      expect(missing.events.length).toBeGreaterThanOrEqual(frame);
      expect(extra.events).toEqual(events.slice(0, Math.min(extra.events.length, frame + 1)));
      expect(extra.events.length).toBeGreaterThanOrEqual(frame);
    }
  });

  it("a frame left out, repeated or exchanged with the next: nothing is read from there on", () => {
    const listenTo = listener(native);
    for (let i = 0; i < sent.length; i++) {
      const frame = sent[i] as Uint8Array;
      const rest = sent.slice(i + 1);
      const orders = [
        { frames: [...sent.slice(0, i), ...rest], good: i },
        { frames: [...sent.slice(0, i + 1), frame, ...rest], good: i + 1 },
        ...(rest[0] === undefined ? [] : [{ frames: [...sent.slice(0, i), rest[0], frame, ...rest.slice(1)], good: i }]),
      ];
      for (const order of orders) expect(listenTo(order.frames).events).toEqual(events.slice(0, order.good));
    }
  });
});

const mask = fc.integer({ min: 1, max: 255 });
const cuts = fc.array(fc.nat({ max: 1_000_000 }), { maxLength: 6 });

describe("longer conversations of any messages, a byte flipped anywhere", () => {
  const expectPrefix = (
    sent: readonly Uint8Array[],
    values: readonly unknown[],
    listenTo: Listener,
    how: { at: number; mask: number; cuts: number[] },
  ) => {
    const stream = Buffer.concat(sent);
    const at = how.at % stream.length;
    const damaged = sent.findIndex((_, i) => at < sent.slice(0, i + 1).reduce((sum, bytes) => sum + bytes.length, 0));
    const { events } = listenTo(pieces(changed(stream, at, how.mask), how.cuts));
    expect(events.slice(1)).toEqual(values.slice(0, Math.max(0, damaged - 1)).map(toJson));
  };
  const how = fc.record({ at: fc.nat({ max: 1_000_000 }), mask, cuts });

  it("from the gateway", () => {
    const check = fc.property(fc.array(anyGatewayMessage, { minLength: 1, maxLength: 10 }), how, (messages, damage) => {
      expectPrefix(frames(native, [], messages).toPool, messages, poolListener(native), damage);
    });
    fc.assert(check, { numRuns: 300 });
  });

  it("from the pool", () => {
    const check = fc.property(fc.array(anyPoolMessage, { minLength: 1, maxLength: 10 }), how, (messages, damage) => {
      expectPrefix(frames(native, messages, []).toGateway, messages, gatewayListener(native), damage);
    });
    fc.assert(check, { numRuns: 300 });
  });

  it("from the pool, in a header: the command is under no MAC, yet no message passes for another", () => {
    const check = fc.property(anyPoolMessage, mask, fc.integer({ min: 0, max: 3 }), (message, flip, byte) => {
      const [response, frame] = frames(native, [message], []).toGateway as [Uint8Array, Uint8Array];
      const outcome = gatewayListener(native)([response, changed(frame, byte, flip)]);
      expect(outcome.events).toEqual([toJson({ type: "accepted" })]);
    });
    fc.assert(check, { numRuns: 1500 });
  });
});

describe("bytes of no conversation", () => {
  it.each([
    "GET / HTTP/1.1\r\nHost: pool\r\n\r\n",
    '{"id":1,"method":"mining.subscribe","params":[]}\n',
    "\0".repeat(64),
    "\xff".repeat(64),
  ])("%j is refused by its first four bytes", (text) => {
    const bytes = Buffer.from(text, "latin1");
    for (const listenTo of [poolListener(native), gatewayListener(native)]) {
      expect(listenTo([bytes.subarray(0, 4)])).toMatchObject({ events: [], error: { name: "DatumError" } });
    }
  });

  it("any other bytes are refused, or waited on", () => {
    const check = fc.property(fc.uint8Array({ maxLength: 600, size: "max" }), cuts, (bytes, at) => {
      for (const listenTo of [poolListener(native), gatewayListener(native)]) expect(listenTo(pieces(bytes, at)).events).toEqual([]);
    });
    fc.assert(check, { numRuns: 500 });
  });

  it("any bytes after the handshake are refused, or waited on", () => {
    const check = fc.property(fc.uint8Array({ minLength: 1, maxLength: 600, size: "max" }), (bytes) => {
      expect(poolListener(native)([toPool[0] as Uint8Array, bytes]).events).toHaveLength(1);
      const outcome = gatewayListener(native)([toGateway[0] as Uint8Array, bytes]);
      // Four chosen bytes are an empty PING: it is not encrypted, whoever sends it.
      expect(outcome.events.slice(1).every((event) => event === toJson({ type: "ping" }))).toBe(true);
    });
    fc.assert(check, { numRuns: 500 });
  });
});
