/**
 * The fuzz of the connection: an input is a conversation, played over a real socket to the real gateway room and judge. Frames are mutated
 * inside a valid channel and outside of it, cut, doubled, exchanged and sent in pieces; another gateway works on meanwhile.
 */
import { randomBytes } from "node:crypto";
import {
  type DatumCrypto,
  DatumError,
  decodeGatewayMessage,
  decodePublicKey,
  encodeGatewayMessage,
  GatewayChannel,
  type GatewayMessage,
  generateLongTermKeys,
  generateSessionKeys,
  type LongTermKeys,
} from "@openprime/datum";
import {
  holds,
  Job,
  mineOne,
  minerAddress,
  type RawChannel,
  rawGatewayChannel,
  seedBodies,
  type Target,
  type Template,
  WireGateway,
} from "@openprime/simulator";
import { FuzzClient } from "./fuzz-client.js";
import { type FuzzedPool, PROXY_ADDRESS, startFuzzedPool } from "./fuzzed-pool.js";
import { SaidWork } from "./share-oracle.js";

const GATEWAYS = 4;
/** Conversations between two shares of the gateway that is left alone. */
const LOOK_AROUND = 50;
const LONGEST_SEED = 3000;
const MOST_STEPS = 60;
/** Bytes that a cut frame lacks at least: a single one may be what the next frame happens to begin with, and the frame be whole. */
const MISSING = 9;
/** Command of mining messages. */
const MINING = 5;

/** Steps of a conversation, by the byte that chooses them; each has an argument, and those from `body` on a body with its length before it. */
const STEPS = [
  "share",
  "spoiledShare",
  "announcement",
  "splitRequest",
  "twice",
  "again",
  "flipped",
  "cut",
  "exchanged",
  "pieces",
  "header",
  "large",
  "body",
  "bodyWithFlags",
  "garbage",
] as const;
type Step = (typeof STEPS)[number];
const FIRST_WITH_BODY = STEPS.indexOf("body");
/** How a conversation begins, by its second byte. */
const GREETINGS = 16;
const GREETING = { cut: 1, replayed: 2, garbage: 3, flipped: 4, proxied: 5 } as const;

interface Planned {
  readonly step: Step;
  readonly argument: number;
  readonly body: Uint8Array;
}

const step = (name: Step, argument = 0, body?: Uint8Array): number[] => [
  STEPS.indexOf(name),
  argument,
  ...(body === undefined ? [] : [body.length & 0xff, body.length >>> 8, ...body]),
];

function* planned(input: Uint8Array): Generator<Planned> {
  let at = 2;
  for (let count = 0; at + 2 <= input.length && count < MOST_STEPS; count++) {
    const kind = (input[at] as number) % STEPS.length;
    const argument = input[at + 1] as number;
    at += 2;
    let body: Uint8Array = new Uint8Array(0);
    if (kind >= FIRST_WITH_BODY) {
      const length = (input[at] ?? 0) | ((input[at + 1] ?? 0) << 8);
      body = input.slice(at + 2, at + 2 + length);
      at += 2 + length;
    }
    yield { step: STEPS[kind] as Step, argument, body };
  }
}

/** Conversations to begin with: honest work, each kind of damage once, and each body of the recordings and vectors. */
function seeds(): Uint8Array[] {
  const { gateway, unsound } = seedBodies();
  const bodies = [...gateway, ...unsound.gateway].filter(({ length }) => length <= LONGEST_SEED);
  const honest = [...step("splitRequest"), ...step("share", 1), ...step("share", 0), ...step("announcement", 2), ...step("share", 2)];
  const damaged = (["spoiledShare", "twice", "again", "flipped", "cut", "exchanged", "pieces", "header", "large"] as const).map((name) => [
    ...honest,
    ...step(name, 9),
    ...step("share", 0),
  ]);
  const headers = [
    Buffer.from("PROXY TCP4 127.0.0.1 127.0.0.1 40000 23334\r\n"),
    Buffer.from("PROXY TCP6 ::1 ::1 40000 23334\r\n"),
    Buffer.from("PROXY UNKNOWN\r\n"),
    Buffer.from("0d0a0d0a000d0a515549540a2111000c7f0000017f0000019c405b26", "hex"),
    Buffer.from("0d0a0d0a000d0a515549540a20000000", "hex"),
  ].map((header) => [0, GREETING.proxied, ...header]);
  const greetings = Object.values(GREETING).map((greeting) => [0, greeting, ...step("garbage", 0, Buffer.from("GET / HTTP/1.1\r\n\r\n"))]);
  return [
    [0, 0, ...honest],
    ...damaged.map((steps, index) => [index, 0, ...steps]),
    ...greetings,
    ...headers,
    ...bodies.map((body, index) => [index, 0, ...step("body", 0, body), ...step("share", 1)]),
  ].map((input) => Uint8Array.from(input));
}

/** One of the gateways that talk: its identity and what it has said outlive a conversation, as its session does. */
interface Speaker {
  readonly keys: LongTermKeys;
  readonly said: SaidWork;
}

export async function connectionTarget(crypto: DatumCrypto): Promise<Target> {
  let speaking: Speaker | undefined;
  const counts = { accepted: 0, frames: 0, goodShares: 0 };
  const hashes = new Set<string>();
  let failure: unknown;
  const pool = await startFuzzedPool(crypto, (share) => {
    if (share.sessionId === honestId) return;
    try {
      const hash = Buffer.from(share.hash).toString("hex");
      holds(!hashes.has(hash), "a share is accepted once");
      hashes.add(hash);
      counts.accepted += 1;
      holds(
        speaking !== undefined && BigInt(pool.primeId(speaking.keys.sign.publicKey)) === share.sessionId,
        "a share belongs to who sent it",
      );
      speaking?.said.check(share, pool.money);
    } catch (error) {
      failure ??= error;
    }
  });
  const speakers = Array.from({ length: GATEWAYS }, (): Speaker => ({ keys: generateLongTermKeys(crypto), said: new SaidWork() }));
  const honest = await WireGateway.connect(pool.place);
  const honestId = BigInt(honest.primeId);
  const template = pool.chain.template();
  const honestJob = honest.job(template);
  let conversations = 0;
  return {
    name: "connection",
    seeds: seeds(),
    part: 12,
    batch: 1,
    weight: (input) => 1 + [...planned(input)].length,
    run: async (input) => {
      const speaker = speakers[(input[0] ?? 0) % GATEWAYS] as Speaker;
      speaking = speaker;
      speaker.said.begin();
      const conversation = new Conversation(crypto, pool, speaker, template);
      await conversation.play(input);
      counts.frames += conversation.frames;
      const thrown = failure;
      failure = undefined;
      if (thrown !== undefined) throw thrown;
      const faults = pool.faults();
      holds(faults.length === 0, `the pool finds no fault of its own: ${faults[0]}`);
      if (conversations++ % LOOK_AROUND === 0) {
        const answer = await honest.submit(mineOne(honestJob, { username: minerAddress("honest", 0) }));
        holds(answer === "accepted", `a gateway that does nothing wrong is answered as ever, not ${answer}`);
        counts.goodShares += 1;
        holds(pool.server.connectionCount === 1, "a connection that has ended is forgotten");
      }
    },
    figures: () => ({ conversations, ...counts }),
    close: async () => {
      await honest.close();
      await pool.server.close();
    },
  };
}

class Conversation {
  frames = 0;
  readonly #sent: Uint8Array[] = [];
  #held: Uint8Array | undefined;
  /** From here on the pool must take nothing more. */
  #broken = false;
  #lastShare: Uint8Array | undefined;
  #job: Job | undefined;
  #jobs = 0;

  constructor(
    private readonly crypto: DatumCrypto,
    private readonly pool: FuzzedPool,
    private readonly speaker: Speaker,
    private readonly template: Template,
  ) {}

  async play(input: Uint8Array): Promise<void> {
    const { crypto, pool, speaker } = this;
    const session = generateSessionKeys(crypto);
    const nk = randomBytes(4).readUInt32LE();
    const gateway = new GatewayChannel({
      crypto,
      poolPublicKey: decodePublicKey(pool.place.publicKey),
      longTermKeys: speaker.keys,
      sessionKeys: session,
      version: "v0.4.1-beta/fuzz",
      nk,
    });
    let channel: RawChannel | undefined;
    let opened: () => void = () => undefined;
    const open = new Promise<void>((resolve) => {
      opened = resolve;
    });
    const greeting = (input[1] ?? 0) % GREETINGS;
    const proxied = greeting === GREETING.proxied;
    const client = await FuzzClient.connect(pool.place, proxied ? PROXY_ADDRESS : undefined, (chunk) => {
      gateway.receive(chunk);
      for (let event = gateway.next(); event !== undefined; event = gateway.next()) {
        if (event.type === "accepted") channel = rawGatewayChannel(crypto, session, nk, event.poolSessionBoxKey);
        else if (event.message.type === "configuration") {
          holds(event.message.primeId === pool.primeId(speaker.keys.sign.publicKey), "a gateway is told its own prime id");
          opened();
        }
      }
    });
    await this.#greet(client, gateway.hello(), greeting, input);
    if (!this.#broken) await client.orClosed(open);
    for (const one of planned(input)) {
      if (client.isClosed || channel === undefined || proxied) break;
      await this.#step(one, channel, client);
    }
    await client.end();
  }

  async #greet(client: FuzzClient, hello: Uint8Array, greeting: number, input: Uint8Array): Promise<void> {
    this.#broken = Object.values<number>(GREETING).includes(greeting);
    if (greeting === GREETING.cut) await client.write(hello.subarray(0, input.length % hello.length));
    else if (greeting === GREETING.replayed) await client.write(Buffer.concat([hello, hello]));
    else if (greeting === GREETING.proxied) await client.write(Buffer.concat([input.subarray(2), hello]));
    else if (greeting === GREETING.garbage) await client.write(input.subarray(2));
    else if (greeting === GREETING.flipped) await client.write(flipped(hello, input.length));
    else await client.write(hello);
  }

  async #step({ step: name, argument, body }: Planned, channel: RawChannel, client: FuzzClient): Promise<void> {
    this.frames += 1;
    switch (name) {
      case "share":
        return this.#say(this.#share(argument), channel, client);
      case "spoiledShare": {
        const share = this.#share(1);
        return this.#say(flipped(share, argument * 3), channel, client);
      }
      case "announcement":
        return this.#say(this.#announcement(argument), channel, client);
      case "splitRequest":
        return this.#say(
          encodeGatewayMessage({ type: "coinbaserRequest", value: BigInt(argument), prevhash: this.template.prevhash }),
          channel,
          client,
        );
      case "twice":
        return this.#say(this.#lastShare ?? this.#share(1), channel, client);
      case "body":
        return this.#say(body, channel, client);
      case "pieces":
        client.cutInto(argument);
        return;
      default:
        return this.#damage({ step: name, argument, body }, channel, client);
    }
  }

  /** A sound frame of any body. */
  async #say(body: Uint8Array, channel: RawChannel, client: FuzzClient): Promise<void> {
    const frame = channel.seal(body);
    if (!this.#broken) this.#note(body);
    this.#sent.push(frame);
    const held = this.#held;
    this.#held = undefined;
    await client.write(held === undefined ? frame : Buffer.concat([frame, held]));
  }

  /** What the pool may take from here on. A body that can't be read ends the connection. */
  #note(body: Uint8Array): void {
    try {
      const message = decodeGatewayMessage(body);
      // An answer that nobody asked for ends the connection.
      if (message.type === "share" || message.type === "coinbaserRequest" || message.type === "jobAnnouncement")
        this.speaker.said.say(message);
      else this.#broken = true;
    } catch (error) {
      if (!(error instanceof DatumError)) throw error;
      this.#broken = true;
    }
  }

  async #damage({ step: name, argument, body }: Planned, channel: RawChannel, client: FuzzClient): Promise<void> {
    // Nothing is damaged by these.
    if (name === "again" && this.#sent.length === 0) return;
    if (name === "garbage" && body.length === 0) return;
    if (name === "bodyWithFlags" && argument % 128 === MINING) return this.#say(body, channel, client);
    const share = this.#share(1);
    this.#broken = true;
    switch (name) {
      case "again":
        return client.write(this.#sent[argument % this.#sent.length] as Uint8Array);
      case "flipped": {
        const frame = channel.seal(share);
        return client.write(flipped(frame, argument * 7));
      }
      case "cut": {
        const frame = channel.seal(share);
        return client.write(frame.subarray(0, frame.length - MISSING - argument));
      }
      case "exchanged":
        this.#held = channel.seal(share);
        return;
      case "header":
        return client.write(
          channel.bare({ length: argument, command: argument & 31, signed: (argument & 32) !== 0, channel: (argument & 64) !== 0 }, share),
        );
      case "large":
        return client.write(channel.bare({ length: 2 ** 22 - 1 - argument }, share));
      case "bodyWithFlags":
        return client.write(channel.seal(body, { command: argument & 31, forged: (argument & 32) !== 0, sealed: (argument & 64) !== 0 }));
      default:
        return client.write(body);
    }
  }

  /** A fresh share that meets the least target. With both sections every so often, as a gateway's first of a job. */
  #share(argument: number): Uint8Array {
    const first = this.#job === undefined || argument % 4 === 1;
    if (this.#job === undefined || argument % 16 === 1) {
      this.#job = new Job(this.template, this.#jobs++ % 8, randomBytes(2).readUInt16LE(), {
        configuration: {
          type: "configuration",
          payoutScript: this.pool.money.script,
          primeId: this.pool.primeId(this.speaker.keys.sign.publicKey),
          tag: Buffer.from("OpenPrime"),
          minimumDifficulty: 1n,
        },
        secondaryTag: new Uint8Array(0),
        uniqueId: 7,
      });
    }
    const kind = argument % 3 === 2 ? 1 : 0;
    const { work, nonce, username } = mineOne(this.#job, {
      username: `${minerAddress("fuzz", argument % 5)}.rig${argument % 3}`,
      kind,
      quickdiff: argument % 5 === 4,
    });
    const message: GatewayMessage = {
      type: "share",
      jobId: this.#job.slot,
      coinbaseId: kind,
      isBlock: false,
      subsidyOnly: false,
      quickdiff: work.quickdiff,
      unknownFlags: 0,
      targetByte: work.targetByte,
      ntime: work.ntime,
      nonce,
      version: work.version,
      extranonce: work.extranonce,
      username: Buffer.from(username),
      reserved: 0,
      ...(first && { job: this.#job.jobSection() }),
      ...((first || kind === 1) && { coinbase: this.#job.coinbaseSection(kind) }),
    };
    this.#lastShare = encodeGatewayMessage(message);
    return this.#lastShare;
  }

  #announcement(argument: number): Uint8Array {
    this.#share(1);
    const job = this.#job as Job;
    const coinbases = argument % 2 === 0 ? [job.coinbaseSection(0)] : [];
    return encodeGatewayMessage({ type: "jobAnnouncement", jobId: job.slot, job: job.jobSection(), coinbases });
  }
}

function flipped(bytes: Uint8Array, place: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const at = place % copy.length;
  copy[at] = (copy[at] ?? 0) ^ (1 << (place % 8));
  return copy;
}
