/**
 * Whole connections at the channels of both roles: what somebody on the line can do to a conversation, and what a peer can say that holds the
 * keys and follows no rule.
 */
import { isDeepStrictEqual } from "node:util";
import {
  DatumError,
  decodeGatewayMessage,
  decodePoolMessage,
  type GatewayEvent,
  type GatewayMessage,
  type PoolEvent,
  type PoolMessage,
} from "@openprime/datum";
import { type RawChannel, rawGatewayChannel, rawPoolChannel } from "../wire/raw-channel.js";
import { crypto, feed, gatewayChannel, handshake, KEYS, NK, poolChannel } from "./fixed-parties.js";
import { holds, type Target } from "./fuzzer.js";

/** A conversation that is sound: what each side says, as bodies (a pool's text and ping apart), at most so many bytes. */
export interface Bodies {
  readonly gateway: readonly Uint8Array[];
  readonly pool: readonly Uint8Array[];
}

const LONGEST_BODY = 2000;
/** Messages of the sound conversations. */
const MESSAGES = 8;
const COMMANDS = [5, 5, 5, 5, 1, 7, 2, 31] as const;
const SIGNED_BIT = 8;
const FORGED_BIT = 16;
const CONFIGURATION = 0x99;
const short = (bodies: readonly Uint8Array[]): Uint8Array[] => bodies.filter(({ length }) => length <= LONGEST_BODY);

/** All events up to the error, and that error. */
function heard<T extends GatewayEvent | PoolEvent>(
  channel: { receive(chunk: Uint8Array): void; next(): T | undefined },
  stream: Uint8Array,
  seen: (event: T) => void = () => undefined,
): { readonly events: T[]; readonly error: DatumError | undefined } {
  const events: T[] = [];
  try {
    feed(channel, stream, (event) => {
      events.push(event);
      seen(event);
    });
  } catch (error) {
    if (error instanceof DatumError) return { events, error };
    throw error;
  }
  return { events, error: undefined };
}

function atPool(stream: Uint8Array): ReturnType<typeof heard<GatewayEvent>> {
  const channel = poolChannel();
  return heard(channel, stream, (event) => {
    if (event.type === "hello") channel.accept();
  });
}

const atGateway = (stream: Uint8Array): ReturnType<typeof heard<PoolEvent>> => heard(gatewayChannel(), stream);

/** A recorded conversation, changed on the line: what is read of it is its beginning, as it was sent. No change adds, alters or moves anything. */
function onTheLine(name: string, stream: Uint8Array, listen: (stream: Uint8Array) => { readonly events: readonly unknown[] }): Target {
  const { events: said } = listen(stream);
  let heardInAll = 0;
  return {
    name,
    seeds: [stream],
    part: 9,
    run: (input) => {
      const { events } = listen(input);
      heardInAll += events.length;
      holds(events.length <= said.length, "nothing is read that was not said");
      for (const [index, event] of events.entries()) holds(isDeepStrictEqual(event, said[index]), "what is read was said, in that order");
    },
    figures: () => ({ messagesSaid: said.length, heard: heardInAll }),
  };
}

const gatewayBodiesToSay = (bodies: Bodies): Uint8Array[] => short(bodies.gateway).slice(0, MESSAGES);

export function lineToPool(bodies: Bodies): Target {
  const { hello } = handshake();
  const channel = fixedGatewayChannel();
  const frames = gatewayBodiesToSay(bodies).map((body) => channel.seal(body));
  return onTheLine("line-to-pool", new Uint8Array(Buffer.concat([hello, ...frames])), atPool);
}

/** What is read is the beginning of what was said; but an empty PING is under no MAC, so one may be made of four right bytes: those are let pass. */
export function lineToGateway(bodies: Bodies): Target {
  const { response } = handshake();
  const pool = fixedPoolChannel();
  const frames = short(bodies.pool)
    .slice(0, MESSAGES)
    .map((body) => pool.seal(body, { signed: body[0] === CONFIGURATION }));
  return onTheLine("line-to-gateway", new Uint8Array(Buffer.concat([response, ...frames])), (stream) => {
    const { events } = atGateway(stream);
    return { events: events.filter((event) => event.type !== "message" || event.message.type !== "ping") };
  });
}

const fixedGatewayChannel = (): RawChannel => rawGatewayChannel(crypto, KEYS.gatewaySession, NK, KEYS.poolSession.box.publicKey);

function fixedPoolChannel(): RawChannel {
  const { sign, box } = KEYS.gatewaySession;
  return rawPoolChannel(crypto, KEYS.poolSession, { signKey: sign.publicKey, boxKey: box.publicKey, nk: NK });
}

/** One message of a peer that holds the keys. */
interface Said {
  readonly command: number;
  readonly signed: boolean;
  /** It says that it is signed; what should be the signature is the body's own end. */
  readonly forged: boolean;
  readonly body: Uint8Array;
}

/** An input as messages: two bytes of length, one of command and signature, the body. */
export function* records(input: Uint8Array): Generator<Said> {
  for (let at = 0; at + 3 <= input.length; ) {
    const length = (input[at] as number) | ((input[at + 1] as number) << 8);
    const kind = input[at + 2] as number;
    const body = input.slice(at + 3, at + 3 + length);
    const forged = (kind & FORGED_BIT) !== 0;
    yield { command: COMMANDS[kind % COMMANDS.length] as number, signed: !forged && (kind & SIGNED_BIT) !== 0, forged, body };
    at += 3 + length;
  }
}

export function record(body: Uint8Array, kind: number): Uint8Array {
  return Uint8Array.of(body.length & 0xff, body.length >>> 8, kind, ...body);
}

/** A peer with the right keys says anything: the channel reads what the codec reads of each body, and ends at the first that it can't. */
function withKeys<M>(
  name: string,
  seeds: readonly Uint8Array[],
  open: (input: Uint8Array) => { readonly stream: Uint8Array; readonly listen: (stream: Uint8Array) => ReturnType<typeof heard> },
  expected: (one: Said) => M,
): Target {
  let read = 0;
  return {
    name,
    seeds,
    part: 12,
    weight: (input) => Math.max(1, [...records(input)].length),
    run: (input) => {
      const { stream, listen } = open(input);
      const { events, error } = listen(stream);
      const messages = events.slice(1).map((event) => (event.type === "message" ? event.message : event));
      read += messages.length;
      let at = 0;
      for (const one of records(input)) {
        let value: M;
        try {
          value = expected(one);
        } catch (refusal) {
          if (!(refusal instanceof DatumError)) throw refusal;
          holds(error?.code === refusal.code, `a message that the codec refuses (${refusal.code}) ends the channel`);
          break;
        }
        holds(isDeepStrictEqual(messages[at], value), "the channel reads what the codec reads");
        at += 1;
      }
      holds(messages.length === at, "nothing is read that was not said");
    },
    figures: () => ({ read }),
  };
}

const refused = (code: "unknownCommand" | "unexpectedFrame" | "badSignature" | "malformedMessage"): never => {
  throw new DatumError(code, "", "");
};

export function peerAtPool(bodies: Bodies): Target {
  const { hello } = handshake();
  const seeds = short(bodies.gateway).map((body) => record(body, 0));
  return withKeys<GatewayMessage>(
    "peer-at-pool",
    [...seeds, new Uint8Array(Buffer.concat(seeds.slice(0, MESSAGES)))],
    (input) => {
      const channel = fixedGatewayChannel();
      const frames = [...records(input)].map(({ body, ...flags }) => channel.seal(body, flags));
      return { stream: Buffer.concat([hello, ...frames]), listen: atPool };
    },
    ({ command, forged, body }) => {
      if (command === 1) return refused("unexpectedFrame");
      if (command !== 5) return refused("unknownCommand");
      if (forged) return refused("badSignature");
      return decodeGatewayMessage(body);
    },
  );
}

export function peerAtGateway(bodies: Bodies): Target {
  const { response } = handshake();
  const seeds = short(bodies.pool).map((body) => record(body, body[0] === CONFIGURATION ? SIGNED_BIT : 0));
  const texts = ["maintenance at noon", "é\t\n"].map((text) => record(new TextEncoder().encode(`${text}\0`), 5));
  return withKeys<PoolMessage>(
    "peer-at-gateway",
    [...seeds, ...texts, record(new Uint8Array(0), 4), new Uint8Array(Buffer.concat(seeds.slice(0, MESSAGES)))],
    (input) => {
      const channel = fixedPoolChannel();
      const frames = [...records(input)].map(({ body, ...flags }) => channel.seal(body, flags));
      return { stream: Buffer.concat([response, ...frames]), listen: atGateway };
    },
    ({ command, signed, forged, body }) => {
      if (command !== 1 && command !== 5 && command !== 7) return refused("unknownCommand");
      if (forged) return refused("badSignature");
      if (command === 1) return body.length === 0 ? { type: "ping" } : refused("malformedMessage");
      if (command === 7) return { type: "info", text: infoText(body) };
      const message = decodePoolMessage(body);
      return message.type === "configuration" && !signed ? refused("badSignature") : message;
    },
  );
}

/** What protocol.md says of an INFO, in other words than the library's. */
function infoText(body: Uint8Array): string {
  const bytes = Buffer.from(body);
  const end = bytes.indexOf(0);
  const text = bytes.subarray(0, Math.max(0, end)).toString("utf8");
  const sound = end >= 0 && Buffer.from(text, "utf8").equals(bytes.subarray(0, end)) && !/[^\P{Cc}\t\n\r\u0080-\u009f]/u.test(text);
  return sound ? text : refused("malformedMessage");
}
